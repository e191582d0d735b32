#include "al/cost.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "al/surface_distance.h"
#include "tensor/error.h"

namespace querent::al {

void add_mask(Work& work, std::span<const uint8_t> mask, int64_t H, int64_t W) {
  const auto set = [](uint8_t pixel) { return pixel != 0; };
  work.area += static_cast<double>(std::ranges::count_if(mask, set));
  work.contour += static_cast<double>(std::ranges::count_if(outline(mask, H, W), set));
}

Work like(const Work& work, double labels) {
  check(work.labels > 0, "cost: no label has been counted yet");
  const double share = labels / work.labels;
  return {labels, work.patients * share, work.area * share, work.contour * share};
}

void check_rates(const Rates& r) {
  for (const auto& [flag, rate] : {std::pair{"--minutes-per-label", r.minutes_per_label},
                                   {"--seconds-per-contour-pixel", r.seconds_per_contour_pixel},
                                   {"--cost-per-label", r.money_per_label},
                                   {"--cost-per-hour", r.money_per_hour}})
    check(rate >= 0 && std::isfinite(rate), "cost: {} must not be negative, got {}", flag, rate);
  check(r.money_per_hour == 0 || r.minutes_per_label > 0 || r.seconds_per_contour_pixel > 0,
        "cost: --cost-per-hour needs the time that a label takes; give --minutes-per-label");
}

std::optional<double> minutes(const Work& w, const Rates& r) {
  if (r.minutes_per_label == 0 && r.seconds_per_contour_pixel == 0) return std::nullopt;
  return w.labels * r.minutes_per_label + w.contour * r.seconds_per_contour_pixel / 60;
}

std::optional<double> money(const Work& w, const Rates& r) {
  if (r.money_per_label == 0 && r.money_per_hour == 0) return std::nullopt;
  return w.labels * r.money_per_label + minutes(w, r).value_or(0) / 60 * r.money_per_hour;
}

std::string price(const Work& w, const Rates& r) {
  const auto whole = [](double v) { return std::llround(v); };
  std::string words = text("{} {}", whole(w.labels), whole(w.labels) == 1 ? "label" : "labels");
  if (const auto m = minutes(w, r)) {
    const int64_t all = whole(*m), hours = all / 60;
    words += hours == 0      ? text(" = {} min", all)
             : all % 60 == 0 ? text(" = {} h", hours)
                             : text(" = {} h {} min", hours, all % 60);
  }
  if (const auto m = money(w, r)) words += text(" = {} {}", whole(*m), r.currency);
  return words;
}

nlohmann::json to_json(const Work& w, const Rates& r) {
  nlohmann::json j = {{"labels", w.labels}, {"patients", w.patients}};
  if (w.area > 0) j.update({{"mask_pixels", w.area}, {"contour_pixels", w.contour}});
  if (const auto m = minutes(w, r)) j["minutes"] = *m;
  if (const auto m = money(w, r)) j["money"] = *m;
  return j;
}

Work work_from_json(const nlohmann::json& j) {
  return {j.at("labels"), j.at("patients"), j.value("mask_pixels", 0.0), j.value("contour_pixels", 0.0)};
}

nlohmann::json to_json(const Rates& r) {
  return {{"minutes_per_label", r.minutes_per_label},
          {"seconds_per_contour_pixel", r.seconds_per_contour_pixel},
          {"money_per_label", r.money_per_label},
          {"money_per_hour", r.money_per_hour},
          {"currency", r.currency}};
}

}  // namespace querent::al
