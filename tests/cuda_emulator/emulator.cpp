#include "tests/cuda_emulator/cuda_runtime.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_emulator {
namespace {

[[noreturn]] void stop(const char* why) {
  std::fprintf(stderr, "cuda_emulator: %s; block %u,%u thread %u,%u\n", why, blockIdx.x, blockIdx.y, threadIdx.x,
               threadIdx.y);
  std::abort();
}

// ---- memory: an address range for each device, closed to the host

constexpr size_t range = size_t{1} << 30, huge_page = size_t{2} << 20;
constexpr int most_devices = 2;  // so that a pointer of the wrong one is found

struct Arena {
  std::byte* base = nullptr;
  size_t top = 0, used = 0, limit = range;
  std::map<std::byte*, size_t> blocks;     // living ones
  std::multimap<size_t, std::byte*> free;  // by size
};
struct Machine {
  std::recursive_mutex mutex;  // for all that a second thread may do: copies to a device, on a stream of its own
  int devices = most_devices;
  Arena arenas[most_devices];
  std::vector<std::unique_ptr<std::byte[]>> pinned;
  Order order = Order::forward;
  size_t launches = 0;
  Machine() {
    for (Arena& a : arenas) {
      void* map = mmap(nullptr, range + huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (map == MAP_FAILED) stop("no address space");
      size_t room = range + huge_page;
      a.base = static_cast<std::byte*>(std::align(huge_page, range, map, room));
      madvise(a.base, range, MADV_HUGEPAGE);  // opening and closing takes time for each page
    }
  }
};
Machine& machine() {
  static Machine* const m = new Machine;
  return *m;
}
thread_local int device = 0;
thread_local cudaError_t last_error = cudaSuccess;
cudaError_t refused(cudaError_t why) { return last_error = why; }
Arena& arena() { return machine().arenas[device]; }

// While one lives, the memory of a device is open.
class Open {
 public:
  explicit Open(Arena& a) : lock_(machine().mutex), a_(a) { protect(PROT_READ | PROT_WRITE); }
  ~Open() { protect(PROT_NONE); }

 private:
  void protect(int rights) const {
    const size_t pages = (a_.top + huge_page - 1) / huge_page;
    if (pages > 0 && mprotect(a_.base, pages * huge_page, rights) != 0) stop("mprotect failed");
  }
  std::lock_guard<std::recursive_mutex> lock_;
  Arena& a_;
};

// ---- fibers: one runs threads one after another until a thread waits; then another takes the next thread

enum class State { fresh, ready, at_barrier, at_warp, done };
struct Thread {
  State state = State::fresh;
  size_t fiber = 0;
  std::byte handed[16] = {};
};
struct Fiber {
  ucontext_t context;
  std::unique_ptr<std::byte[]> stack;
};
constexpr size_t stack_bytes = size_t{128} << 10;

struct Block {
  std::vector<Thread> threads;
  std::vector<unsigned> order;
  size_t started = 0;  // in `order`
  unsigned current = 0;
  const std::function<void()>* body = nullptr;
};
Block block;
std::vector<Fiber> fibers;
std::vector<size_t> idle;
ucontext_t scheduler;

void enter(unsigned t) {
  block.current = t;
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}
void fiber_main(unsigned self) {
  for (;;) {
    while (block.started < block.order.size()) {
      const unsigned t = block.order[block.started++];
      enter(t);
      block.threads[t].fiber = self;
      (*block.body)();
      block.threads[t].state = State::done;
      if (block.threads[t].fiber != self) stop("a fiber lost its thread");
    }
    idle.push_back(self);
    swapcontext(&fibers[self].context, &scheduler);
  }
}
void start_fiber() {
  if (fibers.capacity() == 0) fibers.reserve(1100);  // contexts may not move
  fibers.push_back({{}, std::make_unique<std::byte[]>(stack_bytes)});
  ucontext_t& c = fibers.back().context;
  getcontext(&c);
  c.uc_stack.ss_sp = fibers.back().stack.get();
  c.uc_stack.ss_size = stack_bytes;
  c.uc_link = nullptr;
  makecontext(&c, reinterpret_cast<void (*)()>(fiber_main), 1, static_cast<unsigned>(fibers.size() - 1));
  idle.push_back(fibers.size() - 1);
}
size_t idle_fiber() {
  if (idle.empty()) start_fiber();
  const size_t self = idle.back();
  idle.pop_back();
  return self;
}
void wait_as(State state) {
  const unsigned t = block.current;
  block.threads[t].state = state;
  swapcontext(&fibers[block.threads[t].fiber].context, &scheduler);
}

bool release_warps() {
  bool any = false;
  for (size_t first = 0; first < block.threads.size(); first += 32) {
    const auto from = block.threads.begin() + static_cast<ptrdiff_t>(first),
               to = block.threads.begin() + static_cast<ptrdiff_t>(std::min(first + 32, block.threads.size()));
    if (!std::all_of(from, to, [](const Thread& t) { return t.state == State::at_warp; })) continue;
    std::for_each(from, to, [](Thread& t) { t.state = State::ready; });
    any = true;
  }
  return any;
}
bool release_block() {
  const auto waits = [](const Thread& t) { return t.state == State::at_barrier; };
  if (!std::all_of(block.threads.begin(), block.threads.end(), waits)) return false;
  for (Thread& t : block.threads) t.state = State::ready;
  return true;
}

void run_block(const std::function<void()>& body, std::mt19937& random) {
  const unsigned count = blockDim.x * blockDim.y * blockDim.z;
  block.threads.assign(count, {});
  block.order.resize(count);
  std::iota(block.order.begin(), block.order.end(), 0u);
  if (machine().order == Order::backward) std::reverse(block.order.begin(), block.order.end());
  if (machine().order == Order::shuffled) std::shuffle(block.order.begin(), block.order.end(), random);
  block.started = 0;
  block.body = &body;
  for (;;) {
    while (block.started < count) swapcontext(&scheduler, &fibers[idle_fiber()].context);
    for (const unsigned t : block.order) {
      if (block.threads[t].state != State::ready) continue;
      enter(t);
      swapcontext(&scheduler, &fibers[block.threads[t].fiber].context);
    }
    const bool done =
        std::all_of(block.threads.begin(), block.threads.end(), [](const Thread& t) { return t.state == State::done; });
    if (done) return;
    const bool warps = release_warps();
    if (!release_block() && !warps) stop("a barrier or shuffle that not all threads reach");
  }
}

}  // namespace

void set_order(Order order) { machine().order = order; }
size_t memory_limit(size_t bytes) {
  const size_t before = machine().arenas[0].limit;
  for (Arena& a : machine().arenas) a.limit = std::min(bytes, range);
  return before;
}
unsigned lane() { return block.current % 32; }
void exchange(void* bytes, size_t size, unsigned from_lane) {
  const unsigned t = block.current, from = t / 32 * 32 + from_lane;
  if (size > sizeof block.threads[t].handed || from >= block.threads.size()) stop("a shuffle out of range");
  std::memcpy(block.threads[t].handed, bytes, size);
  wait_as(State::at_warp);
  std::memcpy(bytes, block.threads[from].handed, size);
  wait_as(State::at_warp);
}

void run(const cudaLaunchConfig_t& config, const std::function<void()>& thread);

// What a stream is given: done at once, or kept while it is captured.
struct Capturing {
  bool on = false;
  std::vector<std::function<void()>> work;
};
Capturing capturing;
cudaError_t give(std::function<void()> work) {
  if (capturing.on)
    capturing.work.push_back(std::move(work));
  else
    work();
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, std::function<void()> thread) {
  const dim3 g = config.gridDim, b = config.blockDim;
  const size_t threads = size_t{b.x} * b.y * b.z;
  if (threads == 0 || threads > 1024 || b.z > 64 || g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu ||
      g.y > 65535 || g.z > 65535 || config.dynamicSmemBytes > (48u << 10))
    return refused(cudaErrorInvalidValue);
  return give([=] { run(config, thread); });
}

void run(const cudaLaunchConfig_t& config, const std::function<void()>& thread) {
  const dim3 g = config.gridDim, b = config.blockDim;
  ++machine().launches;
  const Open open(arena());
  gridDim = g, blockDim = b;
  std::mt19937 random(static_cast<unsigned>(machine().launches));
  std::vector<size_t> order(size_t{g.x} * g.y * g.z);
  std::iota(order.begin(), order.end(), size_t{0});
  if (machine().order == Order::backward) std::reverse(order.begin(), order.end());
  if (machine().order == Order::shuffled) std::shuffle(order.begin(), order.end(), random);
  for (const size_t i : order) {
    blockIdx = {static_cast<unsigned>(i % g.x), static_cast<unsigned>(i / g.x % g.y),
                static_cast<unsigned>(i / g.x / g.y)};
    run_block(thread, random);
  }
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

void __syncthreads() { wait_as(State::at_barrier); }

const char* cudaGetErrorString(cudaError_t code) {
  return code == cudaErrorInvalidValue       ? "invalid argument"
         : code == cudaErrorMemoryAllocation ? "out of memory"
         : code == cudaErrorNoDevice         ? "no CUDA-capable device is detected"
                                             : "no error";
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine().devices ? 13000 : 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = machine().devices;
  return *count ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaSetDevice(int d) {
  if (d < 0 || d >= machine().devices) return cudaErrorInvalidValue;
  device = d;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated device", 0, 0};
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** out, size_t bytes) {
  const std::lock_guard lock(machine().mutex);
  *out = nullptr;
  if (bytes == 0) return cudaSuccess;
  Arena& a = arena();
  const size_t size = (bytes + 255) / 256 * 256;
  if (a.used + size > a.limit) return refused(cudaErrorMemoryAllocation);
  std::byte* at = nullptr;
  if (const auto it = a.free.find(size); it != a.free.end()) {
    at = it->second;
    a.free.erase(it);
  } else {
    if (a.top + size > range) return cudaErrorMemoryAllocation;
    at = a.base + a.top;
    a.top += size;
  }
  a.used += size;
  a.blocks[at] = size;
  const Open open(a);
  std::memset(at, 0xff, size);
  *out = at;
  return cudaSuccess;
}
cudaError_t cudaFree(void* block_) {
  const std::lock_guard lock(machine().mutex);
  for (Arena& a : machine().arenas) {
    const auto it = a.blocks.find(static_cast<std::byte*>(block_));
    if (it == a.blocks.end()) continue;
    a.used -= it->second;
    a.free.emplace(it->second, it->first);
    a.blocks.erase(it);
    return cudaSuccess;
  }
  return block_ ? cudaErrorInvalidValue : cudaSuccess;
}
cudaError_t cudaMallocHost(void** out, size_t bytes) {
  const std::lock_guard lock(machine().mutex);
  machine().pinned.push_back(std::make_unique<std::byte[]>(bytes));
  *out = machine().pinned.back().get();
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned) { return cudaMallocHost(out, bytes); }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = arena().limit - arena().used;
  *total = arena().limit;
  return cudaSuccess;
}
// The first stream of a device works at once. Others do what they are given as late as they may, when an event behind
// it is waited for: who forgets to wait reads what was there before.
struct CUstream_st {
  bool late;
  std::vector<std::function<void()>> work = {};
};
struct CUevent_st {
  cudaStream_t stream = nullptr;  // where it was recorded last
};
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
  const std::function<void()> work = [=, &a = arena()] {
    const Open open(a);
    std::memcpy(to, from, bytes);
  };
  const std::lock_guard lock(machine().mutex);
  if (!s || !s->late) return give(work);  // null: what the stand-ins of the libraries copy
  s->work.push_back(work);
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t) {
  const Open target(machine().arenas[to_device]), source(machine().arenas[from_device]);
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t) {
  return give([=] {
    const Open open(arena());
    std::memset(to, byte, bytes);
  });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  static std::atomic<int> made[most_devices];
  *s = new CUstream_st{.late = made[device]++ > 0};
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  delete s;
  return cudaSuccess;
}
// As on a GPU, a stream that is captured cannot be waited for.
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return capturing.on ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  const std::lock_guard lock(machine().mutex);
  e->stream = s;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  const std::lock_guard lock(machine().mutex);
  if (!e->stream) return cudaSuccess;
  for (const auto& work : std::exchange(e->stream->work, {})) work();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t e, unsigned) { return cudaEventSynchronize(e); }

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  if (capturing.on) return cudaErrorInvalidValue;
  capturing.on = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = new CUgraph_st{std::move(capturing.work)};
  capturing = {};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
  for (const auto& work : exec->work) work();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
