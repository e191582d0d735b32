#include "data/check.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "data/decode.h"
#include "data/idx.h"
#include "data/masks.h"
#include "data/parallel.h"
#include "data/split.h"
#include "data/transform.h"
#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::data {
namespace {

using Hash = std::array<uint64_t, 4>;
// Bits of 256 in which near duplicates may differ. On 1,496 chest films a copy shrunk to 180 pixels, brightened and cut
// to 100 grey levels differs in at most 4 bits (99 % of the films; at most 11), the nearest film of another patient
// in 18.
constexpr int near = 7;
constexpr size_t pairwise_limit = 8000;    // beyond this many cases only neighbours in a hash table are compared
constexpr int64_t enough_foreground = 16;  // pixels at the training size

// What one case turned out to be; written by one thread each.
struct Finding {
  Hash hash{};
  bool hashed = false;
  std::vector<Problem> problems;
  std::string size, convention;
  double foreground = -1;
};

// Is each pixel of the 17 x 16 thumbnail brighter than its right neighbour? Unmoved by brightness and contrast.
Hash difference_hash(const Image& grey) {
  const Image small = resize(grey, 16, 17);
  Hash h{};
  for (int64_t y = 0; y < 16; ++y) {
    for (int64_t x = 0; x < 16; ++x) {
      if (small.at(y, x) > small.at(y, x + 1)) h[static_cast<size_t>(y / 4)] |= uint64_t{1} << (y % 4 * 16 + x);
    }
  }
  return h;
}
int distance(const Hash& a, const Hash& b) {
  int bits = 0;
  for (size_t i = 0; i < a.size(); ++i) bits += std::popcount(a[i] ^ b[i]);
  return bits;
}

Problem from_error(const Error& e, const std::string& id) {
  const std::string what = e.what();
  const size_t semicolon = what.rfind("; ");
  const bool split = semicolon != what.npos;
  return {Severity::error, id, what.substr(0, semicolon), split ? what.substr(semicolon + 2) : "replace the file"};
}

// A case from a manifest comes with the hashes of the files it was made from.
void note_change(const std::string& id, const char* what, std::string& known, const std::string& now, Finding& f) {
  if (!known.empty() && known != now) {
    f.problems.push_back({Severity::error, id, text("the {} file has changed since the manifest was written", what),
                          "restore it, or open the data set again"});
  }
  known = now;
}

void look_at_mask(Case& c, const ImageInfo& image, const CheckOptions& o, Finding& f) {
  const Mask m = load_mask(c.mask);
  note_change(c.id, "mask", c.mask_sha256, mask_sha256(c.mask), f);
  if (m.info.distinct > 1) f.convention = m.info.describe();  // one value alone fits every convention
  f.foreground = m.info.foreground;
  if (!sizes_match(image, m.info.height, m.info.width)) {
    f.problems.push_back(
        {Severity::error, c.id,
         text("the mask has {}x{} pixels, the image {}x{}", m.info.width, m.info.height, image.width, image.height),
         "export the mask at the image's size"});
    return;
  }
  const Image small = resize_mask(m.image, o.size, o.size);
  const auto left = std::count(small.pixels.begin(), small.pixels.end(), 1.0f);
  if (m.info.foreground == 0) {
    f.problems.push_back({o.allow_empty_masks ? Severity::note : Severity::error, c.id, "the mask is empty",
                          "draw the structure, leave the case out, or pass --allow-empty-masks"});
  } else if (left < enough_foreground) {
    f.problems.push_back(
        {Severity::warning, c.id, text("only {} mask pixels are left at size {}", left, o.size), "use a larger size"});
  } else if (m.info.foreground == 1) {
    f.problems.push_back({Severity::warning, c.id, "the mask covers the whole image", "check the mask"});
  }
}

Finding look_at(Case& c, const CheckOptions& o) {
  Finding f;
  try {
    const Image image = to_grey(decode_image(c.image));
    note_change(c.id, "image", c.image_sha256, image_sha256(c.image), f);
    if (c.width && c.height && (c.width != image.width || c.height != image.height)) {
      f.problems.push_back(
          {Severity::warning, c.id,
           text("the image has {}x{} pixels, the table says {}x{}", image.width, image.height, c.width, c.height),
           "correct the table"});
    }
    c.width = image.width;
    c.height = image.height;
    f.size = text("{}x{}", image.width, image.height);
    f.hash = difference_hash(image);
    const auto [low, high] = std::minmax_element(image.pixels.begin(), image.pixels.end());
    f.hashed = *low != *high;
    if (!f.hashed)
      f.problems.push_back({Severity::warning, c.id, "the image has one grey value only", "replace or remove it"});
    if (std::min(image.width, image.height) < o.smallest_side) {
      f.problems.push_back({Severity::error, c.id,
                            text("the image has {}x{} pixels, the network needs at least {} a side", image.width,
                                 image.height, o.smallest_side),
                            "leave it out, or use a network with fewer levels"});
    }
    if (!c.mask.empty()) look_at_mask(c, {image.height, image.width}, o, f);
  } catch (const Error& e) {
    f.problems.push_back(from_error(e, c.id));
  }
  return f;
}

void find_exact(const Dataset& d, CheckReport& r) {
  std::unordered_map<std::string, const Case*> seen;
  for (const Case& c : d.cases) {
    if (c.image_sha256.empty()) continue;
    const auto [at, fresh] = seen.emplace(c.image_sha256, &c);
    if (fresh) continue;
    const Case& other = *at->second;
    const bool contradict = c.label != other.label;
    r.problems.push_back({Severity::warning, c.id,
                          text("the same image file as case {}{}", other.id,
                               contradict ? ", with another label (" + other.label + ", " + c.label + ")" : ""),
                          contradict ? "decide on one label and remove the other case" : "remove one of the two"});
  }
}

void find_near(const Dataset& d, const std::vector<Finding>& findings, CheckReport& r) {
  std::vector<size_t> usable;
  for (size_t i = 0; i < findings.size(); ++i) {
    if (findings[i].hashed) usable.push_back(i);
  }
  std::vector<std::pair<size_t, size_t>> pairs;
  const auto compare = [&](size_t i, size_t j) {
    if (distance(findings[i].hash, findings[j].hash) <= near && d.cases[i].image_sha256 != d.cases[j].image_sha256)
      pairs.emplace_back(std::min(i, j), std::max(i, j));
  };
  if (usable.size() <= pairwise_limit) {
    for (size_t a = 0; a < usable.size(); ++a) {
      for (size_t b = a + 1; b < usable.size(); ++b) compare(usable[a], usable[b]);
    }
  } else {  // of 8 bands of 32 bits, at least one is equal in two hashes that differ in at most 7 bits
    for (size_t band = 0; band < 8; ++band) {
      std::unordered_map<uint32_t, std::vector<size_t>> buckets;
      for (const size_t i : usable) {
        std::vector<size_t>& bucket = buckets[static_cast<uint32_t>(findings[i].hash[band / 2] >> (band % 2 * 32))];
        const size_t from = bucket.size() > 64 ? bucket.size() - 64 : 0;
        for (size_t k = from; k < bucket.size(); ++k) compare(bucket[k], i);
        bucket.push_back(i);
      }
    }
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  }
  for (const auto& [i, j] : pairs) {
    const Case &a = d.cases[i], &b = d.cases[j];
    const bool across = !a.split.empty() && !b.split.empty() && a.split != b.split;
    const bool strangers = patient_key(a) != patient_key(b);
    if (!across && !strangers) continue;  // two films of one patient on one side look alike and may
    r.problems.push_back(
        {across ? Severity::warning : Severity::note, b.id,
         text("looks like case {}{}", a.id, across ? " of another split (" + a.split + ", " + b.split + ")" : ""),
         strangers ? "check whether both show one patient" : "keep both on one side"});
  }
}

void judge_whole(const Dataset& d, const CheckOptions& o, CheckReport& r) {
  const auto say = [&](Severity s, const std::string& message, const std::string& fix) {
    r.problems.push_back({s, "", message, fix});
  };
  if (r.cases == 0) say(Severity::error, "the data set has no cases", "check the path and the filters");
  if (o.task == Task::classification) {
    if (r.with_label == 0) say(Severity::error, "no case has a label", "add a label column or class folders");
    if (r.with_label > 0 && r.classes.size() < 2)
      say(Severity::error, "all cases have one class (" + r.classes.begin()->first + ")", "add cases of another class");
    if (r.with_label < r.cases && r.with_label > 0)
      say(Severity::warning, text("{} cases have no label", r.cases - r.with_label), "label them or leave them out");
    int64_t most = 0;
    for (const std::string& name : d.classes) {
      if (!r.classes.contains(name))
        say(Severity::error, text("class {} has no case", name), "leave it out, or add cases of it");
    }
    for (const auto& [name, n] : r.classes) most = std::max(most, n);
    for (const auto& [name, n] : r.classes) {
      if (n < 3)
        say(Severity::error, text("class {} has {} cases", name, n), "a class needs one case in each split");
      else if (n * 20 < most)
        say(Severity::warning, text("class {} has {} cases, the largest {}", name, n, most),
            "weight the classes or merge it");
    }
  } else {
    if (r.with_mask == 0) say(Severity::error, "no case has a mask", "add a mask column or a masks/ folder");
    if (r.with_mask > 0 && r.with_mask < r.cases)
      say(Severity::error, text("{} cases have no mask", r.cases - r.with_mask), "draw them or leave the cases out");
  }
  if (r.mask_conventions.size() > 1)
    say(Severity::note, text("{} mask conventions are mixed", r.mask_conventions.size()),
        "check that each is read as meant");
  for (const Leak& l : find_leaks(d)) {
    r.problems.push_back({Severity::error, l.second->id,
                          text("{} is in two splits: case {} in {}, case {} in {}", l.what, l.first->id, l.first->split,
                               l.second->id, l.second->split),
                          "put both on one side"});
  }
}

}  // namespace

const char* name_of(Severity s) {
  constexpr const char* names[] = {"note", "warning", "error"};
  return names[static_cast<int>(s)];
}

int64_t CheckReport::count(Severity s) const {
  return std::count_if(problems.begin(), problems.end(), [&](const Problem& p) { return p.severity == s; });
}

std::string CheckReport::json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Problem& p : problems) {
    list.push_back({{"severity", name_of(p.severity)}, {"case", p.id}, {"message", p.message}, {"fix", p.fix}});
  }
  const nlohmann::json j = {{"root", root},
                            {"layout", layout},
                            {"cases", cases},
                            {"patients", patients},
                            {"with_mask", with_mask},
                            {"with_label", with_label},
                            {"classes", classes},
                            {"splits", splits},
                            {"mask_conventions", mask_conventions},
                            {"image_sizes", image_sizes},
                            {"mean_foreground", mean_foreground},
                            {"errors", count(Severity::error)},
                            {"warnings", count(Severity::warning)},
                            {"problems", list}};
  return dump_json(j, 1);
}

CheckReport check_dataset(Dataset& d, const CheckOptions& o) {
  CheckReport r;
  r.root = d.root;
  r.layout = d.layout;
  r.cases = static_cast<int64_t>(d.cases.size());
  std::vector<Finding> findings(d.cases.size());
  parallel_for(r.cases,
               [&](int64_t i) { findings[static_cast<size_t>(i)] = look_at(d.cases[static_cast<size_t>(i)], o); });
  std::set<std::string> patients;
  int64_t masks = 0;
  for (size_t i = 0; i < d.cases.size(); ++i) {
    const Case& c = d.cases[i];
    const Finding& f = findings[i];
    patients.insert(patient_key(c));
    r.with_mask += !c.mask.empty();
    r.with_label += !c.label.empty();
    if (!c.label.empty()) ++r.classes[c.label];
    if (!c.split.empty()) ++r.splits[c.split];
    if (!f.size.empty()) ++r.image_sizes[f.size];
    if (!f.convention.empty()) ++r.mask_conventions[f.convention];
    if (f.foreground >= 0) {
      r.mean_foreground += f.foreground;
      ++masks;
    }
    r.problems.insert(r.problems.end(), f.problems.begin(), f.problems.end());
  }
  if (masks) r.mean_foreground /= static_cast<double>(masks);
  r.patients = static_cast<int64_t>(patients.size());
  judge_whole(d, o, r);
  find_exact(d, r);
  find_near(d, findings, r);
  for (const std::string& note : d.notes) r.problems.push_back({Severity::note, "", note, ""});
  std::stable_sort(r.problems.begin(), r.problems.end(),
                   [](const Problem& a, const Problem& b) { return a.severity > b.severity; });
  return r;
}

void require_usable(const Dataset& d, Task task) {
  check(!d.cases.empty(), "{}: the data set has no cases; check the path and the filters", d.root);
  for (const Case& c : d.cases) {
    const auto item = parse_idx_item(c.image);
    std::error_code error;
    check(std::filesystem::exists(item ? item->file : std::filesystem::path(c.image), error),
          "{}: the image of case {} does not exist; restore it or remove the row", c.image, c.id);
    for (const std::string& mask : split_list(c.mask, '|')) {
      check(std::filesystem::exists(mask, error),
            "{}: the mask of case {} does not exist; restore it or remove the row", mask, c.id);
    }
    check(task != Task::segmentation || !c.mask.empty(),
          "{}: case {} has no mask; segmentation needs one for every case (remove the others)", d.root, c.id);
    check(task != Task::classification || !c.label.empty(),
          "{}: case {} has no label; classification needs one for every case (remove the others)", d.root, c.id);
  }
  check(task != Task::classification || d.classes.size() >= 2,
        "{}: all cases have one class ({}); classification needs at least two", d.root,
        d.classes.empty() ? "none" : d.classes[0]);
  check_no_leak(d);
}

}  // namespace querent::data
