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

// A free block for `capacity`, which becomes its real one.
std::byte* take(size_t& capacity) {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  // A block up to a quarter larger than asked serves too; the pool stays small when shapes vary.
  const auto it = p.free.lower_bound(capacity);
  if (it != p.free.end() && it->first <= capacity + capacity / 4) {
    std::byte* block = it->second;
    capacity = it->first;
    p.free.erase(it);
    return block;
  }
  return nullptr;
}

// Large blocks are mapped, so that giving one back really gives it back, and lie on huge pages.
std::byte* fresh(size_t capacity) {
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
void give_back(std::byte* block, size_t capacity) {
  if (capacity < huge_page)
    std::free(block);
  else
    munmap(block, capacity);
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) { return make(bytes, device, false); }
std::shared_ptr<Storage> Storage::allocate_apart(size_t bytes, Device device) { return make(bytes, device, true); }

std::shared_ptr<Storage> Storage::make(size_t bytes, Device device, bool apart) {
  check(device.kind == Device::Kind::cpu, "memory: device {} is not available in this build", device);
  static std::atomic<uint64_t> count{0};
  std::shared_ptr<Storage> s(new Storage);
  s->id_ = ++count;
  s->bytes_ = bytes;
  s->device_ = device;
  s->guarded_ = memory_debug;
  s->apart_ = apart;
  s->capacity_ = rounded(bytes + (s->guarded_ ? 2 * guard_bytes : 0) + (bytes == 0));
  std::byte* block = s->guarded_ || apart ? nullptr : take(s->capacity_);
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
  if (guarded_ || apart_) {
    p.stats.held -= capacity_;
    give_back(block, capacity_);
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
void release_free_memory() {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  for (const auto& [capacity, block] : p.free) {
    p.stats.held -= capacity;
    give_back(block, capacity);
  }
  p.free.clear();
}
void set_memory_debug(bool on) { memory_debug = on; }
size_t guard_violations() { return violations; }

}  // namespace querent
