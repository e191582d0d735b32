// The CUDA backend on a real device. Without one, each case says so and is skipped (and fails where QUERENT_NEEDS_GPU is
// set); cuda_emulated_test shows then that the kernels are right.
#include "tests/cuda_checks.h"

#include <cstdlib>

#include "tests/cuda_gradients.h"
#include "tests/cuda_networks.h"
#include "tests/cuda_program.h"

TEST_SUITE_BEGIN("cuda_test");
using namespace querent;
using namespace querent::test;

namespace {
bool has_gpu() {
  const bool found = devices().size() > 1;
  if (std::getenv("QUERENT_NEEDS_GPU")) backend(Device::cuda());  // for bench/gpu_all.sh: throws the reason
  if (!found) MESSAGE("skipped: no GPU");
  return found;
}
}  // namespace

TEST_CASE("every kernel agrees with the f64 reference, with the same bits on every run") {
  if (!has_gpu()) return;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const DeviceChecks done =
        check_kernels(Device::cuda(), dtype, true, [dtype](const Op& op, const Case& c, const Tensors& results) {
          CHECK_MESSAGE(same_bytes(results, run_on(Device::cuda(), op, c, false, dtype)), op.name, " / ", c.name,
                        " differs on a second run");
        });
    MESSAGE(done.kernels.size(), " kernels in ", std::string(dtype_name(dtype)), ", largest error ", done.worst,
            " of its bound");
  }
}
TEST_CASE("bad cases throw what they promise") {
  if (has_gpu()) check_bad_cases(Device::cuda());
}
TEST_CASE("dropout masks are those of the CPU") {
  if (has_gpu()) check_dropout(Device::cuda());
}
TEST_CASE("a captured step has the bits of the eager one and does not wait") {
  if (has_gpu()) check_program(Device::cuda());
}
TEST_CASE("a captured step: fused norms, sums and ReLUs have the bits of the ops one by one") {
  if (has_gpu()) check_fused_norms(Device::cuda());
}
TEST_CASE("each kernel once, for tools that slow it down") {
  if (has_gpu()) check_selection(Device::cuda());
}
TEST_CASE("gradients by the tape agree with the f64 reference") {
  if (!has_gpu()) return;
  for (const DType dtype : {DType::f32, DType::bf16}) check_gradients(Device::cuda(), dtype);
}
TEST_CASE("20 runs of every row and of a training have the same bits") {
  if (!has_gpu()) return;
  for (const DType dtype : {DType::f32, DType::bf16}) check_repeats(Device::cuda(), dtype, 20);
  check_training_repeats(Device::cuda(), 20);
}
TEST_CASE("a training: eager, captured, and as on the CPU") {
  if (!has_gpu()) return;
  check_training(Device::cuda());
  check_places(Device::cuda());
}
TEST_CASE("the golden fixtures of all networks equal PyTorch") {
  if (has_gpu()) check_golden(Device::cuda());
}
TEST_CASE("active learning asks for the same images as on the CPU") {
  if (has_gpu()) check_active_learning(Device::cuda());
}
TEST_CASE("every GPU of the machine computes, and tensors go from one to another") {
  if (!has_gpu()) return;
  const Tensor x = Tensor::full({1000}, 2.5);
  Tensor there = x.to(Device::cuda());
  const std::vector<Device> all = devices();
  for (size_t i = 1; i < all.size(); ++i) there = scale(there.to(all[i]), 2);
  CHECK(there.device() == all.back());
  CHECK(there.host() == std::vector<float>(1000, std::ldexp(2.5f, static_cast<int>(all.size()) - 1)));
}
TEST_SUITE_END();
