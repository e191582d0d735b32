// The fast kernels of every SIMD target that this processor has, not only of the best: a user's processor may have
// fewer.
#include "tensor/simd.h"

#include <doctest/doctest.h>

#include <map>

#include "tensor/run.h"
#include "tests/op_samples.h"

TEST_SUITE_BEGIN("simd_test");
using namespace querent;
using namespace querent::test;

namespace {

struct Forced {
  explicit Forced(std::string_view target) { force_simd_target(target); }
  ~Forced() { force_simd_target(""); }
};

// f32 results as if they were the reference.
Tensors in_f64(const Tensors& all) {
  Tensors out;
  for (const Tensor& t : all) out.push_back(is_floating(t.dtype()) ? t.cast(DType::f64) : t);
  return out;
}

}  // namespace

TEST_CASE("the fast kernels of each target agree with the float64 reference, and with one another") {
  CHECK(simd_target() == simd_targets().front());
  for_each_good_case([](const Op& op, const Case& c) {
    if (!op.kernel.cpu) return;
    const Tensors exact = run_case(op, c, DType::f64);
    std::map<std::string, Tensors> results;
    for (const std::string& target : simd_targets()) {
      const Forced forced(target);
      results[target] = run_case(op, c, DType::f32);
      CHECK_MESSAGE(error_over_bound(op, c, results[target], exact) <= 1, op.name, " / ", c.name, " on ", target);
    }
    // Two numbers within a bound of a third are within twice the bound of one another.
    for (const auto& [target, mine] : results)
      CHECK_MESSAGE(error_over_bound(op, c, mine, in_f64(results[simd_target()])) <= 2, op.name, " / ", c.name, ": ",
                    target, " and ", simd_target());
  });
}

TEST_CASE("each target has the same bits for any number of threads") {
  for (const std::string& target : simd_targets()) {
    const Forced forced(target);
    for_each_good_case([&](const Op& op, const Case& c) {
      if (!op.kernel.cpu) return;
      set_threads(1);
      const Tensors one = run_case(op, c, DType::f32);
      set_threads(3);
      const Tensors three = run_case(op, c, DType::f32);
      set_threads(0);
      for (size_t i = 0; i < one.size(); ++i) {
        if (one[i].has_data())
          CHECK_MESSAGE(one[i].host_f64() == three[i].host_f64(), op.name, " / ", c.name, " on ", target);
      }
    });
  }
}

TEST_CASE("a target that the processor lacks is refused by name, and forcing ends") {
  CHECK_THROWS_WITH_AS(force_simd_target("avx9"), doctest::Contains("this processor has no target 'avx9'; it has "),
                       Error);
  {
    const Forced forced(simd_targets().back());
    CHECK(simd_targets() == std::vector<std::string>{simd_target()});
  }
  CHECK(simd_target() == simd_targets().front());
}
TEST_SUITE_END();
