// Bayesian inference by Monte-Carlo dropout (Gal and Ghahramani 2016) with the two uncertainties of Kendall and Gal
// (NeurIPS 2017):
//
//   Var(y) ~ (1/T) sum_t y_t^2 - ((1/T) sum_t y_t)^2  +  (1/T) sum_t s_t^2
//            '----------- epistemic ----------------'    '-- aleatoric --'
//
// T passes with dropout active and batch norm in evaluation; y_t and the variance s_t^2 are the two outputs.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "models/inference.h"

namespace querent {

struct PosteriorOptions {
  int64_t passes = 20;  // T
  uint64_t seed = 0;
  // logit: y is the logit and s^2 = exp(log_var), the formula as it stands; without that head aleatoric is 0.
  // probability: y is the class probability; s^2 is its variance under logit noise N(0, exp(log_var)), by `samples`
  // draws. Without that head s^2 = p(1-p), the variance of the label itself (Kwon et al. 2020).
  enum Space { logit, probability } space = probability;
  int64_t samples = 8;  // the same draws in each pass, so that their own scatter does not count as epistemic
  bool keep_passes = true;
};

// [N,C] for classifiers, [N,H,W,C] for segmenters; C = 1 is the probability of the foreground.
struct Posterior {
  Tensor mean;                         // mean probability over passes (and logit samples)
  Tensor epistemic, aleatoric, total;  // variances, elementwise; total = epistemic + aleatoric
  Tensor aleatoric_entropy;            // [N] or [N,H,W]: mean entropy of softmax(f_t + s_t eps), nats
  Tensor passes;                       // [T,N,...] probabilities of each pass; none unless keep_passes

  // The mean over all classes and pixels of each image: [N].
  static std::vector<double> per_image(const Tensor& values);
};

// `ids` names the rows of x: masks depend on (seed, id, pass) alone and noise on (seed, id), not on the batch. x [N,H,W,C].
Posterior predict_posterior(Inference& inference, const Tensor& x, std::span<const int64_t> ids,
                            const PosteriorOptions& o = {});
Posterior predict_posterior(const Model& model, const Tensor& x, std::span<const int64_t> ids,
                            const PosteriorOptions& o = {});

// One deterministic pass: probabilities, sigmoid for one class and softmax for more. [N,C] or [N,H,W,C]
Tensor predict(const Model& model, const Tensor& x);

}  // namespace querent
