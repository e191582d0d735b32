// The CUDA backend on a real device. Without one, each case says so and is skipped; cuda_emulated_test shows then that
// the kernels are right.
#include "tests/cuda_checks.h"

#include "tests/cuda_program.h"

TEST_SUITE_BEGIN("cuda_test");
using namespace querent;
using namespace querent::test;

namespace {
bool has_gpu() {
  const bool found = devices().size() > 1;
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
TEST_SUITE_END();
