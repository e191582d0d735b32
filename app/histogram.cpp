#include "app/histogram.h"

#include <algorithm>
#include <cmath>

#include "app/html.h"
#include "app/svg.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

std::string n(double v) { return fixed(v, 1); }

std::vector<double> shares(const std::vector<double>& values, double low, double width, size_t bins) {
  std::vector<double> s(bins, 0.0);
  for (const double v : values) {
    const auto bin = static_cast<size_t>(std::clamp((v - low) / width, 0.0, static_cast<double>(bins) - 1));
    s[bin] += 1 / static_cast<double>(values.size());
  }
  return s;
}

}  // namespace

std::string histogram(const std::vector<HistogramSeries>& series, const HistogramOptions& o) {
  double low = std::isfinite(o.mark) ? o.mark : 1e300, high = std::isfinite(o.mark) ? o.mark : -1e300;
  size_t most = 0;
  for (const HistogramSeries& s : series) {
    most = std::max(most, s.values.size());
    for (const double v : s.values) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  if (most == 0) return "<p class=\"missing\">Nothing has been measured.</p>";
  if (high <= low) high = low + std::max(1e-9, std::abs(low) * 0.01);
  const auto bins = static_cast<size_t>(std::clamp(3 * std::cbrt(static_cast<double>(most)), 8.0, 24.0));
  const double step = (high - low) / static_cast<double>(bins);
  std::vector<std::vector<double>> heights;
  double top = 0;
  for (const HistogramSeries& s : series) {
    heights.push_back(shares(s.values, low, step, bins));
    top = std::max(top, *std::max_element(heights.back().begin(), heights.back().end()));
  }
  const double left = 46, right = o.width - 12, above = 24, bottom = o.height - 44;
  const auto x = [&](double v) { return left + (v - low) / (high - low) * (right - left); };
  const auto y = [&](double share) { return bottom - share / (top * 1.05) * (bottom - above); };
  std::string svg = text("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", n(o.width),
                         n(o.height), escape(o.description));
  for (const double t : nice_ticks(0, top, 4)) {
    svg += text(
        "<line class=\"grid\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/><text x=\"{}\" y=\"{}\" "
        "text-anchor=\"end\">{}</text>",
        n(left), n(y(t)), n(right), n(y(t)), n(left - 8), n(y(t) + 4), percent(t));
  }
  const std::vector<double> ticks = nice_ticks(low, high, 6);
  const double tick_step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int digits =
      std::clamp(static_cast<int>(std::ceil(-std::log10(tick_step) - 1e-9)) + (tick_step < 1 ? 1 : 0), 0, 6);
  for (const double t : ticks) {
    svg += text(
        "<line class=\"axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/><text x=\"{}\" y=\"{}\" "
        "text-anchor=\"middle\">{}</text>",
        n(x(t)), n(bottom), n(x(t)), n(bottom + 5), n(x(t)), n(bottom + 19), fixed(t, digits));
  }
  svg += text(
      "<line class=\"axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/><text x=\"{}\" y=\"{}\" "
      "text-anchor=\"middle\">{}</text>",
      n(left), n(bottom), n(right), n(bottom), n((left + right) / 2), n(o.height - 6), escape(o.x_title));
  for (size_t i = 0; i < series.size(); ++i) {
    std::string path = text("M{},{}", n(left), n(bottom));
    for (size_t b = 0; b < bins; ++b) {
      path += text("V{}H{}", n(y(heights[i][b])), n(x(low + step * static_cast<double>(b + 1))));
    }
    path += text("V{}", n(bottom));
    svg += text(
        "<path class=\"band c{}\" style=\"opacity:.22\" d=\"{}Z\"/><path class=\"curve c{}\" "
        "d=\"{}\"><title>{}</title></path>",
        series[i].color, path, series[i].color, path, escape(series[i].name));
  }
  if (std::isfinite(o.mark)) {
    const bool rightwards = x(o.mark) < (left + right) / 2;
    svg += text(
        "<line class=\"full\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/><text class=\"level-name\" x=\"{}\" "
        "y=\"{}\" text-anchor=\"{}\">{}</text>",
        n(x(o.mark)), n(above - 8), n(x(o.mark)), n(bottom), n(x(o.mark) + (rightwards ? 7 : -7)), n(above - 8),
        rightwards ? "start" : "end", escape(o.mark_name));
  }
  return svg + "</svg>";
}

}  // namespace querent::app
