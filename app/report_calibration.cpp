// Reliability diagrams: is a network that says 90 % right nine times in ten?
#include <algorithm>
#include <cmath>
#include <map>

#include "al/statistics.h"
#include "app/html.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

struct Merged {
  std::vector<CalibrationBin> bins;  // seeds added up
  std::vector<double> ece, after, temperature;  // per seed
  double gap = 0;                    // mean confidence - accuracy
};

Merged merge(const Results& r, const std::string& strategy) {
  Merged m;
  double total = 0;
  std::map<size_t, CalibrationBin> sums;
  for (const CalibrationRun& run : r.calibration) {
    if (run.strategy != strategy) continue;
    if (run.ece) m.ece.push_back(*run.ece);
    if (run.ece_after) m.after.push_back(*run.ece_after);
    if (run.temperature) m.temperature.push_back(*run.temperature);
    for (const CalibrationBin& b : run.bins) {
      CalibrationBin& s = sums[b.index];
      s.count += b.count;
      s.confidence += b.count * b.confidence;
      s.accuracy += b.count * b.accuracy;
      m.gap += b.count * (b.confidence - b.accuracy);
      total += b.count;
    }
  }
  for (const auto& [index, s] : sums) {
    if (s.count > 0) m.bins.push_back({index, s.count / total, s.confidence / s.count, s.accuracy / s.count});
  }
  if (total > 0) m.gap /= total;
  return m;
}

// Confidence to the right from `x_low` to 1, accuracy upwards from `y_low` to 1; the area of a dot is its share of the
// predictions.
std::string diagram(const Merged& m, const std::string& css, double x_low, double y_low, const std::string& name) {
  constexpr double side = 220, left = 38, top = 10;
  const auto x = [&](double v) { return left + (v - x_low) / (1 - x_low) * side; };
  const auto y = [&](double v) { return top + side - (v - y_low) / (1 - y_low) * side; };
  const auto n = [](double v) { return fixed(v, 1); };
  std::string svg =
      text("<svg class=\"chart\" viewBox=\"0 0 272 274\" role=\"img\" aria-label=\"Reliability of {}\">", escape(name));
  for (const double v : nice_ticks(y_low, 1, 5)) {
    svg += text("<line class=\"grid\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", n(left), n(y(v)), n(left + side),
                n(y(v)));
    svg += text("<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", n(left - 6), n(y(v) + 4),
                fixed(v, 1));
  }
  for (const double v : nice_ticks(x_low, 1, 5)) {
    svg += text("<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", n(x(v)), n(top + side + 17),
                fixed(v, 1));
  }
  const double start = std::max(x_low, y_low);
  svg += text("<line class=\"full\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", n(x(start)), n(y(start)), n(x(1)),
              n(y(1)));
  for (const CalibrationBin& b : m.bins) {
    svg += text("<line class=\"gap {}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", css, n(x(b.confidence)),
                n(y(b.confidence)), n(x(b.confidence)), n(y(b.accuracy)));
  }
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
  double x_low = 0.5, y_low = 0.5;  // two classes: the surer one has at least one half
  for (const std::string& name : names) {
    all.push_back(merge(r, name));
    for (const CalibrationBin& b : all.back().bins) {
      if (b.confidence < 0.5) x_low = 0;
      if (b.accuracy < 0.5) y_low = 0;
    }
  }
  std::string html = "<div class=\"smalls four\">";
  for (size_t i = 0; i < names.size(); ++i) {
    const Merged& m = all[i];
    const std::string css = names[i] == full_data_name ? "ink" : text("c{}", r.color_of(names[i]));
    std::string note = std::abs(m.gap) < 0.01 ? "On average neither too sure nor too modest."
                       : m.gap > 0            ? "On average too sure of itself."
                                              : "On average too modest.";
    std::string ece = "–";
    if (!m.ece.empty()) {
      double mean = 0;
      for (const double e : m.ece) mean += e / static_cast<double>(m.ece.size());
      ece = fixed(mean, 3);
      const auto [least, most] = std::minmax_element(m.ece.begin(), m.ece.end());
      if (m.ece.size() > 1) note += text(" ECE over seeds {}–{}.", fixed(*least, 3), fixed(*most, 3));
    }
    if (!m.after.empty() && !m.temperature.empty()) {
      note += text(" With a temperature of {}, fitted on the validation split, the ECE is {}.",
                   fixed(al::summarize(m.temperature).mean, 2), fixed(al::summarize(m.after).mean, 3));
    }
    html += text(
        "<figure class=\"card\"><figcaption>{} <span>ECE {}</span></figcaption>{}<p class=\"small\">{}</p></figure>",
        escape(names[i]), ece, diagram(m, css, x_low, y_low, names[i]), note);
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
