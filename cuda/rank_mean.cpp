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

struct Communicator {
  ncclComm_t handle = nullptr;
  Communicator() {
    ncclUniqueId id{};
    if (collective().rank == 0) check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    const std::string bytes = broadcast(std::string(id.internal, sizeof id.internal));
    std::memcpy(id.internal, bytes.data(), bytes.size());
    check_nccl(ncclCommInitRank(&handle, collective().size, id, collective().rank), "ncclCommInitRank");
  }
};

void mean_by_nccl(const Call& c) {
  const Device device = device_of(c);
  const ncclDataType_t type = c.in[0].dtype() == DType::f64 ? ncclFloat64 : ncclFloat32;
  check_nccl(ncclAllReduce(c.in[0].raw(), c.out[0].raw(), static_cast<size_t>(c.in[0].numel()), type, ncclAvg,
                           per_device<Communicator>(device).handle, stream(device)),
             "ncclAllReduce");
}
#else
void mean_by_nccl(const Call&) {
  fail("rank_mean: this build has no NCCL, so {} ranks cannot share GPUs; use --device cpu, or one rank",
       collective().size);
}
#endif

}  // namespace

void rank_mean(const Call& c) {
  if (collective().size > 1) return mean_by_nccl(c);
  copy_bytes(c.out[0].raw(), device_of(c), c.in[0].raw(), device_of(c), c.in[0].bytes());
}

}  // namespace querent::cuda
