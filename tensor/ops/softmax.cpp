// softmax: y[r,c] = e^(x[r,c] - m[r]) / sum_k e^(x[r,k] - m[r]),  m[r] = max_k x[r,k]
// log_softmax: y[r,c] = x[r,c] - m[r] - log sum_k e^(x[r,k] - m[r])
// Over the last axis. x, y [*,C]. Subtracting the largest value keeps every exponential in (0,1]: no overflow.
#include <algorithm>
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op softmax_grad_op, log_softmax_grad_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs&) {
  check(in[0].rank() >= 1 && in[0].dim(-1) >= 1, "softmax: x must be [*,C] with at least one class; x={}", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  check_same_shape("softmax", "dy", in[1], "y", in[0]);
  return infer(in, attrs);
}
Cost cost(Inputs in, const Attrs&) {
  return {5.0 * static_cast<double>(in[0].numel()), 2.0 * static_cast<double>(in[0].bytes())};
}
Cost cost_grad(Inputs in, const Attrs&) {
  return {4.0 * static_cast<double>(in[0].numel()), 3.0 * static_cast<double>(in[0].bytes())};
}

template <bool take_log>
void ref(const Call& c) {
  const int64_t classes = c.in[0].dim(-1), rows = c.in[0].numel() / classes;
  visit_float(c.out[0].dtype(), [&]<class T>() {
    for (int64_t r = 0; r < rows; ++r) {
      const T* x = c.in[0].data<T>() + r * classes;
      T* y = c.out[0].data<T>() + r * classes;
      const double top = static_cast<double>(*std::max_element(x, x + classes));
      double total = 0;
      for (int64_t k = 0; k < classes; ++k) total += std::exp(static_cast<double>(x[k]) - top);
      for (int64_t k = 0; k < classes; ++k) {
        const double shifted = static_cast<double>(x[k]) - top;
        y[k] = static_cast<T>(take_log ? shifted - std::log(total) : std::exp(shifted) / total);
      }
    }
  });
}

// softmax:     dx[c] = y[c] (dy[c] - sum_k y[k] dy[k])
// log_softmax: dx[c] = dy[c] - e^y[c] sum_k dy[k]
template <bool of_log>
void ref_grad(const Call& c) {
  const int64_t classes = c.in[0].dim(-1), rows = c.in[0].numel() / classes;
  visit_float(c.out[0].dtype(), [&]<class T>() {
    for (int64_t r = 0; r < rows; ++r) {
      const T *y = c.in[0].data<T>() + r * classes, *dy = c.in[1].data<T>() + r * classes;
      T* dx = c.out[0].data<T>() + r * classes;
      double total = 0;
      for (int64_t k = 0; k < classes; ++k) total += static_cast<double>(dy[k]) * (of_log ? 1.0 : y[k]);
      for (int64_t k = 0; k < classes; ++k) {
        const double d = static_cast<double>(dy[k]), value = static_cast<double>(y[k]);
        dx[k] = static_cast<T>(of_log ? d - std::exp(value) * total : value * (d - total));
      }
    }
  });
}

template <const Op& grad_op>
Tensors grad(const GradCall& g) {
  return run(grad_op, {g.out[0], g.dy[0]});
}

std::vector<Case> cases() {
  return {
      {"rows", {{{3, 5}}}, {}},
      {"pixels", {{{2, 3, 5, 2}}}, {}},
      {"one class", {{{7, 1}}}, {}},
      {"vector", {{{9}}}, {}},
      {"large values", {{{5, 3}, Sample::normal, 1, 1000}}, {}},
      {"many classes", {{{3, 131}}}, {}},
      {"scalar", {{Shape{}}}, {}, "x must be [*,C]"},
  };
}
std::vector<Case> cases_grad() {
  const auto y = [](Shape s) { return Sample{s, Sample::uniform, 0.5, 0.1}; };
  return {
      {"rows", {y({3, 5}), {{3, 5}}}, {}},
      {"pixels", {y({2, 3, 5, 2}), {{2, 3, 5, 2}}}, {}},
      {"one class", {y({7, 1}), {{7, 1}}}, {}},
      {"many classes", {y({3, 131}), {{3, 131}}}, {}},
      {"shapes differ", {y({3, 5}), {{3, 4}}}, {}, "dy must have the shape of y"},
  };
}

}  // namespace

extern constinit const Op softmax_op{.name = "softmax",
                                     .formula = "y[r,c] = e^x[r,c] / sum_k e^x[r,k]",
                                     .inputs = {{"x", "[*,C]"}},
                                     .outputs = {{"y", "[*,C]"}},
                                     .infer = infer,
                                     .cost = cost,
                                     .grad = grad<softmax_grad_op>,
                                     .keep = {"y"},
                                     .kernel = {.ref = ref<false>, .cpu = nullptr, .cuda = cuda::softmax},
                                     .cases = cases};
extern constinit const Op log_softmax_op{.name = "log_softmax",
                                         .formula = "y[r,c] = x[r,c] - log sum_k e^x[r,k]",
                                         .inputs = {{"x", "[*,C]"}},
                                         .outputs = {{"y", "[*,C]"}},
                                         .infer = infer,
                                         .cost = cost,
                                         .grad = grad<log_softmax_grad_op>,
                                         .keep = {"y"},
                                         .kernel = {.ref = ref<true>, .cpu = nullptr, .cuda = cuda::log_softmax},
                                         .cases = cases};
extern constinit const Op softmax_grad_op{
    .name = "softmax_grad",
    .formula = "dx[r,c] = y[r,c] (dy[r,c] - sum_k y[r,k] dy[r,k])",
    .inputs = {{"y", "[*,C]"}, {"dy", "[*,C]"}},
    .outputs = {{"dx", "[*,C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad<false>, .cpu = nullptr, .cuda = cuda::softmax_grad},
    .cases = cases_grad};
extern constinit const Op log_softmax_grad_op{
    .name = "log_softmax_grad",
    .formula = "dx[r,c] = dy[r,c] - e^y[r,c] sum_k dy[r,k]",
    .inputs = {{"y", "[*,C]"}, {"dy", "[*,C]"}},
    .outputs = {{"dx", "[*,C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad<true>, .cpu = nullptr, .cuda = cuda::log_softmax_grad},
    .cases = cases_grad};

Tensor softmax(const Tensor& x) { return run(softmax_op, {x})[0]; }
Tensor log_softmax(const Tensor& x) { return run(log_softmax_op, {x})[0]; }

}  // namespace querent
