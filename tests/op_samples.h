// Inputs for the test cases of the op table: drawn in f64, rounded to f32 so that both precisions see equal values.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>

#include "tensor/op.h"
#include "tensor/rng.h"
#include "tensor/run.h"

namespace querent::test {

inline Tensor draw(const Sample& s, const Arg& arg, DType dtype, Rng rng) {
  if (s.fill == Sample::none) return {};
  const auto n = static_cast<size_t>(s.shape.numel());
  if (s.fill == Sample::index || s.fill == Sample::streams) {
    std::vector<int64_t> v(n);
    for (int64_t& x : v) x = s.fill == Sample::index ? rng.below(static_cast<int64_t>(s.scale)) : int64_t{rng.next()};
    const Tensor t = Tensor::from(v, s.shape);
    return arg.axes.starts_with("u8") ? t.cast(DType::u8) : t;
  }
  std::vector<double> v(n);
  for (size_t i = 0; i < n; ++i) {
    switch (s.fill) {
      case Sample::uniform:
        v[i] = s.shift + s.scale * rng.uniform();
        break;
      case Sample::away_from_zero: {
        const double x = rng.normal();
        v[i] = x + (x < 0 ? -0.1 : 0.1);
        break;
      }
      case Sample::distinct:
        v[i] = 0.05 * (static_cast<double>(i) - static_cast<double>(n) / 2);
        break;
      case Sample::zeros:
        v[i] = 0;
        break;
      default:
        v[i] = s.shift + s.scale * rng.normal();
    }
  }
  if (s.fill == Sample::distinct) rng.shuffle(v);
  for (double& x : v) x = static_cast<double>(static_cast<float>(x));
  return Tensor::from(v, s.shape, dtype);
}

inline Tensors draw_inputs(const Op& op, const Case& c, DType dtype, uint64_t seed = 1) {
  Tensors in;
  for (size_t i = 0; i < c.in.size(); ++i) {
    const Arg& arg = op.inputs[std::min(i, op.inputs.size() - 1)];
    in.push_back(draw(c.in[i], arg, dtype, Rng(seed).fork(op.name).fork(c.name).fork(i)));
  }
  return in;
}

// Runs the case and returns everything it wrote: the outputs and the inputs it mutated.
inline Tensors run_case(const Op& op, const Case& c, DType dtype, uint64_t seed = 1) {
  const Tensors in = draw_inputs(op, c, dtype, seed);
  Tensors results = run(op, in, c.attrs);
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] && op.inputs[std::min(i, op.inputs.size() - 1)].is(Arg::mutated)) results.push_back(in[i]);
  }
  return results;
}

template <class F>
void for_each_good_case(F f) {
  for (const Op* op : op_table()) {
    for (const Case& c : op->cases()) {
      if (c.throws.empty()) f(*op, c);
    }
  }
}

}  // namespace querent::test
