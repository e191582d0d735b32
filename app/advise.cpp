// querent advise: is it worth labelling more?
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/advice.h"
#include "app/html.h"
#include "app/options.h"
#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr const char* answers[] = {"yes", "probably", "probably not", "no", "unknown"};

template <class T>
json or_null(const std::optional<T>& v) {
  return v ? json(*v) : json();
}

json as_json(const Results& r, const Advices& all) {
  json list = json::array();
  for (const Advice& a : all.each) {
    json one = {
        {"strategy", a.strategy}, {"answer", answers[a.answer]}, {"sentence", a.sentence}, {"rules", json::array()}};
    for (const StopRule& rule : a.rules)
      one["rules"].push_back({{"rule", rule.name}, {"stop", or_null(rule.stop)}, {"why", rule.why}});
    const al::Forecast& f = a.forecast;
    one["labelled"] = f.last();
    if (a.work) one["cost"] = al::to_json(*a.work, all.rates);
    if (!f.refused.empty()) one["refused"] = f.refused;
    if (f.refused.empty())
      one["fit"] = {{"a", f.law.a},           {"b", f.law.b},     {"c", f.law.c},
                    {"residual", f.residual}, {"seeds", f.seeds}, {"rounds", f.points.size()}};
    if (a.need)
      one["to_target"] = {{"measured", or_null(a.need->measured)},
                          {"labels", or_null(a.need->labels)},
                          {"low", or_null(a.need->low)},
                          {"high", or_null(a.need->high)},
                          {"refused", a.need->refused}};
    if (a.gain)
      one["gain"] = {{"more", a.gain->more},
                     {"mean", a.gain->mean},
                     {"low", a.gain->interval.low},
                     {"high", a.gain->interval.high},
                     {"cost", al::to_json(al::like(*a.work, static_cast<double>(a.gain->more)), all.rates)}};
    list.push_back(std::move(one));
  }
  return {{"metric", r.primary},
          {"target", or_null(all.target)},
          {"full_data", or_null(r.full_primary())},
          {"rates", al::to_json(all.rates)},
          {"strategies", list}};
}

void print(const Results& r, const Advices& all) {
  const int digits = metric_digits(r.primary);
  const auto line = [](const char* name, const std::string& words) {
    std::printf("  %-12s %s\n", name, words.c_str());
  };
  for (const Advice& a : all.each) {
    const al::Forecast& f = a.forecast;
    std::printf("%s\n", a.strategy.c_str());
    if (!f.points.empty())
      line("now", text("{} {} with {}", metric_title(r.primary), fixed(f.points.back().metric.mean, digits),
                       a.work ? al::price(*a.work, all.rates) : thousands(f.points.back().labelled)));
    line("fit", f.refused.empty()
                    ? text("{} − {} n^−{}, the means within {}; {} seeds, {} rounds", fixed(f.law.a, 3),
                           fixed(f.law.b, 3), fixed(f.law.c, 2), fixed(f.residual, 4), f.seeds, f.points.size())
                    : "no forecast: " + f.refused);
    line("target", (all.goal.empty() ? "" : all.goal + ": ") + describe_need(a, all));
    line("next labels", describe_gain(r, a, all));
    for (const StopRule& rule : a.rules)
      line(rule.name.c_str(), text("stop? {}: {}", !rule.stop ? "not told" : *rule.stop ? "yes" : "no", rule.why));
    std::printf("  → %s\n\n", a.sentence.c_str());
  }
  std::printf("next: querent report %s    (the same as a picture; the method and its limits: docs/advise.md)\n",
              r.folder.c_str());
}

}  // namespace

int advise(const Options& o) {
  al::check_rates(o.rates);
  const Results r = read_results(o.out);
  check(!r.strategies.empty(), "advise: '{}' has not measured a round yet; let 'querent run' go on", o.out);
  AdviceOptions options{
      .target = {}, .share = o.share, .more = o.more, .min_gain = o.min_gain, .worth = {}, .rates = o.rates};
  if (o.target > 0) options.target = o.target;
  if (o.worth > 0) options.worth = o.worth;
  const Advices all = advise(r, options);
  check(!options.worth || al::money({.labels = 1, .patients = 1, .area = 0, .contour = 1}, all.rates),
        "advise: --worth needs what a label costs; give --cost-per-label, or --minutes-per-label and --cost-per-hour");
  if (o.json) {
    std::printf("%s\n", dump_json(as_json(r, all), 1).c_str());
  } else if (!o.quiet) {
    print(r, all);
  }
  return 0;
}

}  // namespace querent::app
