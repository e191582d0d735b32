// Histograms as inline SVG, drawn over each other: shares of the values in common bins.
#pragma once
#include <limits>
#include <string>
#include <vector>

namespace querent::app {

struct HistogramSeries {
  std::string name;
  int color = 0;  // as in svg.h
  std::vector<double> values;
};
struct HistogramOptions {
  double width = 520, height = 270;
  std::string x_title, description;
  double mark = std::numeric_limits<double>::quiet_NaN();  // a vertical line here
  std::string mark_name;
};
std::string histogram(const std::vector<HistogramSeries>& series, const HistogramOptions& options);

}  // namespace querent::app
