// cross_entropy and its gradient. A label out of range is reported (cuda/labels.cuh) and counts as ignored.
#include "cuda/labels.cuh"
#include "cuda/row.cuh"
#include "tensor/kernels.h"

namespace querent::cuda {

// The weights of all rows add up to total[0]; total[1] is the sum of weight times -log softmax(x)[label]. One thread
// for each row: reads logits and labels once.
Tensor cross_entropy_sums(std::string_view op, const Call& c, bool with_loss) {
  const int64_t rows = c.in[0].dim(0), classes = c.in[0].dim(1);
  const float *logits = input(c, 0), *weights = input(c, 2);
  const Labels labels(op, c, c.in[1], classes);
  const Tensor sums = scratch(c, 2, DType::f64);
  double* const total = sums.data<double>();
  reduce_all<2>(
      op, c, rows,
      [=] __device__(int64_t r, int64_t, int64_t, double* sum) {
        const int64_t label = labels.at(r);
        if (label < 0) return;
        const double weight = weights ? weights[label] : 1;
        sum[0] += weight;
        if (!with_loss) return;
        const float* x = logits + r * classes;
        float top = x[0], rest = 0;
        for (int64_t k = 1; k < classes; ++k) top = fmaxf(top, x[k]);
        for (int64_t k = 0; k < classes; ++k) rest += expf(x[k] - top);
        sum[1] += weight * (static_cast<double>(top) - x[label] + logf(rest));
      },
      [=] __device__(int64_t, const double* sum) {
        total[0] = sum[0];
        total[1] = sum[1];
      });
  return sums;
}

void cross_entropy(const Call& c) {
  const Tensor sums = cross_entropy_sums("cross_entropy", c, true);
  const double* total = sums.data<double>();
  float* loss = c.out[0].data<float>();
  for_each("cross_entropy", c, 1,
           [=] __device__(int64_t) { *loss = total[0] > 0 ? static_cast<float>(total[1] / total[0]) : 0; });
}

// Reads logits once (and twice more from the cache), writes their gradient.
void cross_entropy_grad(const Call& c) {
  const Tensor sums = cross_entropy_sums("cross_entropy_grad", c, false);
  const double* total = sums.data<double>();
  const float *x = input(c, 0), *weights = input(c, 2), *dloss = input(c, 3);
  float* dx = c.out[0].data<float>();
  const Labels labels("cross_entropy_grad", c, c.in[1], c.in[0].dim(1));
  for_each_row("cross_entropy_grad", c, c.in[0], [=] __device__(const Row& r) {
    const int64_t label = labels.at(r.index);
    const double weight = label < 0 ? 0 : (weights ? weights[label] : 1);
    const auto factor = static_cast<float>(weight > 0 ? *dloss * weight / total[0] : 0);
    const float top = r.max([=](int64_t i) { return x[i]; });
    const float rest = r.sum([=](int64_t i) { return expf(x[i] - top); });
    r.each([=](int64_t i) { dx[i] = factor * (expf(x[i] - top) / rest - static_cast<float>(i - r.begin == label)); });
  });
}

}  // namespace querent::cuda
