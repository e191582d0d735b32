// Batch norms on a real GPU by what tuning chooses, be it cuDNN or our own kernels: right, and which it was.
#include "tests/norm_cases.h"

#include <doctest/doctest.h>

#include "tensor/backend.h"
#include "tensor/plans.h"
#include "tensor/selftest.h"

TEST_SUITE_BEGIN("cuda_norm_test");
using namespace querent;
using namespace querent::test;

TEST_CASE("tuned batch norms agree with the f64 reference") {
  if (devices().size() < 2) {
    MESSAGE("skipped: no GPU");
    return;
  }
  set_plan_policy({.tune = true});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const NormRow& row : norm_rows) {
      for (const Shape& x : {Shape{8, 64, 64, 64}, Shape{8, 14, 14, 256}, Shape{128, 40}}) {
        const Op& op = find_op(row.op);
        const Case c = norm_case(row, x);
        const double ratio = error_over_bound(op, c, run_case(op, c, dtype, 1, Device::cuda()),
                                              run_exactly(op, c, dtype), rounded_between(op, c, dtype));
        CHECK_MESSAGE(ratio <= 1, std::string(row.problem), " ", std::string(dtype_name(dtype)), " of ", text("{}", x),
                      ": the error is ", ratio, " times its bound");
      }
    }
  }
  set_plan_policy({});
  MESSAGE(PlanBook::of_process().json());
}
TEST_SUITE_END();
