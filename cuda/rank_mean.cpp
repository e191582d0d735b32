// The mean over ranks by NCCL, one GPU for each; where the build lacks it, ranks compute on the CPU only.
#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/collective.h"
#include "tensor/kernels.h"

#ifdef QUERENT_NCCL
#include <nccl.h>

#include <cstring>
#endif

namespace querent::cuda {
namespace {

#ifdef QUERENT_NCCL
void check_nccl(ncclResult_t result, std::string_view call) {
  check(result == ncclSuccess, "nccl: {} failed: {}", call, ncclGetErrorString(result));
}

// All that ranks say to each other goes through one stream besides the one that computes: in the same order in all of
// them, without which two calls of NCCL may wait for each other for ever.
struct Ranks {
  ncclComm_t communicator = nullptr;
  Stream stream = make_stream();
  Event given = make_event(), done = make_event();
  Ranks() {
    ncclUniqueId id{};
    if (collective().rank == 0) check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    const std::string bytes = broadcast(std::string(id.internal, sizeof id.internal));
    std::memcpy(id.internal, bytes.data(), bytes.size());
    check_nccl(ncclCommInitRank(&communicator, collective().size, id, collective().rank), "ncclCommInitRank");
  }
};

void wait_for(cudaStream_t later, const Event& event, cudaStream_t earlier) {
  cuda_check(cudaEventRecord(event.get(), earlier), "cudaEventRecord");
  cuda_check(cudaStreamWaitEvent(later, event.get(), 0), "cudaStreamWaitEvent");
}

void begin_mean(const Tensor& x, const Tensor& y) {
  Ranks& ranks = per_device<Ranks>(x.device());
  wait_for(ranks.stream.get(), ranks.given, stream(x.device()));
  check_nccl(ncclAllReduce(x.raw(), y.raw(), static_cast<size_t>(x.numel()),
                           x.dtype() == DType::f64 ? ncclFloat64 : ncclFloat32, ncclAvg, ranks.communicator,
                           ranks.stream.get()),
             "ncclAllReduce");
}
void end_mean(Device device) {
  Ranks& ranks = per_device<Ranks>(device);
  wait_for(stream(device), ranks.done, ranks.stream.get());
}
#else
void begin_mean(const Tensor&, const Tensor&) {
  fail("rank_mean: this build has no NCCL, so {} ranks cannot share GPUs; use --device cpu, or one rank",
       collective().size);
}
void end_mean(Device) {}
#endif

}  // namespace

void rank_mean(const Call& c) {
  if (collective().size == 1)
    return copy_bytes(c.out[0].raw(), device_of(c), c.in[0].raw(), device_of(c), c.in[0].bytes());
  begin_mean(c.in[0], c.out[0]);
  end_mean(device_of(c));
}
void begin_rank_mean(const Call& c) {
  if (collective().size > 1) begin_mean(c.in[0], c.in[0]);
}
void end_rank_mean(const Call& c) {
  if (collective().size > 1) end_mean(device_of(c));
}

}  // namespace querent::cuda
