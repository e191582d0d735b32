// Gradients of every differentiable row, in f64, along random directions, against central differences.
#include <doctest/doctest.h>

#include "tensor/tape.h"
#include "tests/op_samples.h"

TEST_SUITE_BEGIN("gradient_test");
using namespace querent;
using namespace querent::test;

namespace {

Tensor normal_like(const Tensor& t, Rng rng) {
  return draw_sample({t.shape(), Sample::normal}, Arg{}, DType::f64, rng);
}
double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.host_f64(), y = b.host_f64();
  double s = 0;
  for (size_t i = 0; i < x.size(); ++i) s += x[i] * y[i];
  return s;
}
Tensor moved(const Tensor& x, const Tensor& direction, double step) {
  const Tensor y = x.clone();
  double* py = y.data<double>();
  const double* pd = direction.data<double>();
  for (int64_t i = 0; i < y.numel(); ++i) py[i] += step * pd[i];
  return y;
}

struct Check {
  double relative_error;
  bool reached;  // some input got a gradient
};

// Compares u . dy/dx d  with central differences, u and d random. The error is relative to the sum of the magnitudes of
// the terms, so that cancellation does not flatter or punish; the best of several steps counts.
Check check_gradient(const Op& op, const Case& c, size_t output, uint64_t seed) {
  const Tensors in = draw_inputs(op, c, DType::f64, seed);
  const Rng rng = Rng(seed).fork("gradient").fork(op.name).fork(c.name);
  Tensors wanted, directions(in.size());
  Tape tape;
  for (size_t i = 0; i < in.size(); ++i) {
    const Arg& arg = op.inputs[std::min(i, op.inputs.size() - 1)];
    if (!in[i] || in[i].dtype() != DType::f64 || arg.is(Arg::constant) || arg.is(Arg::mutated)) continue;
    tape.watch(in[i]);
    wanted.push_back(in[i]);
    directions[i] = normal_like(in[i], rng.fork(i));
  }
  const Tensors y = run(op, in, c.attrs);
  if (y[output].dtype() != DType::f64) return {0, true};
  const Tensor u = normal_like(y[output], rng.fork("u"));
  const Tensors dx = tape.backward(y[output], u, wanted);

  double analytic = 0, magnitude = 0;
  bool reached = false;
  for (size_t i = 0, w = 0; i < in.size(); ++i) {
    if (!directions[i]) continue;
    const Tensor& g = dx[w++];
    if (!g) continue;
    reached = true;
    const std::vector<double> a = g.host_f64(), d = directions[i].host_f64();
    for (size_t k = 0; k < a.size(); ++k) {
      analytic += a[k] * d[k];
      magnitude += std::abs(a[k] * d[k]);
    }
  }
  double best = INFINITY;
  const NoTape no_tape;
  for (const double step : {1e-3, 1e-4, 1e-5, 1e-6}) {
    Tensors up = in, down = in;
    for (size_t i = 0; i < in.size(); ++i) {
      if (!directions[i]) continue;
      up[i] = moved(in[i], directions[i], step);
      down[i] = moved(in[i], directions[i], -step);
    }
    const double numeric = (dot(run(op, up, c.attrs)[output], u) - dot(run(op, down, c.attrs)[output], u)) / (2 * step);
    best = std::min(best, std::abs(analytic - numeric) / std::max(magnitude, 1e-12));
  }
  return {best, reached};
}

}  // namespace

TEST_CASE("every differentiable row has the gradient it claims") {
  set_memory_debug(true);  // what `keep` does not name is gone; what was never written is NaN
  int rows = 0;
  for (const Op* op : op_table()) {
    if (op->grad == no_gradient || op->grad == zero_gradient || op->outputs.size() == 0) continue;
    ++rows;
    bool reached = false;
    for (const Case& c : op->cases()) {
      if (!c.throws.empty()) continue;
      for (uint64_t seed = 1; seed <= 2; ++seed) {
        const Check result = check_gradient(*op, c, 0, seed);
        reached |= result.reached;
        CHECK_MESSAGE(result.relative_error <= 1e-6, op->name, " / ", c.name, ": relative error ",
                      result.relative_error);
      }
    }
    CHECK_MESSAGE(reached, op->name, ": no case reaches an input that has a gradient");
  }
  set_memory_debug(false);
  MESSAGE(rows, " differentiable rows checked");
}
TEST_SUITE_END();
