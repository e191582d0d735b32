// The door of libquerent_cuda.so, through which the engine finds everything else.
#include <algorithm>
#include <iterator>

#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/kernels.h"

namespace querent::cuda {
namespace {
struct Named {
  std::string_view name;
  Kernel* kernel;
};
#define NAMED(name) {#name, name},
constexpr Named kernels[] = {CUDA_KERNELS(NAMED)};
#undef NAMED
}  // namespace

Kernel* kernel_named(std::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kernels), std::end(kernels), [&](const Named& k) { return k.name == name; });
  internal_check(found != std::end(kernels), "cuda: there is no kernel {}", name);
  return found->kernel;
}

}  // namespace querent::cuda

extern "C" const querent::Backend* querent_cuda() { return &querent::cuda::backend(); }
