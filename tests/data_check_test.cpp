// The check of a data set: a clean one gives no complaint, and each single defect gives exactly the complaint it
// should.
#include "data/check.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <nlohmann/json.hpp>

#include "data/decode.h"
#include "data/masks.h"
#include "data_files.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("data_check_test");
using namespace querent;
using namespace querent::data;
using namespace querent::test;

namespace {

// A film of random 4 x 4 blocks: the thumbnails of two of them differ in about half of their bits.
std::string film(uint64_t seed, int height = 64, int width = 64, int brighter = 0) {
  const Rng rng = Rng(seed).fork("film");
  return grey_png(height, width, [=](int y, int x) {
    return static_cast<int>(Rng(rng).fork(static_cast<uint64_t>(y / 4 * 1000 + x / 4)).below(200)) + brighter;
  });
}
std::string lung(int height = 64, int width = 64, int white = 255) {
  return grey_png(height, width, [=](int y, int x) { return y > height / 4 && x > width / 3 ? white : 0; });
}

struct Clinic {
  TempFolder folder;
  Dataset d;
  // Six patients of two classes, all in order.
  Clinic() {
    d.root = folder.path.string();
    d.layout = "csv";
    for (int k = 0; k < 6; ++k) add(k % 2 ? "ill" : "normal");
  }
  Case& add(const std::string& label) {
    const size_t k = d.cases.size();
    Case c;
    c.id = text("c{}", k);
    c.patient = text("p{}", k);
    c.label = label;
    c.split = "train";
    c.image = folder.put(text("images/c{}.png", k), film(k));
    c.mask = folder.put(text("masks/c{}.png", k), lung());
    d.cases.push_back(c);
    refresh_classes(d);
    return d.cases.back();
  }
  void image(size_t k, const std::string& bytes) const { folder.put(text("images/c{}.png", k), bytes); }
  void mask(size_t k, const std::string& bytes) const { folder.put(text("masks/c{}.png", k), bytes); }
  // Every complaint as "severity case: message", one a line.
  std::string complaints(const CheckOptions& o = {}) {
    std::string all;
    for (const Problem& p : check_dataset(d, o).problems) {
      all += text("{}{}: {}\n", name_of(p.severity), p.id.empty() ? "" : " " + p.id, p.message);
      CHECK_FALSE(p.fix.empty());
    }
    return all;
  }
};
const CheckOptions classification{.task = Task::classification};

// Exactly one complaint, of this severity and case, with these words.
bool is_only(const std::string& complaints, const std::string& who, const std::string& words) {
  const bool yes = complaints.starts_with(who + ": ") && contains(complaints, words) &&
                   complaints.find('\n') + 1 == complaints.size();
  if (!yes) MESSAGE("expected only [", who, "] ", words, ", got:\n", complaints);
  return yes;
}

}  // namespace

TEST_CASE("a clean data set gives no complaint, the right counts, and its hashes and sizes") {
  Clinic c;
  c.d.cases[0].patient = c.d.cases[1].patient;
  c.image(4, film(4, 80, 96));
  c.mask(4, lung(40, 48));  // half the size is fine
  for (const CheckOptions& o : {CheckOptions{}, classification}) CHECK(c.complaints(o) == "");
  const CheckReport r = check_dataset(c.d, {});
  CHECK(r.ok());
  CHECK(r.cases == 6);
  CHECK(r.patients == 5);
  CHECK(r.with_mask == 6);
  CHECK(r.with_label == 6);
  CHECK(r.classes == std::map<std::string, int64_t>{{"ill", 3}, {"normal", 3}});
  CHECK(r.splits == std::map<std::string, int64_t>{{"train", 6}});
  CHECK(r.mask_conventions == std::map<std::string, int64_t>{{"0/255", 6}});
  CHECK(r.image_sizes == std::map<std::string, int64_t>{{"64x64", 5}, {"96x80", 1}});
  CHECK(r.mean_foreground == doctest::Approx(47 * 42 / 4096.0).epsilon(0.01));
  for (const Case& k : c.d.cases) {
    CHECK(k.image_sha256 == sha256_file(k.image));
    CHECK(k.mask_sha256 == sha256_file(k.mask));
  }
  CHECK(c.d.cases[4].width == 96);
  CHECK(c.d.cases[4].height == 80);
  const auto j = nlohmann::json::parse(r.json());
  CHECK(j.at("errors") == 0);
  CHECK(j.at("problems").empty());
  CHECK(j.at("classes").at("ill") == 3);
  CHECK(message([&] { require_usable(c.d, Task::segmentation); }) == "no error");
  CHECK(message([&] { require_usable(c.d, Task::classification); }) == "no error");
}

TEST_CASE("broken files: each is one error that names the case and the file") {
  const std::string good = film(2), bad_sum = [&] {
    std::string s = good;
    s[s.size() - 30] ^= 1;
    return s;
  }();
  for (const std::string& bytes :
       {good.substr(0, good.size() - 20), good.substr(0, 10), bad_sum, std::string("text"), std::string()}) {
    Clinic c;
    c.image(2, bytes);
    CHECK(is_only(c.complaints(), "error c2", "images/c2.png"));
    c.image(2, good);
    c.mask(2, bytes);
    CHECK(is_only(c.complaints(), "error c2", "masks/c2.png"));
  }
  Clinic c;
  fs::remove(c.d.cases[5].image);
  CHECK(is_only(c.complaints(), "error c5", "images/c5.png"));
  CHECK(contains(message([&] { require_usable(c.d, Task::segmentation); }),
                 "c5.png: the image of case c5 does not exist"));
  c.image(5, film(5));
  fs::remove(c.d.cases[5].mask);
  CHECK(is_only(c.complaints(), "error c5", "masks/c5.png"));
  CHECK(contains(message([&] { require_usable(c.d, Task::segmentation); }),
                 "c5.png: the mask of case c5 does not exist"));
}

TEST_CASE("images: blank, smaller than the network's stride, of another size than the table says") {
  Clinic c;
  c.image(1, grey_png(64, 64, [](int, int) { return 77; }));
  CHECK(is_only(c.complaints(), "warning c1", "one grey value only"));
  Clinic small;
  small.image(3, film(3, 12, 64));
  small.mask(3, lung(12, 64));
  CHECK(is_only(small.complaints(), "error c3", "the image has 64x12 pixels, the network needs at least 16 a side"));
  CHECK(small.complaints({.smallest_side = 12}) == "");
  Clinic table;
  table.d.cases[0].width = 64;
  table.d.cases[0].height = 65;
  CHECK(is_only(table.complaints(), "warning c0", "the image has 64x64 pixels, the table says 64x65"));
}

TEST_CASE("masks: of another size, empty, nearly gone, everything") {
  Clinic c;
  c.mask(1, lung(64, 48));
  CHECK(is_only(c.complaints(), "error c1", "the mask has 48x64 pixels, the image 64x64"));
  c.mask(1, lung(64, 64, 0));
  c.d.cases[1].mask_sha256.clear();
  CHECK(is_only(c.complaints(), "error c1", "the mask is empty"));
  CHECK(is_only(c.complaints({.allow_empty_masks = true}), "note c1", "the mask is empty"));

  Clinic tiny;
  tiny.mask(1, grey_png(64, 64, [](int y, int x) { return y < 4 && x < 4 ? 255 : 0; }));
  CHECK(is_only(tiny.complaints({.size = 32}), "warning c1", "only 4 mask pixels are left at size 32"));
  CHECK(tiny.complaints({.size = 64}) == "");

  Clinic full;
  full.mask(1, grey_png(64, 64, [](int, int) { return 255; }));
  CHECK(contains(full.complaints(), "warning c1: the mask covers the whole image\n"));
  // Two halves that cover the picture together are no better.
  full.mask(1, grey_png(64, 64, [](int, int x) { return x < 32 ? 255 : 0; }));
  const std::string right = full.folder.put("right.png", grey_png(64, 64, [](int, int x) { return x < 32 ? 0 : 255; }));
  full.d.cases[1].mask += "|" + right;
  full.d.cases[1].mask_sha256.clear();
  CHECK(is_only(full.complaints(), "warning c1", "the mask covers the whole image"));
}

TEST_CASE("mask conventions are recognised in files and reported; a mixture is noted") {
  Clinic c;
  const auto rows = [](const std::string& left, const std::string& right) {
    std::string row;
    for (int x = 0; x < 64; ++x) row += x < 40 ? left : right;
    return std::vector<std::string>(64, row);
  };
  const std::string black(3, '\0'), white(3, '\xFF'), red("\xFF\0\0", 3);
  const std::map<std::string, std::string> made = {
      {"0/255", lung()},
      {"0/1", lung(64, 64, 1)},
      {"0/65535", png(64, 64, 16, 0, rows(std::string(2, '\0'), std::string(2, '\xFF')))},
      {"0/255 as RGB", png(64, 64, 8, 2, rows(black, white))},
      {"0/255 as RGBA", png(64, 64, 8, 6, rows(black + '\xFF', white + '\xFF'))},
      {"colours", png(64, 64, 8, 2, rows(black, red))},
      {"0/255, palette", png(64, 64, 8, 3, rows(std::string(1, '\0'), "\1"), black + white)},
      {"0/170, palette", gif(64, 64, grey_palette, [](int, int x) { return x < 40 ? 0 : 2; })},
      {"colours, palette", png(64, 64, 8, 3, rows(std::string(1, '\0'), "\1"), black + red)},
      {"0/127/255 (the middle value is taken as background)",
       grey_png(64, 64, [](int, int x) { return x < 20   ? 0
                                                : x < 40 ? 127
                                                         : 255; })},
      {"0/1/2 (all but 0 is taken as foreground)",
       grey_png(64, 64, [](int, int x) { return x < 40 ? 0 : 1 + x % 2; })}};
  for (const auto& [name, bytes] : made) {
    CAPTURE(name);
    for (size_t k = 0; k < 6; ++k) {
      c.mask(k, bytes);
      c.d.cases[k].mask_sha256.clear();
    }
    const CheckReport r = check_dataset(c.d, {});
    CHECK(r.problems.empty());
    REQUIRE(r.mask_conventions.size() == 1);
    CHECK(name.starts_with(r.mask_conventions.begin()->first));
    if (!name.starts_with("0/255 as") && name != "0/255" && name != "0/1")
      CHECK(r.mask_conventions.begin()->first == name);
    const Mask m = load_mask(c.d.cases[0].mask);
    if (name != "0/255" && name != "0/1") CHECK(m.info.foreground == 24 / 64.0);
    CHECK(m.image.at(63, 63) == 1.0f);
    CHECK(m.image.at(0, 0) == 0.0f);
  }
  c.mask(0, lung(64, 64, 1));
  c.d.cases[0].mask_sha256.clear();
  CHECK(is_only(c.complaints(), "note", "2 mask conventions are mixed"));

  // The union of two parts is described by both.
  const Mask both = load_mask(c.d.cases[0].mask + "|" + c.folder.put("part.png", made.at("0/255, palette")));
  CHECK(both.info.describe() == "0/1/255, palette");
}

TEST_CASE("classes and labels: one class, a class with too few, none labelled") {
  Clinic c;
  const auto label_all = [&](const std::vector<std::string>& labels) {
    for (size_t k = 0; k < 6; ++k) c.d.cases[k].label = labels[k % labels.size()];
    refresh_classes(c.d);
    return c.complaints(classification);
  };
  CHECK(is_only(label_all({"ill"}), "error", "all cases have one class (ill)"));
  CHECK(contains(message([&] { require_usable(c.d, Task::classification); }), "all cases have one class (ill)"));
  CHECK(is_only(label_all({""}), "error", "no case has a label"));
  CHECK(is_only(label_all({"a", "a", "a", "b", "b", "a"}), "error", "class b has 2 cases"));
  CHECK(c.complaints() == "");  // labels are no matter of segmentation
  label_all({"a", "b"});
  c.d.classes.push_back("c");  // asked for with --classes, and every case of it had another label too
  CHECK(is_only(c.complaints(classification), "error", "class c has no case"));
  Case& last = c.add("");
  CHECK(is_only(c.complaints(classification), "warning", "1 cases have no label"));
  CHECK(contains(message([&] { require_usable(c.d, Task::classification); }), "case c6 has no label"));
  last.label = "a";
  while (c.d.cases.size() < 64) c.add("a");
  CHECK(is_only(c.complaints(classification), "warning", "class b has 3 cases, the largest 61"));

  Clinic masks;
  masks.d.cases[2].mask.clear();
  CHECK(is_only(masks.complaints(), "error", "1 cases have no mask"));
  CHECK(contains(message([&] { require_usable(masks.d, Task::segmentation); }), "case c2 has no mask"));
  CHECK(masks.complaints(classification) == "");
  for (Case& k : masks.d.cases) k.mask.clear();
  CHECK(is_only(masks.complaints(), "error", "no case has a mask"));
  masks.d.cases.clear();
  CHECK(contains(masks.complaints(), "error: the data set has no cases"));
  CHECK(contains(message([&] { require_usable(masks.d, Task::segmentation); }), "the data set has no cases"));
}

TEST_CASE("duplicates: the same file, another label, another split, and copies that only look the same") {
  Clinic c;
  c.image(4, film(0));
  CHECK(is_only(c.complaints(), "warning c4", "the same image file as case c0"));
  c.d.cases[4].label = "ill";
  CHECK(is_only(c.complaints(), "warning c4", "the same image file as case c0, with another label (normal, ill)"));
  c.d.cases[4].split = "test";
  CHECK(contains(c.complaints(), "error c4: the same image is in two splits: case c0 in train, case c4 in test"));

  Clinic near;
  near.image(4, film(0, 64, 64, 30));
  CHECK(is_only(near.complaints(), "note c4", "looks like case c0"));
  near.d.cases[4].split = "test";
  CHECK(is_only(near.complaints(), "warning c4", "looks like case c0 of another split (train, test)"));
  near.d.cases[4].split = "train";
  near.d.cases[4].patient = "p0";
  CHECK(near.complaints() == "");  // two films of one patient may look alike

  // Many cases are compared by neighbourhood instead of in pairs; a copy changed in one spot must still be found.
  const int64_t many = 8010, side = 16;
  std::string pixels;
  Rng rng(1);
  for (int64_t i = 0; i < many * side * side / 4; ++i) pixels += big(rng.next(), 4);
  pixels.replace(8000 * side * side, side * side, pixels.substr(17 * side * side, side * side));
  pixels[8000 * side * side + 100] ^= '\x7F';
  near.folder.put("x-images-idx3-ubyte",
                  std::string("\0\0\x8\3", 4) + big(many, 4) + big(side, 4) + big(side, 4) + pixels);
  Dataset d;
  for (int64_t i = 0; i < many; ++i) {
    Case k;
    k.id = text("{}", i);
    k.label = i % 2 ? "a" : "b";
    k.image = (near.folder.path / text("x-images-idx3-ubyte#{}", i)).string();
    d.cases.push_back(k);
  }
  refresh_classes(d);
  const CheckReport r = check_dataset(d, classification);
  REQUIRE(r.problems.size() == 1);
  CHECK(r.problems[0].id == "8000");
  CHECK(r.problems[0].message == "looks like case 17");
}

TEST_CASE("a patient in two splits is an error here and at the start of a run") {
  Clinic c;
  c.d.cases[3].patient = "p1";
  c.d.cases[3].split = "test";
  CHECK(is_only(c.complaints(), "error c3", "patient p1 is in two splits: case c1 in train, case c3 in test"));
  CHECK(contains(message([&] { require_usable(c.d, Task::segmentation); }), "patient p1 is in two splits"));
}

TEST_CASE("a file that has changed since the manifest was written is found") {
  Clinic c;
  const fs::path kept = c.folder.path / "manifest.jsonl";
  c.d.cases[5].mask +=
      "|" + c.folder.put("masks/right.png", grey_png(64, 64, [](int y, int) { return y < 9 ? 255 : 0; }));
  save_manifest(c.d, kept);
  const Dataset saved = load_manifest(kept);
  CHECK(saved.cases == c.d.cases);
  CHECK(saved.cases[5].mask_sha256 != saved.cases[4].mask_sha256);
  const auto opened = [&] { return load_manifest(kept); };
  c.d = opened();
  CHECK(c.complaints() == "");
  Dataset again = opened();
  CHECK(message([&] { hash_files(again); }) == "no error");

  const auto changed = [&](const std::string& what, const std::string& file) {
    c.d = opened();
    CHECK(is_only(c.complaints(), what.substr(0, 8), what.substr(10)));
    CHECK(c.d.cases[0].image_sha256 == sha256_file(c.d.cases[0].image));
    again = opened();
    const std::string said = message([&] { save_manifest(again, c.folder.path / "second.jsonl"); });
    CHECK(contains(said, file));
    CHECK(contains(said, "has changed since the manifest was written"));
    CHECK_FALSE(fs::exists(c.folder.path / "second.jsonl"));  // no manifest is better than a false one
  };
  c.image(0, film(99));
  changed("error c0: the image file has changed since the manifest was written", "images/c0.png");
  c.image(0, film(0));
  c.folder.put("masks/right.png", grey_png(64, 64, [](int y, int) { return y < 8 ? 255 : 0; }));
  changed("error c5: the mask file has changed since the manifest was written", "masks/right.png");
}

TEST_CASE("errors come first, notes of the layout last, and the report is the same for any number of threads") {
  const auto report = [](int threads) {
    Clinic c;
    c.d.notes = {"3 files were skipped"};
    c.d.root = "x";
    c.image(1, grey_png(64, 64, [](int, int) { return 7; }));
    c.image(2, "broken");
    c.mask(3, lung(64, 64, 0));
    for (Case& k : c.d.cases) k.image = fs::relative(k.image, fs::current_path()).string();
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    const CheckReport r = check_dataset(c.d, {});
    omp_set_num_threads(before);
    CHECK_FALSE(r.ok());
    CHECK(r.count(Severity::error) == 2);
    REQUIRE(r.problems.size() == 4);
    CHECK(r.problems[0].id == "c2");
    CHECK(r.problems[1].id == "c3");
    CHECK(r.problems[2].severity == Severity::warning);
    CHECK(r.problems[3].message == "3 files were skipped");
    const auto j = nlohmann::json::parse(r.json());
    CHECK(j.at("problems")[1].at("severity") == "error");
    CHECK(j.at("problems")[1].at("case") == "c3");
    CHECK(j.at("errors") == 2);
    std::string all;
    for (const Problem& p : r.problems) all += p.id + p.fix;
    return all;
  };
  CHECK(report(1) == report(2));
}

TEST_SUITE_END();
