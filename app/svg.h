// Line charts as inline SVG: colours are CSS variables (--s0 ... --s7, --ink, --muted, --line), so one drawing serves
// light and dark. x is on a log scale (labels double from round to round) unless linear_x.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace querent::app {

struct ChartPoint {
  double x = 0, mean = 0, low = 0, high = 0;
  std::string title;  // shown when the pointer rests on it
};
struct ChartSeries {
  std::string name;
  int color = 0;  // also chooses the shape of the marker; ink_color: that of text
  std::vector<ChartPoint> points;
  bool line = true, marks = true, dashed = false;
};
inline constexpr int ink_color = -1;
struct ChartLevel {
  double value = 0;
  std::string label;
};
struct ChartOptions {
  double width = 1000, height = 420;
  double all_labels = 0;  // > 0: a second axis on top with x as a share of this
  std::string x_title, description;
  std::vector<ChartLevel> levels;  // dashed horizontal lines; the first always fits, others only inside the range
  bool name_lines = true;          // names at the right ends
  double ceiling = 0;              // > 0: the y axis never goes beyond it
  bool linear_x = false;
  std::vector<std::pair<double, std::string>> x_ticks = {};  // empty: every x that a point has
};
std::string line_chart(const std::vector<ChartSeries>& series, const ChartOptions& options);

// A marker of about 8 x 8 at (x, y); shapes differ so that colours are not needed to tell lines apart.
std::string marker(int color, double x, double y, const std::string& title = "");
// The marker alone, for legends.
std::string legend_key(int color);

// Round numbers between low and high: steps of 1, 2, 2.5 or 5 times a power of ten, about `count` of them.
std::vector<double> nice_ticks(double low, double high, int count);
// 1, 2 and 5 times powers of ten between low and high, for a log scale.
std::vector<double> log_ticks(double low, double high);

}  // namespace querent::app
