// Statistics over seeds: how sure can we be that one strategy is better than another?
//
// Resampling draws from (seed, resample number) with Querent's own counter-based generator, so every interval is
// reproducible bit for bit. Values must be finite; an Error says which is not.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace querent::al {

// Linear interpolation between order statistics at q (n - 1), as numpy's default. `sorted` ascending, not empty.
double quantile(std::span<const double> sorted, double q);

struct Interval {
  double low = 0, high = 0;
};
// Mean, standard deviation (n - 1) and the Student t interval of the mean. With one value sd is 0 and the interval is
// the value: `n` says that there is nothing behind it.
struct Summary {
  int64_t n = 0;
  double mean = 0, sd = 0;
  Interval ci = {};
};
Summary summarize(std::span<const double> values, double level = 0.95);
double student_t_quantile(double probability, double degrees_of_freedom);

// Percentile bootstrap of any statistic of n items; `statistic` gets n indices drawn with replacement. Resamples whose
// statistic is not finite (an AUC without negatives) are left out; fewer than half left is an Error.
Interval bootstrap(int64_t n, const std::function<double(std::span<const size_t>)>& statistic, uint64_t seed,
                   int64_t resamples = 2000, double level = 0.95);
Interval bootstrap_mean(std::span<const double> values, uint64_t seed, int64_t resamples = 2000, double level = 0.95);
// Of the mean of values that come in groups (several variants of one film): whole groups are drawn, because values of one
// group are no independent draws. groups[i] is the group of values[i].
Interval bootstrap_grouped_mean(std::span<const double> values, std::span<const int64_t> groups, uint64_t seed,
                                int64_t resamples = 2000, double level = 0.95);
// The places of each group's values, groups ascending.
std::vector<std::vector<size_t>> members(std::span<const int64_t> groups);

// Wilcoxon signed-rank test of paired a, b, two-sided. Zero differences are dropped, ties get mean ranks; p is exact
// for up to 50 differences and the normal approximation (tie and continuity corrected) beyond.
struct Wilcoxon {
  int64_t n = 0;                   // differences that are not zero
  double w_plus = 0, w_minus = 0;  // sums of ranks of a > b and a < b
  double p = 1;
  bool exact = true;
};
Wilcoxon wilcoxon_signed_rank(std::span<const double> a, std::span<const double> b);
// The smallest p that n pairs can give: 2^(1-n). Three seeds cannot show p < 0.25, whatever the difference.
double smallest_wilcoxon_p(int64_t n);
// Mann-Whitney test of two samples, one-sided: are the values of a smaller than those of b? U counts pairs with a > b,
// ties half; z = (U - n m / 2) / sd of U without a difference (tie corrected); p is the normal lower tail.
struct MannWhitney {
  int64_t n = 0, m = 0;  // values of a, of b
  double u = 0, z = 0, p = 1;
};
MannWhitney mann_whitney_less(std::span<const double> a, std::span<const double> b);

// Holm's step-down correction, in the order given.
std::vector<double> holm(std::span<const double> p);

// Each strategy against the baseline on the same seeds.
struct Comparison {
  std::string name;
  Summary difference;  // strategy - baseline
  Wilcoxon test;
  double p_holm = 1;
  int64_t wins = 0, ties = 0, losses = 0;
};
struct NamedValues {
  std::string name;
  std::vector<double> per_seed;
};
std::vector<Comparison> compare_with(const NamedValues& baseline, std::span<const NamedValues> others);
// Every one against every later one; Holm over all these tests. Each comparison is of `first` over `second`.
struct PairComparison {
  size_t first = 0, second = 0;
  Comparison c;
};
std::vector<PairComparison> compare_all(std::span<const NamedValues> all);

// Pearson's chi-square: are these counts what drawing from the pool without replacement would give? The statistic is
// divided by (N - n) / (N - 1) for n drawn of N. p is approximate; `reliable` when every expected count is at least 5.
struct ChiSquare {
  double statistic = 0, p = 1;
  int64_t freedom = 0;
  bool reliable = true;
};
ChiSquare chi_square(std::span<const int64_t> drawn, std::span<const int64_t> pool);

}  // namespace querent::al
