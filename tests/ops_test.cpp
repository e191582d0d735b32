// Walks the op table: a new row is tested here the moment it exists.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tensor/op_attrs.h"
#include "tensor/run.h"
#include "tests/op_samples.h"

TEST_SUITE_BEGIN("ops_test");
using namespace querent;
using namespace querent::test;

namespace {

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

void compare_with_f64(const Op& op, const Case& c) {
  const double ratio = error_over_bound(op, c, run_case(op, c, DType::f32), run_case(op, c, DType::f64));
  CHECK_MESSAGE(ratio <= 1, op.name, " / ", c.name, ": the error is ", ratio, " times its bound");
}

}  // namespace

TEST_CASE("bad cases throw the text they promise") {
  for (const Op* op : op_table()) {
    for (const Case& c : op->cases()) {
      if (c.throws.empty()) continue;
      std::string message = "nothing was thrown";
      try {
        run(*op, draw_inputs(*op, c, DType::f32), c.attrs);
      } catch (const Error& e) {
        message = e.what();
        CHECK_MESSAGE(e.kind() == ErrorKind::bad_input, op->name, " / ", c.name, ": ", message);
      }
      CHECK_MESSAGE(message.find(c.throws) != std::string::npos, op->name, " / ", c.name, ": '", message, "'");
      CHECK_MESSAGE(message.find('\n') == std::string::npos, op->name, ": a message is one line");
    }
  }
}

TEST_CASE("inference agrees with what is returned, without computing") {
  for_each_good_case([](const Op& op, const Case& c) {
    const Tensors in = draw_inputs(op, c, DType::f32);
    const Tensors real = run(op, in, c.attrs);
    const DryRun dry;
    const Tensors planned = run(op, in, c.attrs);
    REQUIRE(planned.size() == real.size());
    for (size_t i = 0; i < real.size(); ++i) {
      CHECK(planned[i].shape() == real[i].shape());
      CHECK(planned[i].dtype() == real[i].dtype());
      CHECK(!planned[i].has_data());
    }
  });
}

TEST_CASE("reference kernels: f32 agrees with f64, every element is written, nothing beside it") {
  set_memory_debug(true);
  const size_t before = guard_violations();
  for_each_good_case([&](const Op& op, const Case& c) {
    const ReferenceKernels reference;
    compare_with_f64(op, c);
    CHECK_MESSAGE(guard_violations() == before, op.name, " / ", c.name, " wrote outside its output");
  });
  set_memory_debug(false);
}

TEST_CASE("fast CPU kernels agree with the f64 reference") {
  set_memory_debug(true);
  const size_t before = guard_violations();
  for_each_good_case([&](const Op& op, const Case& c) {
    if (!op.kernel.cpu) return;
    compare_with_f64(op, c);
    CHECK_MESSAGE(guard_violations() == before, op.name, " / ", c.name, " wrote outside its output");
  });
  set_memory_debug(false);
}

TEST_CASE("the same bits on every run and for any number of threads") {
  for_each_good_case([](const Op& op, const Case& c) {
    set_threads(1);
    const Tensors one = run_case(op, c, DType::f32);
    for (const int n : {1, 2, 3}) {
      set_threads(n);
      const Tensors other = run_case(op, c, DType::f32);
      for (size_t i = 0; i < one.size(); ++i) {
        CHECK_MESSAGE(same_bytes(one[i], other[i]), op.name, " / ", c.name, " differs with ", n, " threads");
      }
    }
    set_threads(0);
  });
}

TEST_CASE("matrix products of several blocks agree with the f64 reference and do not depend on threads") {
  struct Sizes {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
  };
  for (const Sizes& s : {Sizes{230, 70, 300, false, false},
                         {230, 70, 300, true, true},
                         {3, 600, 70, false, false},
                         {5, 33, 520, false, true},
                         {40, 30, 129, true, false},
                         {20, 520, 3, true, false}}) {
    const Shape a = s.transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k}, b = s.transpose_b ? Shape{s.n, s.k} : Shape{s.k, s.n};
    const Case c{text("{}x{}x{}", s.m, s.n, s.k), {{a}, {b}, {{}, Sample::none}}, MatmulAttrs{s.transpose_a, s.transpose_b}};
    compare_with_f64(find_op("matmul"), c);
    set_threads(1);
    const Tensors one = run_case(find_op("matmul"), c, DType::f32);
    set_threads(3);
    CHECK_MESSAGE(same_bytes(one[0], run_case(find_op("matmul"), c, DType::f32)[0]), c.name);
    set_threads(0);
  }
}

TEST_CASE("costs are finite and count at least what is written") {
  for_each_good_case([](const Op& op, const Case& c) {
    const Tensors in = draw_inputs(op, c, DType::f32);
    const Cost cost = op.cost(in, c.attrs);
    double written = 0;
    for (const Tensor& t : run(op, in, c.attrs)) written += static_cast<double>(t.bytes());
    CHECK_MESSAGE((cost.flops >= 0 && std::isfinite(cost.flops)), op.name);
    CHECK_MESSAGE((cost.bytes >= written && std::isfinite(cost.bytes)), op.name, " / ", c.name, ": ", cost.bytes,
                  " bytes stated, ", written, " written");
  });
}
TEST_SUITE_END();
