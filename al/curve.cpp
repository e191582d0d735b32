#include "al/curve.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "tensor/error.h"

namespace querent::al {
namespace {

void check_curve(std::span<const CurvePoint> points) {
  check(!points.empty(), "learning curve: it has no points");
  for (size_t i = 0; i < points.size(); ++i) {
    check(points[i].labelled >= 1 && (i == 0 || points[i].labelled > points[i - 1].labelled),
          "learning curve: label counts must be positive and rise, got {} at point {}", points[i].labelled, i);
    check(std::isfinite(points[i].metric), "learning curve: the metric at {} labels is {}", points[i].labelled,
          points[i].metric);
  }
}

// For a fixed c, a and b are a straight-line fit of the metric against n^-c.
PowerLaw fit_with_exponent(std::span<const CurvePoint> points, double c) {
  const double n = static_cast<double>(points.size());
  double mx = 0, my = 0, sxx = 0, sxy = 0, syy = 0;
  const auto x = [&](const CurvePoint& p) { return std::pow(static_cast<double>(p.labelled), -c); };
  for (const CurvePoint& p : points) {
    mx += x(p) / n;
    my += p.metric / n;
  }
  for (const CurvePoint& p : points) {
    sxx += (x(p) - mx) * (x(p) - mx);
    sxy += (x(p) - mx) * (p.metric - my);
    syy += (p.metric - my) * (p.metric - my);
  }
  PowerLaw f{.b = -sxy / sxx, .c = c};
  f.a = my + f.b * mx;
  const double residual = std::max(0.0, syy - sxy * sxy / sxx);
  f.rmse = std::sqrt(residual / n);
  f.r2 = syy > 0 ? 1 - residual / syy : 0;
  return f;
}

}  // namespace

std::vector<MeanPoint> mean_curve(std::span<const std::vector<CurvePoint>> seeds) {
  std::map<int64_t, std::vector<double>> at;
  for (const auto& curve : seeds) {
    check_curve(curve);
    for (const CurvePoint& p : curve) at[p.labelled].push_back(p.metric);
  }
  std::vector<MeanPoint> out;
  for (const auto& [labelled, values] : at)
    if (values.size() == seeds.size()) out.push_back({labelled, summarize(values)});
  return out;
}

std::vector<CurvePoint> means(std::span<const MeanPoint> curve) {
  std::vector<CurvePoint> out;
  for (const MeanPoint& p : curve) out.push_back({p.labelled, p.metric.mean});
  return out;
}

double area_under_learning_curve(std::span<const CurvePoint> points, bool log_labels) {
  check_curve(points);
  const auto x = [&](size_t i) {
    const double n = static_cast<double>(points[i].labelled);
    return log_labels ? std::log(n) : n;
  };
  if (points.size() == 1) return points[0].metric;
  double area = 0;
  for (size_t i = 1; i < points.size(); ++i) area += (x(i) - x(i - 1)) * (points[i].metric + points[i - 1].metric) / 2;
  return area / (x(points.size() - 1) - x(0));
}

LabelsToTarget labels_to_target(std::span<const CurvePoint> points, double full_data, double fraction) {
  check_curve(points);
  check(std::isfinite(full_data), "learning curve: the full-data metric is {}", full_data);
  LabelsToTarget r{.target = fraction * full_data, .measured = {}, .interpolated = {}};
  const auto hit = std::find_if(points.begin(), points.end(), [&](const auto& p) { return p.metric >= r.target; });
  if (hit == points.end()) return r;
  r.measured = hit->labelled;
  r.at_first_point = hit == points.begin();
  r.interpolated = static_cast<double>(hit->labelled);
  if (r.at_first_point) return r;
  const CurvePoint& before = *(hit - 1);
  const double low = std::log(static_cast<double>(before.labelled)),
               high = std::log(static_cast<double>(hit->labelled));
  r.interpolated = std::exp(low + (high - low) * (r.target - before.metric) / (hit->metric - before.metric));
  return r;
}

double PowerLaw::at(double labelled) const { return a - b * std::pow(labelled, -c); }
std::optional<double> PowerLaw::labels_for(double target) const {
  if (target >= a) return std::nullopt;
  return std::pow(b / (a - target), 1 / c);
}

std::optional<PowerLaw> fit_power_law(std::span<const CurvePoint> points) {
  check_curve(points);
  if (points.size() < 4) return std::nullopt;
  // A grid over log c, then golden-section search in the best cell.
  constexpr double first = -3.9, last = 1.4;  // c in about [0.02, 4]
  constexpr int cells = 200;
  const auto rmse = [&](double log_c) { return fit_with_exponent(points, std::exp(log_c)).rmse; };
  int best = 0;
  for (int i = 0; i <= cells; ++i)
    if (rmse(first + (last - first) * i / cells) < rmse(first + (last - first) * best / cells)) best = i;
  double low = first + (last - first) * std::max(0, best - 1) / cells;
  double high = first + (last - first) * std::min(cells, best + 1) / cells;
  for (int i = 0; i < 60; ++i) {
    const double left = high - 0.6180339887498949 * (high - low), right = low + 0.6180339887498949 * (high - low);
    if (rmse(left) < rmse(right))
      high = right;
    else
      low = left;
  }
  const PowerLaw f = fit_with_exponent(points, std::exp((low + high) / 2));
  if (!(f.b > 0) || !(f.r2 >= 0.9) || best == 0 || best == cells) return std::nullopt;
  return f;
}

}  // namespace querent::al
