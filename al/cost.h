// What labels cost: the work is counted, and becomes minutes and money once somebody says what it takes.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

namespace querent::al {

// Of a set of labelled images. area and contour: pixels of their masks and of the masks' outlines, at the size the
// network sees; 0 where labels are classes.
struct Work {
  double labels = 0, patients = 0, area = 0, contour = 0;
  bool operator==(const Work&) const = default;
};
void add_mask(Work&, std::span<const uint8_t> mask, int64_t H, int64_t W);  // area and contour of one image
// As much again for `labels` labels like the average of these. Error when there is none.
Work like(const Work&, double labels);

struct Rates {
  double minutes_per_label = 0, seconds_per_contour_pixel = 0;  // 0: not given
  double money_per_label = 0, money_per_hour = 0;
  std::string currency = "EUR";
  bool operator==(const Rates&) const = default;
};
// Errors: a rate that is negative or not finite; money per hour without minutes.
void check_rates(const Rates&);
// labels x minutes_per_label + contour x seconds_per_contour_pixel / 60. None: no such rate is given.
std::optional<double> minutes(const Work&, const Rates&);
// labels x money_per_label + minutes / 60 x money_per_hour. None: no such rate is given.
std::optional<double> money(const Work&, const Rates&);
// "40 labels = 3 h 20 min = 400 EUR", without what is not known.
std::string price(const Work&, const Rates&);

nlohmann::json to_json(const Work&, const Rates& = {});  // with "minutes" and "money" where known
Work work_from_json(const nlohmann::json&);
nlohmann::json to_json(const Rates&);

}  // namespace querent::al
