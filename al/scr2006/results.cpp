#include "al/scr2006/results.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "al/agreement.h"
#include "al/scr2006/measures.h"

namespace querent::al {
namespace {

using nlohmann::json;

constexpr const char* source =
    "van Ginneken, Stegmann, Loog: Segmentation of anatomical structures in chest radiographs using supervised "
    "methods, "
    "Medical Image Analysis 10 (2006), overlap on the 247 JSRT films at 256 pixels; the figures as they are widely "
    "quoted, not compared with the printed table";

json number(double v) { return std::isfinite(v) ? json(v) : json(); }
json numbers(const std::vector<double>& v) {
  json list = json::array();
  for (const double x : v) list.push_back(number(x));
  return list;
}
json table(const std::vector<std::vector<double>>& rows) {
  json list = json::array();
  for (const auto& row : rows) list.push_back(numbers(row));
  return list;
}

json to_json(const Distribution& d) {
  return {{"mean", d.mean},     {"sd", d.sd}, {"min", d.min}, {"q1", d.q1},
          {"median", d.median}, {"q3", d.q3}, {"max", d.max}};
}
json published(const std::string& method, const std::string& structure) {
  const auto p = scr2006_published(method, structure);
  return p ? json{{"mean", p->mean}, {"sd", p->sd}} : json();
}

json agreement_of(const Scr2006Results& r, size_t method) {
  std::vector<double> measured, reference;
  for (const FilmResult& f : r.films) {
    if (r.measure.empty() || !std::isfinite(f.measured[method]) || !std::isfinite(f.reference)) continue;
    measured.push_back(f.measured[method]);
    reference.push_back(f.reference);
  }
  if (measured.size() < 2) return {};
  const Agreement a = bland_altman(measured, reference);
  return {{"n", a.difference.n},
          {"missing", r.films.size() - measured.size()},
          {"bias", a.difference.mean},
          {"bias_low", a.difference.ci.low},
          {"bias_high", a.difference.ci.high},
          {"sd", a.difference.sd},
          {"lower", a.limits.low},
          {"upper", a.limits.high}};
}

json method_row(const Scr2006Results& r, size_t m) {
  json structures = json::array();
  for (size_t s = 0; s < r.structures.size(); ++s) {
    std::vector<double> overlaps, distances;
    for (const FilmResult& f : r.films)
      overlaps.push_back(f.overlap[m][s]), distances.push_back(f.contour_distance[m][s]);
    structures.push_back({{"structure", r.structures[s]},
                          {"overlap", to_json(distribution(overlaps))},
                          {"contour_distance", to_json(distribution(distances))},
                          {"published", published(r.methods[m], r.structures[s])}});
  }
  return {{"method", r.methods[m]}, {"structures", structures}, {"agreement", agreement_of(r, m)}};
}

}  // namespace

std::optional<PublishedOverlap> scr2006_published(const std::string& method, const std::string& structure) {
  static const std::map<std::string, std::map<std::string, PublishedOverlap>> table = {
      {"human_observer", {{"lungs", {.946, .018}}, {"heart", {.878, .054}}, {"clavicles", {.896, .037}}}},
      {"mean_shape", {{"lungs", {.713, .075}}, {"heart", {.643, .147}}, {"clavicles", {.303, .209}}}},
      {"pixels", {{"lungs", {.938, .027}}, {"heart", {.811, .077}}, {"clavicles", {.618, .100}}}},
      {"pixels_clean", {{"lungs", {.945, .022}}, {"heart", {.824, .077}}, {"clavicles", {.615, .123}}}},
      {"voting", {{"lungs", {.949, .020}}, {"heart", {.860, .056}}, {"clavicles", {.736, .106}}}},
  };
  const auto row = table.find(method);
  if (row == table.end()) return {};
  const auto cell = row->second.find(structure);
  return cell == row->second.end() ? std::nullopt : std::optional(cell->second);
}

void write_scr2006_results(const RunFolder& folder, const Scr2006Results& r) {
  std::map<std::string, int64_t> folds;
  json films = json::array(), methods = json::array(), fold_list = json::array(), human = json::array();
  for (const FilmResult& f : r.films) {
    ++folds[f.fold];
    films.push_back({{"id", f.id},
                     {"fold", f.fold},
                     {"reference", number(f.reference)},
                     {"measured", numbers(f.measured)},
                     {"overlap", table(f.overlap)},
                     {"contour_distance", table(f.contour_distance)}});
  }
  for (const auto& [fold, n] : folds) fold_list.push_back({{"fold", fold}, {"films", n}});
  for (size_t m = 0; m < r.methods.size(); ++m) methods.push_back(method_row(r, m));
  for (const std::string& s : r.structures)
    if (const auto p = scr2006_published("human_observer", s))
      human.push_back({{"structure", s}, {"mean", p->mean}, {"sd", p->sd}});
  json measure;
  if (!r.measure.empty()) measure = {{"name", r.measure}, {"unit", r.measure_unit}};
  folder.write_json("films.json", {{"methods", r.methods}, {"structures", r.structures}, {"films", films}});
  folder.write_json("scr2006.json", {{"films", r.films.size()},
                                     {"size", r.size},
                                     {"folds", fold_list},
                                     {"jsrt", r.jsrt},
                                     {"distance_unit", r.distance_unit},
                                     {"published_source", source},
                                     {"human_observer", human},
                                     {"measure", measure},
                                     {"methods", methods}});
}

}  // namespace querent::al
