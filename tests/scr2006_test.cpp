// The comparison of van Ginneken et al. 2006: its measures by hand, its pixel classifier, a run on phantoms.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/agreement.h"
#include "al/scr2006/experiment.h"
#include "al/scr2006/masks.h"
#include "al/scr2006/measures.h"
#include "al/scr2006/pixel_classifier.h"
#include "al/surface_distance.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

TEST_SUITE_BEGIN("scr2006_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<uint8_t>;

// Rows of '.' and '#'.
Bytes drawn(const std::string& rows) {
  Bytes mask;
  for (const char c : rows)
    if (c != ' ') mask.push_back(c == '#');
  return mask;
}
Image picture(const Bytes& mask, int64_t W) {
  Image image(static_cast<int64_t>(mask.size()) / W, W);
  std::copy(mask.begin(), mask.end(), image.pixels.begin());
  return image;
}

}  // namespace

TEST_CASE("overlap, contour distance, widths and ratio by hand") {
  const Bytes a = drawn("##.. ##.. .... ...."), b = drawn(".##. .##. .... ...."), none(16, 0);
  CHECK(overlap(a, b) == Approx(2.0 / 6));
  CHECK(overlap(none, none) == 1);
  CHECK(overlap(a, none) == 0);
  CHECK(contour_distance(a, b, 4, 4, 1, 1) == Approx(0.5));  // of four outline pixels two lie on the other outline
  CHECK(contour_distance(a, b, 4, 4, 1, 3) == Approx(1.5));
  CHECK(contour_distance(none, none, 4, 4, 1, 1) == 0);
  CHECK(contour_distance(a, none, 4, 4, 1, 1) == Approx(std::sqrt(32.0)));
  const Bytes one = drawn("#... .... .... ...."), two = drawn("#..# .... .... ....");
  CHECK(mean_contour_distance(one, two, 4, 4) == Approx(0.75));  // 0 one way, (0 + 3) / 2 the other

  const Bytes lungs = drawn("#...#.. ##..##. .#...#. ......."), heart = drawn("....... ..##... .##.... ...#...");
  CHECK(thoracic_width(lungs, 4, 7, 1) == 6);
  CHECK(thoracic_width(lungs, 4, 7, 0.5) == 3);
  CHECK(heart_width(heart, 4, 7, 1) == 3);
  CHECK(cardiothoracic_ratio(lungs, heart, 4, 7) == Approx(0.5));
  CHECK(std::isnan(cardiothoracic_ratio(lungs, Bytes(28, 0), 4, 7)));
  CHECK_THROWS_WITH_AS(thoracic_width(lungs, 4, 4, 1), doctest::Contains("28 pixels is not 4x4"), Error);

  const Distribution d = distribution({4, 1, 3, 2, 5});
  CHECK(d.mean == 3);
  CHECK(d.sd == Approx(std::sqrt(2.5)));
  CHECK(std::vector{d.min, d.q1, d.median, d.q3, d.max} == std::vector<double>{1, 2, 3, 4, 5});
}

TEST_CASE("Bland-Altman: differences 1, 2, 3 have bias 2 and limits 2 -+ 1.96") {
  const std::vector<double> reference = {10, 20, 30}, measured = {11, 22, 33};
  const Agreement a = bland_altman(measured, reference);
  CHECK(a.difference.mean == Approx(2));
  CHECK(a.difference.sd == Approx(1));
  CHECK(a.limits.low == Approx(0.04));
  CHECK(a.limits.high == Approx(3.96));
  CHECK_THROWS_WITH_AS(bland_altman(std::vector<double>{1}, std::vector<double>{1}), doctest::Contains("two pairs"),
                       Error);
}

TEST_CASE("mean shape, majority, largest regions without holes") {
  CHECK(mean_mask(std::vector<Bytes>{{1, 1, 0, 0}, {1, 0, 0, 1}}) == Bytes{1, 1, 0, 1});
  CHECK(mean_mask(std::vector<Bytes>{{1, 1, 0}, {1, 0, 0}, {0, 1, 0}}) == Bytes{1, 1, 0});
  const Image mask = picture(drawn("###..# #.#... ###.## ....## #....."), 6);
  CHECK(largest_filled(mask, 1) == drawn("###... ###... ###... ...... ......"));
  CHECK(largest_filled(mask, 2) == drawn("###... ###... ###.## ....## ......"));
}

TEST_CASE("Gaussian derivatives are exact for polynomials; blur keeps a constant") {
  Image film(33, 33);
  for (int64_t y = 0; y < 33; ++y)
    for (int64_t x = 0; x < 33; ++x) film.at(y, x) = static_cast<float>((x - 16) * (x - 16) + 3 * (y - 16));
  const std::vector<double> scales = {1, 1.5};
  const std::vector<float> f = pixel_features(film, scales);
  REQUIRE(feature_count(scales) == 15);
  const float* centre = f.data() + (16 * 33 + 16) * 15;
  const float unit = centre[5];  // Ly of the first scale: 3 / sd of the film
  CHECK(centre[0] == 0.5f);
  CHECK(centre[4] == Approx(0).epsilon(1e-4));
  CHECK(centre[6] / unit == Approx(2.0 / 3).epsilon(1e-3));
  CHECK(centre[11] / unit == Approx(1).epsilon(1e-3));
  Image flat(9, 9);
  std::fill(flat.pixels.begin(), flat.pixels.end(), 0.25f);
  for (const float v : blur(flat, 1.3).pixels) CHECK(v == Approx(0.25f));
}

TEST_CASE("k nearest neighbours equal a loop over all points; epsilon keeps its promise") {
  constexpr int64_t n = 700, D = 5, k = 15;
  Rng rng(4);
  std::vector<float> points;
  for (int64_t i = 0; i < n * D; ++i) points.push_back(static_cast<float>(rng.below(20)) / 4);  // with ties
  const KdTree tree(points, D);
  for (int q = 0; q < 40; ++q) {
    std::vector<float> query;
    for (int64_t d = 0; d < D; ++d) query.push_back(static_cast<float>(rng.uniform(0, 5)));
    std::vector<KdTree::Hit> all;
    for (int32_t i = 0; i < n; ++i) {
      float sum = 0;
      for (int64_t d = 0; d < D; ++d) {
        const float gap = points[static_cast<size_t>(i * D + d)] - query[static_cast<size_t>(d)];
        sum += gap * gap;
      }
      all.push_back({sum, i});
    }
    std::sort(all.begin(), all.end());
    all.resize(k);
    CHECK(tree.nearest(query, k) == all);
    const auto near = tree.nearest(query, k, 1);
    for (size_t j = 0; j < all.size(); ++j) CHECK(std::sqrt(near[j].squared) <= 2.001f * std::sqrt(all[j].squared));
  }
}

TEST_CASE("posterior: shares at classified pixels, linear between them") {
  const Image p = posterior(Bytes{0, 4, 0, 4}, 4, {.neighbours = 4, .stride = 2});
  CHECK(p.at(1, 1) == 0);
  CHECK(p.at(1, 2) == Approx(0.5));
  CHECK(p.at(1, 3) == 1);
  CHECK(p.at(0, 0) == 0);
}

TEST_CASE("a run on phantoms: heart and ratio, the same bits when stopped and continued; folds by patient") {
  const fs::path root = fs::temp_directory_path() / "querent_scr2006";
  fs::remove_all(root);
  write_phantom_dataset(root / "ph", 12, 32, 3);
  std::vector<data::Dataset> films;
  for (const char* organ : {"lungs", "heart"}) films.push_back(data::open_dataset(root / "ph", {.organ = organ}));
  CHECK(films[0].cases[0].mask != films[1].cases[0].mask);
  const std::vector<std::string> folds = folds_of(films[0], 1);
  for (size_t i = 0; i < folds.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (films[0].cases[i].patient == films[0].cases[j].patient) CHECK(folds[i] == folds[j]);

  Scr2006Config c;
  c.structures = {"lungs", "heart"};
  c.size = 32, c.pixels.samples = 1200, c.width = 4, c.steps = 6, c.batch = 2;
  REQUIRE(run_scr2006(c, films, (root / "whole").string(), {}));
  const nlohmann::json r = parse_json(read_file(root / "whole/scr2006.json"));
  CHECK(r.at("measure").at("name") == "cardiothoracic_ratio");
  REQUIRE(r.at("methods").size() == 5);
  CHECK(r.at("methods")[1].at("structures")[0].at("overlap").at("mean") > 0.6);  // the mean shape has less
  CHECK(r.at("methods")[1].at("agreement").at("n") == 12);

  Hooks hooks;
  int64_t asked = 0;
  hooks.stop = [&] { return ++asked > 14; };
  CHECK_FALSE(run_scr2006(c, films, (root / "parts").string(), hooks));
  REQUIRE(run_scr2006(c, films, (root / "parts").string(), {}));
  for (const char* file : {"scr2006.json", "films.json"})
    CHECK(read_file(root / "parts" / file) == read_file(root / "whole" / file));
  c.structures = {"liver", "heart"};
  CHECK_THROWS_WITH_AS(run_scr2006(c, films, (root / "bad").string(), {}), doctest::Contains("'liver' is unknown"),
                       Error);
  fs::remove_all(root);
}
TEST_SUITE_END();
