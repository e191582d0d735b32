#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn_graph.h>

#include "cuda/runtime.h"
#include "tensor/error.h"

namespace querent::cuda {

std::string library_versions() {
  int driver = 0, runtime = 0;  // 1000 major + 10 minor; 0 where there is no driver
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const size_t cudnn = cudnnGetVersion(), cublas = cublasLtGetVersion();
  const std::string driver_text =
      driver > 0 ? text("driver for CUDA {}.{}", driver / 1000, driver % 1000 / 10) : "no driver";
  return text("{}, CUDA {}.{}, cuDNN {}.{}.{}, cuBLASLt {}.{}.{}", driver_text, runtime / 1000, runtime % 1000 / 10,
              cudnn / 10000, cudnn % 10000 / 100, cudnn % 100, cublas / 10000, cublas % 10000 / 100, cublas % 100);
}

}  // namespace querent::cuda
