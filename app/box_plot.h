// Box plots as inline SVG, lying, one above the other: whiskers from the least to the largest value, a box between the
// quartiles, a line at the median, a marker at the mean.
#pragma once
#include <limits>
#include <string>
#include <vector>

namespace querent::app {

struct Box {
  std::string name;
  int color = 0;  // as in svg.h
  double min = 0, q1 = 0, median = 0, q3 = 0, max = 0, mean = 0;
  double other =
      std::numeric_limits<double>::quiet_NaN();  // another mean to compare with: a dashed line across the box
};
struct BoxPlotOptions {
  double width = 1000;
  std::string x_title, description;
};
std::string box_plot(const std::vector<Box>& boxes, const BoxPlotOptions& options);

}  // namespace querent::app
