// Epistemic, aleatoric and total uncertainty from running sums, so that T maps are never kept in memory.
//
//   variance   epistemic = mean p^2 - (mean p)^2    aleatoric = mean sigma_p^2    total = their sum
//   entropy    mutual information = H(mean p) - mean H(p)    expected entropy = mean H(p)    total = H(mean p)
//
// The first line is the formula of Kendall and Gal (2017). Sites are images (classification, C >= 2 probabilities each;
// variances are averaged over classes) or pixels (segmentation, C = 1: the foreground probability, whose variance
// equals the background's).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

// sigma_p^2 of each probability from s = log sigma^2 of its logit, to first order (see acquisition/variance.cpp).
// C = 1: sigmoid, p and s [sites]. C >= 2: softmax, p and s [sites,C].
std::vector<double> probability_noise(std::span<const float> p, std::span<const float> log_variance, int64_t C);

// One value per site.
struct UncertaintyMaps {
  std::vector<double> mean;  // [sites] for C = 1, [sites,C] else
  std::vector<double> epistemic, aleatoric, total;
  std::vector<double> entropy, expected_entropy, mutual_information;
};

class Moments {
 public:
  Moments(int64_t sites, int64_t classes);  // classes = 1 for segmentation
  // One stochastic pass. p [sites,C] in [0,1]; log_variance of the logits, same shape, or empty: no predicted noise.
  void add(std::span<const float> p, std::span<const float> log_variance = {});
  int64_t passes() const { return passes_; }
  UncertaintyMaps maps() const;  // Error before the first pass

 private:
  int64_t sites_, classes_, passes_ = 0;
  std::vector<double> p_, p2_, noise_;  // sums [sites,C]
  std::vector<double> entropy_;         // sum [sites]
};

double mean_of(std::span<const double> map);  // the image's value from its map

}  // namespace querent::al
