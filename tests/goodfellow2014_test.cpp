// The Parzen window by hand, the value of the game where nothing can be told apart, and a run on a few phantoms.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "al/goodfellow2014.h"
#include "al/parzen_window.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "models/dense_gan.h"
#include "models/gan_train.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("goodfellow2014_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

Tensor rows(std::vector<float> v, int64_t n) {
  return Tensor::from(std::span<const float>(v), {n, static_cast<int64_t>(v.size()) / n});
}
double log_normal(double squares, double width, double dimensions) {
  return -squares / (2 * width * width) - dimensions / 2 * std::log(2 * std::numbers::pi * width * width);
}

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_goodfellow2014_{}", getpid());
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    PhantomOptions o;
    o.size = 16, o.seed = 3;
    write_phantom_dataset(root / "ph", 160, o);
    dataset = data::open_dataset(root / "ph/labels.csv");
    data::split_dataset(dataset, {.val = 0.1, .test = 0.1, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
};
GoodfellowConfig tiny() {
  GoodfellowConfig c;
  c.seeds = 2, c.size = 16, c.latent = 4, c.hidden = 8, c.steps = 82, c.batch = 5, c.samples = 100, c.validation = 8;
  return c;
}
json read(const fs::path& path) { return parse_json(read_file(path)); }

}  // namespace

TEST_CASE("the log-likelihood under a Parzen window by hand") {
  const std::vector<double> widths = {1, 0.5};
  // One sample: a Gaussian.
  const auto one = parzen_log_likelihood(rows({0, 0}, 1), rows({3, 4, 0, 0}, 2), widths);
  CHECK(one[0][0] == Approx(log_normal(25, 1, 2)));
  CHECK(one[1][0] == Approx(log_normal(25, 0.5, 2)));
  CHECK(one[0][1] == Approx(log_normal(0, 1, 2)));
  // Two samples: the mean of two densities.
  const auto two = parzen_log_likelihood(rows({-1, 2}, 2), rows({0}, 1), widths);
  CHECK(two[0][0] == Approx(std::log((std::exp(log_normal(1, 1, 1)) + std::exp(log_normal(4, 1, 1))) / 2)));
  // Far away nothing underflows.
  CHECK(parzen_log_likelihood(rows({0, 0}, 2), rows({1000}, 1), widths)[0][0] == Approx(log_normal(1e6, 1, 1)));
  // More rows than are taken together, against one at a time.
  Rng rng(1);
  std::vector<float> v(230 * 3), s(7 * 3);
  for (float& x : v) x = static_cast<float>(rng.normal());
  for (float& x : s) x = static_cast<float>(rng.normal());
  const auto all = parzen_log_likelihood(rows(s, 7), rows(v, 230), widths);
  REQUIRE(all[1].size() == 230);
  for (const size_t i : {size_t{0}, size_t{99}, size_t{100}, size_t{229}}) {
    double density = 0;
    for (size_t m = 0; m < 7; ++m) {
      double squares = 0;
      for (size_t k = 0; k < 3; ++k) squares += std::pow(double{v[3 * i + k]} - double{s[3 * m + k]}, 2);
      density += std::exp(log_normal(squares, 0.5, 3)) / 7;
    }
    // f32 distances of at most 100 are off by 100 * 2^-22 or so, and count twice at this width.
    CHECK(std::abs(all[1][i] - std::log(density)) < 2 * 100 * 0x1p-22 * 3);
  }
  CHECK_THROWS_WITH_AS(parzen_log_likelihood(rows({0, 0}, 1), rows({1}, 1), widths), doctest::Contains("samples [M,D]"),
                       Error);
}

TEST_CASE("validation chooses the width; the figure is the test's mean and its standard error") {
  // The density of one Gaussian at distance d is largest at the width d.
  const std::vector<double> widths = {0.25, 0.5, 1, 2, 4};
  const Tensor sample = rows({0}, 1), validation = rows({2, -2}, 2), test = rows({1, 3}, 2);
  const ParzenFit f = fit_parzen(sample, validation, test, widths);
  CHECK(f.width == 2);
  const double a = log_normal(1, 2, 1), b = log_normal(9, 2, 1);
  CHECK(f.log_likelihood == Approx((a + b) / 2));
  CHECK(f.error == Approx(std::abs(a - b) / 2));  // sd |a-b|/sqrt 2, over sqrt 2
}

TEST_CASE("a discriminator that knows nothing: the value is -log 4; images lie in 0..1 and depend on z alone") {
  Params g(Device::cpu(), 1), d(Device::cpu(), 2);
  const Gan gan = make_dense_gan({.latent = 3, .hidden = 5, .pixels = 4}, g, d);
  for (const char* name : {"fc3.weight", "fc3.bias"}) {
    const Tensor t = d.find(name);
    t.copy_from(Tensor::zeros(t.shape()));
  }
  const Tensor z = rows({.1f, -.5f, .9f, .1f, -.5f, .9f}, 2), x = rows({0, 1, 0, 1, 1, 1, 0, 0}, 2);
  const Tensor made = gan.generate(z, {}, {});
  const std::vector<float> v = made.host();
  for (size_t i = 0; i < 4; ++i) {
    CHECK((v[i] > 0 && v[i] < 1));
    CHECK(v[i] == v[i + 4]);
  }
  const GanTerms t = discriminator_loss(gan, {z, x}, made, {});
  CHECK(-(t.first.item() + t.second.item()) == Approx(-std::log(4.0)));
}

TEST_CASE("a run: its curve and figures; stopped anywhere and continued to the same bits") {
  const Sandbox s;
  REQUIRE(run_goodfellow2014(tiny(), s.dataset, s.root / "whole", {}));
  const json r = read(s.root / "whole/goodfellow2014.json");
  CHECK(r.at("mnist") == false);
  REQUIRE(r.at("seeds").size() == 2);
  CHECK(r.at("seeds")[0].at("log_likelihood") != r.at("seeds")[1].at("log_likelihood"));
  for (const json& seed : r.at("seeds")) {
    REQUIRE(seed.at("value").size() == 41);  // a point is a mean of two steps
    for (const json& p : seed.at("value")) {
      CHECK(p.at("value").get<double>() == Approx(p.at("real").get<double>() + p.at("fake").get<double>()));
      CHECK(p.at("value") < 0);
    }
    CHECK(seed.at("value")[40].at("step") == 82);
    CHECK(fs::exists(s.root / "whole" / seed.at("grid").get<std::string>()));
    // So few steps make no films: the window on real ones is far more likely.
    CHECK(r.at("training_window").at("log_likelihood") > seed.at("log_likelihood"));
  }
  for (const int64_t after : {1, 5, 92}) {
    const std::string parts = (s.root / text("parts{}", after)).string();
    Hooks hooks;
    int64_t calls = 0;
    hooks.stop = [&] { return ++calls > after; };
    CHECK_FALSE(run_goodfellow2014(tiny(), s.dataset, parts, hooks));
    REQUIRE(run_goodfellow2014(tiny(), s.dataset, parts, {}));
    CHECK(read_file(parts + "/goodfellow2014.json") == read_file(s.root / "whole/goodfellow2014.json"));
  }
  GoodfellowConfig few = tiny();
  few.samples = 99;
  CHECK_THROWS_WITH_AS(run_goodfellow2014(few, s.dataset, s.root / "few", {}), doctest::Contains("samples 100"), Error);
}
