// rank_mean: y = the mean of x over the ranks of a data-parallel training (tensor/collective.h). One rank: y = x.
// begin_rank_mean, end_rank_mean: the same in place, so that other work may go on between the two. On a GPU it does; on
// the CPU the first does all of it.
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
void mean(const Tensor& x, const Tensor& y) {
  const auto n = static_cast<size_t>(x.numel());
  const auto of = [&]<class T>(T) { mean_of_ranks(std::span<const T>(x.data<T>(), n), std::span<T>(y.data<T>(), n)); };
  x.dtype() == DType::f64 ? of(double{}) : of(float{});
}
void ref(const Call& c) { mean(c.in[0], c.out[0]); }
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

std::vector<TensorSpec> infer_in_place(Inputs in, const Attrs& attrs) {
  infer(in, attrs);
  return {};
}
void ref_begin(const Call& c) { mean(c.in[0], c.in[0]); }
void ref_end(const Call&) {}

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

extern constinit const Op begin_rank_mean_op{
    .name = "begin_rank_mean",
    .formula = "x = mean of x over ranks; in place, when end_rank_mean has run",
    .inputs = {{"x", "[*]", Arg::mutated}},
    .outputs = {},
    .infer = infer_in_place,
    .cost = cost,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_begin, .cpu = nullptr, .cuda = cuda::begin_rank_mean},
    .cases = cases};
extern constinit const Op end_rank_mean_op{.name = "end_rank_mean",
                                           .formula = "what begin_rank_mean began in x is done",
                                           .inputs = {{"x", "[*]", Arg::mutated}},
                                           .outputs = {},
                                           .infer = infer_in_place,
                                           .cost = [](Inputs, const Attrs&) { return Cost{}; },
                                           .grad = no_gradient,
                                           .keep = {},
                                           .kernel = {.ref = ref_end, .cpu = nullptr, .cuda = cuda::end_rank_mean},
                                           .cases = cases};

Tensor rank_mean(const Tensor& x) { return collective().size == 1 ? x : run(rank_mean_op, {x})[0]; }
void begin_rank_mean(const Tensor& x) { run(begin_rank_mean_op, {x}); }
void end_rank_mean(const Tensor& x) { run(end_rank_mean_op, {x}); }

}  // namespace querent
