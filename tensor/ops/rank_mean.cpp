// y = the mean of x over the ranks of a data-parallel training (tensor/collective.h). One rank: y = x.
#include "tensor/collective.h"
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"

namespace querent {

extern const Op rank_mean_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs&) {
  check(in[0].dtype() == DType::f32 || in[0].dtype() == DType::f64, "rank_mean: x must be f32 or f64, got {}", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs&) {
  return {static_cast<double>(in[0].numel()), 2.0 * static_cast<double>(in[0].bytes())};
}
void ref(const Call& c) {
  const auto n = static_cast<size_t>(c.in[0].numel());
  const auto mean = [&]<class T>(T) {
    mean_of_ranks(std::span<const T>(c.in[0].data<T>(), n), std::span<T>(c.out[0].data<T>(), n));
  };
  c.in[0].dtype() == DType::f64 ? mean(double{}) : mean(float{});
}
// Of the sum of what all ranks compute from their y.
Tensors grad(const GradCall& g) { return run(rank_mean_op, {g.dy[0]}); }

std::vector<Case> cases() {
  return {
      {"matrix", {{{3, 5}}}, {}},
      {"scalar", {{Shape{}}}, {}},
      {"long", {{{1031}}}, {}},
      {"labels", {{{3, 5}, Sample::index, 9}}, {}, "x must be f32 or f64"},
  };
}

}  // namespace

extern constinit const Op rank_mean_op{.name = "rank_mean",
                                       .formula = "y = mean of x over ranks",
                                       .inputs = {{"x", "[*]"}},
                                       .outputs = {{"y", "[*]"}},
                                       .infer = infer,
                                       .cost = cost,
                                       .grad = grad,
                                       .keep = {},
                                       .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::rank_mean},
                                       .cases = cases};

Tensor rank_mean(const Tensor& x) { return collective().size == 1 ? x : run(rank_mean_op, {x})[0]; }

}  // namespace querent
