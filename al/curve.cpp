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

}  // namespace querent::al
