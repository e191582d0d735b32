// cuDNN on a device: what the kernels that it computes share.
#pragma once
#include <string>

#include "cuda/cudnn_graph.h"
#include "tensor/tensor.h"

namespace querent::cuda {

struct CudnnDevice {
  cudnnContext* handle;  // on the stream of the device
  std::string machine;   // "NVIDIA H100 80GB HBM3, compute capability 9.0, cuDNN 91900": the name in a file of plans
};
// Made at first use; an Error when the driver is too old.
const CudnnDevice& cudnn(Device device);

// The plan of an engine by its name on file; an Error that names the problem when it does not run here.
Plan chosen_plan(const OperationGraph& graph, const std::string& engine, const std::string& problem);
void run_plan(Device device, const Plan& plan, std::span<const Pointer> pointers);

}  // namespace querent::cuda
