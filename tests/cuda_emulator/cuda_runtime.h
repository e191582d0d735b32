// Stands in for the CUDA toolkit's header of the same name: cuda/*.cu and cuda/runtime.cpp compiled as plain C++
// against it run on the host, with what makes a kernel right or wrong on a GPU kept:
//   - the threads of a block are fibers that change at barriers and shuffles only, and run in a chosen order
//     (set_order), as do blocks: a missing __syncthreads() or an assumption about order changes the result;
//   - device memory may be touched inside kernels and copies only: a host access of a device pointer, or a kernel's
//     access of another device, is a segmentation fault; new memory holds NaN;
//   - a barrier that not all threads reach, and a launch no GPU takes, abort with a message; a pack of numbers that is
//     loaded or stored at a place that it is not aligned to traps (-fsanitize=alignment, tests/CMakeLists.txt).
// What it does not show: speed, weak memory order between warps and between blocks, registers, the functions of a GPU.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __restrict__ __restrict

// ---- inside kernels

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
void __syncthreads();

namespace cuda_emulator {
// Hands `bytes` to lane `to` of this thread's warp and takes what was handed to this thread; a barrier for the warp.
void exchange(void* bytes, size_t size, unsigned from_lane);
unsigned lane();

enum class Order { forward, backward, shuffled };
void set_order(Order order);        // of threads in a block and of blocks
size_t memory_limit(size_t bytes);  // of each device; returns the limit before
}  // namespace cuda_emulator

template <class T>
T __shfl_sync(unsigned, T value, unsigned from_lane) {
  cuda_emulator::exchange(&value, sizeof value, from_lane % 32);
  return value;
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta) {
  const unsigned from = cuda_emulator::lane() + delta;
  return __shfl_sync(mask, value, from < 32 ? from : cuda_emulator::lane());
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned bits) {
  return __shfl_sync(mask, value, cuda_emulator::lane() ^ bits);
}
inline unsigned long long atomicCAS(unsigned long long* at, unsigned long long expected, unsigned long long desired) {
  const unsigned long long before = *at;
  if (before == expected) *at = desired;
  return before;
}
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline void sincospif(float x, float* s, float* c) {
  *s = static_cast<float>(std::sin(M_PI * static_cast<double>(x)));
  *c = static_cast<float>(std::cos(M_PI * static_cast<double>(x)));
}

// ---- the part of the runtime's API that cuda/ uses

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorStreamCaptureUnsupported = 900
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocMapped = 2;
struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed = 2 };
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
struct cudaDeviceProp {
  char name[256];
  int major, minor;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};

const char* cudaGetErrorString(cudaError_t code);
cudaError_t cudaGetLastError();
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMalloc(void** block, size_t bytes);
cudaError_t cudaFree(void* block);
cudaError_t cudaMallocHost(void** block, size_t bytes);
cudaError_t cudaHostAlloc(void** block, size_t bytes, unsigned flags);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

namespace cuda_emulator {
cudaError_t launch(const cudaLaunchConfig_t& config, std::function<void()> thread);
}
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...), A&&... arguments) {
  return [&](P... p) { return cuda_emulator::launch(*config, [=] { kernel(p...); }); }(std::forward<A>(arguments)...);
}
