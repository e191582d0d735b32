// Clustering, used by several selectors:
//
//   k-means++ seeding (Arthur and Vassilvitskii 2007)   P(next = i) = D_i^2 / sum_j D_j^2
//   Lloyd's iterations (Lloyd 1982)                     assign to the nearest centre, move centres to the mean
//
// The draw is a race: the largest log(u_i) / D_i^2 wins, u_i ~ U(0,1], which happens with exactly that probability
// (Efraimidis and Spirakis 2006). So the number u_i belongs to the candidate and not to its place in the pool.
#include <algorithm>
#include <cmath>
#include <limits>

#include "al/selection/family.h"

namespace querent::al {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

double squared_distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

Points unit_length(Points p) {
  for (int64_t i = 0; i < p.n; ++i) {
    double square = 0;
    for (const double v : p.row(i)) square += v * v;
    if (square > 0)
      for (int64_t j = 0; j < p.d; ++j) p.x[static_cast<size_t>(i * p.d + j)] /= std::sqrt(square);
  }
  return p;
}

Points joined(const Points& a, const Points& b) {
  Points all{a.n + b.n, a.n > 0 ? a.d : b.d, a.x};
  all.x.insert(all.x.end(), b.x.begin(), b.x.end());
  return all;
}

std::vector<Seeding> plus_plus(size_t n, int64_t k, size_t first,
                               const std::function<double(size_t, size_t)>& distance2, const Draw& draw) {
  std::vector<Seeding> taken;
  std::vector<double> nearest(n, infinity), key(n);
  std::vector<uint8_t> used(n, 0);
  size_t next = first;
  double d2 = 0;
  const auto count = static_cast<size_t>(std::clamp<int64_t>(k, 0, static_cast<int64_t>(n)));
  while (taken.size() < count) {
    taken.push_back({next, d2});
    used[next] = 1;
    if (taken.size() == count) break;
    const auto step = static_cast<int64_t>(taken.size());
#pragma omp parallel for schedule(static) if (n >= worth_threads)
    for (size_t i = 0; i < n; ++i) {
      nearest[i] = std::min(nearest[i], distance2(i, next));
      constexpr double last = -std::numeric_limits<double>::max();  // before those that are taken
      key[i] = used[i] ? -infinity : nearest[i] > 0 ? std::max(last, std::log(1 - draw(i, step)) / nearest[i]) : last;
    }
    next = static_cast<size_t>(std::max_element(key.begin(), key.end()) - key.begin());
    d2 = nearest[next];
  }
  return taken;
}

std::vector<int64_t> kmeans(const Points& points, Points centres, int64_t iterations) {
  const auto n = static_cast<size_t>(points.n);
  std::vector<int64_t> cluster(n, -1);
  for (int64_t round = 0; round < iterations; ++round) {
    bool moved = false;
#pragma omp parallel for schedule(static) if (n >= worth_threads) reduction(|| : moved)
    for (int64_t i = 0; i < points.n; ++i) {
      int64_t best = 0;
      double best_distance = infinity;
      for (int64_t c = 0; c < centres.n; ++c) {
        const double distance = squared_distance(points.row(i), centres.row(c));
        if (distance < best_distance) best = c, best_distance = distance;
      }
      moved = moved || cluster[static_cast<size_t>(i)] != best;
      cluster[static_cast<size_t>(i)] = best;
    }
    if (!moved) break;
    std::vector<double> sum(centres.x.size(), 0.0);
    std::vector<double> count(static_cast<size_t>(centres.n), 0.0);
    for (int64_t i = 0; i < points.n; ++i) {
      const int64_t c = cluster[static_cast<size_t>(i)];
      ++count[static_cast<size_t>(c)];
      for (int64_t j = 0; j < points.d; ++j)
        sum[static_cast<size_t>(c * points.d + j)] += points.x[static_cast<size_t>(i * points.d + j)];
    }
    for (size_t e = 0; e < sum.size(); ++e) {
      const double members = count[e / static_cast<size_t>(points.d)];
      if (members > 0) centres.x[e] = sum[e] / members;
    }
  }
  return cluster;
}

std::vector<int64_t> seeded_clusters(const Points& points, int64_t count, const Draw& draw) {
  const auto n = static_cast<size_t>(points.n);
  size_t first = 0;
  for (size_t i = 1; i < n; ++i)
    if (draw(i, 0) > draw(first, 0)) first = i;
  Points centres{0, points.d, {}};
  const auto distance = [&](size_t a, size_t b) {
    return squared_distance(points.row(static_cast<int64_t>(a)), points.row(static_cast<int64_t>(b)));
  };
  for (const Seeding& s : plus_plus(n, count, first, distance, draw)) {
    const auto row = points.row(static_cast<int64_t>(s.index));
    centres.x.insert(centres.x.end(), row.begin(), row.end());
    ++centres.n;
  }
  return kmeans(points, centres);
}

}  // namespace querent::al
