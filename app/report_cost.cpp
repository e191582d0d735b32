// What the labels cost: learning curves against patients, outlines, time and money.
#include <cmath>

#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

struct Measure {
  std::string title, unit;
  XOf of;
};

std::string amount(double v) { return v < 10 && v != std::round(v) ? fixed(v, 1) : thousands(std::llround(v)); }

std::vector<Measure> measures(const Results& r) {
  using Value = std::optional<double> (*)(const al::Work&, const al::Rates&);
  const auto of = [&r](Value value) -> XOf {
    return [&r, value](const ReportPoint& p) { return p.work ? value(*p.work, r.rates) : std::nullopt; };
  };
  const auto hours = [](const al::Work& w, const al::Rates& rates) {
    const auto m = al::minutes(w, rates);
    return m ? std::optional(*m / 60) : m;
  };
  return {{"Money", r.rates.currency, of(al::money)},
          {"Time", "hours", of(hours)},
          {"Patients", "patients", of([](const al::Work& w, const al::Rates&) { return std::optional(w.patients); })},
          {"Outlines", "pixels of outline",
           of([](const al::Work& w, const al::Rates&) { return std::optional(w.contour); })},
          {"Area", "pixels of mask", of([](const al::Work& w, const al::Rates&) { return std::optional(w.area); })}};
}

std::string chart(const Results& r, const Measure& m, const std::vector<ChartSeries>& series) {
  ChartOptions o{.width = 340,
                 .height = 240,
                 .x_title = m.unit + ", logarithmic",
                 .description = text("{} against {}", metric_title(r.primary), m.unit),
                 .levels = {},
                 .name_lines = false};
  if (is_share(r.primary)) o.ceiling = 1;
  if (const auto full = r.full_primary()) o.levels = {{*full, "all labels"}};
  double low = INFINITY, high = 0;
  for (const ChartSeries& s : series)
    for (const ChartPoint& p : s.points) low = std::min(low, p.x), high = std::max(high, p.x);
  for (const double x : log_ticks(low, high)) o.x_ticks.emplace_back(x, amount(x));
  return text("<figure class=\"card\"><figcaption>{} <span>{}</span></figcaption>{}</figure>", escape(m.title),
              escape(metric_title(r.primary)), line_chart(series, o));
}

}  // namespace

std::string cost_section(const Results& r) {
  std::string charts, head, body;
  std::vector<std::vector<ChartSeries>> columns;
  for (const Measure& m : measures(r)) {
    std::vector<ChartSeries> series = series_of(r, r.primary, m.of);
    if (std::all_of(series.begin(), series.end(), [](const ChartSeries& s) { return s.points.empty(); })) continue;
    charts += chart(r, m, series);
    head += text("<th>{}<small>{}</small></th>", escape(m.title), escape(m.unit));
    columns.push_back(std::move(series));
  }
  if (columns.empty()) return "";
  for (size_t i = 0; i < r.strategies.size(); ++i) {
    body += text("<tr><th>{}{}</th>", legend_key(r.strategies[i].color), escape(r.strategies[i].name));
    for (const auto& series : columns)
      body += series[i].points.empty() ? "<td class=\"none\">–</td>"
                                       : text("<td>{}</td>", amount(series[i].points.back().x));
    body += "</tr>";
  }
  std::string lead =
      "The same curves against what the labels took, mean over seeds; the table shows the end of each curve.";
  if (r.task == "seg") lead += " Outlines and areas are those of the true masks at the size the network sees.";
  if (!al::minutes({}, r.rates) && !al::money({}, r.rates))
    lead +=
        " <code>querent run --minutes-per-label 5 --cost-per-hour 120</code> (the same command again is enough) adds "
        "time and money.";
  return section("cost", "Cost", lead,
                 "<div class=\"scroll\"><table><thead><tr><th>Strategy</th>" + head + "</tr></thead><tbody>" + body +
                     "</tbody></table></div><div class=\"smalls\">" + charts + "</div>");
}

}  // namespace querent::app
