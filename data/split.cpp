#include "data/split.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::data {
namespace {

constexpr std::array<const char*, 2> held_out = {"test", "val"};

struct Patient {
  std::string key, label;
  std::vector<size_t> cases;
  std::string split;
};

// Deals the first patients of a shuffled class to `split` until its share of cases is as near to `target` as it gets,
// but leaves `leave` of them to the splits that follow. Where `at_least_one` must go, the smallest overshoots least.
void deal(std::vector<Patient*>& free, const char* split, double target, bool at_least_one, size_t leave) {
  if (target <= 0) return;
  double have = 0;
  size_t left = free.size();
  for (Patient* p : free) {
    const auto size = static_cast<double>(p->cases.size());
    if (left <= leave || std::abs(have + size - target) >= std::abs(have - target)) continue;
    p->split = split;
    have += size;
    --left;
  }
  if (at_least_one && have == 0 && left > leave) {
    const auto fewer = [](const Patient* a, const Patient* b) { return a->cases.size() < b->cases.size(); };
    (*std::min_element(free.begin(), free.end(), fewer))->split = split;
  }
  std::erase_if(free, [&](const Patient* p) { return p->split == split; });
}

}  // namespace

void split_dataset(Dataset& d, const SplitOptions& o) {
  check(o.val >= 0 && o.test >= 0 && o.val + o.test < 1,
        "split: val {} and test {} must not be negative and leave something to train on", o.val, o.test);
  std::map<std::string, Patient> patients;  // sorted by name: the order of the cases has no influence
  for (size_t i = 0; i < d.cases.size(); ++i) {
    const Case& c = d.cases[i];
    Patient& p = patients[patient_key(c)];
    p.key = patient_key(c);
    p.cases.push_back(i);
    if (p.label.empty() || (!c.label.empty() && c.label < p.label)) p.label = c.label;
    if (!c.split.empty() && p.split.empty()) p.split = c.split;
  }
  std::map<std::string, std::vector<Patient*>> free;  // by class
  std::map<std::string, int64_t> cases, patients_of;
  std::array<bool, 2> is_given = {false, false};
  bool train_given = false;
  for (auto& [key, p] : patients) {
    cases[p.label] += static_cast<int64_t>(p.cases.size());
    ++patients_of[p.label];
    for (size_t s = 0; s < held_out.size(); ++s) is_given[s] |= p.split == held_out[s];
    train_given |= p.split == "train";
    if (p.split.empty()) free[p.label].push_back(&p);
  }
  const bool all_given = free.empty();
  if (all_given) {  // a table with train and test only: validation is taken from train
    for (auto& [key, p] : patients) {
      if (p.split == "train") free[p.label].push_back(&p);
    }
    is_given[0] = true;  // no test split is made up where the table gives every case a place
  }
  for (auto& [label, list] : free) {
    Rng rng = Rng(o.seed).fork("split").fork(label);
    rng.shuffle(list);
    int64_t here = 0;
    for (const Patient* p : list) here += static_cast<int64_t>(p->cases.size());
    const std::array<double, 2> fraction = {o.test, o.val};
    for (size_t s = 0; s < held_out.size(); ++s) {
      if (is_given[s]) continue;
      const auto base = static_cast<double>(all_given || train_given ? here : cases[label]);
      const bool enough = patients_of[label] >= 3;
      const size_t others = size_t{s == 0 && !is_given[1] && o.val > 0} + size_t{all_given || !train_given};
      deal(list, held_out[s], fraction[s] * base, enough, enough ? others : 0);
    }
    for (Patient* p : list) p->split = "train";
  }
  for (const auto& [key, p] : patients) {
    for (const size_t i : p.cases) {
      if (d.cases[i].split.empty() || (all_given && d.cases[i].split == "train" && p.split == "val"))
        d.cases[i].split = p.split;
    }
  }
  check_no_leak(d);
}

std::vector<Leak> find_leaks(const Dataset& d) {
  std::vector<Leak> leaks;
  std::unordered_map<std::string, const Case*> patients, images;
  std::unordered_set<std::string> told;
  const auto look = [&](auto& seen, const std::string& key, const Case& c, const std::string& what) {
    const auto [at, fresh] = seen.emplace(key, &c);
    if (!fresh && at->second->split != c.split && told.insert(what + key).second)
      leaks.push_back({what == "p" ? "patient " + key : "the same image", at->second, &c});
  };
  for (const Case& c : d.cases) {
    if (c.split.empty()) continue;
    look(patients, patient_key(c), c, "p");
    if (!c.image_sha256.empty()) look(images, c.image_sha256, c, "i");
  }
  return leaks;
}

void check_synthetic(const Dataset& d) {
  const auto is_synthetic = [](const Case& c) {
    const auto it = c.extra.find("synthetic");
    return it != c.extra.end() && it->second == "1";
  };
  std::unordered_map<std::string, const Case*> real;
  for (const Case& c : d.cases) {
    if (!is_synthetic(c)) real.emplace(c.id, &c);
  }
  for (const Case& c : d.cases) {
    if (!is_synthetic(c)) continue;
    check(c.split == "train", "split: synthetic case {} is in {}; synthetic films may only be trained on", c.id,
          c.split.empty() ? "no split" : c.split);
    const auto name = c.extra.find("base");
    const auto base = real.find(name == c.extra.end() ? "" : name->second);
    check(base != real.end(), "split: synthetic case {} names no real case of this data set as its base", c.id);
    check(base->second->split == "train" && patient_key(c) == patient_key(*base->second),
          "split: synthetic case {} is made from case {} (patient {}, {}), which must be a training case of the same "
          "patient; leave the synthetic case out",
          c.id, base->second->id, patient_key(*base->second), base->second->split);
  }
}

void check_no_leak(const Dataset& d) {
  const std::vector<Leak> leaks = find_leaks(d);
  if (leaks.empty()) return check_synthetic(d);
  const Leak& l = leaks[0];
  fail(
      "split: {} is in two splits: case {} in {} and case {} in {} ({} such leaks); put all images of a patient on one "
      "side, or remove the split column to have the split made",
      l.what, l.first->id, l.first->split, l.second->id, l.second->split, leaks.size());
}

std::vector<int64_t> cases_of(const Dataset& d, std::string_view split) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < d.cases.size(); ++i) {
    if (d.cases[i].split == split) out.push_back(static_cast<int64_t>(i));
  }
  return out;
}

}  // namespace querent::data
