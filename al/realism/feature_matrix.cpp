#include "al/realism/feature_matrix.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace querent::al {

void FeatureMatrix::append(std::span<const double> row) {
  if (n == 0) d = static_cast<int64_t>(row.size());
  check(static_cast<int64_t>(row.size()) == d, "features: film {} has {} features, those before it have {}", n,
        row.size(), d);
  for (const double v : row)
    check(std::isfinite(v), "features: film {} has a feature of {}; the network has diverged", n, v);
  values.insert(values.end(), row.begin(), row.end());
  ++n;
}

FeatureMatrix FeatureMatrix::take(std::span<const int64_t> rows) const {
  FeatureMatrix out{static_cast<int64_t>(rows.size()), d, {}};
  out.values.reserve(rows.size() * static_cast<size_t>(d));
  for (const int64_t i : rows) out.values.insert(out.values.end(), row(i).begin(), row(i).end());
  return out;
}

Standardizer::Standardizer(const FeatureMatrix& x) {
  check(x.n >= 2, "features: at least 2 real films are needed, got {}", x.n);
  const auto d = static_cast<size_t>(x.d);
  const auto n = static_cast<double>(x.n);
  mean_.assign(d, 0);
  scale_.assign(d, 0);
  for (int64_t i = 0; i < x.n; ++i)
    for (size_t k = 0; k < d; ++k) mean_[k] += x.row(i)[k];
  for (double& m : mean_) m /= n;
  for (int64_t i = 0; i < x.n; ++i)
    for (size_t k = 0; k < d; ++k) scale_[k] += (x.row(i)[k] - mean_[k]) * (x.row(i)[k] - mean_[k]) / (n - 1);
  double mean_sd = 0;
  for (double& s : scale_) {
    s = std::sqrt(s);
    mean_sd += s / static_cast<double>(d);
  }
  check(mean_sd > 0, "features: all {} real films are the same to these features", x.n);
  for (double& s : scale_) s = std::max(s, 0.001 * mean_sd);
}

FeatureMatrix Standardizer::operator()(const FeatureMatrix& x) const {
  check(x.d == static_cast<int64_t>(mean_.size()), "features: {} features do not fit the {} of the real films", x.d,
        mean_.size());
  FeatureMatrix out = x;
  for (size_t i = 0; i < out.values.size(); ++i) {
    const size_t k = i % mean_.size();
    out.values[i] = (out.values[i] - mean_[k]) / scale_[k];
  }
  return out;
}

}  // namespace querent::al
