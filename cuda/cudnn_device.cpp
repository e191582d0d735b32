#include "cuda/cudnn_device.h"

#include <cudnn_graph.h>

#include <mutex>

#include "cuda/plans.h"
#include "cuda/runtime.h"
#include "tensor/backend.h"

namespace querent::cuda {

const CudnnDevice& cudnn(Device device) {
  struct Slot {
    CudnnDevice cudnn;
    std::mutex mutex;
  };
  auto& [c, mutex] = per_device<Slot>(device);
  const std::lock_guard lock(mutex);
  if (!c.handle) {
    const auto good = [](cudnnStatus_t status, std::string_view call) {
      check(status == CUDNN_STATUS_SUCCESS, "cudnn: {} failed with {}; is the driver as new as this cuDNN needs?", call,
            cudnnGetErrorString(status));
    };
    cudnnHandle_t handle = nullptr;
    good(cudnnCreate(&handle), "cudnnCreate");
    good(cudnnSetStream(handle, stream(device)), "cudnnSetStream");
    c.machine = text("{}, cuDNN {}", backend(device).name(device.index), cudnnGetVersion());
    c.handle = handle;
  }
  return c;
}

Plan chosen_plan(const OperationGraph& graph, const std::string& engine, const std::string& problem) {
  std::optional<Plan> plan = make_plan(graph, named_engine(graph, engine));
  check(plan.has_value(), "cudnn: the plan on file for '{}' does not run here: {}; delete the file of plans", problem,
        engine);
  return *std::move(plan);
}

void run_plan(Device device, const Plan& plan, std::span<const Pointer> pointers) {
  execute(cudnn(device).handle, plan, pointers, workspace(device, plan.engine.workspace));
}

}  // namespace querent::cuda
