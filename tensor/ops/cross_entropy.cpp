// cross_entropy: loss = sum_r w[l_r] (log sum_c e^x[r,c] - x[r,l_r]) / sum_r w[l_r],   l_r = labels[r]
// x [R,C]   labels i64 [R]   w [C] or none (1)   loss []
// Rows labelled -1 do not count; when none counts the loss is 0 (PyTorch: NaN), so that an image without a labelled
// pixel is a step that changes nothing.
// cross_entropy_grad: dx[r,c] = dloss w[l_r] (softmax(x)[r,c] - 1[c = l_r]) / sum_r w[l_r]
#include <algorithm>
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op cross_entropy_grad_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs&) {
  check(in[0].rank() == 2 && in[0].dim(1) >= 1, "cross_entropy: logits must be [R,C]; logits={}", in[0]);
  check(in[1].dtype() == DType::i64 && in[1].shape() == Shape{in[0].dim(0)},
        "cross_entropy: labels must be i64 [R], one per row of logits; logits={} labels={}", in[0], in[1]);
  check(!in[2] || in[2].shape() == Shape{in[0].dim(1)},
        "cross_entropy: class_weights must be [C] with C={}; logits={} class_weights={}", in[0].dim(1), in[0], in[2]);
  return {{{}, in[0].dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  infer(in, attrs);
  check_scalar("cross_entropy", "dloss", in[3]);
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs&) {
  return {4.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_grad(Inputs in, const Attrs&) {
  return {6.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(in[0].bytes())};
}

template <class T>
double weight_of(const Tensor& class_weights, int64_t label) {
  if (label < 0) return 0;
  return class_weights ? static_cast<double>(class_weights.data<T>()[label]) : 1;
}
template <class T>
double total_weight(const Tensor& labels, const Tensor& class_weights) {
  double total = 0;
  for (int64_t r = 0; r < labels.numel(); ++r) total += weight_of<T>(class_weights, labels.data<int64_t>()[r]);
  return total;
}
// log sum_c e^x[c], with the largest taken out
template <class T>
double log_sum_exp(const T* x, int64_t classes) {
  const double top = static_cast<double>(*std::max_element(x, x + classes));
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(x[c]) - top);
  return top + std::log(sum);
}

void ref(const Call& c) {
  const int64_t rows = c.in[0].dim(0), classes = c.in[0].dim(1);
  check_labels("cross_entropy", c.in[1], classes);
  const int64_t* label = c.in[1].data<int64_t>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      if (label[r] < 0) continue;
      const T* x = c.in[0].data<T>() + r * classes;
      sum += weight_of<T>(c.in[2], label[r]) * (log_sum_exp(x, classes) - static_cast<double>(x[label[r]]));
    }
    const double total = total_weight<T>(c.in[1], c.in[2]);
    *c.out[0].data<T>() = static_cast<T>(total > 0 ? sum / total : 0);
  });
}

void ref_grad(const Call& c) {
  const int64_t rows = c.in[0].dim(0), classes = c.in[0].dim(1);
  check_labels("cross_entropy", c.in[1], classes);
  const int64_t* label = c.in[1].data<int64_t>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const double total = total_weight<T>(c.in[1], c.in[2]);
    for (int64_t r = 0; r < rows; ++r) {
      const T* x = c.in[0].data<T>() + r * classes;
      T* dx = c.out[0].data<T>() + r * classes;
      const double weight = weight_of<T>(c.in[2], label[r]);
      const double factor = weight > 0 ? static_cast<double>(*c.in[3].data<T>()) * weight / total : 0;
      const double normaliser = log_sum_exp(x, classes);
      for (int64_t k = 0; k < classes; ++k) {
        const double p = std::exp(static_cast<double>(x[k]) - normaliser);
        dx[k] = static_cast<T>(factor * (p - (k == label[r] ? 1 : 0)));
      }
    }
  });
}

Tensors grad(const GradCall& g) {
  Tensors d = run(cross_entropy_grad_op, {g.in[0], g.in[1], g.in[2], g.dy[0]});
  d.resize(3);
  return d;
}

Sample labels(int64_t rows, double classes) { return {{rows}, Sample::index, classes}; }
Sample weights(int64_t classes) { return {{classes}, Sample::uniform, 1.0, 0.5}; }
const Sample no_weights{{}, Sample::none};

std::vector<Case> cases() {
  return {
      {"two classes", {{{7, 2}}, labels(7, 2), no_weights}, {}},
      {"weighted", {{{9, 5}}, labels(9, 5), weights(5)}, {}},
      {"one row", {{{1, 3}}, labels(1, 3), weights(3)}, {}},
      {"large logits", {{{5, 3}, Sample::normal, 1, 1000}, labels(5, 3), no_weights}, {}},
      {"many classes", {{{13, 67}}, labels(13, 67), no_weights}, {}},
      {"rank", {{{7, 3, 2}}, labels(7, 2), no_weights}, {}, "logits must be [R,C]"},
      {"rows", {{{7, 3}}, labels(6, 3), no_weights}, {}, "one per row of logits"},
      {"type of labels", {{{7, 3}}, {{7}}, no_weights}, {}, "labels must be i64 [R]"},
      {"weights", {{{7, 3}}, labels(7, 3), weights(2)}, {}, "class_weights must be [C] with C=3"},
      {"label", {{{99, 3}}, labels(99, 50), no_weights}, {}, "is not in 0..2"},
  };
}
std::vector<Case> cases_grad() {
  const Sample dloss{{}};
  return {
      {"two classes", {{{7, 2}}, labels(7, 2), no_weights, dloss}, {}},
      {"weighted", {{{9, 5}}, labels(9, 5), weights(5), dloss}, {}},
      {"many classes", {{{13, 67}}, labels(13, 67), no_weights, dloss}, {}},
      {"dloss", {{{9, 5}}, labels(9, 5), no_weights, {{9}}}, {}, "dloss must be a scalar"},
      {"label", {{{99, 3}}, labels(99, 50), no_weights, dloss}, {}, "is not in 0..2"},
  };
}

}  // namespace

extern constinit const Op cross_entropy_op{
    .name = "cross_entropy",
    .formula = "loss = sum_r w[l_r] (log sum_c e^x[r,c] - x[r,l_r]) / sum_r w[l_r]",
    .inputs = {{"logits", "[R,C]"},
               {"labels", "i64 [R]", Arg::constant},
               {"class_weights", "[C]", Arg::optional | Arg::constant}},
    .outputs = {{"loss", "[]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"logits", "labels", "class_weights"},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::cross_entropy},
    .cases = cases};
extern constinit const Op cross_entropy_grad_op{
    .name = "cross_entropy_grad",
    .formula = "dx[r,c] = dloss w[l_r] (softmax(x)[r,c] - 1[c = l_r]) / sum_r w[l_r]",
    .inputs = {{"logits", "[R,C]"}, {"labels", "i64 [R]"}, {"class_weights", "[C]", Arg::optional}, {"dloss", "[]"}},
    .outputs = {{"dlogits", "[R,C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = nullptr, .cuda = cuda::cross_entropy_grad},
    .cases = cases_grad};

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const Tensor& class_weights) {
  return run(cross_entropy_op, {logits, labels, class_weights})[0];
}

}  // namespace querent
