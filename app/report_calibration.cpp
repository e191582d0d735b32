// Reliability diagrams: is a network that says 90 % right nine times in ten?
#include <algorithm>
#include <cmath>

#include "app/html.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

struct Merged {
  std::vector<CalibrationBin> bins;  // seeds added up
  std::vector<double> ece;           // per seed
  double gap = 0;                    // mean confidence - accuracy
};

Merged merge(const Results& r, const std::string& strategy) {
  Merged m;
  double total = 0;
  std::vector<CalibrationBin> sums(20);
  for (const CalibrationRun& run : r.calibration) {
    if (run.strategy != strategy) continue;
    if (run.ece) m.ece.push_back(*run.ece);
    for (const CalibrationBin& b : run.bins) {
      CalibrationBin& s = sums[static_cast<size_t>(std::clamp(std::floor(b.confidence * 20), 0.0, 19.0))];
      s.count += b.count;
      s.confidence += b.count * b.confidence;
      s.accuracy += b.count * b.accuracy;
      m.gap += b.count * (b.confidence - b.accuracy);
      total += b.count;
    }
  }
  for (const CalibrationBin& s : sums) {
    if (s.count > 0) m.bins.push_back({s.count / total, s.confidence / s.count, s.accuracy / s.count});
  }
  if (total > 0) m.gap /= total;
  return m;
}

// Confidence to the right, accuracy upwards, both from `low` to 1; the area of a dot is its share of the predictions.
std::string diagram(const Merged& m, const std::string& css, double low, const std::string& name) {
  constexpr double side = 220, left = 38, top = 10;
  const auto x = [&](double v) { return left + (v - low) / (1 - low) * side; };
  const auto y = [&](double v) { return top + side - (v - low) / (1 - low) * side; };
  const auto n = [](double v) { return fixed(v, 1); };
  std::string svg =
      text("<svg class=\"chart\" viewBox=\"0 0 272 274\" role=\"img\" aria-label=\"Reliability of {}\">", escape(name));
  for (const double v : nice_ticks(low, 1, 5)) {
    svg += text("<line class=\"grid\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", n(left), n(y(v)), n(left + side),
                n(y(v)));
    svg += text("<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", n(left - 6), n(y(v) + 4),
                fixed(v, 1));
    svg += text("<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", n(x(v)), n(top + side + 17),
                fixed(v, 1));
  }
  svg += text("<line class=\"full\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", n(x(low)), n(y(low)), n(x(1)), n(y(1)));
  std::string line;
  for (const CalibrationBin& b : m.bins) {
    line += n(x(b.confidence)) + "," + n(y(b.accuracy)) + " ";
    svg += text("<line class=\"gap {}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", css, n(x(b.confidence)),
                n(y(b.confidence)), n(x(b.confidence)), n(y(b.accuracy)));
  }
  svg += text("<polyline class=\"curve {}\" points=\"{}\"/>", css, line);
  for (const CalibrationBin& b : m.bins) {
    svg += text(
        "<circle class=\"dot {}\" cx=\"{}\" cy=\"{}\" r=\"{}\"><title>says {}, right {}; {} of the "
        "predictions</title></circle>",
        css, n(x(b.confidence)), n(y(b.accuracy)), n(2 + 9 * std::sqrt(b.count)), percent(b.confidence),
        percent(b.accuracy), percent(b.count));
  }
  return svg +
         text("<text class=\"title\" x=\"{}\" y=\"270\" text-anchor=\"middle\">how sure it says it is</text></svg>",
              n(left + side / 2));
}

}  // namespace

std::string calibration_section(const Results& r) {
  const std::string title = "Calibration";
  std::vector<std::string> names;
  for (const CalibrationRun& run : r.calibration) {
    if (!run.bins.empty() && std::find(names.begin(), names.end(), run.strategy) == names.end())
      names.push_back(run.strategy);
  }
  if (names.empty())
    return section("calibration", title, "",
                   "<p class=\"missing\">Not measured yet: it comes with the last round.</p>");
  std::vector<Merged> all;
  double low = 0.5;
  for (const std::string& name : names) {
    all.push_back(merge(r, name));
    for (const CalibrationBin& b : all.back().bins) {
      if (std::min(b.confidence, b.accuracy) < 0.5) low = 0;
    }
  }
  std::string html = "<div class=\"smalls\">";
  for (size_t i = 0; i < names.size(); ++i) {
    const Merged& m = all[i];
    const std::string css = names[i] == full_data_name ? "ink" : text("c{}", r.color_of(names[i]));
    std::string ece = "–";
    if (!m.ece.empty()) {
      double mean = 0;
      for (const double e : m.ece) mean += e / static_cast<double>(m.ece.size());
      ece = fixed(mean, 3);
      const auto [least, most] = std::minmax_element(m.ece.begin(), m.ece.end());
      if (m.ece.size() > 1) ece += text(" <small>({}–{})</small>", fixed(*least, 3), fixed(*most, 3));
    }
    const char* tendency = std::abs(m.gap) < 0.01 ? "neither too sure nor too unsure on average"
                           : m.gap > 0            ? "too sure of itself on average"
                                                  : "less sure than it could be on average";
    html += text(
        "<figure class=\"card\"><figcaption>{} <span>ECE {}</span></figcaption>{}<p class=\"small\">{}</p></figure>",
        escape(names[i]), ece, diagram(m, css, low, names[i]), tendency);
  }
  return section(
      "calibration", title,
      text("How often the network is right (upwards) when it says it is so sure (to the right), on test {}. On the "
           "dashed line it "
           "can be taken at its word; below it is too sure, above it is too modest. Larger dots hold more predictions. "
           "Strategies: their last round.",
           r.task == "seg" ? "pixels" : "images"),
      html + "</div>");
}

}  // namespace querent::app
