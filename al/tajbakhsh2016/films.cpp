#include "al/tajbakhsh2016/films.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "tensor/rng.h"

namespace querent::al {

void deal_patients(data::Dataset& target, data::Dataset& source, double share, uint64_t seed) {
  std::set<std::string> of_source, given;
  for (const data::Case& c : source.cases) of_source.insert(data::patient_key(c));
  for (const data::Case& c : target.cases) {
    const std::string& p = data::patient_key(c);
    if (c.split == "train" && of_source.contains(p) && Rng(seed).fork("source").fork(p).uniform() < share)
      given.insert(p);
  }
  std::erase_if(target.cases, [&](const data::Case& c) { return given.contains(data::patient_key(c)); });
  std::set<std::string> of_target;
  for (const data::Case& c : target.cases) of_target.insert(data::patient_key(c));
  std::erase_if(source.cases, [&](const data::Case& c) { return of_target.contains(data::patient_key(c)); });
}

std::vector<int64_t> share_of_films(const data::Dataset& dataset, std::span<const int64_t> train, double share,
                                    uint64_t seed) {
  std::vector<int64_t> films;
  const std::vector<int64_t> labels = labels_of(dataset, train);
  for (size_t k = 0; k < dataset.classes.size(); ++k) {
    std::vector<int64_t> of_class;
    for (size_t i = 0; i < train.size(); ++i)
      if (labels[i] == static_cast<int64_t>(k)) of_class.push_back(train[i]);
    Rng rng = Rng(seed).fork("share").fork(k);
    rng.shuffle(of_class);
    const auto wanted = std::llround(share * static_cast<double>(of_class.size()));
    of_class.resize(std::min(of_class.size(), static_cast<size_t>(std::max(1LL, wanted))));
    films.insert(films.end(), of_class.begin(), of_class.end());
  }
  std::ranges::sort(films);
  return films;
}

std::vector<int64_t> labels_of(const data::Dataset& d, std::span<const int64_t> cases) {
  std::vector<int64_t> labels;
  for (const int64_t i : cases) labels.push_back(data::class_index(d, d.cases[static_cast<size_t>(i)]));
  return labels;
}

}  // namespace querent::al
