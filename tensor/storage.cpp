#include "tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "tensor/error.h"

namespace querent {
namespace {

constexpr size_t guard_bytes = 64;
constexpr unsigned char guard_value = 0xa5;
constexpr size_t huge_page = size_t{2} << 20;

std::atomic<bool> memory_debug{false};
std::atomic<size_t> violations{0};

// Free blocks by capacity. Never destroyed, so that tensors of static lifetime may outlive main().
struct Pool {
  std::mutex mutex;
  std::multimap<size_t, std::byte*> free;
  MemoryStats stats;
};
Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

size_t rounded(size_t bytes) {
  const size_t grain = bytes < huge_page ? 256 : huge_page;
  return (bytes + grain - 1) / grain * grain;
}

std::byte* take(size_t capacity) {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  // A block up to a quarter larger than asked serves too; the pool stays small when shapes vary.
  const auto it = p.free.lower_bound(capacity);
  if (it != p.free.end() && it->first <= capacity + capacity / 4) {
    std::byte* block = it->second;
    p.free.erase(it);
    return block;
  }
  return nullptr;
}

std::byte* fresh(size_t capacity) {
  const size_t align = capacity >= huge_page ? huge_page : 64;
  void* block = std::aligned_alloc(align, capacity);
  check(block != nullptr, "memory: cannot get {} MiB; use a smaller batch or image size", capacity >> 20);
  if (capacity >= huge_page) madvise(block, capacity, MADV_HUGEPAGE);
  return static_cast<std::byte*>(block);
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  check(device.kind == Device::Kind::cpu, "memory: device {} is not available in this build", device);
  std::shared_ptr<Storage> s(new Storage);
  s->bytes_ = bytes;
  s->device_ = device;
  s->guarded_ = memory_debug;
  s->capacity_ = rounded(bytes + (s->guarded_ ? 2 * guard_bytes : 0) + (bytes == 0));
  std::byte* block = s->guarded_ ? nullptr : take(s->capacity_);
  const bool is_new = block == nullptr;
  if (is_new) block = fresh(s->capacity_);
  if (s->guarded_) {
    std::memset(block, guard_value, s->capacity_);
    block += guard_bytes;
    std::memset(block, 0xff, bytes);
  }
  s->data_ = block;
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  if (is_new) p.stats.held += s->capacity_;
  p.stats.live += bytes;
  p.stats.peak = std::max(p.stats.peak, p.stats.live);
  return s;
}

Storage::~Storage() {
  if (data_ == nullptr) return;
  std::byte* block = data_;
  if (guarded_) {
    block -= guard_bytes;
    for (size_t i = 0; i < capacity_; ++i) {
      if (i == guard_bytes) i += bytes_;
      if (i < capacity_ && block[i] != std::byte{guard_value}) {
        ++violations;
        break;
      }
    }
  }
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  p.stats.live -= bytes_;
  if (guarded_) {
    p.stats.held -= capacity_;
    std::free(block);
  } else {
    p.free.emplace(capacity_, block);
  }
}

MemoryStats memory_stats() {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  return p.stats;
}
void reset_memory_peak() {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  p.stats.peak = p.stats.live;
}
void set_memory_debug(bool on) { memory_debug = on; }
size_t guard_violations() { return violations; }

}  // namespace querent
