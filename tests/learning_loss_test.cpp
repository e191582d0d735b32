// Learning loss: the ranking loss by hand, what the module reads, and that it ranks.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "al/scoring.h"
#include "al/selection/family.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "models/inference.h"
#include "models/loss_prediction.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("learning_loss_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
namespace fs = std::filesystem;

namespace {

Tensor column(std::vector<float> v) {
  return Tensor::from(std::span<const float>(v), {static_cast<int64_t>(v.size()), 1});
}

// n points of 6 values in two stages, of 4 and 2; the loss depends on both stages, and on one value in a bent way.
struct Toy {
  Points points;
  std::vector<double> losses;
  Toy(int64_t n, uint64_t seed) : points{n, 6, {}} {
    Rng rng(seed);
    for (int64_t i = 0; i < 6 * n; ++i) points.x.push_back(rng.normal());
    for (int64_t i = 0; i < n; ++i)
      losses.push_back(std::exp(points.row(i)[1]) + 2 * std::abs(points.row(i)[4]) + 0.5 * points.row(i)[5]);
  }
};
const std::vector<int64_t> toy_stages = {4, 2};

// Share of all pairs that both order alike.
double agreement(std::span<const double> a, std::span<const double> b) {
  double alike = 0, pairs = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < i; ++j) alike += (a[i] > a[j]) == (b[i] > b[j]), pairs += 1;
  return alike / pairs;
}

}  // namespace

TEST_CASE("the ranking loss by hand: right by the margin, right by less, wrong") {
  const Tensor first = column({3, 1.5f, 0.5f, 1}), second = column({1, 1, 1, 0.25f}), order = column({1, 1, 1, -1});
  // 1 - 2 < 0; 1 - 0.5; 1 + 0.5; the last pair should be the other way round: 1 + 0.75
  CHECK(ranking_loss(first, second, order).item() == Approx((0 + 0.5 + 1.5 + 1.75) / 4));
  CHECK(ranking_loss(first, second, order, 0.25).item() == Approx((0 + 0 + 0.75 + 1) / 4));
  Tape tape;
  tape.watch(first), tape.watch(second);
  const Tensors g = tape.backward(ranking_loss(first, second, order), {}, Tensors{first, second});
  CHECK(g[0].host() == std::vector<float>{0, -0.25f, -0.25f, 0.25f});
  CHECK(g[1].host() == std::vector<float>{0, 0.25f, 0.25f, -0.25f});
}

TEST_CASE("the module: each stage through its layer and ReLU, side by side, to one number") {
  Params params;
  const std::vector<int64_t> channels = {1, 2};
  const LossPrediction predict(params.root(), channels, 1);
  CHECK(params.count() == (1 + 1) + (2 + 1) + (2 + 1));
  const auto set = [&](const char* name, std::vector<float> v) {
    const Tensor t = params.find(name);
    t.copy_from(Tensor::from(std::span<const float>(v), t.shape()));
  };
  set("stages.0.weight", {2}), set("stages.0.bias", {1}), set("stages.1.weight", {1, -1}), set("stages.1.bias", {0});
  set("fc.weight", {10, 100}), set("fc.bias", {0.5f});
  const Tensor a = column({1, -3}), b = Tensor::from(std::vector<float>{5, 2, 2, 5}, {2, 2});
  // relu(2+1) = 3 and relu(5-2) = 3; relu(-6+1) = 0 and relu(2-5) = 0
  CHECK(predict({a, b}).host() == std::vector<float>{330.5f, 0.5f});
  CHECK_THROWS_WITH_AS(predict({a}), doctest::Contains("made for 2 stages, got 1"), Error);
}

TEST_CASE("trained on pairs, the module ranks points it has not seen; the same seed gives the same bits") {
  const Toy labelled(120, 1), candidates(80, 2);
  const std::vector<double> said = predicted_losses(candidates.points, labelled.points, labelled.losses, toy_stages, 7);
  CHECK(agreement(said, candidates.losses) > 0.85);  // 0.5 by chance
  CHECK(predicted_losses(candidates.points, labelled.points, labelled.losses, toy_stages, 7) == said);
  // The order is what counts: any rising function of the losses teaches the same.
  std::vector<double> bent;
  for (const double l : labelled.losses) bent.push_back(std::exp(3 * l));
  CHECK(predicted_losses(candidates.points, labelled.points, bent, toy_stages, 7) == said);
  const Toy one(1, 3);
  CHECK(predicted_losses(candidates.points, one.points, one.losses, toy_stages, 7) == std::vector<double>(80, 0.0));
}

TEST_CASE("the strategy asks for the largest predicted loss first; losses and stages that do not fit are errors") {
  const Strategy& s = find_strategy("learning-loss");
  const Toy labelled(60, 1), candidates(20, 2);
  PoolView view{1, 2, {}, {}};
  view.stages = toy_stages, view.labelled_loss = labelled.losses;
  for (int64_t i = 0; i < 60; ++i)
    view.labelled.emplace_back(labelled.points.row(i).begin(), labelled.points.row(i).end());
  for (int64_t i = 0; i < 20; ++i)
    view.cases.push_back(
        {"case" + std::to_string(i), {}, {}, {candidates.points.row(i).begin(), candidates.points.row(i).end()}});
  const std::vector<Pick> picks = choose(s, view, 20);
  std::vector<double> truth, rank;
  for (size_t i = 0; i < picks.size(); ++i) {
    truth.push_back(candidates.losses[picks[i].index]), rank.push_back(-static_cast<double>(i));
    if (i > 0) CHECK(picks[i].score.value <= picks[i - 1].score.value);
  }
  CHECK(agreement(truth, rank) > 0.8);
  view.labelled_loss[3] = INFINITY;
  CHECK_THROWS_WITH_AS(choose(s, view, 1), doctest::Contains("labelled image 3 has a loss of inf"), Error);
  view.labelled_loss.pop_back();
  CHECK_THROWS_WITH_AS(choose(s, view, 1),
                       doctest::Contains("needs the loss of each of the 60 labelled images, got 59"), Error);
  view.labelled_loss = labelled.losses, view.stages = {4, 3};
  CHECK_THROWS_WITH_AS(choose(s, view, 1), doctest::Contains("the averages of all stages, 7 in all, got 6 features"),
                       Error);
}

TEST_CASE("every network has stages; their averages as a Program have the bits of the eager ones") {
  struct Expected {
    ModelOptions options;
    std::vector<int64_t> channels;
  };
  for (const Expected& e : {Expected{{.name = "resnet18", .classes = 2, .width = 4}, {4, 8, 16, 32}},
                            Expected{{.name = "vgg16_bn", .classes = 2, .width = 2, .fc = 8}, {2, 4, 8, 16, 16}},
                            Expected{{.name = "unet", .width = 4, .depth = 2, .dropout = 0.5}, {4, 8, 16}},
                            Expected{{.name = "bcnn", .classes = 3, .width = 4}, {4, 4}}}) {
    CAPTURE(e.options.name);
    Params params(Device::cpu(), 5);
    const Model model = make_model(e.options, params);
    params.all();
    Rng rng(1);
    std::vector<float> pixels;
    for (int i = 0; i < 2 * 32 * 32; ++i) pixels.push_back(static_cast<float>(rng.normal()));
    const Tensor x = Tensor::from(std::span<const float>(pixels), {2, 32, 32, 1});
    Inference inference(model);
    const Tensors averages = inference.stage_averages(x), maps = model.stages(x, {});
    REQUIRE(averages.size() == e.channels.size());
    for (size_t i = 0; i < maps.size(); ++i) {
      CHECK(averages[i].shape() == Shape{2, e.channels[i]});
      CHECK(averages[i].host() == global_avg_pool(maps[i]).host());
      if (i > 0) CHECK(maps[i].dim(1) <= maps[i - 1].dim(1));
    }
    if (e.options.name == "resnet18" || e.options.name == "unet")  // the last one is what the embedding is made of
      CHECK(averages.back().host() == model.embed(model.trunk(x, {})).host());
  }
}

TEST_CASE("a survey: the losses of labelled images are their cross-entropies") {
  const fs::path root = fs::temp_directory_path() / text("querent_learning_loss_{}", getpid());
  fs::remove_all(root);
  write_phantom_dataset(root, 10, 32, 3);
  const data::Dataset dataset = data::open_dataset(root / "labels.csv");
  const std::vector<int64_t> labelled = {0, 1, 2, 3}, candidates = {4, 5, 6, 7, 8};
  for (const bool segments : {false, true}) {
    const data::Loader loader(dataset, {.size = 32, .masks = segments});
    const ModelOptions options = segments ? ModelOptions{.name = "unet", .width = 4, .depth = 2}
                                          : ModelOptions{.name = "resnet18", .classes = 2, .width = 4};
    const Learner learner(options, 3);
    const PoolView view = survey(learner, loader, find_strategy("learning_loss"), candidates, labelled, {});
    REQUIRE(view.cases.size() == 5);
    CHECK(view.stages == (segments ? std::vector<int64_t>{4, 8, 16} : std::vector<int64_t>{4, 8, 16, 32}));
    CHECK(view.cases[0].feature.size() == (segments ? 28 : 60));
    const auto p = learner.predict(loader, labelled);
    REQUIRE(view.labelled_loss.size() == 4);
    for (size_t i = 0; i < 4; ++i) {
      double loss = 0;
      if (segments) {
        const Image mask = loader.mask(labelled[i]);
        for (size_t j = 0; j < p[i].size(); ++j)
          loss -= std::log(mask.pixels[j] > 0 ? double{p[i][j]} : 1 - double{p[i][j]}) / 1024;
      } else {
        loss = -std::log(double{p[i][static_cast<size_t>(data::class_index(dataset, dataset.cases[i]))]});
      }
      CHECK(view.labelled_loss[i] == Approx(loss).epsilon(1e-4));
    }
  }
  fs::remove_all(root);
}
TEST_SUITE_END();
