// matmul_update: g = op(a) op(b);  adam_update(p, g, m, v, hyper), or without v sgd_update(p, g, m, hyper). In place.
// p, m, v [M,N]   a [M,K] (or [K,M] with transpose_a)   b [K,N] (or [N,K] with transpose_b)
//
// No network runs it eagerly: a Program puts it in the place of the product that is the gradient of a linear layer's
// weights and of their update (fuse.cpp), with the same bits. The gradient is never there as a whole.
#include <array>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/program_attrs.h"
#include "tensor/run.h"

namespace querent {

extern const Op matmul_op, sgd_update_op, adam_update_op;

namespace {

const Op& update_of(Inputs in) { return in[4] ? adam_update_op : sgd_update_op; }
// The inputs of the update.
Tensors with_gradient(Inputs in, const Tensor& g) {
  if (in[4]) return {in[0], g, in[3], in[4], in[5]};
  return {in[0], g, in[3], in[5]};
}
std::array<Tensor, 3> factors(Inputs in) { return {in[1], in[2], {}}; }  // what matmul takes; no bias
Attrs update_attrs(Inputs in, const MatmulUpdateAttrs& a) {
  return in[4] ? Attrs(AdamAttrs{a.decoupled}) : Attrs{};
}

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<MatmulUpdateAttrs>();
  const DryRun no_bytes;
  const TensorSpec product = matmul_op.infer(factors(in), a.product)[0];
  const Tensor g = Tensor::empty(product.shape, product.dtype);
  check_same_shape("matmul_update", "a b", g, "p", in[0]);
  return update_of(in).infer(with_gradient(in, g), update_attrs(in, a));
}
Cost cost(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<MatmulUpdateAttrs>();
  const Cost product = matmul_op.cost(factors(in), a.product);
  const Cost update = update_of(in).cost(with_gradient(in, in[0]), update_attrs(in, a));
  return {product.flops + update.flops, product.bytes + update.bytes - 2.0 * static_cast<double>(in[0].bytes())};
}
void ref(const Call& c) {
  const auto& a = c.attrs.as<MatmulUpdateAttrs>();
  const Tensor g = Tensor::empty(c.in[0].shape(), c.in[0].dtype());
  matmul_op.kernel.ref({factors(c.in), {&g, 1}, a.product});
  update_of(c.in).kernel.ref({with_gradient(c.in, g), {}, update_attrs(c.in, a)});
}

std::vector<Case> cases() {
  const auto v = [](Shape s) { return Sample{s, Sample::uniform, 1.0, 0.5}; };
  const auto rates = [](int64_t n) { return Sample{{n}, Sample::uniform, 0.9, 0.05}; };
  const Sample none{{}, Sample::none};
  const MatmulUpdateAttrs of_weights{.product = {.transpose_a = true}}, adamw{{.transpose_a = true}, true};
  return {
      {"Adam", {{{3, 7}}, {{5, 3}}, {{5, 7}}, {{3, 7}}, v({3, 7}), rates(7)}, of_weights},
      {"AdamW", {{{3, 7}}, {{5, 3}}, {{5, 7}}, {{3, 7}}, v({3, 7}), rates(7)}, adamw},
      {"SGD", {{{3, 7}}, {{5, 3}}, {{5, 7}}, {{3, 7}}, none, rates(4)}, of_weights},
      {"not transposed", {{{3, 7}}, {{3, 5}}, {{5, 7}}, {{3, 7}}, none, rates(4)}, MatmulUpdateAttrs{}},
      {"b transposed", {{{3, 7}}, {{3, 5}}, {{7, 5}}, {{3, 7}}, none, rates(4)}, MatmulUpdateAttrs{{false, true}, false}},
      {"many rows", {{{517, 2053}}, {{2, 517}}, {{2, 2053}}, {{517, 2053}}, v({517, 2053}), rates(7)}, adamw},
      {"p", {{{3, 6}}, {{5, 3}}, {{5, 7}}, {{3, 6}}, none, rates(4)}, of_weights, "a b must have the shape of p"},
      {"m", {{{3, 7}}, {{5, 3}}, {{5, 7}}, {{3, 6}}, v({3, 7}), rates(7)}, of_weights, "m must have the shape of p"},
      {"hyper", {{{3, 7}}, {{5, 3}}, {{5, 7}}, {{3, 7}}, none, rates(7)}, of_weights, "hyper must be [4]"},
  };
}

}  // namespace

extern constinit const Op matmul_update_op{.name = "matmul_update",
                                           .formula = "g = op(a) op(b);  p, m, v by adam_update, or by sgd_update; in place",
                                           .inputs = {{"p", "[M,N]", Arg::mutated},
                                                      {"a", "[M,K]", Arg::constant},
                                                      {"b", "[K,N]", Arg::constant},
                                                      {"m", "[M,N]", Arg::mutated},
                                                      {"v", "[M,N]", Arg::mutated | Arg::optional},
                                                      {"hyper", "[4] or [7]", Arg::constant}},
                                           .outputs = {},
                                           .infer = infer,
                                           .cost = cost,
                                           .grad = no_gradient,
                                           .keep = {},
                                           .kernel = {.ref = ref, .cpu = cpu::matmul_update, .cuda = nullptr},
                                           .cases = cases};

}  // namespace querent
