// matmul: y[m,n] = sum_k a[m,k] b[k,n] + bias[n]
// a [M,K] (or [K,M] with transpose_a)   b [K,N] (or [N,K] with transpose_b)   bias [N] or none   y [M,N]
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

struct Sizes {
  int64_t m, n, k;
};
Sizes sizes(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<MatmulAttrs>();
  check(in[0].rank() == 2 && in[1].rank() == 2, "matmul: a and b must have two axes; a={} b={}", in[0], in[1]);
  const int64_t ka = in[0].dim(a.transpose_a ? 0 : 1), kb = in[1].dim(a.transpose_b ? 1 : 0);
  check(ka == kb, "matmul: a has K={} but b has K={}; a={} b={} transpose_a={} transpose_b={}", ka, kb, in[0], in[1],
        a.transpose_a, a.transpose_b);
  const int64_t n = in[1].dim(a.transpose_b ? 0 : 1);
  check(!in[2] || in[2].shape() == Shape{n}, "matmul: bias must be [N] with N={}; b={} bias={}", n, in[1], in[2]);
  return {in[0].dim(a.transpose_a ? 1 : 0), in[1].dim(a.transpose_b ? 0 : 1), ka};
}

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const Sizes s = sizes(in, attrs);
  return {{{s.m, s.n}, in[0].dtype()}};
}

Cost cost(Inputs in, const Attrs& attrs) {
  const Sizes s = sizes(in, attrs);
  return {2.0 * s.m * s.n * s.k, (1.0 * s.m * s.k + 1.0 * s.k * s.n + 1.0 * s.m * s.n) * dtype_size(in[0].dtype())};
}

void ref(const Call& c) {
  const auto& a = c.attrs.as<MatmulAttrs>();
  const Sizes s = sizes(c.in, c.attrs);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* pa = c.in[0].data<T>();
    const T* pb = c.in[1].data<T>();
    const T* bias = c.in[2] ? c.in[2].data<T>() : nullptr;
    T* y = c.out[0].data<T>();
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t n = 0; n < s.n; ++n) {
        double sum = bias ? static_cast<double>(bias[n]) : 0;
        for (int64_t k = 0; k < s.k; ++k) {
          const T x = a.transpose_a ? pa[k * s.m + m] : pa[m * s.k + k];
          const T w = a.transpose_b ? pb[n * s.k + k] : pb[k * s.n + n];
          sum += static_cast<double>(x) * static_cast<double>(w);
        }
        y[m * s.n + n] = static_cast<T>(sum);
      }
    }
  });
}

// y = op(a) op(b) + bias:  da = dy op(b)^T, db = op(a)^T dy, each transposed back where the input was; dbias sums dy's rows.
Tensors grad(const GradCall& g) {
  const auto& at = g.attrs.as<MatmulAttrs>();
  const Tensor &a = g.in[0], &b = g.in[1], &dy = g.dy[0];
  Tensors d(3);
  if (g.need[0]) {
    d[0] = at.transpose_a ? matmul(b, dy, {.transpose_a = at.transpose_b, .transpose_b = true})
                          : matmul(dy, b, {.transpose_a = false, .transpose_b = !at.transpose_b});
  }
  if (g.need[1]) {
    d[1] = at.transpose_b ? matmul(dy, a, {.transpose_a = true, .transpose_b = at.transpose_a})
                          : matmul(a, dy, {.transpose_a = !at.transpose_a, .transpose_b = false});
  }
  if (g.need[2]) d[2] = sum(dy, {0});
  return d;
}

std::vector<Case> cases() {
  const Sample none{{}, Sample::none};
  return {
      {"square", {{{4, 4}}, {{4, 4}}, none}, MatmulAttrs{}},
      {"odd sizes", {{{3, 7}}, {{7, 5}}, none}, MatmulAttrs{}},
      {"tails of every block", {{{61, 67}}, {{67, 71}}, none}, MatmulAttrs{}},
      {"a transposed", {{{7, 3}}, {{7, 5}}, none}, MatmulAttrs{.transpose_a = true}},
      {"b transposed", {{{3, 7}}, {{5, 7}}, none}, MatmulAttrs{.transpose_b = true}},
      {"both transposed", {{{7, 3}}, {{5, 7}}, none}, MatmulAttrs{.transpose_a = true, .transpose_b = true}},
      {"few rows", {{{5, 40}}, {{40, 45}}, none}, MatmulAttrs{}},
      {"few rows, b transposed", {{{5, 40}}, {{37, 40}}, none}, MatmulAttrs{.transpose_b = true}},
      {"few rows, a transposed", {{{5, 38}}, {{5, 45}}, none}, MatmulAttrs{.transpose_a = true}},
      {"one by one", {{{1, 1}}, {{1, 1}}, none}, MatmulAttrs{}},
      {"bias", {{{3, 7}}, {{7, 5}}, {{5}}}, MatmulAttrs{}},
      {"bias, b transposed, few rows", {{{5, 40}}, {{37, 40}}, {{37}}}, MatmulAttrs{.transpose_b = true}},
      {"bias, tails of every block", {{{61, 67}}, {{67, 71}}, {{71}}}, MatmulAttrs{}},
      {"bias of the wrong size", {{{3, 7}}, {{7, 5}}, {{3}}}, MatmulAttrs{}, "bias must be [N] with N=5"},
      {"K differs", {{{3, 7}}, {{6, 5}}, none}, MatmulAttrs{}, "a has K=7 but b has K=6"},
      {"rank", {{{3, 7, 1}}, {{7, 5}}, none}, MatmulAttrs{}, "must have two axes"},
  };
}

}  // namespace

extern constinit const Op matmul_op{.name = "matmul",
                                    .formula = "y[m,n] = sum_k a[m,k] b[k,n] + bias[n]",
                                    .inputs = {{"a", "[M,K]"}, {"b", "[K,N]"}, {"bias", "[N]", Arg::optional}},
                                    .outputs = {{"y", "[M,N]"}},
                                    .infer = infer,
                                    .cost = cost,
                                    .grad = grad,
                                    .keep = {"a", "b"},
                                    .kernel = {.ref = ref, .cpu = cpu::matmul, .cuda = cuda::matmul},
                                    .cases = cases};

Tensor matmul(const Tensor& a, const Tensor& b, const MatmulAttrs& attrs) { return run(matmul_op, {a, b, {}}, attrs)[0]; }
Tensor matmul(const Tensor& a, const Tensor& b, const Tensor& bias, const MatmulAttrs& attrs) {
  return run(matmul_op, {a, b, bias}, attrs)[0];
}

}  // namespace querent
