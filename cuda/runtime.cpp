#include "cuda/runtime.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>

#include "tensor/backend.h"

namespace querent::cuda {
namespace {

std::atomic<int64_t> waits{0};
thread_local int current_device = -1;

void activate(int device) {
  if (current_device == device) return;
  cuda_check(cudaSetDevice(device), "cudaSetDevice");
  current_device = device;
}
void wait(cudaStream_t s) {
  ++waits;
  cuda_check(cudaStreamSynchronize(s), "cudaStreamSynchronize");
}

// Pageable memory goes through two pinned pieces in turn, so that the host fills one while the other is on its way.
struct Staging {
  static constexpr size_t piece = size_t{4} << 20;
  struct Pinned {
    std::byte* bytes = nullptr;
    Event sent = make_event();
    Pinned() { cuda_check(cudaMallocHost(reinterpret_cast<void**>(&bytes), piece), "cudaMallocHost"); }
  } pinned[2];
  size_t next = 0;
  std::mutex mutex;
};

void to_device(std::byte* to, const std::byte* from, size_t bytes, Device device) {
  Staging& staging = per_device<Staging>(device);
  const std::lock_guard lock(staging.mutex);
  for (size_t done = 0; done < bytes; done += Staging::piece) {
    Staging::Pinned& p = staging.pinned[staging.next++ % 2];
    const size_t n = std::min(Staging::piece, bytes - done);
    cuda_check(cudaEventSynchronize(p.sent.get()), "cudaEventSynchronize");
    std::memcpy(p.bytes, from + done, n);
    cuda_check(cudaMemcpyAsync(to + done, p.bytes, n, cudaMemcpyHostToDevice, stream(device)), "cudaMemcpyAsync");
    cuda_check(cudaEventRecord(p.sent.get(), stream(device)), "cudaEventRecord");
  }
}
void to_host(std::byte* to, const std::byte* from, size_t bytes, Device device) {
  Staging& staging = per_device<Staging>(device);
  const std::lock_guard lock(staging.mutex);
  for (size_t done = 0; done < bytes; done += Staging::piece) {
    Staging::Pinned& p = staging.pinned[0];
    const size_t n = std::min(Staging::piece, bytes - done);
    cuda_check(cudaMemcpyAsync(p.bytes, from + done, n, cudaMemcpyDeviceToHost, stream(device)), "cudaMemcpyAsync");
    wait(stream(device));
    std::memcpy(to + done, p.bytes, n);
  }
}

std::byte* allocate(size_t bytes, int device) {
  activate(device);
  void* block = nullptr;
  const cudaError_t code = cudaMalloc(&block, bytes);
  if (code == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // takes the error away
    return nullptr;
  }
  cuda_check(code, "cudaMalloc");
  return static_cast<std::byte*>(block);
}
// Throws nothing, as destructors call it. It fails at the end of the program, when the driver has freed it already.
void release(std::byte* block, int device) {
  if (current_device != device && cudaSetDevice(device) != cudaSuccess) return;
  current_device = device;
  static_cast<void>(cudaFree(block));
}
void copy(void* to, Device to_device_, const void* from, Device from_device, size_t bytes) {
  auto* const target = static_cast<std::byte*>(to);
  const auto* const source = static_cast<const std::byte*>(from);
  if (from_device == Device::cpu()) return to_device(target, source, bytes, to_device_);
  if (to_device_ == Device::cpu()) return to_host(target, source, bytes, from_device);
  if (to_device_ == from_device) {
    cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream(to_device_)), "cudaMemcpyAsync");
    return;
  }
  wait(stream(to_device_));  // what still reads the target
  cuda_check(cudaMemcpyPeerAsync(to, to_device_.index, from, from_device.index, bytes, stream(from_device)),
             "cudaMemcpyPeerAsync");
  wait(stream(from_device));
}
// What is on its way on a stream of its own, so that the kernels of the device's stream run meanwhile.
struct Parcel {
  std::byte *pinned = nullptr, *block = nullptr;  // here, there
  Event sent = make_event(), received = make_event();
};
struct Parcels {
  Stream stream = make_stream();
  std::mutex mutex;
  std::multimap<size_t, std::unique_ptr<Parcel>> free;  // by size, for the next tensors of that size
};
std::unique_ptr<Parcel> parcel_for(size_t bytes, Parcels& parcels, int device) {
  {
    const std::lock_guard lock(parcels.mutex);
    if (const auto it = parcels.free.find(bytes); it != parcels.free.end()) {
      return std::move(parcels.free.extract(it).mapped());
    }
  }
  auto parcel = std::make_unique<Parcel>();
  cuda_check(cudaMallocHost(reinterpret_cast<void**>(&parcel->pinned), bytes), "cudaMallocHost");
  parcel->block = allocate(bytes, device);
  if (!parcel->block) {
    release_free_memory();
    parcel->block = allocate(bytes, device);
  }
  check(parcel->block != nullptr, "memory: {} has no {} MiB left for a batch on its way; use a smaller batch",
        Device::cuda(device), bytes >> 20);
  return parcel;
}
std::shared_ptr<void> send(const void* from, size_t bytes, int device) {
  auto& parcels = per_device<Parcels>(Device::cuda(device));
  const std::shared_ptr<Parcel> parcel(parcel_for(bytes, parcels, device).release(), [&parcels, bytes](Parcel* p) {
    const std::lock_guard lock(parcels.mutex);
    parcels.free.emplace(bytes, p);
  });
  // Its last use: the copy out of `pinned`, then that out of `block`. A parcel may have been dropped on its way.
  cuda_check(cudaEventSynchronize(parcel->sent.get()), "cudaEventSynchronize");
  cuda_check(cudaEventSynchronize(parcel->received.get()), "cudaEventSynchronize");
  std::memcpy(parcel->pinned, from, bytes);
  cuda_check(cudaMemcpyAsync(parcel->block, parcel->pinned, bytes, cudaMemcpyHostToDevice, parcels.stream.get()),
             "cudaMemcpyAsync");
  cuda_check(cudaEventRecord(parcel->sent.get(), parcels.stream.get()), "cudaEventRecord");
  return parcel;
}
void receive(void* to, void* sent, size_t bytes, int device) {
  const Parcel& parcel = *static_cast<Parcel*>(sent);
  const cudaStream_t s = stream(Device::cuda(device));
  cuda_check(cudaStreamWaitEvent(s, parcel.sent.get(), 0), "cudaStreamWaitEvent");
  cuda_check(cudaMemcpyAsync(to, parcel.block, bytes, cudaMemcpyDeviceToDevice, s), "cudaMemcpyAsync");
  cuda_check(cudaEventRecord(parcel.received.get(), s), "cudaEventRecord");
}

void fill(void* to, int byte, size_t bytes, int device) {
  cuda_check(cudaMemsetAsync(to, byte, bytes, stream(Device::cuda(device))), "cudaMemsetAsync");
}
void synchronize(int device) { wait(stream(Device::cuda(device))); }

struct FaultSlot {
  Fault* fault = nullptr;
  FaultSlot() {
    cuda_check(cudaHostAlloc(reinterpret_cast<void**>(&fault), sizeof(Fault), cudaHostAllocMapped), "cudaHostAlloc");
    *fault = {};
  }
};
void raise_faults(int device) {
  const Fault found = *fault_slot(Device::cuda(device));
  if (!found.op) return;
  *fault_slot(Device::cuda(device)) = {};
  fail("{}: label {} at position {} is not in 0..{}, nor -1 for 'ignored'", found.op, found.label, found.position,
       found.classes - 1);
}

struct Recording {
  PoolPin pin;
  GraphExec graph = {};
  explicit Recording(int device) : pin(Device::cuda(device)) {}
};
std::shared_ptr<void> record(const std::function<void()>& work, int device) {
  const cudaStream_t s = stream(Device::cuda(device));
  auto recording = std::make_shared<Recording>(device);
  // Relaxed: what the work allocates is no part of the graph.
  cuda_check(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  cudaGraph_t raw = nullptr;
  try {
    const PoolPin::Recording scratch(recording->pin);
    work();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(s, &raw));
    static_cast<void>(cudaGetLastError());  // takes the error away
    const Graph broken(raw);
    throw;
  }
  cuda_check(cudaStreamEndCapture(s, &raw), "cudaStreamEndCapture");
  const Graph graph(raw);
  cudaGraphExec_t exec = nullptr;
  cuda_check(cudaGraphInstantiate(&exec, graph.get(), 0), "cudaGraphInstantiate");
  recording->graph.reset(exec);
  return recording;
}
void launch_recording(void* recording, int device) {
  cuda_check(cudaGraphLaunch(static_cast<Recording*>(recording)->graph.get(), stream(Device::cuda(device))),
             "cudaGraphLaunch");
}

DeviceMemory memory(int device) {
  activate(device);
  DeviceMemory m{};
  cuda_check(cudaMemGetInfo(&m.free, &m.total), "cudaMemGetInfo");
  return m;
}
std::string name(int device) {
  cudaDeviceProp p{};
  cuda_check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  return text("{}, compute capability {}.{}", p.name, p.major, p.minor);
}

int count_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return 0;
  }
  return std::min(count, static_cast<int>(max_devices));
}
std::string why_none() {
  if (count_devices() > 0) return "";
  return library_versions().starts_with("no driver") ? "there is no NVIDIA driver" : "the driver finds no GPU";
}

}  // namespace

const Backend& backend() {
  static const Backend table{.devices = count_devices(),
                             .missing = why_none(),
                             .versions = library_versions(),
                             .allocate = allocate,
                             .release = release,
                             .copy = copy,
                             .send = send,
                             .receive = receive,
                             .fill = fill,
                             .synchronize = synchronize,
                             .raise_faults = raise_faults,
                             .record = record,
                             .launch = launch_recording,
                             .memory = memory,
                             .name = name,
                             .kernel = kernel_named};
  return table;
}

void cuda_check(cudaError_t code, std::string_view call, std::string_view op, Inputs tensors) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // takes it away, lest a library that looks for errors of its own finds it
  std::string on;
  for (const Tensor& t : tensors) on += (on.empty() ? "; on " : ", ") + text("{}", t);
  internal_check(false, "cuda: {}{}{}: {} ({}){}", op, op.empty() ? "" : ": ", call, cudaGetErrorString(code),
                 static_cast<int>(code), on);
}

Stream make_stream() {
  cudaStream_t s = nullptr;
  cuda_check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "cudaStreamCreate");
  return Stream(s);
}
Event make_event() {
  cudaEvent_t e = nullptr;
  cuda_check(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "cudaEventCreate");
  return Event(e);
}

cudaStream_t stream(Device device) {
  static std::array<std::atomic<cudaStream_t>, max_devices> streams{};
  static std::mutex mutex;
  activate(device.index);
  std::atomic<cudaStream_t>& s = streams[static_cast<size_t>(device.index)];
  if (!s) {
    const std::lock_guard lock(mutex);
    if (!s) s = make_stream().release();
  }
  return s;
}

int64_t synchronisations() { return waits; }
Fault* fault_slot(Device device) { return per_device<FaultSlot>(device).fault; }

}  // namespace querent::cuda
