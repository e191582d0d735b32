// The MNIST experiment on a handful of drawn digits: its network, its weight decay, its chain of rounds.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "al/gal2017.h"
#include "data/encode.h"
#include "data/layouts.h"
#include "models/train.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/ops.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("gal2017_test");
using namespace querent;
using namespace querent::al;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string big(uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}
// n noisy images in three classes: a bar at the left, in the middle, at the right.
void write_idx(const fs::path& folder, const std::string& part, uint32_t n) {
  std::string images = std::string("\0\0\x8\3", 4) + big(n) + big(28) + big(28), labels = std::string("\0\0\x8\1", 4) + big(n);
  Rng rng(hash_name(part));
  for (uint32_t i = 0; i < n; ++i) {
    labels += static_cast<char>(i % 3);
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x) images += static_cast<char>((x / 9 == static_cast<int>(i % 3) ? 120 : 0) + rng.below(100));
  }
  write_atomically(folder / (part + "-images-idx3-ubyte"), images);
  write_atomically(folder / (part + "-labels-idx1-ubyte"), labels);
}
struct Sandbox {
  fs::path root = fs::temp_directory_path() / "querent_gal2017";
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    fs::create_directories(root / "digits");
    write_idx(root / "digits", "train", 40), write_idx(root / "digits", "t10k", 12);
    dataset = data::open_dataset((root / "digits").string(), {});
  }
  ~Sandbox() { fs::remove_all(root); }
};
GalConfig tiny() {
  GalConfig c;
  c.methods = {"bald", "random"}, c.seeds = 1, c.per_class = 1, c.query = 2, c.random_query = 4, c.rounds = 4;
  c.validation = 6, c.pool_subset = 8, c.passes = 3, c.batch = 3, c.epochs = 1, c.least_steps = 2;
  return c;
}
json read(const fs::path& path) { return parse_json(read_file(path)); }

}  // namespace

TEST_CASE("the network: 513,994 numbers, 11 x 11 after the pool, dropout 1/4 and 1/2 after it alone") {
  Params params;
  const Model model = make_model({.name = "bcnn", .classes = 10}, params);
  CHECK(params.count() == (16 * 32 + 32) + (512 * 32 + 32) + (3872 * 128 + 128) + (128 * 10 + 10));
  const NoTape no_tape;
  const Tensor x = Tensor::full({2, 28, 28, 1}, 0.5);
  const std::vector<int64_t> ids = {4, 9};
  const Pass pass{Pass::mc_dropout, make_streams(1, ids, 0)};
  const Tensors features = model.trunk(x, pass);
  CHECK(features[0].shape() == Shape{2, 3872});
  CHECK(features[0].host() == model.trunk(x, {})[0].host());
  CHECK(model.head(features, pass).logits.host() != model.head(features, {}).logits.host());
  CHECK(model.options.dropout == 0.5);
  CHECK_THROWS_WITH_AS(model.trunk(Tensor::zeros({1, 27, 28, 1}), {}), doctest::Contains("at least 28x28"), Error);
}

TEST_CASE("the weight decay of one layer is l2 times the sum of its squares") {
  Params params;
  const Model model = make_model({.name = "bcnn", .classes = 3, .width = 2, .fc = 4}, params);
  params.all();
  const NoTape no_tape;
  const Tensor x = Tensor::full({2, 28, 28, 1}, 0.5), labels = Tensor::from(std::vector<int64_t>{0, 2}, {2});
  const Output out = model.forward(x);
  const Tensor w = params.find("fc1.weight");
  double squares = 0;
  for (const float v : w.host()) squares += double{v} * v;
  const double plain = task_loss(model, out, labels).item(),
               decayed = task_loss(model, out, labels, {}, {.l2 = 0.25, .decayed = w}).item();
  CHECK(decayed - plain == doctest::Approx(0.25 * squares).epsilon(1e-5));
}

TEST_CASE("an eager step decays that layer as a captured one does") {
  std::vector<float> weights[2];
  double losses[2] = {};
  const Tensor x = Tensor::full({2, 28, 28, 1}, 0.5), labels = Tensor::from(std::vector<int64_t>{0, 2}, {2});
  for (const int captured : {0, 1}) {
    Params params;
    const Model model = make_model({.name = "bcnn", .classes = 3, .width = 2, .fc = 4}, params);
    Optimizer optimizer(params.all(), {.kind = OptimOptions::sgd, .lr = 0.1});
    const TaskLoss loss{.l2 = 0.25, .decayed = params.find("fc1.weight")};
    const Tensor streams = make_streams(1, std::vector<int64_t>{0, 1}, 0);
    losses[captured] = captured ? TrainingStep(model, optimizer, loss)(x, labels, streams)
                                : train_step(model, optimizer, x, labels, streams, loss);
    weights[captured] = params.all().flat.host();
  }
  CHECK(losses[0] == losses[1]);
  CHECK(weights[0] == weights[1]);
}

TEST_CASE("rounds: 3, 5, 7, 9, 11 labels; stopped after any unit and continued to the same bits") {
  const Sandbox s;
  REQUIRE(run_gal2017(tiny(), s.dataset, (s.root / "whole").string(), {}));
  const json results = read(s.root / "whole/gal2017.json");
  REQUIRE(results.size() == 2);
  const auto labels = [&](size_t m) {
    std::vector<int64_t> v;
    for (const json& p : results[m].at("seeds")[0].at("points")) v.push_back(p.at("labels"));
    return v;
  };
  CHECK(labels(0) == std::vector<int64_t>{3, 5, 7, 9, 11});
  CHECK(labels(1) == std::vector<int64_t>{3, 7, 11});
  CHECK(results[0].at("published").at("to_10_percent") == 145);
  std::set<std::string> asked;
  for (int r = 0; r < 5; ++r) {
    const json unit = read(s.root / text("whole/units/bald_s1_r{}.json", r));
    for (const json& id : unit.at("asked")) CHECK(asked.insert(id.get<std::string>()).second);
  }
  CHECK(asked.size() == 10);

  const std::string parts = (s.root / "parts").string();
  Hooks hooks;
  int64_t ended = 0, calls = 0;
  hooks.progress = [&](const Progress& p) { ended += p.what == Progress::unit_end; };
  hooks.stop = [&] { return ended >= 2 && ++calls > 1; };
  CHECK_FALSE(run_gal2017(tiny(), s.dataset, parts, hooks));
  REQUIRE(run_gal2017(tiny(), s.dataset, parts, {}));
  CHECK(read_file(s.root / "parts/gal2017.json") == read_file(s.root / "whole/gal2017.json"));
}

TEST_CASE("labels to reach an error are the first count that does; a curve ends at the error given") {
  const Sandbox s;
  GalConfig c = tiny();
  c.least_steps = 60, c.stop_error = 0.05;
  REQUIRE(run_gal2017(c, s.dataset, (s.root / "run").string(), {}));
  const json results = read(s.root / "run/gal2017.json");
  for (const json& row : results) {
    const json& seed = row.at("seeds")[0];
    const json& points = seed.at("points");
    for (const auto& [key, error] : {std::pair{"to_10_percent", 0.10}, {"to_5_percent", 0.05}}) {
      json first;
      for (const json& p : points)
        if (first.is_null() && p.at("error") <= error) first = p.at("labels");
      CHECK(seed.at(key) == first);
      CHECK(row.at(key) == first);
    }
    for (size_t i = 0; i + 1 < points.size(); ++i) CHECK(points[i].at("error") > 0.05);
  }
}

TEST_CASE("validation chooses the weight decay; too few images of a class are an error") {
  const Sandbox s;
  GalConfig c = tiny();
  c.methods = {"random"}, c.rounds = 0, c.least_steps = 40, c.decay = {1e4, 0.1};
  REQUIRE(run_gal2017(c, s.dataset, (s.root / "decay").string(), {}));
  CHECK(read(s.root / "decay/units/first_s1.json").at("decay") == 0.1);
  c.per_class = 14;
  CHECK_THROWS_WITH_AS(run_gal2017(c, s.dataset, (s.root / "few").string(), {}),
                       doctest::Contains("every one of the 3 classes needs 14 training images"), Error);
}
