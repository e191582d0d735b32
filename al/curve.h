// Learning curves: metric (higher is better) against the number of labels.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "al/statistics.h"

namespace querent::al {

struct CurvePoint {
  int64_t labelled = 0;
  double metric = 0;
};
struct MeanPoint {
  int64_t labelled = 0;
  Summary metric;
};
// One curve per seed -> mean and interval at each label count that every seed has.
std::vector<MeanPoint> mean_curve(std::span<const std::vector<CurvePoint>> seeds);
std::vector<CurvePoint> means(std::span<const MeanPoint>);

// Area under the curve by the trapezoid rule, divided by its width: the average metric along the way. log_labels
// weighs each doubling of the labels alike. One point: its metric.
double area_under_learning_curve(std::span<const CurvePoint>, bool log_labels = true);

// Labels needed to reach fraction * full_data.
struct LabelsToTarget {
  double target = 0;
  std::optional<int64_t> measured;     // first label count whose metric reaches the target; none: never reached
  std::optional<double> interpolated;  // where the line, in log(labels), from the point before crosses it
  bool at_first_point = false;         // reached at once: fewer labels may do
};
LabelsToTarget labels_to_target(std::span<const CurvePoint>, double full_data, double fraction);

}  // namespace querent::al
