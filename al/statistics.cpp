#include "al/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

void check_values(std::span<const double> v, const char* what) {
  check(!v.empty(), "statistics: {} needs at least one value", what);
  for (const double x : v) check(std::isfinite(x), "statistics: {} got the value {}", what, x);
}

// Regularised incomplete beta I_x(a, b) by its continued fraction (modified Lentz).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
  const auto away_from_zero = [](double v) { return std::abs(v) < 1e-300 ? 1e-300 : v; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), f = d;
  for (int m = 1; m < 1000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double step = 1;
    for (const double k : {even, odd}) {
      d = 1 / away_from_zero(1 + k * d);
      c = away_from_zero(1 + k / c);
      step = c * d;
      f *= step;
    }
    if (std::abs(step - 1) < 1e-15) break;
  }
  return front * f;
}

// Regularised upper incomplete gamma Q(a, x): the series below a + 1, the continued fraction (Lentz) above.
double incomplete_gamma_upper(double a, double x) {
  if (x <= 0) return 1;
  const double front = std::exp(a * std::log(x) - x - std::lgamma(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (int n = 1; n < 10000 && term > sum * 1e-16; ++n) sum += term *= x / (a + n);
    return 1 - front * sum;
  }
  double b = x + 1 - a, c = 1e300, d = 1 / b, f = d;
  for (int n = 1; n < 10000; ++n) {
    const double k = -n * (n - a);
    b += 2;
    d = 1 / (k * d + b);
    c = b + k / c;
    f *= c * d;
    if (std::abs(c * d - 1) < 1e-15) break;
  }
  return front * f;
}

double normal_upper_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

}  // namespace

double quantile(std::span<const double> sorted, double q) {
  internal_check(!sorted.empty() && q >= 0 && q <= 1, "statistics: quantile {} of {} values", q, sorted.size());
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

double student_t_quantile(double probability, double dof) {
  check(probability > 0 && probability < 1 && dof > 0, "statistics: no t quantile for p = {}, {} degrees of freedom",
        probability, dof);
  if (probability < 0.5) return -student_t_quantile(1 - probability, dof);
  const auto cdf = [&](double t) { return 1 - 0.5 * incomplete_beta(dof / 2, 0.5, dof / (dof + t * t)); };
  double low = 0, high = 1;
  while (cdf(high) < probability && high < 1e12) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (cdf(middle) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

Summary summarize(std::span<const double> values, double level) {
  check_values(values, "a mean");
  Summary s{.n = static_cast<int64_t>(values.size())};
  const double n = static_cast<double>(s.n);
  for (const double v : values) s.mean += v / n;
  s.ci = {s.mean, s.mean};
  if (s.n < 2) return s;
  double square = 0;
  for (const double v : values) square += (v - s.mean) * (v - s.mean);
  s.sd = std::sqrt(square / (n - 1));
  const double half = student_t_quantile(0.5 + level / 2, n - 1) * s.sd / std::sqrt(n);
  s.ci = {s.mean - half, s.mean + half};
  return s;
}

Interval bootstrap(int64_t n, const std::function<double(std::span<const size_t>)>& statistic, uint64_t seed,
                   int64_t resamples, double level) {
  check(n >= 1 && resamples >= 1, "statistics: a bootstrap needs items and resamples, got {} and {}", n, resamples);
  std::vector<size_t> draw(static_cast<size_t>(n));
  std::vector<double> found;
  const Rng base = Rng(seed).fork("bootstrap");
  for (int64_t r = 0; r < resamples; ++r) {
    Rng rng = base.fork(static_cast<uint64_t>(r));
    for (size_t& i : draw) i = static_cast<size_t>(rng.below(n));
    const double v = statistic(draw);
    if (std::isfinite(v)) found.push_back(v);
  }
  check(2 * static_cast<int64_t>(found.size()) >= resamples,
        "statistics: only {} of {} resamples have a finite statistic; there are too few items ({})", found.size(),
        resamples, n);
  std::sort(found.begin(), found.end());
  return {quantile(found, (1 - level) / 2), quantile(found, (1 + level) / 2)};
}

Interval bootstrap_mean(std::span<const double> values, uint64_t seed, int64_t resamples, double level) {
  check_values(values, "a bootstrap");
  return bootstrap(
      static_cast<int64_t>(values.size()),
      [&](std::span<const size_t> draw) {
        double sum = 0;
        for (const size_t i : draw) sum += values[i];
        return sum / static_cast<double>(draw.size());
      },
      seed, resamples, level);
}

std::vector<std::vector<size_t>> members(std::span<const int64_t> groups) {
  std::map<int64_t, std::vector<size_t>> found;
  for (size_t i = 0; i < groups.size(); ++i) found[groups[i]].push_back(i);
  std::vector<std::vector<size_t>> out;
  for (auto& [group, places] : found) out.push_back(std::move(places));
  return out;
}

Interval bootstrap_grouped_mean(std::span<const double> values, std::span<const int64_t> groups, uint64_t seed,
                                int64_t resamples, double level) {
  check_values(values, "a bootstrap");
  check(values.size() == groups.size(), "statistics: {} values in {} groups", values.size(), groups.size());
  std::vector<std::pair<double, double>> sums;  // of each group, and how many
  for (const auto& places : members(groups)) {
    sums.emplace_back(0.0, static_cast<double>(places.size()));
    for (const size_t i : places) sums.back().first += values[i];
  }
  return bootstrap(
      static_cast<int64_t>(sums.size()),
      [&](std::span<const size_t> draw) {
        double sum = 0, count = 0;
        for (const size_t g : draw) {
          sum += sums[g].first;
          count += sums[g].second;
        }
        return sum / count;
      },
      seed, resamples, level);
}

Wilcoxon wilcoxon_signed_rank(std::span<const double> a, std::span<const double> b) {
  check(a.size() == b.size(), "statistics: Wilcoxon needs pairs, got {} and {} values", a.size(), b.size());
  check_values(a, "Wilcoxon");
  check_values(b, "Wilcoxon");
  std::vector<double> d;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) d.push_back(a[i] - b[i]);
  Wilcoxon w{.n = static_cast<int64_t>(d.size())};
  if (w.n == 0) return w;
  std::sort(d.begin(), d.end(), [](double x, double y) { return std::abs(x) < std::abs(y); });
  // Twice the mean rank is an integer, also with ties.
  std::vector<size_t> twice(d.size());
  double tie_term = 0;
  for (size_t i = 0; i < d.size();) {
    size_t j = i;
    while (j < d.size() && std::abs(d[j]) == std::abs(d[i])) ++j;
    for (size_t k = i; k < j; ++k) twice[k] = i + j + 1;  // ranks i+1 .. j
    const double t = static_cast<double>(j - i);
    tie_term += t * t * t - t;
    i = j;
  }
  size_t plus = 0, total = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    total += twice[i];
    if (d[i] > 0) plus += twice[i];
  }
  w.w_plus = static_cast<double>(plus) / 2;
  w.w_minus = static_cast<double>(total - plus) / 2;
  const size_t smaller = std::min(plus, total - plus);
  const double n = static_cast<double>(w.n);
  w.exact = w.n <= 50;
  if (w.exact) {
    // ways[s]: sign patterns whose positive (doubled) ranks add up to s. At most 2^50: exact in a double.
    std::vector<double> ways(total + 1, 0.0);
    ways[0] = 1;
    for (const size_t r : twice)
      for (size_t s = total; s >= r; --s) ways[s] += ways[s - r];
    const double below = std::accumulate(ways.begin(), ways.begin() + static_cast<ptrdiff_t>(smaller) + 1, 0.0);
    w.p = std::min(1.0, 2 * below / std::exp2(n));
  } else {
    const double mean = n * (n + 1) / 4, variance = n * (n + 1) * (2 * n + 1) / 24 - tie_term / 48;
    const double distance = std::max(0.0, mean - static_cast<double>(smaller) / 2 - 0.5);
    w.p = std::min(1.0, 2 * normal_upper_tail(distance / std::sqrt(variance)));
  }
  return w;
}

double smallest_wilcoxon_p(int64_t n) { return n < 1 ? 1 : std::exp2(static_cast<double>(1 - n)); }

MannWhitney mann_whitney_less(std::span<const double> a, std::span<const double> b) {
  check_values(a, "Mann-Whitney");
  check_values(b, "Mann-Whitney");
  std::vector<std::pair<double, bool>> all;  // value, is it of a?
  for (const double v : a) all.emplace_back(v, true);
  for (const double v : b) all.emplace_back(v, false);
  std::sort(all.begin(), all.end());
  double rank_sum = 0, tie_term = 0;
  for (size_t i = 0; i < all.size();) {
    size_t j = i;
    while (j < all.size() && all[j].first == all[i].first) ++j;
    for (size_t k = i; k < j; ++k)
      if (all[k].second) rank_sum += static_cast<double>(i + j + 1) / 2;  // mean of the ranks i+1 .. j
    const double t = static_cast<double>(j - i);
    tie_term += t * t * t - t;
    i = j;
  }
  MannWhitney w{.n = static_cast<int64_t>(a.size()), .m = static_cast<int64_t>(b.size())};
  const double n = static_cast<double>(w.n), m = static_cast<double>(w.m), N = n + m;
  w.u = rank_sum - n * (n + 1) / 2;
  const double variance = n * m / 12 * (N + 1 - tie_term / (N * (N - 1)));
  if (variance <= 0) return w;  // all values are the same
  w.z = (w.u - n * m / 2) / std::sqrt(variance);
  w.p = normal_upper_tail(-w.z);
  return w;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return p[i] < p[j]; });
  std::vector<double> adjusted(p.size());
  double running = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    running = std::max(running, std::min(1.0, static_cast<double>(p.size() - k) * p[order[k]]));
    adjusted[order[k]] = running;
  }
  return adjusted;
}

std::vector<Comparison> compare_with(const NamedValues& baseline, std::span<const NamedValues> others) {
  std::vector<Comparison> out;
  std::vector<double> p;
  for (const NamedValues& other : others) {
    check(other.per_seed.size() == baseline.per_seed.size(), "statistics: {} has {} seeds, {} has {}; compare the same",
          other.name, other.per_seed.size(), baseline.name, baseline.per_seed.size());
    Comparison c{.name = other.name, .difference = {}, .test = wilcoxon_signed_rank(other.per_seed, baseline.per_seed)};
    std::vector<double> difference;
    for (size_t i = 0; i < other.per_seed.size(); ++i) {
      const double d = difference.emplace_back(other.per_seed[i] - baseline.per_seed[i]);
      ++(d > 0 ? c.wins : d < 0 ? c.losses : c.ties);
    }
    c.difference = summarize(difference);
    p.push_back(c.test.p);
    out.push_back(std::move(c));
  }
  const std::vector<double> adjusted = holm(p);
  for (size_t i = 0; i < out.size(); ++i) out[i].p_holm = adjusted[i];
  return out;
}

std::vector<PairComparison> compare_all(std::span<const NamedValues> all) {
  std::vector<PairComparison> pairs;
  std::vector<double> p;
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = i + 1; j < all.size(); ++j) {
      pairs.push_back({i, j, compare_with(all[j], all.subspan(i, 1)).front()});
      p.push_back(pairs.back().c.test.p);
    }
  const std::vector<double> adjusted = holm(p);
  for (size_t k = 0; k < pairs.size(); ++k) pairs[k].c.p_holm = adjusted[k];
  return pairs;
}

ChiSquare chi_square(std::span<const int64_t> drawn, std::span<const int64_t> pool) {
  check(drawn.size() == pool.size(), "statistics: {} counts drawn from a pool of {}", drawn.size(), pool.size());
  const double n = static_cast<double>(std::accumulate(drawn.begin(), drawn.end(), int64_t{0}));
  const double N = static_cast<double>(std::accumulate(pool.begin(), pool.end(), int64_t{0}));
  ChiSquare t{.freedom = -1};
  for (size_t i = 0; i < pool.size(); ++i) {
    check(drawn[i] >= 0 && drawn[i] <= pool[i], "statistics: {} were drawn of {}", drawn[i], pool[i]);
    if (pool[i] == 0) continue;
    const double expected = n * static_cast<double>(pool[i]) / N, off = static_cast<double>(drawn[i]) - expected;
    t.reliable = t.reliable && expected >= 5;
    if (expected > 0) t.statistic += off * off / expected;
    ++t.freedom;
  }
  t.freedom = std::max<int64_t>(t.freedom, 0);
  if (t.freedom == 0 || n == 0 || n >= N) return t;
  t.statistic *= (N - 1) / (N - n);
  t.p = incomplete_gamma_upper(static_cast<double>(t.freedom) / 2, t.statistic / 2);
  return t;
}

}  // namespace querent::al
