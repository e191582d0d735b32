// Bytes on a device, 64-byte aligned, taken from a caching pool: a freed block is kept for the next tensor of its size,
// so a training loop soon allocates and faults nothing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/device.h"

namespace querent {

class Storage {
 public:
  static std::shared_ptr<Storage> allocate(size_t bytes, Device device);
  // Not from the pool and not left to it: goes back to the system when freed. For the arena of a Program.
  static std::shared_ptr<Storage> allocate_apart(size_t bytes, Device device);
  // All zeros. A large block that comes fresh from the system takes no memory before it is written.
  static std::shared_ptr<Storage> allocate_zeros(size_t bytes, Device device);
  // A number and a size, but no bytes: data() is null. What a dry run and the planning of a Program work with.
  static std::shared_ptr<Storage> promise(size_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  uint64_t id() const { return id_; }  // grows with every allocation
  // Nobody reads bytes begin .. end-1 again: what can be given back to the system of a large block on the CPU is.
  void forget(size_t begin, size_t end) const;

 private:
  Storage() = default;
  static std::shared_ptr<Storage> make(size_t bytes, Device device, bool apart, bool zeros = false);
  static uint64_t next_id();
  std::byte* data_ = nullptr;
  size_t bytes_ = 0, capacity_ = 0;
  uint64_t id_ = 0;
  Device device_;
  bool guarded_ = false, apart_ = false, recorded_ = false;
};

struct MemoryStats {
  size_t live = 0, peak = 0;  // bytes in living tensors now, and at most since reset_memory_peak()
  size_t held = 0;            // bytes the pool has from the system
};
MemoryStats memory_stats(Device device = Device::cpu());
void reset_memory_peak(Device device = Device::cpu());
void release_free_memory();  // gives the unused blocks of all pools back to the system

// A recording of a device's work (backend.h) lives. Each launch writes again to the blocks that the work took from the
// pool and left, so no tensor gets those until the last recording of the device is gone; recordings share them, as a
// device runs them one after another.
class PoolPin {
 public:
  explicit PoolPin(Device device);
  ~PoolPin();
  PoolPin(const PoolPin&) = delete;
  PoolPin& operator=(const PoolPin&) = delete;

  // While one lives, what this thread takes from the pool of the device is of that kind.
  class Recording {
   public:
    explicit Recording(const PoolPin& pin);
    ~Recording();
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
  };

 private:
  Device device_;
};

// For tests: fill each new block with 0xff (NaN for floats) and put guard bytes round it, checked when it is freed.
void set_memory_debug(bool on);
size_t guard_violations();

}  // namespace querent
