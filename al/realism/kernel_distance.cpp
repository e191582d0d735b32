#include "al/realism/kernel_distance.h"

#include <algorithm>
#include <numeric>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

void check_sets(const FeatureMatrix& x, const FeatureMatrix& y) {
  check(x.n >= 2 && y.n >= 2, "kernel distance: each set needs at least 2 films, got {} and {}", x.n, y.n);
  check(x.d == y.d, "kernel distance: sets of {} and {} features cannot be compared", x.d, y.d);
}

double kernel(std::span<const double> a, std::span<const double> b) {
  const double base = std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / static_cast<double>(a.size()) + 1;
  return base * base * base;
}

double mean_within(const FeatureMatrix& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.n; ++i)
    for (int64_t j = 0; j < i; ++j) sum += kernel(x.row(i), x.row(j));
  return 2 * sum / static_cast<double>(x.n * (x.n - 1));
}

double mean_between(const FeatureMatrix& x, const FeatureMatrix& y) {
  double sum = 0;
  for (int64_t i = 0; i < x.n; ++i)
    for (int64_t j = 0; j < y.n; ++j) sum += kernel(x.row(i), y.row(j));
  return sum / static_cast<double>(x.n * y.n);
}

std::vector<int64_t> shuffled(int64_t n, Rng rng) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  rng.shuffle(order);
  return order;
}

}  // namespace

double kernel_distance(const FeatureMatrix& x, const FeatureMatrix& y) {
  check_sets(x, y);
  return mean_within(x) + mean_within(y) - 2 * mean_between(x, y);
}

Summary kernel_distance_blocks(const FeatureMatrix& x, const FeatureMatrix& y, uint64_t seed, int64_t blocks) {
  check_sets(x, y);
  blocks = std::clamp<int64_t>(std::min(x.n, y.n) / 2, 1, blocks);
  const Rng rng = Rng(seed).fork("kernel distance");
  const std::vector<int64_t> x_order = shuffled(x.n, rng.fork("x")), y_order = shuffled(y.n, rng.fork("y"));
  const auto part = [blocks](std::span<const int64_t> order, int64_t b) {
    const auto size = order.size() / static_cast<size_t>(blocks);
    return order.subspan(static_cast<size_t>(b) * size, size);
  };
  std::vector<double> each;
  for (int64_t b = 0; b < blocks; ++b)
    each.push_back(kernel_distance(x.take(part(x_order, b)), y.take(part(y_order, b))));
  return summarize(each);
}

}  // namespace querent::al
