// Splits: patients are dealt out whole, in the asked shares, whatever the order of the cases.
#include "data/split.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "data_files.h"

TEST_SUITE_BEGIN("data_split_test");
using namespace querent;
using namespace querent::data;
using namespace querent::test;

namespace {

void add(Dataset& d, const std::string& patient, const std::string& label, int images, const std::string& split = "") {
  for (int i = 0; i < images; ++i) {
    Case c;
    c.id = text("{}_{}", patient, i);
    c.image = c.id + ".png";
    c.patient = patient;
    c.label = label;
    c.split = split;
    d.cases.push_back(c);
  }
  refresh_classes(d);
}
// 90 patients of class a and 60 of class b, with one to four images each.
Dataset clinic() {
  Dataset d;
  for (int p = 0; p < 150; ++p) add(d, text("p{}", p), p % 5 < 3 ? "a" : "b", 1 + p * 7 % 4);
  return d;
}
std::map<std::string, std::string> split_by_id(const Dataset& d) {
  std::map<std::string, std::string> out;
  for (const Case& c : d.cases) out[c.id] = c.split;
  return out;
}
std::string split_of(const Dataset& d, const std::string& patient) {
  std::set<std::string> splits;
  for (const Case& c : d.cases) {
    if (c.patient == patient) splits.insert(c.split);
  }
  return splits.size() == 1 ? *splits.begin() : text("{} splits", splits.size());
}
int64_t count(const Dataset& d, const std::string& split, const std::string& label = "") {
  return std::count_if(d.cases.begin(), d.cases.end(),
                       [&](const Case& c) { return c.split == split && (label.empty() || c.label == label); });
}

}  // namespace

TEST_CASE("every patient is on one side, every class has its shares, for every seed") {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Dataset d = clinic();
    split_dataset(d, {.val = 0.15, .test = 0.20, .seed = seed});
    for (int p = 0; p < 150; ++p) {
      const std::string split = split_of(d, text("p{}", p));
      CHECK((split == "train" || split == "val" || split == "test"));
    }
    // Dealing goes on while a patient brings the share nearer, so it ends within half of the largest patient.
    for (const char* label : {"a", "b"}) {
      const auto all = static_cast<double>(count(d, "train", label) + count(d, "val", label) + count(d, "test", label));
      CHECK(std::abs(static_cast<double>(count(d, "test", label)) - 0.20 * all) <= 2);
      CHECK(std::abs(static_cast<double>(count(d, "val", label)) - 0.15 * all) <= 2);
    }
  }
}

TEST_CASE("the split is made of names and seed, not of the order of the cases") {
  Dataset d = clinic(), reversed = clinic(), other = clinic();
  std::reverse(reversed.cases.begin(), reversed.cases.end());
  split_dataset(d, {.seed = 4});
  split_dataset(reversed, {.seed = 4});
  split_dataset(other, {.seed = 5});
  CHECK(split_by_id(d) == split_by_id(reversed));
  CHECK(split_by_id(d) != split_by_id(other));
  const auto before = split_by_id(d);
  split_dataset(d, {.seed = 9});  // what has a place keeps it
  CHECK(split_by_id(d) == before);

  CHECK(cases_of(d, "test").size() == static_cast<size_t>(count(d, "test")));
  const std::vector<int64_t> val = cases_of(d, "val");
  CHECK(std::is_sorted(val.begin(), val.end()));
  for (const int64_t i : val) CHECK(d.cases[static_cast<size_t>(i)].split == "val");
}

TEST_CASE("no share at all, no patient names, and shares that leave nothing to train on") {
  Dataset d = clinic();
  split_dataset(d, {.val = 0.3, .test = 0});
  CHECK(count(d, "test") == 0);
  CHECK(count(d, "val") > 0);
  Dataset nameless = clinic();
  for (Case& c : nameless.cases) c.patient.clear();  // then every case is a patient of its own
  split_dataset(nameless, {.val = 0.15, .test = 0.20});
  CHECK(count(nameless, "test") == std::lround(0.20 * static_cast<double>(count(clinic(), "", "a"))) +
                                       std::lround(0.20 * static_cast<double>(count(clinic(), "", "b"))));
  for (const SplitOptions& o : {SplitOptions{.val = 0.5, .test = 0.5}, SplitOptions{.val = -0.1, .test = 0.2}})
    CHECK(contains(message([&] { split_dataset(d, o); }), "must not be negative and leave something to train on"));
}

TEST_CASE("a class of three patients has one on each side, and a large patient does not swamp the test set") {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    Dataset d = clinic();
    for (const char* p : {"x", "y", "z"}) add(d, p, "rare", 1);
    for (const char* p : {"u", "v"}) add(d, p, "lopsided", 1);
    add(d, "w", "lopsided", 30);
    split_dataset(d, {.val = 0.15, .test = 0.20, .seed = seed});
    for (const char* split : {"train", "val", "test"}) CHECK(count(d, split, "rare") == 1);
    CHECK(split_of(d, "w") == "train");
    CHECK(count(d, "val", "lopsided") == 1);
    CHECK(count(d, "test", "lopsided") == 1);

    Dataset large;  // every patient is more than twice the share of validation: then the smaller of those left goes
    for (const char* p : {"x", "y"}) add(large, p, "a", 10);
    add(large, "z", "a", 12);
    split_dataset(large, {.val = 0.15, .test = 0.20, .seed = seed});
    CHECK(count(large, "val") == 10);

    Dataset few;
    for (const char* p : {"x", "y", "z", "zz"}) add(few, p, "a", 1);
    split_dataset(few, {.val = 0.45, .test = 0.45, .seed = seed});  // 1.8 each would leave nothing to train on
    CHECK(count(few, "train") >= 1);
    CHECK(count(few, "val") >= 1);
    CHECK(count(few, "test") >= 1);
  }
}

TEST_CASE("a given split is kept, its patients' other images follow, and it is not enlarged") {
  Dataset d = clinic();
  const auto place = [&](const std::string& id, const char* split) {
    for (Case& c : d.cases) {
      if (c.id == id) c.split = split;
    }
  };
  place("p1_0", "test");  // p1 has four images, p2 three
  place("p2_1", "train");
  split_dataset(d, {.val = 0.15, .test = 0.20});
  CHECK(split_of(d, "p1") == "test");
  CHECK(split_of(d, "p2") == "train");
  CHECK(count(d, "test") == 4);
  CHECK(count(d, "val") > 0);

  // A table with training and test only, as collections come: validation is taken from training, test stays.
  Dataset table;
  for (int p = 0; p < 40; ++p) add(table, text("p{}", p), p % 2 ? "a" : "b", 2, p < 30 ? "train" : "test");
  split_dataset(table, {.val = 0.20, .test = 0.20});
  CHECK(count(table, "test") == 20);
  for (int p = 30; p < 40; ++p) CHECK(split_of(table, text("p{}", p)) == "test");
  CHECK(count(table, "val") == 12);  // a fifth of the 60 given to training
  for (int p = 0; p < 30; ++p) CHECK(split_of(table, text("p{}", p)).size() <= 5);

  // Where every case has its place and none is test, no test split is made up.
  Dataset no_test;
  for (int p = 0; p < 20; ++p) add(no_test, text("p{}", p), "a", 1, "train");
  split_dataset(no_test, {.val = 0.20, .test = 0.20});
  CHECK(count(no_test, "test") == 0);
  CHECK(count(no_test, "val") == 4);
}

TEST_CASE("a leak in a given split is an error that names the patient and both cases") {
  Dataset d;
  add(d, "p7", "a", 1, "train");
  add(d, "p8", "a", 2, "val");
  add(d, "p9", "b", 3, "train");
  CHECK(find_leaks(d).empty());
  check_no_leak(d);
  d.cases[4].split = d.cases[5].split = "test";  // two of p9's three
  const std::vector<Leak> leaks = find_leaks(d);
  REQUIRE(leaks.size() == 1);  // one per patient, however many of its cases
  CHECK(leaks[0].what == "patient p9");
  CHECK(leaks[0].first == &d.cases[3]);
  CHECK(leaks[0].second == &d.cases[4]);
  const std::string said = message([&] { split_dataset(d); });
  CHECK(contains(said, "patient p9 is in two splits: case p9_0 in train and case p9_1 in test (1 such leaks)"));
  CHECK(message([&] { check_no_leak(d); }) == said);

  // The same file under two patients' names, once hashes are known.
  d.cases[4].split = d.cases[5].split = "train";
  d.cases[0].image_sha256 = d.cases[2].image_sha256 = "abc";
  d.cases[1].image_sha256 = "def";
  CHECK(contains(message([&] { check_no_leak(d); }),
                 "the same image is in two splits: case p7_0 in train and case p8_1"));
  d.cases[0].split = "val";
  CHECK(message([&] { check_no_leak(d); }) == "no error");
  d.cases[0].split = "";  // no side yet, no leak
  CHECK(find_leaks(d).empty());
}

TEST_CASE("a synthetic case is trained on with its base, or an error names it") {
  Dataset d;
  add(d, "p7", "a", 1, "train");
  add(d, "p8", "b", 1, "val");
  Case film = d.cases[0];
  film.id = "p7_0+4";
  film.extra = {{"synthetic", "1"}, {"base", "p7_0"}};
  d.cases.push_back(film);
  check_no_leak(d);
  const auto said = [&](const std::function<void(Case&)>& change) {
    Dataset changed = d;
    change(changed.cases[2]);
    return message([&] { check_no_leak(changed); });
  };
  CHECK(contains(said([](Case& c) { c.split = ""; }), "synthetic case p7_0+4 is in no split; synthetic films may only"));
  CHECK(contains(said([](Case& c) { c.split = "test", c.patient = "alone"; }), "synthetic case p7_0+4 is in test"));
  CHECK(contains(said([](Case& c) { c.extra["base"] = "p9_0"; }), "p7_0+4 names no real case of this data set"));
  CHECK(contains(said([](Case& c) { c.extra["base"] = "p7_0+4"; }), "names no real case"));  // films of films
  CHECK(contains(said([](Case& c) { c.patient = "other"; }), "made from case p7_0 (patient p7, train), which must be"));
  CHECK(contains(said([](Case& c) { c.extra["base"] = "p8_0"; }), "made from case p8_0 (patient p8, val)"));
  d.cases[0].split = "";
  CHECK(contains(message([&] { check_synthetic(d); }), "made from case p7_0 (patient p7, ), which must be"));
}

TEST_SUITE_END();
