// Train, validation and test: patients are dealt out, never images, so that no patient is on two sides.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace querent::data {

struct SplitOptions {
  double val = 0.15, test = 0.20;  // fractions of the cases
  uint64_t seed = 0;
};

// Fills Case::split. Cases that have a split keep it, and their patients' other cases follow them; the rest is dealt
// out by patient within each class, so that every class has about the asked fractions (and at least one patient on each
// side when it has three). A given test (or val) split is not enlarged. The result depends on names and seed, not on
// the order of the cases. Ends with check_no_leak().
void split_dataset(Dataset& d, const SplitOptions& options = {});

// A synthetic case (extra["synthetic"] = "1") is made from the case extra["base"]. It may only be trained on, and only if
// its base is: Case::split "train" for both, one patient. Throws and names the case.
void check_synthetic(const Dataset& d);

// Throws when a patient, or (where hashes are known) the same image file, is in two splits, and names both cases; ends
// with check_synthetic().
void check_no_leak(const Dataset& d);
struct Leak {
  std::string what;  // "patient p7" or "the same image"
  const Case *first = nullptr, *second = nullptr;
};
std::vector<Leak> find_leaks(const Dataset& d);  // one per patient or image

// Indices of the cases of a split, in the data set's order.
std::vector<int64_t> cases_of(const Dataset& d, std::string_view split);

}  // namespace querent::data
