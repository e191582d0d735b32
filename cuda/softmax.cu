// softmax and log_softmax over the last axis, and their gradients.
#include "cuda/row.cuh"
#include "tensor/kernels.h"

namespace querent::cuda {

// Reads x from memory once, and from the cache twice more; writes y.
void softmax_rows(std::string_view op, const Call& c, bool take_log) {
  const Values x = values(c, 0);
  const Results y = results(c);
  for_each_row(op, c, c.in[0], [=] __device__(const Row& r) {
    const float top = r.max([=](int64_t i) { return x[i]; });
    const float total = r.sum([=](int64_t i) { return expf(x[i] - top); });
    const float log_total = logf(total);
    r.each([=](int64_t i) { y.set(i, take_log ? x[i] - top - log_total : expf(x[i] - top) / total); });
  });
}
void softmax(const Call& c) { softmax_rows("softmax", c, false); }
void log_softmax(const Call& c) { softmax_rows("log_softmax", c, true); }

// Reads y and dy, writes dx.
void softmax_grad_rows(std::string_view op, const Call& c, bool of_log) {
  const Values y = values(c, 0), dy = values(c, 1);
  const Results dx = results(c);
  for_each_row(op, c, c.in[0], [=] __device__(const Row& r) {
    const float total = r.sum([=](int64_t i) { return of_log ? dy[i] : y[i] * dy[i]; });
    r.each([=](int64_t i) { dx.set(i, of_log ? dy[i] - expf(y[i]) * total : y[i] * (dy[i] - total)); });
  });
}
void softmax_grad(const Call& c) { softmax_grad_rows("softmax_grad", c, false); }
void log_softmax_grad(const Call& c) { softmax_grad_rows("log_softmax_grad", c, true); }

}  // namespace querent::cuda
