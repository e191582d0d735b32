// check.json: what realism_report found, number by number.
#include <nlohmann/json.hpp>

#include "al/realism/report.h"

namespace querent::al {
namespace {

using nlohmann::json;

json interval_json(const Interval& i) { return json::array({i.low, i.high}); }

json estimate_json(const Estimate& e) {
  json j = {{"n", e.n}, {"value", e.value}};  // NaN is written as null
  if (e.interval) j["interval"] = interval_json(*e.interval);
  return j;
}

json figure_json(const Figure& f) {
  json j = {{"name", f.name}, {"title", f.title},     {"outcome", name_of(f.outcome)},
            {"rule", f.rule}, {"verdict", f.verdict}, {"samples", estimate_json(f.samples)}};
  if (f.reference) {
    j["reference"] = estimate_json(*f.reference);
    j["reference"]["what"] = f.reference_name;
  }
  if (f.all_films) j["all_films"] = estimate_json(*f.all_films);
  return j;
}

json memorisation_json(const Memorisation& m) {
  return {{"z", m.test.z},
          {"p", m.test.p},
          {"u", m.test.u},
          {"samples_tested", m.test.n},
          {"held_out", m.test.m},
          {"closest_real_pair", m.closest_pair},
          {"nearer_than_closest_pair", m.nearer_than_pair},
          {"copies", m.copies.size()},
          {"distances", {{"samples", m.tested}, {"held_out", m.held_out}, {"train", m.train}}}};
}

}  // namespace

json to_json(const RealismReport& r) {
  json j = {{"passed", r.passed()}, {"figures", json::array()}};
  for (const Figure& f : r.figures) j["figures"].push_back(figure_json(f));
  if (r.in_features) j["memorisation"]["features"] = memorisation_json(*r.in_features);
  if (r.in_pixels) j["memorisation"]["pixels"] = memorisation_json(*r.in_pixels);
  return j;
}

}  // namespace querent::al
