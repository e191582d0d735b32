// cast: the same values in another element type. bf16 rounds to nearest, ties to even; integers cut towards zero.
// assign: into = x, in place. How a gradient gets its place in the flat buffer of all gradients.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
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
      {"from bf16", {{{3, 5}}}, to(DType::f32)},
      {"to f64", {{{3, 5}}}, to(DType::f64)},
      {"to i64", {{{3, 5}, Sample::uniform, 9, 0}}, to(DType::i64)},
      {"from i64", {{{3, 5}, Sample::index, 9}}, to(DType::f64)},
      {"no such type", {{{3, 5}}}, CastAttrs{17}, "17 is not an element type"},
  };
}

std::vector<TensorSpec> infer_assign(Inputs in, const Attrs&) {
  check_same_shape("assign", "x", in[1], "into", in[0]);
  return {};
}
Cost cost_assign(Inputs in, const Attrs&) { return {0, 2.0 * static_cast<double>(in[0].bytes())}; }
void ref_assign(const Call& c) { c.in[0].copy_from(c.in[1]); }
std::vector<Case> cases_assign() {
  return {
      {"rows", {{{3, 5}}, {{3, 5}}}, {}},
      {"scalar", {{Shape{}}, {Shape{}}}, {}},
      {"long", {{{1031}}, {{1031}}}, {}},
      {"shapes", {{{3, 5}}, {{5}}}, {}, "x must have the shape of into"},
  };
}

}  // namespace

extern constinit const Op assign_op{.name = "assign",
                                    .formula = "into = x; in place",
                                    .inputs = {{"into", "[*]", Arg::mutated}, {"x", "[*]", Arg::constant}},
                                    .outputs = {},
                                    .infer = infer_assign,
                                    .cost = cost_assign,
                                    .grad = no_gradient,
                                    .keep = {},
                                    .kernel = {.ref = ref_assign, .cpu = nullptr, .cuda = cuda::assign},
                                    .cases = cases_assign};
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

void assign(const Tensor& into, const Tensor& x) { run(assign_op, {into, x}); }
Tensor cast(const Tensor& x, DType to) {
  if (!x || x.dtype() == to) return x;
  return run(cast_op, {x}, CastAttrs{static_cast<int64_t>(to)})[0];
}

}  // namespace querent
