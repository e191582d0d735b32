// Learning curves and the table of labels needed.
#include <algorithm>
#include <cmath>
#include <map>

#include "al/curve.h"
#include "app/html.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "tensor/error.h"

namespace querent::app {
std::vector<ChartSeries> series_of(const Results& r, const std::string& metric, const XOf& x_of) {
  std::vector<ChartSeries> all;
  const int digits = metric_digits(metric);
  for (const StrategyCurves& s : r.strategies) {
    std::map<int64_t, std::vector<double>> at, x_at;
    for (const SeedCurve& c : s.seeds) {
      for (const ReportPoint& p : c.points) {
        const auto x = x_of ? x_of(p) : std::optional(static_cast<double>(p.labelled));
        const auto found = p.metrics.find(metric);
        if (!x || *x <= 0 || found == p.metrics.end()) continue;
        at[p.labelled].push_back(found->second);
        x_at[p.labelled].push_back(*x);
      }
    }
    ChartSeries series{.name = s.name, .color = s.color, .points = {}};
    for (const auto& [labelled, values] : at) {
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      const double mean = al::summarize(values).mean, x = al::summarize(x_at[labelled]).mean;
      const std::string spread =
          values.size() > 1 ? text(" ({}–{}, {} seeds)", fixed(*low, digits), fixed(*high, digits), values.size())
                            : " (one seed)";
      series.points.push_back({x, mean, *low, *high,
                               text("{}: {} {} with {} labels{}", s.name, metric_title(metric), fixed(mean, digits),
                                    thousands(labelled), spread)});
    }
    all.push_back(std::move(series));
  }
  return all;
}

bool is_share(const std::string& metric) { return !lower_is_better(metric) && metric_digits(metric) == 3; }

namespace {

std::string legend(const Results& r) {
  std::string html = "<ul class=\"legend\">";
  for (const StrategyCurves& s : r.strategies) html += text("<li>{}{}</li>", legend_key(s.color), escape(s.name));
  if (r.full_primary()) {
    html +=
        "<li><svg class=\"key\" viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path class=\"full\" d=\"M1,6 "
        "H25\"/></svg>all labels</li>";
  }
  return html + "</ul>";
}

std::string small_chart(const Results& r, const std::string& metric) {
  ChartOptions o{.width = 340,
                 .height = 240,
                 .x_title = "labels",
                 .description = metric_title(metric) + " against the number of labels",
                 .levels = {},
                 .name_lines = false};
  if (is_share(metric)) o.ceiling = 1;
  if (const auto full = r.full.find(metric); full != r.full.end()) o.levels = {{full->second, "all labels"}};
  return text("<figure class=\"card\"><figcaption>{} <span>{} is better</span></figcaption>{}</figure>",
              escape(metric_title(metric)), lower_is_better(metric) ? "lower" : "higher",
              line_chart(series_of(r, metric), o));
}

std::string reach_cell(const Reach& reach, int64_t last) {
  if (reach.seeds == 0) return "<td class=\"none\">–</td>";
  if (!reach.median) {
    const std::string few =
        reach.reached > 0 ? text("<small>{} of {} seeds did</small>", reach.reached, reach.seeds) : "";
    return text("<td class=\"none\">not by {}{}</td>", thousands(last), few);
  }
  std::string range;
  if (reach.reached < reach.seeds) {
    range = text("<small>{} of {} seeds, from {}</small>", reach.reached, reach.seeds, thousands(reach.fewest));
  } else if (reach.fewest != reach.most) {
    range = text("<small>{}–{}</small>", thousands(reach.fewest), thousands(reach.most));
  }
  return text("<td>{}{}{}</td>", reach.at_start ? "≤ " : "", thousands(*reach.median), range);
}

std::string factor_cell(const StrategySummary& s, const StrategySummary* random) {
  const Reach& mine = s.reach.back();
  if (random == nullptr) return "<td class=\"none\">–</td>";
  if (&s == random && mine.median) return "<td>1 ×</td>";
  const Reach& other = random->reach.back();
  if (mine.median && other.median) {
    return text("<td>{} ×</td>", fixed(static_cast<double>(*other.median) / static_cast<double>(*mine.median), 1));
  }
  if (mine.median)
    return text("<td>&gt; {} ×</td>", fixed(static_cast<double>(random->last) / static_cast<double>(*mine.median), 1));
  return "<td class=\"none\">–</td>";
}

// With more optimizer steps the full-data model has an advantage that labels alone cannot make up for.
std::string longer_training(const Results& r) {
  int64_t steps = 0, full_steps = 0;
  for (const auto& [key, value] : r.config) {
    if (value.empty() || value.size() > 15 || value.find_first_not_of("0123456789") != std::string::npos) continue;
    if (key == "steps") steps = std::stoll(value);
    if (key == "full_steps") full_steps = std::stoll(value);
  }
  if (steps <= 0 || full_steps <= steps) return "";
  return text(
      " The model with all labels was trained for {} steps, every round for {}: part of the distance to it is training "
      "time, not labels (<code>--full-steps {}</code> takes that part away).",
      thousands(full_steps), thousands(steps), steps);
}

}  // namespace

std::string curves_section(const Results& r, const Analysis& a) {
  const std::string title = "Learning curves";
  std::string lead = text(
      "{} on the test set after each round; each round trains a new network on the labels asked for so far. "
      "Lines are means over seeds, bands run from the lowest to the highest seed.",
      escape(metric_title(r.primary)));
  lead += longer_training(r);
  const auto ahead = [&](const StrategySummary& s) { return r.full_primary() && s.best > *r.full_primary(); };
  if (std::any_of(a.strategies.begin(), a.strategies.end(), ahead)) {
    lead +=
        " Some rounds are ahead of the model with all labels: it was probably not trained long enough "
        "(<code>--full-steps</code>), so the targets are easy.";
  }
  const std::vector<ChartSeries> series = series_of(r, r.primary);
  const bool any = std::any_of(series.begin(), series.end(), [](const ChartSeries& s) { return !s.points.empty(); });
  if (!any) return section("curves", title, "", "<p class=\"missing\">No round has been measured yet.</p>");
  ChartOptions wide{.width = 1000,
                    .height = 440,
                    .all_labels = static_cast<double>(r.train),
                    .x_title = "labelled images, logarithmic",
                    .description = metric_title(r.primary) + " against the number of labels, one line per strategy",
                    .levels = {}};
  if (is_share(r.primary)) wide.ceiling = 1;
  if (const auto full = r.full_primary()) {
    wide.levels = {{*full, text("all {} labels: {}", r.train > 0 ? thousands(r.train) : "",
                                fixed(*full, metric_digits(r.primary)))},
                   {0.99 * *full, "99 % of that"},
                   {0.95 * *full, "95 %"}};
  }
  ChartOptions narrow = wide;
  narrow.width = 380;
  narrow.height = 340;
  narrow.name_lines = false;
  std::string html =
      "<figure class=\"card hero\">" + legend(r) + "<div class=\"wide\">" + line_chart(series, wide) + "</div>";
  html += "<div class=\"narrow\">" + line_chart(series, narrow) + "</div></figure>";
  std::map<std::string, int> others;
  for (const StrategyCurves& s : r.strategies) {
    for (const SeedCurve& c : s.seeds) {
      for (const ReportPoint& p : c.points) {
        for (const auto& [metric, value] : p.metrics) others[metric] = 1;
      }
    }
  }
  others.erase(r.primary);
  html += "<div class=\"smalls\">";
  for (const auto& [metric, unused] : others) html += small_chart(r, metric);
  return section("curves", title, lead, html + "</div>");
}

std::string table_section(const Results& r, const Analysis& a) {
  const std::string title = "Labels needed";
  if (a.strategies.empty())
    return section("labels", title, "", "<p class=\"missing\">No round has been measured yet.</p>");
  if (!r.full_primary()) {
    return section("labels", title, "",
                   "<p class=\"missing\">The model trained on all labels is missing, so there is no target yet.</p>");
  }
  const StrategySummary* random = nullptr;
  for (const StrategySummary& s : a.strategies) random = s.name == baseline_name ? &s : random;
  std::string html = "<div class=\"scroll\"><table><thead><tr><th>Strategy</th>";
  for (const double f : target_fractions) {
    html += text("<th>{}<small>{} {}</small></th>", percent(f), escape(metric_title(r.primary)),
                 fixed(f * *r.full_primary(), metric_digits(r.primary)));
  }
  html += "<th>Against random<small>labels for 99 %</small></th><th>Area under curve";
  if (a.area_to > 0) html += text("<small>{}–{} labels</small>", thousands(a.area_from), thousands(a.area_to));
  html += "</th></tr></thead><tbody>";
  for (const StrategySummary& s : a.strategies) {
    html += text("<tr><th>{}{}</th>", legend_key(s.color), escape(s.name));
    for (const Reach& reach : s.reach) html += reach_cell(reach, s.last);
    html += factor_cell(s, random) + text("<td>{}</td></tr>", s.area ? fixed(*s.area, 4) : "–");
  }
  html += "</tbody></table></div>";
  if (!a.against_baseline.empty()) {
    html +=
        "<div class=\"scroll\"><table><thead><tr><th>Against random, same seeds</th><th>Difference<small>area under "
        "curve</small></th>"
        "<th>Ahead in</th><th>p<small>Wilcoxon, Holm</small></th></tr></thead><tbody>";
    for (const al::Comparison& c : a.against_baseline) {
      html +=
          text("<tr><th>{}{}</th><td>{}</td><td>{} of {} seeds</td><td>{}</td></tr>", legend_key(r.color_of(c.name)),
               escape(c.name), signed_fixed(c.difference.mean, 4), c.wins, c.difference.n, fixed(c.p_holm, 3));
    }
    const int64_t n = a.against_baseline.front().difference.n;
    html += text(
        "</tbody></table></div><p class=\"small\">With {} {}, the smallest p this test can give for one comparison is "
        "{}.</p>",
        n, n == 1 ? "seed" : "seeds", fixed(al::smallest_wilcoxon_p(n), 3));
  }
  return section(
      "labels", title,
      "Median over seeds of the first measured round at or above the target; small print: range over seeds. Nothing is "
      "interpolated. The area is the average metric along the curve, each doubling of the labels weighing the same.",
      html);
}

}  // namespace querent::app
