// Does the network know when it is wrong? Risk against coverage, error against uncertainty.
#include <algorithm>

#include "al/selective.h"
#include "al/statistics.h"
#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

constexpr int64_t fifths = 5;

struct Doubt {
  std::string name;
  int color = 0;
  ChartSeries risk, error;
  std::vector<double> all, half, area, ideal, rank;  // per seed
};

Doubt doubt_of(const Results& r, const std::string& name) {
  Doubt d{.name = name,
          .color = name == full_data_name ? ink_color : r.color_of(name),
          .risk = {},
          .error = {},
          .all = {},
          .half = {},
          .area = {},
          .ideal = {},
          .rank = {}};
  std::vector<std::vector<double>> risks(19), errors(fifths);  // at 10, 15, ... 100 % coverage; in each fifth
  for (const TestCases& t : r.test_cases) {
    if (t.strategy != name || t.error.empty()) continue;
    const al::RiskCoverage rc = al::risk_coverage(t.error, t.uncertainty);
    const auto at = [&](double coverage) {
      const auto n = static_cast<double>(rc.risk.size());
      return rc.risk[static_cast<size_t>(std::clamp(coverage * n - 0.5, 0.0, n - 1))];
    };
    for (size_t i = 0; i < risks.size(); ++i) risks[i].push_back(at(0.1 + 0.05 * static_cast<double>(i)));
    const auto groups = al::error_by_uncertainty(t.error, t.uncertainty, fifths);
    for (size_t g = 0; g < groups.size(); ++g) errors[g].push_back(groups[g].error);
    d.all.push_back(rc.risk.back());
    d.half.push_back(at(0.5));
    d.area.push_back(rc.area);
    d.ideal.push_back(rc.ideal);
    d.rank.push_back(al::rank_correlation(t.error, t.uncertainty));
  }
  d.risk = {.name = name, .color = d.color, .points = {}, .marks = false};
  d.error = {.name = name, .color = d.color, .points = {}};
  const auto add = [&](ChartSeries& s, double x, const std::vector<double>& values, const std::string& what) {
    if (values.empty()) return;
    const double mean = al::summarize(values).mean;
    s.points.push_back({x, mean, mean, mean, text("{}: error {} of {}", name, fixed(mean, 3), what)});
  };
  for (size_t i = 0; i < risks.size(); ++i) add(d.risk, 10 + 5 * static_cast<double>(i), risks[i], "the surest");
  for (size_t g = 0; g < errors.size(); ++g)
    add(d.error, static_cast<double>(g + 1), errors[g], text("fifth {}", g + 1));
  return d;
}

}  // namespace

std::string doubt_section(const Results& r) {
  std::vector<std::string> names;
  for (const TestCases& t : r.test_cases) {
    if (!t.error.empty() && std::ranges::find(names, t.strategy) == names.end()) names.push_back(t.strategy);
  }
  if (names.empty()) return "";
  const bool seg = r.task == "seg";
  const std::string what = seg ? "1 − Dice" : "share wrong";
  std::vector<ChartSeries> risks, errors;
  std::string rows, legend = "<ul class=\"legend\">";
  for (const std::string& name : names) {
    Doubt d = doubt_of(r, name);
    const auto mean = [](const std::vector<double>& v) { return al::summarize(v).mean; };
    rows += text("<tr><th>{}{}</th><td>{}</td><td>{}</td><td>{}<small>at best {}</small></td><td>{}</td></tr>",
                 legend_key(d.color), escape(name), fixed(mean(d.all), 3), fixed(mean(d.half), 3),
                 fixed(mean(d.area), 3), fixed(mean(d.ideal), 3), fixed(mean(d.rank), 2));
    legend += text("<li>{}{}</li>", legend_key(d.color), escape(name));
    risks.push_back(std::move(d.risk));
    errors.push_back(std::move(d.error));
  }
  ChartOptions coverage{.width = 480,
                        .height = 280,
                        .x_title = "share of cases answered, the surest first",
                        .description = "Error of the cases the network is surest of",
                        .levels = {},
                        .name_lines = false};
  coverage.linear_x = true;
  ChartOptions groups = coverage;
  groups.x_title = "fifths of the test cases by uncertainty";
  groups.description = "Error against uncertainty";
  for (const int p : {10, 25, 50, 75, 100}) coverage.x_ticks.emplace_back(p, percent(p / 100.0));
  groups.x_ticks = {{1, "surest"}, {2, "2"}, {3, "3"}, {4, "4"}, {5, "least"}};
  const auto figure = [&](const char* title, const std::vector<ChartSeries>& series, const ChartOptions& o) {
    return text("<figure class=\"card\"><figcaption>{} <span>{}, lower is better</span></figcaption>{}</figure>", title,
                what, line_chart(series, o));
  };
  return section("doubt", "Does it know when it is wrong?",
                 text("Test images sorted by the uncertainty of the last network of each strategy ({}). Left: if it "
                      "answers only the cases it is surest "
                      "of and leaves the rest to a reader, how large is the error of those it answers? A line that "
                      "rises to the right means its doubt "
                      "is worth listening to; a flat one, that it is not. Right: the error in each fifth of the cases.",
                      seg ? "entropy of the mean of MC-dropout passes, averaged over pixels"
                          : "entropy of the mean of MC-dropout passes"),
                 legend + "</ul><div class=\"smalls pair\">" + figure("Risk and coverage", risks, coverage) +
                     figure("Error and uncertainty", errors, groups) +
                     "</div><p></p><div class=\"scroll\"><table><thead><tr><th>Network</th><th>Error of "
                     "all</th><th>Error of the surest half</th>"
                     "<th>Area under risk<small>mean over coverages</small></th><th>Rank correlation<small>uncertainty "
                     "and error</small></th></tr></thead><tbody>" +
                     rows + "</tbody></table></div>");
}

}  // namespace querent::app
