// How good will the model be with more labels? An inverse power law through the learning curve,
//
//     metric(n) = a - b n^-c,   b > 0,   0.05 <= c <= 3,   a <= ceiling,
//
// by weighted least squares (Figueroa, Zeng-Treitler, Kandula and Ngo, "Predicting sample size required for
// classification performance", BMC Medical Informatics and Decision Making 12:8, 2012). docs/advise.md says what the
// interval covers and when there is no forecast.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "al/curve.h"

namespace querent::al {

struct PowerLaw {
  double a = 0, b = 0, c = 0;
  double at(double labelled) const;
  double labels_for(double target) const;  // infinite when the target is not below a; 1 when it is below the curve
};
// The least sum of weight (metric - law)^2 within the bounds: for each c of a grid, a and b are a straight-line fit;
// every local minimum of the grid is refined, and the best of them wins. At least 3 points; weights positive.
PowerLaw fit_power_law(std::span<const CurvePoint>, std::span<const double> weights,
                       double ceiling = std::numeric_limits<double>::infinity());

struct ForecastOptions {
  double ceiling = std::numeric_limits<double>::infinity();  // 1 for a metric that is a share
  double level = 0.95;
  int64_t resamples = 1000;
  uint64_t seed = 1;
};

// The curve is the mean over seeds at the label counts that every seed has. Weights and resamples come from a model of
// the noise, metric(seed, round) = law + u(seed) + e(seed, round): the variances of u and e are estimated from the
// seeds; e's of a round is drawn half-way to that of all rounds, and all are widened when the means stray further from
// the law than the seeds explain. With one seed the distance from the law is all there is. Each resample adds such
// noise to the fitted means and fits again.
struct Forecast {
  std::string refused;  // empty: may be used. Else one sentence: what rule it breaks
  std::vector<MeanPoint> points;
  int64_t seeds = 0;
  PowerLaw law;
  double residual = 0;  // standard error of the means about the law, R - 3 degrees of freedom
  double rise = 0;      // of the law from the first round to the last
  std::vector<PowerLaw> resampled;
  double level = 0.95;

  double last() const;      // labels of the last round
  double farthest() const;  // nothing is said beyond 4 times the labels measured
  Interval band(double labelled) const;
};
// Refused when there are fewer than 4 rounds, the fit does not rise, or residual > rise / 4.
Forecast forecast(std::span<const std::vector<CurvePoint>> seeds, const ForecastOptions& = {});

struct LabelsNeeded {
  double target = 0;
  std::optional<int64_t> measured;  // the first round whose mean is there already
  std::optional<double> labels;     // in all, not more; none: see refused
  std::optional<double> low, high;  // of the interval; none: beyond what may be said
  std::string refused;              // why there are no labels
};
LabelsNeeded labels_needed(const Forecast&, double target);

struct Gain {
  int64_t more = 0;
  double mean = 0;
  Interval interval;
};
// Of `more` labels after the last round. Error beyond farthest().
Gain expected_gain(const Forecast&, int64_t more);

}  // namespace querent::al
