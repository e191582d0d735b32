// The log-likelihood of images under a Parzen window, by which Goodfellow et al. (NeurIPS 2014) and Breuleux et al.
// (2011) judge what a generator makes: p(x) = (1/M) sum_m N(x; s_m, width^2 I) over M generated images s.
#pragma once
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace querent::al {

// log p(x) in nats of each row of x [N,D] under the samples [M,D], for each width: [widths][N].
std::vector<std::vector<double>> parzen_log_likelihood(const Tensor& samples, const Tensor& x,
                                                       std::span<const double> widths);

// The width of `widths` that makes `validation` most likely, and how likely `test` then is: mean over its rows and the
// standard error of that mean.
struct ParzenFit {
  double width = 0, log_likelihood = 0, error = 0;
};
ParzenFit fit_parzen(const Tensor& samples, const Tensor& validation, const Tensor& test,
                     std::span<const double> widths);

}  // namespace querent::al
