#include "app/svg.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "app/html.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

std::string n(double v) { return fixed(v, 1); }

struct Frame {
  double left, right, top, bottom;  // pixels
  double x_low, x_high, y_low, y_high;
  bool linear = false;
  double x(double value) const {
    const auto at = [&](double v) { return linear ? v : std::log2(v); };
    const double span = at(x_high) - at(x_low);
    return span <= 0 ? (left + right) / 2 : left + (at(value) - at(x_low)) / span * (right - left);
  }
  double y(double value) const { return bottom - (value - y_low) / (y_high - y_low) * (bottom - top); }
};

std::string line(double x1, double y1, double x2, double y2, const char* css) {
  return text("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", css, n(x1), n(y1), n(x2), n(y2));
}
std::string label(double x, double y, const char* css, const char* anchor, const std::string& words) {
  return text("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>", css, n(x), n(y), anchor,
              escape(words));
}

Frame frame_of(const std::vector<ChartSeries>& series, const ChartOptions& o) {
  Frame f{.left = 46,
          .right = o.width - 16,
          .top = o.all_labels > 0 ? 44.0 : 14.0,
          .bottom = o.height - 44,
          .x_low = 1e300,
          .x_high = 0,
          .y_low = 1e300,
          .y_high = -1e300,
          .linear = o.linear_x};
  size_t longest = 0;
  for (const ChartSeries& s : series) {
    longest = std::max(longest, s.name.size());
    for (const ChartPoint& p : s.points) {
      f.x_low = std::min(f.x_low, p.x);
      f.x_high = std::max(f.x_high, p.x);
      f.y_low = std::min(f.y_low, p.low);
      f.y_high = std::max(f.y_high, p.high);
    }
  }
  if (o.name_lines) f.right -= std::min(30 + 7.4 * static_cast<double>(longest), o.width / 4);
  if (!o.levels.empty()) {
    f.y_low = std::min(f.y_low, o.levels[0].value);
    f.y_high = std::max(f.y_high, o.levels[0].value);
  }
  const double range = std::max(f.y_high - f.y_low, std::max(std::abs(f.y_high) * 0.02, 1e-6));
  f.y_high += range * 0.08;
  f.y_low -= range * 0.06;
  if (o.ceiling > 0) f.y_high = std::min(f.y_high, std::max(o.ceiling, f.y_high - range * 0.08));
  return f;
}

// As many digits as tell the ticks exactly.
int digits_of(const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : std::abs(ticks[0]);
  int digits = 0;
  for (double s = step; digits < 6 && std::abs(s - std::round(s)) > 1e-6 * std::max(1.0, s); s *= 10) ++digits;
  return digits;
}

std::string axes(const std::vector<ChartSeries>& series, const ChartOptions& o, const Frame& f) {
  std::string svg;
  const std::vector<double> ticks = nice_ticks(f.y_low, f.y_high, static_cast<int>((f.bottom - f.top) / 40));
  const int digits = digits_of(ticks);
  for (const double v : ticks) {
    svg +=
        line(f.left, f.y(v), f.right, f.y(v), "grid") + label(f.left - 8, f.y(v) + 4, "tick", "end", fixed(v, digits));
  }
  std::map<double, std::string> counts(o.x_ticks.begin(), o.x_ticks.end());
  for (const ChartSeries& s : series) {
    if (o.x_ticks.empty())
      for (const ChartPoint& p : s.points) counts[p.x] = thousands(std::llround(p.x));
  }
  double last = -1e9;
  for (const auto& [c, words] : counts) {
    if (f.x(c) - last < 34) continue;
    last = f.x(c);
    svg += line(last, f.bottom, last, f.bottom + 5, "axis") +
           label(last, f.bottom + 19, "tick", "middle", words);
    if (o.all_labels > 0) {
      svg += line(last, f.top - 5, last, f.top, "axis") +
             label(last, f.top - 10, "tick", "middle", percent(c / o.all_labels));
    }
  }
  svg += line(f.left, f.bottom, f.right, f.bottom, "axis");
  if (o.all_labels > 0) {
    svg += line(f.left, f.top, f.right, f.top, "axis") +
           label((f.left + f.right) / 2, f.top - 30, "title", "middle", "share of all training labels");
  }
  return svg + label((f.left + f.right) / 2, o.height - 6, "title", "middle", o.x_title);
}

bool visible(const ChartLevel& level, const Frame& f) {
  const double y = f.y(level.value);
  return y <= f.bottom - 2 && y >= f.top - 2;
}
std::string level_lines(const ChartOptions& o, const Frame& f) {
  std::string svg;
  for (size_t i = 0; i < o.levels.size(); ++i) {
    const double y = f.y(o.levels[i].value);
    if (visible(o.levels[i], f)) svg += line(f.left, y, f.right, y, i == 0 ? "full" : "level");
  }
  return svg;
}
// At the left: the first name above its line, the others below theirs, none on top of another.
std::string level_names(const ChartOptions& o, const Frame& f) {
  std::string svg;
  double lowest = -1e9;
  for (size_t i = 0; i < o.levels.size(); ++i) {
    const double words = f.y(o.levels[i].value) + (i == 0 ? -6 : 13);
    if (!visible(o.levels[i], f) || (i > 0 && words < lowest + 14)) continue;
    svg += label(f.left + 8, words, i == 0 ? "full-name" : "level-name", "start", o.levels[i].label);
    lowest = words;
  }
  return svg;
}

std::string css(int color) { return color < 0 ? "ink" : text("c{}", color); }

std::string band(const ChartSeries& s, const Frame& f) {
  if (s.points.size() < 2) return "";
  std::string path;
  for (const ChartPoint& p : s.points) path += n(f.x(p.x)) + "," + n(f.y(p.high)) + " ";
  for (auto p = s.points.rbegin(); p != s.points.rend(); ++p) path += n(f.x(p->x)) + "," + n(f.y(p->low)) + " ";
  return text("<polygon class=\"band {}\" points=\"{}\"/>", css(s.color), path);
}
std::string curve(const ChartSeries& s, const Frame& f) {
  std::string path;
  for (const ChartPoint& p : s.points) path += n(f.x(p.x)) + "," + n(f.y(p.mean)) + " ";
  return text("<polyline class=\"curve {}{}\" points=\"{}\"/>", css(s.color), s.dashed ? " dashed" : "", path);
}

// Names at the right ends of the lines, pushed apart to a line of text each.
std::string names(const std::vector<ChartSeries>& series, const Frame& f) {
  struct Name {
    double wanted, at, x;
    const ChartSeries* series;
  };
  std::vector<Name> list;
  for (const ChartSeries& s : series) {
    if (s.points.empty()) continue;
    const double y = f.y(s.points.back().mean);
    list.push_back({y, y, f.x(s.points.back().x), &s});
  }
  std::stable_sort(list.begin(), list.end(), [](const Name& a, const Name& b) { return a.wanted < b.wanted; });
  constexpr double apart = 16;
  for (int sweep = 0; sweep < 50; ++sweep) {
    for (size_t i = 0; i + 1 < list.size(); ++i) {
      const double overlap = apart - (list[i + 1].at - list[i].at);
      if (overlap <= 0) continue;
      list[i].at -= overlap / 2;
      list[i + 1].at += overlap / 2;
    }
    if (!list.empty()) list.front().at = std::max(list.front().at, f.top + 8);
  }
  std::string svg;
  for (const Name& l : list) {
    svg += text("<path class=\"leader {}\" d=\"M{},{} L{},{}\"/>", css(l.series->color), n(l.x + 6), n(l.wanted),
                n(f.right + 22), n(l.at));
    svg += text("<text class=\"name {}\" x=\"{}\" y=\"{}\">{}</text>", css(l.series->color), n(f.right + 25), n(l.at + 4),
                escape(l.series->name));
  }
  return svg;
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(high - low)) return {low};
  const double raw = (high - low) / std::max(count, 2);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double s : {5.0, 2.5, 2.0, 1.0}) {
    if (s * power >= raw * 0.999) step = s * power;
  }
  const auto first = static_cast<int64_t>(std::ceil(low / step - 1e-9));
  for (int64_t i = first; static_cast<double>(i) * step <= high + step * 1e-9 && ticks.size() < 100; ++i) {
    ticks.push_back(static_cast<double>(i) * step);
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  if (!(low > 0) || !(high >= low) || !std::isfinite(high)) return ticks;
  for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10.0, power) <= high; ++power)
    for (const double step : {1.0, 2.0, 5.0})
      if (const double v = step * std::pow(10.0, power); v >= low * 0.999 && v <= high * 1.001) ticks.push_back(v);
  return ticks;
}

std::string marker(int color, double x, double y, const std::string& title) {
  std::string shape;
  switch (color % 4) {
    case 0:
      shape = text("<circle cx=\"{}\" cy=\"{}\" r=\"4\"", n(x), n(y));
      break;
    case 1:
      shape = text("<rect x=\"{}\" y=\"{}\" width=\"8\" height=\"8\" rx=\"1\"", n(x - 4), n(y - 4));
      break;
    case 2:
      shape = text("<path d=\"M{},{} l5,8.6 h-10 z\"", n(x), n(y - 5.4));
      break;
    default:
      shape = text("<path d=\"M{},{} l5.4,5.4 l-5.4,5.4 l-5.4,-5.4 z\"", n(x), n(y - 5.4));
  }
  return shape + text(" class=\"mark {}\"><title>{}</title></{}>", css(color), escape(title),
                      color % 4 == 0   ? "circle"
                      : color % 4 == 1 ? "rect"
                                       : "path");
}

std::string legend_key(int color) {
  return text(
      "<svg class=\"key\" viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path class=\"curve {}\" d=\"M1,6 "
      "H25\"/>{}</svg>",
      css(color), marker(color, 13, 6));
}

std::string line_chart(const std::vector<ChartSeries>& series, const ChartOptions& o) {
  const bool any = std::any_of(series.begin(), series.end(), [](const ChartSeries& s) { return !s.points.empty(); });
  if (!any) return "<p class=\"missing\">Nothing has been measured yet.</p>";
  const Frame f = frame_of(series, o);
  std::string svg = text("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", n(o.width),
                         n(o.height), escape(o.description));
  svg += axes(series, o, f);
  for (const ChartSeries& s : series) svg += band(s, f);
  svg += level_lines(o, f);
  for (const ChartSeries& s : series) svg += s.line ? curve(s, f) : "";
  svg += level_names(o, f);
  if (o.name_lines) svg += names(series, f);
  for (const ChartSeries& s : series) {
    if (!s.marks) continue;
    for (const ChartPoint& p : s.points) svg += marker(s.color, f.x(p.x), f.y(p.mean), p.title);
  }
  return svg + "</svg>";
}

}  // namespace querent::app
