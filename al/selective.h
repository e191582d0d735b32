// Does the network know when it is wrong? Selective prediction: it answers the cases it is surest of and leaves the
// rest to a person (El-Yaniv and Wiener, JMLR 2010; Geifman and El-Yaniv, NeurIPS 2017).
//
// One error and one uncertainty per case, both at least as large where things are worse. Cases of equal uncertainty
// share the mean of their errors, so their order has no say. Errors: no cases, sizes that differ, a value that is not
// finite.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

// risk[k]: mean error of the k + 1 surest of n cases, at coverage (k + 1) / n; its last entry is the error of all.
struct RiskCoverage {
  std::vector<double> risk;
  double area = 0;   // mean risk over all coverages (AURC)
  double ideal = 0;  // the same when cases are left out by their true error: no uncertainty can do better
};
RiskCoverage risk_coverage(std::span<const double> error, std::span<const double> uncertainty);

// The cases in `groups` nearly equal parts, surest first.
struct UncertaintyGroup {
  int64_t count = 0;
  double uncertainty = 0, error = 0;  // means
};
std::vector<UncertaintyGroup> error_by_uncertainty(std::span<const double> error, std::span<const double> uncertainty,
                                                   int64_t groups = 5);
// Spearman's rank correlation, ties by mean ranks; 0 when either side is constant.
double rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace querent::al
