// The CUDA kernels, compiled for the host (tests/cuda_emulator), against the float64 reference: every row of the op
// table that has one. What runs here is cuda/*.cu and cuda/runtime.cpp as a GPU gets them.
#include <doctest/doctest.h>

#include <cstring>
#include <set>

#include <cuda_runtime.h>
#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/run.h"
#include "tests/op_samples.h"

TEST_SUITE_BEGIN("cuda_emulated_test");
using namespace querent;
using namespace querent::test;

namespace {

using cuda_emulator::Order;

Tensors moved(const Tensors& all, Device device) {
  Tensors there;
  for (const Tensor& t : all) there.push_back(t ? t.to(device) : t);
  return there;
}
const Arg& argument(const Op& op, size_t i) { return op.inputs[std::min(i, op.inputs.size() - 1)]; }

// The case on a device; the results back on the host: the outputs, then the inputs it mutated.
Tensors run_on(Device device, const Op& op, const Case& c) {
  const Tensors in = moved(draw_inputs(op, c, DType::f32), device);
  Tensors results = run(op, in, c.attrs);
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] && argument(op, i).is(Arg::mutated)) results.push_back(in[i]);
  }
  return moved(results, Device::cpu());
}
bool same_bytes(const Tensors& a, const Tensors& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].shape() != b[i].shape() || std::memcmp(a[i].raw(), b[i].raw(), a[i].bytes()) != 0) return false;
  }
  return a.size() == b.size();
}

}  // namespace

TEST_CASE("every kernel agrees with the f64 reference, writes all elements and nothing beside them") {
  set_memory_debug(true);  // NaN in every new block, guard bytes round it
  const size_t before = guard_violations();
  std::set<std::string_view> kernels;
  double worst = 0;
  for_each_good_case([&](const Op& op, const Case& c) {
    if (!op.kernel.cuda) return;
    kernels.insert(op.name);
    const Tensors expected = run_case(op, c, DType::f64);
    Tensors first;
    for (const Order order : {Order::forward, Order::backward, Order::shuffled}) {
      cuda_emulator::set_order(order);
      const Tensors results = run_on(Device::cuda(), op, c);
      const double ratio = error_over_bound(op, c, results, expected);
      CHECK_MESSAGE(ratio <= 1, op.name, " / ", c.name, ": the error is ", ratio, " times its bound");
      CHECK_MESSAGE(guard_violations() == before, op.name, " / ", c.name, " wrote outside its output");
      if (order == Order::forward) first = results, worst = std::max(worst, ratio);
      CHECK_MESSAGE(same_bytes(first, results), op.name, " / ", c.name, " depends on the order of threads");
    }
  });
  set_memory_debug(false);
  MESSAGE(kernels.size(), " kernels, largest error ", worst, " of its bound");
}
TEST_SUITE_END();
