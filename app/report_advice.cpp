// Is it worth labelling more? The forecast as a picture, and the answer of `querent advise` with its reasons.
#include <algorithm>
#include <cmath>

#include "app/advice.h"
#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

// The law from one label count to another, with its band.
ChartSeries law_series(const Advice& a, double from, double to, bool dashed) {
  constexpr int steps = 24;
  ChartSeries s{.name = a.strategy, .color = a.color, .points = {}, .marks = false, .dashed = dashed};
  for (int i = 0; i <= steps; ++i) {
    const double x = from * std::pow(to / from, static_cast<double>(i) / steps);
    const al::Interval band = a.forecast.band(x);
    s.points.push_back({x, a.forecast.law.at(x), band.low, band.high, ""});
  }
  return s;
}

std::string picture(const Results& r, const Advice& a, const Advices& all) {
  const int digits = metric_digits(r.primary);
  ChartOptions o{.width = 420,
                 .height = 290,
                 .x_title = "labels, logarithmic",
                 .description = text("{} of {} against labels, with forecast", metric_title(r.primary), a.strategy),
                 .levels = {},
                 .name_lines = false};
  if (is_share(r.primary)) o.ceiling = 1;
  if (all.target) o.levels.push_back({*all.target, "target " + fixed(*all.target, digits)});
  ChartSeries measured{.name = a.strategy, .color = a.color, .points = {}, .line = !a.forecast.refused.empty()};
  for (const al::MeanPoint& p : a.forecast.points) {
    const double x = static_cast<double>(p.labelled);
    measured.points.push_back(
        {x, p.metric.mean, p.metric.mean, p.metric.mean,
         text("measured: {} with {} labels", fixed(p.metric.mean, digits), thousands(p.labelled))});
    o.x_ticks.emplace_back(x, thousands(p.labelled));
  }
  if (!a.forecast.refused.empty()) return line_chart({measured}, o);
  const double last = a.forecast.last(),
               all_images = r.train > 0 ? static_cast<double>(r.train) : a.forecast.farthest();
  const double end = std::min(a.forecast.farthest(), std::max(all_images, last));
  for (const double x : log_ticks(last * 1.4, end)) o.x_ticks.emplace_back(x, thousands(std::llround(x)));
  std::vector<ChartSeries> series{law_series(a, measured.points.front().x, last, false)};
  if (end > last) series.push_back(law_series(a, last, end, true));
  series.push_back(std::move(measured));
  return line_chart(series, o);
}

std::string card(const Results& r, const Advice& a, const Advices& all) {
  static constexpr const char* tones[] = {"good", "promising", "neutral", "bad", "unknown"};
  static constexpr const char* names[] = {"Yes", "Probably", "Probably not", "No", "Cannot be told"};
  std::string html = text("<figure class=\"card\"><figcaption><b>{} {}</b></figcaption>{}", legend_key(a.color),
                          escape(a.strategy), picture(r, a, all));
  html += text("<ul class=\"advice\"><li><span class=\"badge {}\"><i></i>{}</span></li><li><b>{}</b></li>",
               tones[a.answer], names[a.answer], escape(a.sentence));
  if (a.forecast.refused.empty()) {
    html += text("<li>Fit: {} − {} n<sup>−{}</sup>, the means within {}</li>", fixed(a.forecast.law.a, 3),
                 fixed(a.forecast.law.b, 3), fixed(a.forecast.law.c, 2), fixed(a.forecast.residual, 4));
  } else {
    html += "<li>No forecast: " + escape(a.forecast.refused) + "</li>";
  }
  html += "<li>Target: " + escape(describe_need(a, all)) + "</li>";
  if (a.gain) html += "<li>Next: " + escape(describe_gain(r, a, all)) + "</li>";
  for (const StopRule& rule : a.rules) {
    if (rule.name != "gain")
      html += text("<li>Stop by {}? {}: {}</li>", rule.name,
                   !rule.stop   ? "Not told"
                   : *rule.stop ? "Yes"
                                : "No",
                   escape(rule.why));
  }
  return html + "</ul></figure>";
}

}  // namespace

std::string advice_section(const Results& r) {
  const Advices all = advise(r);
  const std::string title = "Is it worth labelling more?";
  if (all.each.empty()) return section("advice", title, "", "<p class=\"missing\">No round has been measured yet.</p>");
  std::string html = "<div class=\"smalls\">";
  for (const Advice& a : all.each) html += card(r, a, all);
  std::string lead =
      "A power law a − b n<sup>−c</sup> through the means (Figueroa et al. 2012), continued as a dashed line to at "
      "most four times the "
      "labels measured; the band holds the mean of many such runs 95 times in 100, if the curve goes on as it began. A "
      "forecast, not a "
      "measurement.";
  if (!all.goal.empty()) lead += " Target: " + escape(all.goal) + ".";
  return section("advice", title, lead, html + "</div>");
}

}  // namespace querent::app
