// cast: the same values in another element type. bf16 rounds to nearest, ties to even; integers cut towards zero.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"

namespace querent {
namespace {

DType target(const Attrs& attrs) { return static_cast<DType>(attrs.as<CastAttrs>().dtype); }

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const int64_t to = attrs.as<CastAttrs>().dtype;
  check(to >= 0 && to <= static_cast<int64_t>(DType::u8), "cast: {} is not an element type", to);
  return {{in[0].shape(), target(attrs)}};
}
Cost cost(Inputs in, const Attrs& attrs) {
  return {0, static_cast<double>(in[0].numel()) *
                 static_cast<double>(dtype_size(in[0].dtype()) + dtype_size(target(attrs)))};
}
void ref(const Call& c) {
  const Tensor converted = c.in[0].cast(c.out[0].dtype());
  c.out[0].copy_from(converted);
}
Tensors grad(const GradCall& g) {
  if (!is_floating(g.in[0].dtype()) || !is_floating(g.dy[0].dtype())) return {Tensor{}};
  return {cast(g.dy[0], g.in[0].dtype())};
}

std::vector<Case> cases() {
  const auto to = [](DType t) { return CastAttrs{static_cast<int64_t>(t)}; };
  return {
      {"to bf16", {{{3, 5}}}, to(DType::bf16)},
      {"to f64", {{{3, 5}}}, to(DType::f64)},
      {"to i64", {{{3, 5}, Sample::uniform, 9, 0}}, to(DType::i64)},
      {"from i64", {{{3, 5}, Sample::index, 9}}, to(DType::f64)},
      {"no such type", {{{3, 5}}}, CastAttrs{17}, "17 is not an element type"},
  };
}

}  // namespace

extern constinit const Op cast_op{.name = "cast",
                                  .formula = "y = x in another element type",
                                  .inputs = {{"x", "[*]"}},
                                  .outputs = {{"y", "[*]"}},
                                  .infer = infer,
                                  .cost = cost,
                                  .grad = grad,
                                  .keep = {},
                                  .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::cast},
                                  .cases = cases};

Tensor cast(const Tensor& x, DType to) { return run(cast_op, {x}, CastAttrs{static_cast<int64_t>(to)})[0]; }

}  // namespace querent
