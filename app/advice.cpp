#include "app/advice.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "al/stopping.h"
#include "app/html.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

using Curves = std::vector<std::vector<al::CurvePoint>>;

Curves curves_of(const StrategyCurves& s, const std::string& metric, bool validation) {
  Curves curves;
  for (const SeedCurve& c : s.seeds) {
    std::vector<al::CurvePoint> points;
    for (const ReportPoint& p : c.points) {
      const auto& metrics = validation ? p.val_metrics : p.metrics;
      if (const auto found = metrics.find(metric); found != metrics.end())
        points.push_back({p.labelled, found->second});
    }
    if (!points.empty()) curves.push_back(std::move(points));
  }
  return curves;
}

// Means over the seeds that have it, by labels; in the order of the rounds.
template <class Value>
auto mean_by_labels(const StrategyCurves& s, const Value& value) {
  std::map<int64_t, std::vector<double>> at;
  for (const SeedCurve& c : s.seeds)
    for (const ReportPoint& p : c.points)
      if (const auto v = value(p)) at[p.labelled].push_back(*v);
  std::map<int64_t, double> mean;
  for (const auto& [labelled, values] : at) mean[labelled] = al::summarize(values).mean;
  return mean;
}

std::optional<al::Work> work_of(const StrategyCurves& s, double labels) {
  al::Work sum;
  double seeds = 0;
  for (const SeedCurve& c : s.seeds) {
    const auto found =
        std::ranges::find_if(c.points, [&](const ReportPoint& p) { return p.work && p.work->labels == labels; });
    if (found == c.points.end()) continue;
    ++seeds;
    sum.patients += found->work->patients;
    sum.area += found->work->area;
    sum.contour += found->work->contour;
  }
  if (labels <= 0) return std::nullopt;
  if (seeds == 0) return al::Work{.labels = labels, .patients = 0, .area = 0, .contour = 0};
  return al::Work{labels, sum.patients / seeds, sum.area / seeds, sum.contour / seeds};
}

StopRule plateau(const Results& r, const StrategyCurves& s, double tolerance) {
  const Curves curves = curves_of(s, r.primary, true);
  if (curves.empty()) return {"plateau", {}, "the run has no figures of the validation split"};
  const al::StoppingRule rule{.budget = 0, .patience = 2, .tolerance = tolerance};
  const al::StoppingVerdict v = al::should_stop(rule, al::means(al::mean_curve(curves)));
  return {"plateau", v.stop,
          v.stop         ? v.why
          : v.stale == 0 ? "the last round still improved the validation split"
                         : "one round without improvement, two are needed"};
}

StopRule predictions(const StrategyCurves& s) {
  std::vector<double> agreement;
  for (const auto& [labels, kappa] : mean_by_labels(s, [](const ReportPoint& p) { return p.agreement; }))
    agreement.push_back(kappa);
  if (agreement.empty()) return {"predictions", {}, "this run did not compare the predictions of its rounds"};
  if (agreement.size() < 3) return {"predictions", {}, "fewer than three comparisons of rounds"};
  const al::StoppingVerdict v = al::predictions_stable(agreement);
  return {"predictions", v.stop,
          v.stop ? v.why : text("they still change: kappa {} between the last two rounds", fixed(agreement.back(), 3))};
}

// The least gain that is worth its labels, and in words what it is.
std::pair<double, std::string> least_gain(const Advice& a, const AdviceOptions& o, const al::Rates& rates) {
  if (o.worth && *o.worth > 0 && a.work) {
    if (const auto price = al::money(al::like(*a.work, static_cast<double>(a.gain->more)), rates))
      return {*price / *o.worth * 0.01, text("what the labels cost ({} {})", fixed(*price, 0), rates.currency)};
  }
  return {o.min_gain, text("{}", fixed(o.min_gain, 3))};
}

void decide(Advice& a, const AdviceOptions& o, const al::Rates& rates) {
  if (!a.gain) {
    a.rules.push_back({"gain", {}, a.forecast.refused.empty() ? "every image is labelled" : a.forecast.refused});
    const auto said = std::ranges::find_if(a.rules, [](const StopRule& rule) { return rule.stop.value_or(false); });
    a.answer = said != a.rules.end() ? Advice::unlikely : Advice::unknown;
    a.sentence = said != a.rules.end() ? "Probably not worth labelling more: " + said->why + "."
                                       : "Cannot be told: " + a.rules.back().why + ".";
    return;
  }
  const auto [least, words] = least_gain(a, o, rates);
  const al::Interval& i = a.gain->interval;
  a.answer = i.high < least          ? Advice::stop
             : i.low >= least        ? Advice::go
             : a.gain->mean >= least ? Advice::likely
                                     : Advice::unlikely;
  static constexpr const char* sentences[] = {
      "Worth labelling more: even the low end of the expected gain is above {}.",
      "Probably worth labelling more: the expected gain is above {}, the low end of its interval is not.",
      "Probably not worth labelling more: the expected gain is below {}, the high end of its interval is not.",
      "Not worth labelling more: even the high end of the expected gain is below {}."};
  a.sentence = text(std::string_view(sentences[a.answer]), words);
  a.rules.push_back({"gain", a.answer == Advice::stop || a.answer == Advice::unlikely,
                     text("{} against {}", signed_fixed(a.gain->mean, 4), words)});
}

}  // namespace

Advices advise(const Results& r, const AdviceOptions& o) {
  Advices all{.rates = o.rates == al::Rates{} ? r.rates : o.rates, .target = o.target, .goal = {}, .each = {}};
  const int digits = metric_digits(r.primary);
  if (!all.target && r.full_primary()) {
    all.target = o.share * *r.full_primary();
    all.goal = text("{}, {} of full-data {}", fixed(*all.target, digits), percent(o.share), metric_title(r.primary));
  } else if (all.target) {
    all.goal = fixed(*all.target, digits);
  }
  for (const StrategyCurves& s : r.strategies) {
    const Curves curves = curves_of(s, r.primary, false);
    if (curves.empty()) continue;
    Advice a{.strategy = s.name,
             .sentence = {},
             .color = s.color,
             .forecast = {},
             .need = {},
             .gain = {},
             .work = {},
             .rules = {}};
    a.forecast = al::forecast(curves, {.ceiling = 1});
    a.work = work_of(s, a.forecast.last());
    if (all.target) a.need = al::labels_needed(a.forecast, *all.target);
    const size_t rounds = a.forecast.points.size();
    if (a.forecast.refused.empty()) {
      const auto last = static_cast<int64_t>(a.forecast.last());
      const int64_t step = last - a.forecast.points[rounds - 2].labelled,
                    there_are = r.train > 0 ? r.train - last : step;
      const int64_t more = o.more > 0 ? o.more : std::min(step, there_are);
      check(o.more == 0 || r.train == 0 || more <= there_are,
            "advise: --more {} labels, but {} of {} images are labelled; use at most {}", o.more, last, r.train,
            there_are);
      if (more > 0) a.gain = al::expected_gain(a.forecast, more);
    }
    a.rules = {plateau(r, s, o.min_gain), predictions(s)};
    decide(a, o, all.rates);
    all.each.push_back(std::move(a));
  }
  return all;
}

std::string describe_need(const Advice& a, const Advices& all) {
  if (!a.need) return "no target: the full-data figure is missing; give --target";
  const al::LabelsNeeded& n = *a.need;
  if (n.measured) return text("reached with {} labels", thousands(*n.measured));
  const auto count = [](double v) { return thousands(std::llround(std::ceil(v - 1e-6))); };
  const std::string far = "beyond " + count(a.forecast.farthest());
  if (!n.labels)
    return text("cannot be told: {}{}", n.refused, n.low ? text("; at least {} labels", count(*n.low)) : "");
  const double more = std::ceil(*n.labels - 1e-6) - a.forecast.last();
  std::string words = text("about {} labels, {} more", count(*n.labels), count(more));
  words += text(" (95 %: {} to {} labels)", n.low ? count(*n.low) : far, n.high ? count(*n.high) : far);
  if (a.work && more >= 1 && (al::minutes(*a.work, all.rates) || al::money(*a.work, all.rates)))
    words += "; " + al::price(al::like(*a.work, more), all.rates);
  return words;
}

std::string describe_gain(const Results& r, const Advice& a, const Advices& all) {
  if (!a.gain) return "cannot be told: " + a.rules.back().why;
  const int digits = metric_digits(r.primary) + 1;
  return text("{} {} (95 %: {} to {}) for {}", signed_fixed(a.gain->mean, digits), metric_title(r.primary),
              fixed(a.gain->interval.low, digits), fixed(a.gain->interval.high, digits),
              al::price(al::like(*a.work, static_cast<double>(a.gain->more)), all.rates));
}

}  // namespace querent::app
