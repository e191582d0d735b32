// Calibration: does "90 % sure" mean right nine times in ten?
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

struct ReliabilityBin {
  double low = 0, high = 0;  // confidences in (low, high]; 0 belongs to the first bin
  int64_t count = 0;
  double confidence = 0, accuracy = 0;  // means; 0 in an empty bin
};

// Running counts, so that the pixels of a whole test set need no memory.
class Reliability {
 public:
  explicit Reliability(int64_t bins = 15);
  void add(double confidence, bool correct);  // confidence in [0,1], of the predicted class
  void add_mask(std::span<const float> p, std::span<const uint8_t> truth);  // pixels: max(p, 1-p), p >= 0.5 predicts 1
  int64_t count() const;
  std::vector<ReliabilityBin> bins() const;
  double ece() const;  // sum_b n_b/n |accuracy_b - confidence_b|; 0 when nothing was added
  double mce() const;  // the largest gap of a bin that is not empty

 private:
  std::vector<int64_t> count_, correct_;
  std::vector<double> confidence_;
};

// The temperature T > 0 that minimises the negative log-likelihood of softmax(logits / T) (Guo et al. 2017). Convex in
// 1/T, found by bisection of the slope; limited to [0.05, 20]. logits [N,C]; C = 1: one sigmoid logit, labels 0 or 1.
double fit_temperature(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes);
// softmax(logits / T) [N,C], or sigmoid for C = 1.
std::vector<double> calibrated(std::span<const float> logits, int64_t classes, double temperature);

}  // namespace querent::al
