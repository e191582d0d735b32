#include "al/forecast.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr double least_c = 0.05, most_c = 3, reach = 4, largest_residual = 0.25;
constexpr int cells = 64;
constexpr size_t fewest_rounds = 4;

struct Fit {
  PowerLaw law;
  double loss = 0;
};

class Fitter {
 public:
  Fitter(std::span<const CurvePoint> points, std::span<const double> weights, double ceiling)
      : weights_(weights), ceiling_(ceiling) {
    for (const CurvePoint& p : points) log_n_.push_back(std::log(static_cast<double>(p.labelled)));
    for (int i = 0; i <= cells; ++i) grid_.push_back(powers(c_of(i)));
  }

  PowerLaw fit(std::span<const double> metric) const {
    std::vector<double> loss;
    for (const auto& x : grid_) loss.push_back(straight(metric, x, 0).loss);
    Fit best{.law = {}, .loss = INFINITY};
    for (int i = 0; i <= cells; ++i) {
      const auto at = static_cast<size_t>(i);
      if ((i > 0 && loss[at - 1] < loss[at]) || (i < cells && loss[at + 1] < loss[at])) continue;
      const Fit here = refined(metric, std::max(0, i - 1), std::min(cells, i + 1));
      if (here.loss < best.loss) best = here;
    }
    return best.law;
  }

 private:
  static double c_of(double cell) { return least_c * std::pow(most_c / least_c, cell / cells); }
  std::vector<double> powers(double c) const {
    std::vector<double> x;
    for (const double log_n : log_n_) x.push_back(std::exp(-c * log_n));
    return x;
  }
  Fit at(std::span<const double> metric, double c) const { return straight(metric, powers(c), c); }

  Fit refined(std::span<const double> metric, double low, double high) const {
    constexpr double golden = 0.6180339887498949;
    double left = high - golden * (high - low), right = low + golden * (high - low);
    Fit at_left = at(metric, c_of(left)), at_right = at(metric, c_of(right));
    for (int i = 0; i < 40; ++i) {
      if (at_left.loss < at_right.loss) {
        high = right, right = left, at_right = at_left;
        at_left = at(metric, c_of(left = high - golden * (high - low)));
      } else {
        low = left, left = right, at_left = at_right;
        at_right = at(metric, c_of(right = low + golden * (high - low)));
      }
    }
    return at_left.loss < at_right.loss ? at_left : at_right;
  }

  // For a fixed c: metric = a - b x.
  Fit straight(std::span<const double> metric, const std::vector<double>& x, double c) const {
    double w = 0, mx = 0, my = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < x.size(); ++i) w += weights_[i];
    for (size_t i = 0; i < x.size(); ++i) {
      mx += weights_[i] * x[i] / w;
      my += weights_[i] * metric[i] / w;
    }
    for (size_t i = 0; i < x.size(); ++i) {
      sxx += weights_[i] * (x[i] - mx) * (x[i] - mx);
      sxy += weights_[i] * (x[i] - mx) * (metric[i] - my);
    }
    Fit f{.law = {.a = 0, .b = std::max(0.0, -sxy / sxx), .c = c}};
    f.law.a = my + f.law.b * mx;
    if (f.law.a > ceiling_) {  // the best fit within the bound lies on it
      f.law.a = ceiling_;
      f.law.b = std::max(0.0, w * mx * (ceiling_ - my) - sxy) / (sxx + w * mx * mx);
    }
    for (size_t i = 0; i < x.size(); ++i) {
      const double off = metric[i] - f.law.a + f.law.b * x[i];
      f.loss += weights_[i] * off * off;
    }
    return f;
  }

  std::span<const double> weights_;
  double ceiling_;
  std::vector<double> log_n_;
  std::vector<std::vector<double>> grid_;
};

std::vector<double> metrics_of(std::span<const CurvePoint> points) {
  std::vector<double> metric;
  for (const CurvePoint& p : points) metric.push_back(p.metric);
  return metric;
}

// What chance does to the mean curve.
struct Noise {
  double shared = 0;         // variance of what a seed does to its whole curve, of the mean
  std::vector<double> each;  // variance of each round's mean besides
  int64_t freedom = 0;       // degrees of freedom behind `each`
};

// From the seeds alone; `each` is 1 in every round, of unknown scale, when they do not differ or there is only one.
Noise noise_of(std::span<const std::vector<CurvePoint>> seeds, const std::vector<MeanPoint>& mean) {
  const double k = static_cast<double>(seeds.size()), R = static_cast<double>(mean.size());
  Noise noise{.each = std::vector<double>(mean.size(), 0.0)};
  double between = 0, within = 0;
  for (const auto& curve : seeds) {
    std::vector<double> off;
    for (const MeanPoint& m : mean) {
      const auto same = [&](const CurvePoint& p) { return p.labelled == m.labelled; };
      off.push_back(std::find_if(curve.begin(), curve.end(), same)->metric - m.metric.mean);
    }
    double average = 0;
    for (const double d : off) average += d / R;
    between += R * average * average / (k - 1);
    for (size_t i = 0; i < off.size(); ++i)
      noise.each[i] += (off[i] - average) * (off[i] - average) / (k - 1) * R / (R - 1);
  }
  for (const double v : noise.each) within += v / R;
  if (seeds.size() < 2 || !(within > 0))
    return {.shared = 0, .each = std::vector<double>(mean.size(), 1.0), .freedom = 0};
  noise.shared = std::max(0.0, between - within) / R / k;
  for (double& v : noise.each) v = (v + within) / 2 / k;
  noise.freedom = static_cast<int64_t>((k - 1) * (R - 1));
  return noise;
}

double chi_square(Rng& rng, int64_t freedom) {
  double sum = 0;
  for (int64_t i = 0; i < freedom; ++i) {
    const double z = rng.normal();
    sum += z * z;
  }
  return sum;
}

// Without interpolation, so that infinite values may be among them.
double order_statistic(std::vector<double> values, double q) {
  const auto at = static_cast<size_t>(std::llround(q * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}
template <class F>
Interval interval_of(const Forecast& f, const F& value) {
  std::vector<double> values;
  for (const PowerLaw& law : f.resampled) values.push_back(value(law));
  return {order_statistic(values, (1 - f.level) / 2), order_statistic(values, (1 + f.level) / 2)};
}

}  // namespace

double PowerLaw::at(double labelled) const { return a - b * std::pow(labelled, -c); }
double PowerLaw::labels_for(double target) const {
  if (target >= a) return INFINITY;
  return std::max(1.0, std::pow(b / (a - target), 1 / c));
}

PowerLaw fit_power_law(std::span<const CurvePoint> points, std::span<const double> weights, double ceiling) {
  check(points.size() >= 3 && weights.size() == points.size(),
        "forecast: a power law needs at least 3 points with a weight each, got {} and {}", points.size(),
        weights.size());
  for (const double w : weights) check(w > 0 && std::isfinite(w), "forecast: a weight is {}, not positive", w);
  return Fitter(points, weights, ceiling).fit(metrics_of(points));
}

double Forecast::last() const { return points.empty() ? 0 : static_cast<double>(points.back().labelled); }
double Forecast::farthest() const { return reach * last(); }
Interval Forecast::band(double labelled) const {
  return interval_of(*this, [&](const PowerLaw& law) { return law.at(labelled); });
}

Forecast forecast(std::span<const std::vector<CurvePoint>> seeds, const ForecastOptions& o) {
  Forecast f;
  f.points = mean_curve(seeds);
  f.seeds = static_cast<int64_t>(seeds.size());
  f.level = o.level;
  const size_t R = f.points.size();
  if (R < fewest_rounds) {
    f.refused =
        text("{} {} measured by every seed; a forecast needs {}", R, R == 1 ? "round is" : "rounds are", fewest_rounds);
    return f;
  }
  const std::vector<CurvePoint> mean = means(f.points);
  Noise noise = noise_of(seeds, f.points);
  std::vector<double> weights;
  for (const double v : noise.each) weights.push_back(1 / v);
  const Fitter fitter(mean, weights, o.ceiling);
  f.law = fitter.fit(metrics_of(mean));
  f.rise = f.law.at(f.last()) - f.law.at(static_cast<double>(mean.front().labelled));
  const auto spare = static_cast<int64_t>(R) - 3;
  double weighted = 0;
  for (size_t i = 0; i < R; ++i) {
    const double off = mean[i].metric - f.law.at(static_cast<double>(mean[i].labelled));
    f.residual += off * off;
    weighted += weights[i] * off * off / static_cast<double>(spare);
  }
  f.residual = std::sqrt(f.residual / static_cast<double>(spare));
  if (!(f.rise > 0)) {
    f.refused = "the curve does not rise";
    return f;
  }
  if (f.residual > largest_residual * f.rise) {
    f.refused = text("the rounds scatter about the fit by {}, more than a quarter of its rise of {}",
                     std::round(f.residual * 1e4) / 1e4, std::round(f.rise * 1e4) / 1e4);
    return f;
  }
  const double scale = noise.freedom > 0 ? std::max(1.0, weighted) : weighted;
  const int64_t freedom = noise.freedom > 0 ? noise.freedom : spare;
  const Rng base = Rng(o.seed).fork("forecast");
  for (int64_t r = 0; r < o.resamples; ++r) {
    Rng rng = base.fork(static_cast<uint64_t>(r));
    const double spread = std::sqrt(scale * static_cast<double>(freedom) / chi_square(rng, freedom));
    const double shift = std::sqrt(noise.shared) * rng.normal();
    std::vector<double> metric;
    for (size_t i = 0; i < R; ++i)
      metric.push_back(f.law.at(static_cast<double>(mean[i].labelled)) + shift +
                       spread * std::sqrt(noise.each[i]) * rng.normal());
    f.resampled.push_back(fitter.fit(metric));
  }
  return f;
}

LabelsNeeded labels_needed(const Forecast& f, double target) {
  LabelsNeeded need;
  need.target = target;
  for (const MeanPoint& p : f.points) {
    if (!need.measured && p.metric.mean >= target) need.measured = p.labelled;
  }
  if (need.measured) return need;
  need.refused = f.refused;
  if (!f.refused.empty()) return need;
  const auto within = [&](double labels) { return labels <= f.farthest() ? std::optional(labels) : std::nullopt; };
  const Interval i = interval_of(f, [&](const PowerLaw& law) { return law.labels_for(target); });
  need.labels = within(f.law.labels_for(target));
  need.low = within(std::max(i.low, f.last()));  // the last round is measured to be below the target
  need.high = within(i.high);
  if (need.labels) {
    need.labels = std::max(*need.labels, f.last());
  } else if (target >= f.law.a) {
    need.refused = text("the fitted curve levels off at {}", std::round(f.law.a * 1e4) / 1e4);
  } else {
    need.refused = text("it lies beyond {} labels, {} times what was measured", f.farthest(), reach);
  }
  return need;
}

Gain expected_gain(const Forecast& f, int64_t more) {
  check(f.refused.empty(), "forecast: there is none: {}", f.refused);
  const double from = f.last(), to = from + static_cast<double>(more);
  check(more >= 1 && to <= f.farthest(),
        "forecast: {} more labels after {} are beyond what may be told; use at most {}", more, from,
        f.farthest() - from);
  const auto gain = [&](const PowerLaw& law) { return law.at(to) - law.at(from); };
  return {.more = more, .mean = gain(f.law), .interval = interval_of(f, gain)};
}

}  // namespace querent::al
