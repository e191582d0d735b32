#include "al/scr2006/pixel_classifier.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/error.h"

namespace querent::al {
namespace {

struct Scaling {
  std::vector<float> mean, factor;  // [D]
};
Scaling scaling_of(std::span<const float> features, size_t D) {
  Scaling s{std::vector<float>(D), std::vector<float>(D)};
  std::vector<double> sum(D, 0), squares(D, 0);
  for (size_t i = 0; i < features.size(); ++i) {
    const auto v = static_cast<double>(features[i]);
    sum[i % D] += v;
    squares[i % D] += v * v;
  }
  const double n = static_cast<double>(features.size()) / static_cast<double>(D);
  for (size_t d = 0; d < D; ++d) {
    const double mean = sum[d] / n, variance = squares[d] / n - mean * mean;
    s.mean[d] = static_cast<float>(mean);
    s.factor[d] = static_cast<float>(1 / std::sqrt(std::max(variance, 1e-12)));
  }
  return s;
}
void scale(std::span<float> features, std::span<const float> mean, std::span<const float> factor) {
  const size_t D = mean.size();
  for (size_t i = 0; i < features.size(); ++i) features[i] = (features[i] - mean[i % D]) * factor[i % D];
}

}  // namespace

void sample_pixels(PixelSamples& to, const Image& film, std::span<const uint8_t> inside, std::span<const double> scales,
                   int64_t count, Rng rng) {
  check(inside.size() == film.pixels.size(), "pixels: {} labels for a film of {} pixels", inside.size(),
        film.pixels.size());
  const std::vector<float> all = pixel_features(film, scales);
  const auto D = static_cast<size_t>(feature_count(scales)), n = film.pixels.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = 0; i < std::min(n, static_cast<size_t>(count)); ++i) {  // the first steps of a shuffle
    std::swap(order[i], order[i + static_cast<size_t>(rng.below(static_cast<int64_t>(n - i)))]);
    const auto from = all.begin() + static_cast<ptrdiff_t>(order[i] * D);
    to.features.insert(to.features.end(), from, from + static_cast<ptrdiff_t>(D));
    to.inside.push_back(inside[order[i]]);
  }
}

PixelClassifier::PixelClassifier(PixelSamples samples, std::vector<double> scales, int64_t structures,
                                 const PixelOptions& options)
    : scales_(std::move(scales)),
      structures_(structures),
      options_(options),
      tree_([&] {
        const auto D = static_cast<size_t>(feature_count(scales_));
        check(!samples.inside.empty() && samples.features.size() == samples.inside.size() * D,
              "pixels: {} features do not fit {} samples of {}", samples.features.size(), samples.inside.size(), D);
        check(options.neighbours > 0 && options.neighbours < 256 && options.stride > 0 && structures > 0 &&
                  structures <= 8,
              "pixels: {} neighbours (1 to 255), stride {}, {} structures (1 to 8)", options.neighbours, options.stride,
              structures);
        Scaling s = scaling_of(samples.features, D);
        mean_ = std::move(s.mean), factor_ = std::move(s.factor);
        scale(samples.features, mean_, factor_);
        return KdTree(samples.features, static_cast<int64_t>(D));
      }()),
      inside_(std::move(samples.inside)) {}

std::vector<uint8_t> PixelClassifier::votes(const Image& film) const {
  const int64_t rows = classified_side(film.height, options_.stride),
                columns = classified_side(film.width, options_.stride);
  std::vector<float> features = pixel_features(film, scales_);
  const size_t D = mean_.size();
  std::vector<uint8_t> votes(static_cast<size_t>(structures_ * rows * columns), 0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t y = options_.stride / 2 + r * options_.stride, x = options_.stride / 2 + c * options_.stride;
      const std::span<float> query = std::span(features).subspan(static_cast<size_t>(y * film.width + x) * D, D);
      scale(query, mean_, factor_);
      for (const KdTree::Hit& hit : tree_.nearest(query, options_.neighbours, options_.epsilon))
        for (int64_t s = 0; s < structures_; ++s)
          if (inside_[static_cast<size_t>(hit.index)] >> s & 1)
            ++votes[static_cast<size_t>((s * rows + r) * columns + c)];
    }
  return votes;
}

int64_t classified_side(int64_t size, int64_t stride) { return (size - stride / 2 + stride - 1) / stride; }

Image posterior(std::span<const uint8_t> votes, int64_t size, const PixelOptions& options) {
  const int64_t side = classified_side(size, options.stride);
  check(votes.size() == static_cast<size_t>(side * side), "pixels: {} votes are not {}x{}", votes.size(), side, side);
  struct Between {
    int64_t low, high;
    float share;  // of high
  };
  const auto between = [&](int64_t pixel) {
    const double t = static_cast<double>(pixel - options.stride / 2) / static_cast<double>(options.stride);
    const double inner = std::clamp(t, 0.0, static_cast<double>(side - 1));
    const auto low = static_cast<int64_t>(inner);
    return Between{low, std::min(low + 1, side - 1), static_cast<float>(inner - static_cast<double>(low))};
  };
  const auto vote = [&](int64_t r, int64_t c) { return static_cast<float>(votes[static_cast<size_t>(r * side + c)]); };
  Image p(size, size);
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) {
      const Between v = between(y), h = between(x);
      const float top = vote(v.low, h.low) * (1 - h.share) + vote(v.low, h.high) * h.share,
                  below = vote(v.high, h.low) * (1 - h.share) + vote(v.high, h.high) * h.share;
      p.at(y, x) = (top * (1 - v.share) + below * v.share) / static_cast<float>(options.neighbours);
    }
  return p;
}

}  // namespace querent::al
