// What the realism checks work on: one row of numbers per film, in double precision.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

struct FeatureMatrix {
  int64_t n = 0, d = 0;        // films, features
  std::vector<double> values;  // [n,d]
  std::span<const double> row(int64_t i) const {
    return std::span(values).subspan(static_cast<size_t>(i * d), static_cast<size_t>(d));
  }
  void append(std::span<const double> row);  // the first row decides d; an Error when another has a different length
  FeatureMatrix take(std::span<const int64_t> rows) const;
};

// x -> (x - mean) / max(sd, 0.001 * mean of all sd), feature by feature, fitted to the reference films: every feature
// counts alike, and one that hardly varies among them cannot drown the rest.
class Standardizer {
 public:
  explicit Standardizer(const FeatureMatrix& reference);
  FeatureMatrix operator()(const FeatureMatrix& x) const;

 private:
  std::vector<double> mean_, scale_;
};

}  // namespace querent::al
