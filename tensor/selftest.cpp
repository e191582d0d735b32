#include "tensor/selftest.h"

#include <algorithm>
#include <cmath>

#include "tensor/run.h"

namespace querent {
namespace {
const Arg& argument(const Op& op, size_t i) { return op.inputs[std::min(i, op.inputs.size() - 1)]; }

// Everything the op writes, on the host.
Tensors results_of(const Op& op, const Case& c, const Tensors& in) {
  Tensors results = run(op, in, c.attrs);
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] && argument(op, i).is(Arg::mutated)) results.push_back(in[i]);
  }
  for (Tensor& t : results) t = t.to(Device::cpu());
  return results;
}
}  // namespace

Tensor draw_sample(const Sample& s, const Arg& arg, DType dtype, Rng rng) {
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

Tensors draw_inputs(const Op& op, const Case& c, DType dtype, uint64_t seed) {
  Tensors in;
  for (size_t i = 0; i < c.in.size(); ++i) {
    const Arg& arg = argument(op, i);
    const DType type = arg.is(Arg::wide) && dtype == DType::bf16 ? DType::f32 : dtype;
    in.push_back(draw_sample(c.in[i], arg, type, Rng(seed).fork(op.name).fork(c.name).fork(i)));
  }
  return in;
}

Tensors run_case(const Op& op, const Case& c, DType dtype, uint64_t seed, Device device) {
  Tensors in = draw_inputs(op, c, dtype, seed);
  for (Tensor& t : in) t = t ? t.to(device) : t;
  return results_of(op, c, in);
}

Tensors run_exactly(const Op& op, const Case& c, DType dtype, uint64_t seed) {
  Tensors in = draw_inputs(op, c, dtype, seed);
  for (Tensor& t : in) t = t && is_floating(t.dtype()) ? t.cast(DType::f64) : t;
  return results_of(op, c, in);
}

double error_over_bound(const Op& op, const Case& c, const Tensors& results, const Tensors& f64, double between) {
  internal_check(results.size() == f64.size(), "selftest: {} returned {} and {} results", op.name, results.size(),
                 f64.size());
  double elements = 1, ratio = 0;
  for (const Tensor& t : f64) elements = std::max(elements, static_cast<double>(t.numel()));
  const double roundings = op.cost(draw_inputs(op, c, DType::f64), c.attrs).flops / elements + 8;
  for (size_t i = 0; i < results.size(); ++i) {
    const double stored = results[i].dtype() == DType::bf16 ? 0x1p-8 : 0;  // half a step of 8 binary digits
    const std::vector<double> a = results[i].host_f64(), b = f64[i].host_f64();
    double largest = 0, worst = 0;
    for (size_t k = 0; k < a.size(); ++k) {
      largest = std::max(largest, std::abs(b[k]));
      if (a[k] == b[k]) continue;
      worst = std::isnan(a[k]) ? INFINITY : std::max(worst, std::abs(a[k] - b[k]) - stored * std::abs(b[k]));
    }
    if (worst > 0)
      ratio = std::max(ratio, largest > 0 ? worst / ((roundings * 0x1p-24 + between) * largest) : INFINITY);
  }
  return ratio;
}

bool takes_bf16(const Op& op, Device::Kind device) {
  if (op.name.ends_with("rank_mean")) return false;
  if (device == Device::Kind::cpu) return true;
  constexpr std::string_view f32_only[] = {
      "cross_entropy",         "bce_with_logits", "l1_loss",    "mse_loss",    "soft_dice_loss", "gaussian_nll",
      "sampled_cross_entropy", "normalized_mutual_information", "sgd_update",  "adam_update",    "accumulate",
      "update_running_stats"};
  std::string_view name = op.name;
  if (name.ends_with("_grad")) name.remove_suffix(5);
  return std::find(std::begin(f32_only), std::end(f32_only), name) == std::end(f32_only);
}

double rounded_between(const Op& op, const Case& c, DType dtype) {
  const auto given = [&](size_t i) { return i < c.in.size() && c.in[i].fill != Sample::none; };
  // A library that cannot add the bias in the same pass stores the sum without it; a norm is rounded before a residual
  // is added, as the ops in whose place it stands would do.
  const bool twice = ((op.name.starts_with("conv") || op.name == "matmul") && given(2)) || (op.name == "batch_norm_relu" && given(3));
  return dtype == DType::bf16 && twice ? 0x1p-8 : 0;
}

SelfTest self_test(Device device, DType dtype) {
  SelfTest t;
  t.dtype = dtype;
  const bool gpu = device.kind == Device::Kind::cuda;
  for (const Op* op : op_table()) {
    const bool fast = (gpu ? op->kernel.cuda : op->kernel.cpu) != nullptr;
    if ((gpu && !fast) || (dtype == DType::bf16 && !takes_bf16(*op, device.kind))) continue;
    t.fast_kernels += fast;
    for (const Case& c : op->cases()) {
      if (!c.throws.empty()) continue;
      ++t.cases;
      const double ratio = error_over_bound(*op, c, run_case(*op, c, dtype, 1, device), run_exactly(*op, c, dtype),
                                            gpu ? rounded_between(*op, c, dtype) : 0);
      if (!(ratio > t.worst)) continue;
      t.worst = ratio;
      t.worst_case = text("{} / {}", op->name, c.name);
    }
  }
  return t;
}

}  // namespace querent
