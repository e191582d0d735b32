// The experiment of Mahapatra et al. 2013 on a few small phantoms: its query, its pool, its chain of rounds.
#include "al/mahapatra2013/experiment.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "al/mahapatra2013/film.h"
#include "al/mahapatra2013/query.h"
#include "al/mahapatra2013/segment.h"
#include "app/report.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/run.h"

TEST_SUITE_BEGIN("mahapatra2013_test");
using namespace querent;
using namespace querent::al;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct Sandbox {
  fs::path root = fs::temp_directory_path() / "querent_mahapatra2013";
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    write_phantom_dataset(root / "films", 16, 64, 3);
    dataset = data::open_dataset(root / "films");
    data::split_dataset(dataset, {.val = 0.2, .test = 0.2, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
};
MahapatraConfig tiny() {
  MahapatraConfig c;
  c.seeds = 1, c.size = 64, c.films = 4, c.superpixels = 60, c.start = 6, c.budget = 24, c.trees = 8;
  return c;
}
json read(const fs::path& path) { return parse_json(read_file(path)); }
std::vector<int64_t> asked_by(const fs::path& run, const std::string& arm) {
  std::vector<int64_t> all;
  for (int r = 0; r < 3; ++r) {
    const json unit = read(run / text("units/{}_s1_r{}.json", arm, r));
    for (const json& i : unit.at("asked")) all.push_back(i);
  }
  return all;
}

}  // namespace

TEST_CASE("query: entropy, disagreement and informativeness by hand") {
  CHECK(entropy_bits(0.5) == doctest::Approx(1));
  CHECK(entropy_bits(0.25) == doctest::Approx(0.25 * 2 + 0.75 * std::log2(4.0 / 3)));
  CHECK(entropy_bits(1) == 0);
  // A path 0 - 1 - 2: node 1 is 0.3 from 0 with weight 1, 0.5 from 2 with weight 3; node 3 touches none.
  const std::vector<double> p = {0.5, 0.2, 0.7, 0.9}, weight = {1, 3};
  const std::vector<Border> borders = {{0, 1, 2}, {1, 2, 2}};
  const std::vector<double> c = context_disagreement(p, borders, weight);
  CHECK(c[0] == doctest::Approx(0.3));
  CHECK(c[1] == doctest::Approx((0.3 + 3 * 0.5) / 4));
  CHECK(c[2] == doctest::Approx(0.5));
  CHECK(c[3] == 0);
  const std::vector<double> density = {0.25, 1, 1, 1};
  CHECK(informativeness(p, c, density, {2, 0.5})[0] == doctest::Approx((1 + 2 * 0.3) * 0.5));
  CHECK(informativeness(p, c, density, {0, 0})[0] == doctest::Approx(1));
}

TEST_CASE("query: the most informative that are unlabelled, no two of which touch while there are others") {
  const std::vector<double> score = {5, 4, 3, 9, 1};
  const std::vector<uint8_t> labelled = {0, 0, 0, 1, 0};
  const std::vector<Border> borders = {{0, 1, 1}, {1, 2, 1}};
  CHECK(choose_superpixels(score, labelled, borders, 1, 1) == std::vector<int64_t>{0});
  CHECK(choose_superpixels(score, labelled, borders, 3, 1) == std::vector<int64_t>{0, 2, 4});
  CHECK(choose_superpixels(score, labelled, borders, 4, 1) == std::vector<int64_t>{0, 2, 4, 1});
  CHECK(choose_superpixels(score, labelled, borders, 9, 1).size() == 4);
}

TEST_CASE("superpixels that are alike: similarity, the graph of likeness, information density") {
  const FeatureMatrix z{3, 2, {0, 0, 1, 2, 1, 0}};
  const std::vector<Border> borders = {{0, 1, 3}, {0, 2, 1}};
  const std::vector<double> w = similarity(borders, z, std::vector<double>{0.75, 0.25});
  CHECK(w[0] == doctest::Approx(std::exp(-(0.75 + 0.25 * 4))));
  CHECK(w[1] == doctest::Approx(std::exp(-0.75)));

  // Rows 0, 1, 3 on a line: nearest 1, 0, 1 at squared distances 1, 1, 4, mean 2; no borders but 0 - 2 at 9.
  SuperpixelPool pool;
  pool.borders = {{0, 2, 1}};
  const Graph g = likeness_graph(pool, {3, 1, {0, 1, 3}}, 1);
  CHECK(g.to == std::vector<int64_t>{1, 2, 0, 2, 0, 1});
  CHECK(g.weight[0] == doctest::Approx(std::exp(-1.0 / 4)));
  CHECK(g.weight[1] == doctest::Approx(std::exp(-9.0 / 4)));
  CHECK(g.weight[3] == doctest::Approx(std::exp(-4.0 / 4)));
  CHECK(information_density(g)[0] == doctest::Approx((std::exp(-1.0 / 4) + std::exp(-9.0 / 4)) / 2));
}

TEST_CASE("the cut turns a doubtful superpixel to its neighbours' label, by the length of the border and likeness") {
  // p 0.9, 0.4, 0.9 in a row: turning the middle one costs log(0.6 / 0.4) = 0.405; it saves two borders.
  const std::vector<double> p = {0.9, 0.4, 0.9};
  const std::vector<Border> borders = {{0, 1, 2}, {1, 2, 2}};
  CHECK(likelier_labels(p) == std::vector<uint8_t>{1, 0, 1});
  const std::vector<double> alike = {1, 1}, half = {0.5, 0.5};
  CHECK(cut_labels(p, borders, alike, 0.19) == std::vector<uint8_t>{1, 0, 1});
  CHECK(cut_labels(p, borders, alike, 0.21) == std::vector<uint8_t>{1, 1, 1});
  CHECK(cut_labels(p, borders, half, 0.21) == std::vector<uint8_t>{1, 0, 1});
  // A border three times as long as the other, of mean 2: 1.5 and 0.5; the sum is the same.
  CHECK(cut_labels(p, std::vector<Border>{{0, 1, 3}, {1, 2, 1}}, std::vector<double>{1, 0}, 0.26) ==
        std::vector<uint8_t>{1, 0, 1});
  CHECK(cut_labels(p, std::vector<Border>{{0, 1, 3}, {1, 2, 1}}, std::vector<double>{1, 0}, 0.28) ==
        std::vector<uint8_t>{1, 1, 1});
}

TEST_CASE("rounds of 6, 12 and 24 superpixels; stopped and continued, on other threads, to the same bits; a page") {
  const Sandbox s;
  const fs::path whole = s.root / "whole", parts = s.root / "parts";
  REQUIRE(run_mahapatra2013(tiny(), s.dataset, whole.string(), {}));
  const json results = read(whole / "mahapatra2013.json");
  const auto arm = [&](const std::string& name) {
    for (const json& a : results.at("arms"))
      if (a.at("arm") == name) return a;
    return json();
  };
  for (const char* name : {"random", "propagation", "active", "context", "graph_cut"}) {
    const json points = arm(name).at("points");
    REQUIRE(points.size() == 3);
    CHECK(points[0].at("labels") == 6);
    CHECK(points[1].at("labels") == 12);
    CHECK(points[2].at("labels") == 24);
  }
  const auto dice = [&](const std::string& name, size_t at) {
    return arm(name).at("points")[at].at("metrics").at("dice").at("mean").get<double>();
  };
  CHECK(dice("superpixels", 0) > dice("full", 0));
  CHECK(dice("full", 0) > dice("random", 0));
  CHECK(dice("propagation", 1) != dice("random", 1));
  const json last = read(whole / "units/context_s1_r2.json");
  CHECK(dice("context", 2) == last.at("forest").at("dice"));
  CHECK(dice("graph_cut", 2) == last.at("cut").at("dice"));
  CHECK(last.at("cut") != last.at("forest"));
  // A step's gain is the mean over the rounds.
  double gain = 0;
  for (size_t i = 0; i < 3; ++i) gain += (dice("active", i) - dice("propagation", i)) / 3;
  CHECK(results.at("differences")[1].at("arm") == "active");
  CHECK(results.at("differences")[1].at("mean").get<double>() == doctest::Approx(gain));

  // All arms begin alike; random queries are the same with and without propagation, active ones are others; none twice.
  const json first = read(whole / "units/random_s1_r0.json").at("labelled");
  for (const char* name : {"propagation", "active", "context"})
    CHECK(read(whole / text("units/{}_s1_r0.json", name)).at("labelled") == first);
  CHECK(asked_by(whole, "random") == asked_by(whole, "propagation"));
  CHECK(asked_by(whole, "active") != asked_by(whole, "random"));
  CHECK(asked_by(whole, "active") != asked_by(whole, "context"));
  for (const std::string& name : mahapatra_arms) {
    std::vector<int64_t> all = first.get<std::vector<int64_t>>();
    for (const int64_t i : asked_by(whole, name)) all.push_back(i);
    CHECK(all.size() == 24);
    CHECK(std::set<int64_t>(all.begin(), all.end()).size() == 24);
  }

  Hooks hooks;
  int64_t ended = 0, calls = 0;
  hooks.progress = [&](const Progress& p) { ended += p.what == Progress::unit_end; };
  hooks.stop = [&] { return ended >= 5 && ++calls > 1; };
  CHECK_FALSE(run_mahapatra2013(tiny(), s.dataset, parts.string(), hooks));
  CHECK(ended == 5);
  const int before = threads();
  set_threads(3);
  REQUIRE(run_mahapatra2013(tiny(), s.dataset, parts.string(), {}));
  set_threads(before);
  CHECK(read_file(parts / "mahapatra2013.json") == read_file(whole / "mahapatra2013.json"));
  for (const char* name : {"queries", "superpixels", "probability", "result"})
    CHECK(read_file(parts / text("gallery/{}.png", name)) == read_file(whole / text("gallery/{}.png", name)));

  const std::string page = read_file(app::write_mahapatra2013_report(whole.string()));
  for (const char* words :
       {"+ label propagation", "all superpixels labelled", "What each step brings", "image/png;base64"})
    CHECK(page.find(words) != std::string::npos);
}

TEST_CASE("what cannot be run says so") {
  const Sandbox s;
  const auto with = [&](const std::function<void(MahapatraConfig&)>& change) {
    MahapatraConfig c = tiny();
    change(c);
    run_mahapatra2013(c, s.dataset, (s.root / "bad").string(), {});
  };
  CHECK_THROWS_WITH_AS(with([](MahapatraConfig& c) { c.films = 99; }), doctest::Contains("a pool of 99 films"), Error);
  CHECK_THROWS_WITH_AS(with([](MahapatraConfig& c) { c.start = 1; }), doctest::Contains("--start must be at least 2"),
                       Error);
  CHECK_THROWS_WITH_AS(with([](MahapatraConfig& c) { c.budget = 500; }), doctest::Contains("use --budget 120"), Error);
  CHECK_THROWS_WITH_AS(with([](MahapatraConfig& c) { c.alpha = 1; }), doctest::Contains("--alpha must lie"), Error);
}
TEST_SUITE_END();
