#include "app/box_plot.h"

#include <algorithm>
#include <cmath>

#include "app/html.h"
#include "app/svg.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

std::string n(double v) { return fixed(v, 1); }

}  // namespace

std::string box_plot(const std::vector<Box>& boxes, const BoxPlotOptions& o) {
  if (boxes.empty()) return "<p class=\"missing\">Nothing has been measured.</p>";
  double low = boxes[0].min, high = boxes[0].max;
  size_t longest = 0;
  for (const Box& b : boxes) {
    low = std::min({low, b.min, std::isfinite(b.other) ? b.other : low});
    high = std::max({high, b.max, std::isfinite(b.other) ? b.other : high});
    longest = std::max(longest, b.name.size());
  }
  if (high <= low) high = low + std::max(1e-9, std::abs(low) * 0.01);
  constexpr double row = 42, half = 11;
  const double left = 14 + 7.2 * static_cast<double>(longest), right = o.width - 20, top = 8,
               bottom = top + row * static_cast<double>(boxes.size()), height = bottom + 46;
  const auto x = [&](double v) { return left + (v - low) / (high - low) * (right - left); };
  std::string svg = text("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", n(o.width),
                         n(height), escape(o.description));
  const std::vector<double> ticks = nice_ticks(low, high, 8);
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  for (const double t : ticks) {
    svg += text(
        "<line class=\"grid\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/><text x=\"{}\" y=\"{}\" "
        "text-anchor=\"middle\">{}</text>",
        n(x(t)), n(top), n(x(t)), n(bottom), n(x(t)), n(bottom + 19),
        fixed(t, step < 0.1 ? 2
                 : step < 1 ? 1
                            : 0));
  }
  svg += text("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", n((left + right) / 2), n(height - 6),
              escape(o.x_title));
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Box& b = boxes[i];
    const double y = top + row * (static_cast<double>(i) + 0.5);
    svg += text("<g class=\"c{}\"><title>{}: {} to {}, quartiles {}, {}, {}, mean {}</title>", b.color, escape(b.name),
                fixed(b.min, 3), fixed(b.max, 3), fixed(b.q1, 3), fixed(b.median, 3), fixed(b.q3, 3), fixed(b.mean, 3));
    svg += text("<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", n(left - 12), n(y + 4.5),
                escape(b.name));
    svg += text("<path class=\"curve\" d=\"M{},{}H{}M{},{}H{}\"/>", n(x(b.min)), n(y), n(x(b.q1)), n(x(b.q3)), n(y),
                n(x(b.max)));
    svg += text("<rect class=\"band\" style=\"opacity:.22\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", n(x(b.q1)),
                n(y - half), n(x(b.q3) - x(b.q1)), n(2 * half));
    svg += text("<path class=\"curve\" d=\"M{},{}H{}V{}H{}ZM{},{}V{}\"/>", n(x(b.q1)), n(y - half), n(x(b.q3)),
                n(y + half), n(x(b.q1)), n(x(b.median)), n(y - half), n(y + half));
    if (std::isfinite(b.other))
      svg += text("<path class=\"full\" d=\"M{},{}V{}\"/>", n(x(b.other)), n(y - half - 5), n(y + half + 5));
    svg += marker(b.color, x(b.mean), y, text("mean {}", fixed(b.mean, 3))) + "</g>";
  }
  return svg + "</svg>";
}

}  // namespace querent::app
