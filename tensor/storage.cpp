#include "tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "tensor/backend.h"
#include "tensor/error.h"

namespace querent {
namespace {

constexpr size_t guard_bytes = 64;
constexpr unsigned char guard_value = 0xa5;
constexpr size_t huge_page = size_t{2} << 20;

std::atomic<bool> memory_debug{false};
std::atomic<size_t> violations{0};

// Free blocks by capacity, for one device. Never destroyed, so that tensors of static lifetime may outlive main().
// A GPU works in order, so a block may serve again while kernels on its last values are still to run.
struct Pool {
  std::mutex mutex;
  using Blocks = std::multimap<size_t, std::byte*>;
  Blocks free, recorded;  // for tensors; for recordings, while there are any
  MemoryStats stats;
  int pins = 0;
};
thread_local std::optional<Device> recording;  // whose work this thread records
constexpr int max_gpus = 16;
Pool& pool(Device device) {
  static Pool* const pools = new Pool[1 + max_gpus];
  check(device.index >= 0 && device.index < max_gpus, "memory: {} is beyond the {} devices supported", device,
        max_gpus);
  return pools[device.kind == Device::Kind::cpu ? 0 : 1 + device.index];
}

size_t rounded(size_t bytes) {
  const size_t grain = bytes < huge_page ? 256 : huge_page;
  return (bytes + grain - 1) / grain * grain;
}

// A free block for `capacity`, which becomes its real one.
std::byte* take(size_t& capacity, Pool::Blocks& blocks) {
  // A block up to a quarter larger than asked serves too; the pool stays small when shapes vary.
  const auto it = blocks.lower_bound(capacity);
  if (it == blocks.end() || it->first > capacity + capacity / 4) return nullptr;
  std::byte* const block = it->second;
  capacity = it->first;
  blocks.erase(it);
  return block;
}
std::byte* take(size_t& capacity, Device device, bool recorded) {
  Pool& p = pool(device);
  const std::lock_guard lock(p.mutex);
  std::byte* const block = recorded ? take(capacity, p.recorded) : nullptr;
  return block ? block : take(capacity, p.free);
}

// On the GPU a request that does not fit is tried again without the pool's unused blocks.
std::byte* fresh_on_gpu(size_t capacity, Device device) {
  const Backend& gpu = backend(device);
  std::byte* block = gpu.allocate(capacity, device.index);
  if (!block) {
    release_free_memory();
    block = gpu.allocate(capacity, device.index);
  }
  if (block) return block;
  const DeviceMemory memory = gpu.memory(device.index);
  fail(
      "memory: {} cannot give {} MiB: {} of its {} MiB are free, {} MiB are in living tensors; use a smaller batch or "
      "image size",
      device, capacity >> 20, memory.free >> 20, memory.total >> 20, memory_stats(device).live >> 20);
}

// Large blocks are mapped, so that giving one back really gives it back, and lie on huge pages.
std::byte* fresh(size_t capacity, Device device) {
  if (device.kind == Device::Kind::cuda) return fresh_on_gpu(capacity, device);
  void* block = nullptr;
  if (capacity < huge_page) {
    block = std::aligned_alloc(64, capacity);
  } else if (void* const map =
                 mmap(nullptr, capacity + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
             map != MAP_FAILED) {
    const auto start = reinterpret_cast<uintptr_t>(map), first = (start + huge_page - 1) / huge_page * huge_page;
    if (first > start) munmap(map, first - start);
    if (start + huge_page > first) munmap(reinterpret_cast<void*>(first + capacity), start + huge_page - first);
    block = reinterpret_cast<void*>(first);
    madvise(block, capacity, MADV_HUGEPAGE);
  }
  check(block != nullptr, "memory: cannot get {} MiB; use a smaller batch or image size", capacity >> 20);
  return static_cast<std::byte*>(block);
}
void give_back(std::byte* block, size_t capacity, Device device) {
  if (device.kind == Device::Kind::cuda)
    backend(device).release(block, device.index);
  else if (capacity < huge_page)
    std::free(block);
  else
    munmap(block, capacity);
}

bool guards_are_whole(const std::byte* block, size_t bytes, size_t capacity, Device device) {
  std::vector<std::byte> guards(capacity - bytes);
  copy_bytes(guards.data(), Device::cpu(), block, device, guard_bytes);
  copy_bytes(guards.data() + guard_bytes, Device::cpu(), block + guard_bytes + bytes, device,
             guards.size() - guard_bytes);
  return std::all_of(guards.begin(), guards.end(), [](std::byte b) { return b == std::byte{guard_value}; });
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) { return make(bytes, device, false); }
std::shared_ptr<Storage> Storage::allocate_apart(size_t bytes, Device device) { return make(bytes, device, true); }
std::shared_ptr<Storage> Storage::allocate_zeros(size_t bytes, Device device) { return make(bytes, device, false, true); }

std::shared_ptr<Storage> Storage::promise(size_t bytes, Device device) {
  std::shared_ptr<Storage> s(new Storage);
  s->id_ = next_id();
  s->bytes_ = bytes;
  s->device_ = device;
  return s;
}
uint64_t Storage::next_id() {
  static std::atomic<uint64_t> count{0};
  return ++count;
}

std::shared_ptr<Storage> Storage::make(size_t bytes, Device device, bool apart, bool zeros) {
  std::shared_ptr<Storage> s(new Storage);
  s->id_ = next_id();
  s->bytes_ = bytes;
  s->device_ = device;
  s->guarded_ = memory_debug;
  s->apart_ = apart;
  s->capacity_ = rounded(bytes + (s->guarded_ ? 2 * guard_bytes : 0) + (bytes == 0));
  s->recorded_ = recording == device;
  std::byte* block = s->guarded_ || apart ? nullptr : take(s->capacity_, device, s->recorded_);
  const bool is_new = block == nullptr;
  if (is_new) block = fresh(s->capacity_, device);
  if (s->guarded_) {
    fill_bytes(block, guard_value, s->capacity_, device);
    block += guard_bytes;
    fill_bytes(block, 0xff, bytes, device);
  }
  const bool is_zero = is_new && !s->guarded_ && s->capacity_ >= huge_page && device == Device::cpu();
  if (zeros && !is_zero) fill_bytes(block, 0, bytes, device);
  s->data_ = block;
  Pool& p = pool(device);
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
    violations += !guards_are_whole(block, bytes_, capacity_, device_);
  }
  Pool& p = pool(device_);
  const std::lock_guard lock(p.mutex);
  p.stats.live -= bytes_;
  if (guarded_ || apart_) {
    p.stats.held -= capacity_;
    give_back(block, capacity_, device_);
  } else {
    (recorded_ && p.pins > 0 ? p.recorded : p.free).emplace(capacity_, block);
  }
}

void Storage::forget(size_t begin, size_t end) const {
  if (capacity_ < huge_page || guarded_ || device_ != Device::cpu()) return;
  const size_t first = (begin + huge_page - 1) / huge_page * huge_page, last = end / huge_page * huge_page;
  if (first < last) madvise(data_ + first, last - first, MADV_DONTNEED);
}

MemoryStats memory_stats(Device device) {
  Pool& p = pool(device);
  const std::lock_guard lock(p.mutex);
  return p.stats;
}
void reset_memory_peak(Device device) {
  Pool& p = pool(device);
  const std::lock_guard lock(p.mutex);
  p.stats.peak = p.stats.live;
}
void release_free_memory() {
  for (int i = 0; i <= max_gpus; ++i) {  // devices() would open the module of the GPU to ask for their number
    const Device device = i == 0 ? Device::cpu() : Device::cuda(i - 1);
    Pool& p = pool(device);
    const std::lock_guard lock(p.mutex);
    for (const auto& [capacity, block] : p.free) {
      p.stats.held -= capacity;
      give_back(block, capacity, device);
    }
    p.free.clear();
  }
}
PoolPin::PoolPin(Device device) : device_(device) {
  Pool& p = pool(device);
  const std::lock_guard lock(p.mutex);
  ++p.pins;
}
PoolPin::~PoolPin() {
  Pool& p = pool(device_);
  const std::lock_guard lock(p.mutex);
  if (--p.pins == 0) p.free.merge(p.recorded);
}
PoolPin::Recording::Recording(const PoolPin& pin) { recording = pin.device_; }
PoolPin::Recording::~Recording() { recording.reset(); }
void set_memory_debug(bool on) { memory_debug = on; }
size_t guard_violations() { return violations; }

}  // namespace querent
