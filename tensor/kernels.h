// The fast kernels by name. tensor/cpu/<file>.cpp implements CPU_KERNEL names; cuda/<file>.cu the CUDA_KERNEL ones.
// CUDA_KERNEL(f) is a declaration when the CUDA backend is built and a null constant otherwise: no stub files.
#pragma once
#include "tensor/op.h"

#define CPU_KERNEL(name) \
  namespace cpu {        \
  Kernel name;           \
  }
#ifdef QUERENT_CUDA_BACKEND
#define CUDA_KERNEL(name) \
  namespace cuda {        \
  Kernel name;            \
  }
#else
#define CUDA_KERNEL(name)                  \
  namespace cuda {                         \
  inline constexpr Kernel* name = nullptr; \
  }
#endif

namespace querent {
// One line per file of tensor/ops.
// clang-format off
CUDA_KERNEL(add) CUDA_KERNEL(sub) CUDA_KERNEL(mul) CUDA_KERNEL(div) CUDA_KERNEL(bias_add) CUDA_KERNEL(scale)
CUDA_KERNEL(conv2d) CUDA_KERNEL(conv2d_grad_input) CUDA_KERNEL(conv2d_grad_weight)
CUDA_KERNEL(matmul)
CUDA_KERNEL(sum) CUDA_KERNEL(mean) CUDA_KERNEL(broadcast_to)
CUDA_KERNEL(reshape)
// clang-format on
}  // namespace querent
