// Holes and simple ways to fill them by hand, what the context encoder sees, and a run on a few phantoms.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/inpainting.h"
#include "al/pathak2016.h"
#include "data/decode.h"
#include "data/encode.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "models/context_encoder.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/tape.h"

TEST_SUITE_BEGIN("pathak2016_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// a + b x + c y: solves the Laplace equation, also the discrete one.
Image plane(int64_t size, float a, float b, float c) {
  Image m(size, size);
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) m.at(y, x) = a + b * static_cast<float>(x) + c * static_cast<float>(y);
  return m;
}

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_pathak2016_{}", getpid());
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    PhantomOptions o;
    o.size = 32, o.seed = 3;
    write_phantom_dataset(root / "ph", 16, o);
    dataset = data::open_dataset(root / "ph/labels.csv");
    data::split_dataset(dataset, {.val = 0.1, .test = 0.4, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
};
PathakConfig tiny() {
  PathakConfig c;
  c.seeds = 1, c.size = 32, c.width = 2, c.overlap = 2, c.steps = 3, c.batch = 4, c.gallery = 2;
  return c;
}
json read(const fs::path& path) { return parse_json(read_file(path)); }

}  // namespace

TEST_CASE("the hole: in the middle, inside the centre; what lies outside is untouched") {
  const Hole h = hole_of(64, 4);
  CHECK(h.centre == 16);
  CHECK(h.centre_side == 32);
  CHECK(h.first == 20);
  CHECK(h.side == 24);
  CHECK_THROWS_WITH_AS(hole_of(16, 4), doctest::Contains("leaves no hole"), Error);
  const Hole small = hole_of(8, 1);  // rows and columns 3 and 4
  const Image a = plane(8, 0, 0.01f, 0.1f), b = plane(8, 1, 0, 0);
  const Image holed = with_hole(a, small, 0.5f), filled = filled_from(a, b, small);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x) {
      const bool inside = (y == 3 || y == 4) && (x == 3 || x == 4);
      CHECK(holed.at(y, x) == (inside ? 0.5f : a.at(y, x)));
      CHECK(filled.at(y, x) == (inside ? 1.0f : a.at(y, x)));
    }
  CHECK(outside_difference(a, filled, small) == 0);
  Image c = a;
  c.at(0, 0) += 0.5f;
  CHECK(outside_difference(a, c, small) == Approx(0.25 / 60));
}

TEST_CASE("errors by hand; PSNR of an error of a tenth is 20 dB") {
  const Hole h = hole_of(8, 1);
  const Image a = plane(8, 0.5f, 0, 0);
  Image b = a;
  b.at(3, 3) += 0.2f, b.at(4, 4) -= 0.4f;
  b.at(0, 0) = 9;  // not in the hole
  const FillError e = fill_error(b, a, h);
  CHECK(e.l1 == Approx(0.6 / 4));
  CHECK(e.l2 == Approx(0.2 / 4));
  CHECK(FillError{0.1, 0.01}.psnr() == Approx(20));
  CHECK(fill_error(a, a, h).psnr() == 100);
}

TEST_CASE("filled from the border: a plane comes back, for every size; the mean of four for one pixel") {
  for (const int64_t size : {8, 16, 64, 128}) {
    const Image a = plane(size, 0.2f, 0.002f, 0.004f);
    const Hole h = hole_of(size, 1);
    const Image filled = filled_from_border(with_hole(a, h, 7), h);
    double worst = 0;
    for (size_t i = 0; i < a.pixels.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(filled.pixels[i] - a.pixels[i])));
    CHECK(worst < 1e-4);
  }
  Image one = plane(4, 0, 0, 0);
  const Hole h{1, 1, 1, 1};
  one.at(0, 1) = 0.4f, one.at(2, 1) = 0.8f, one.at(1, 2) = 0.2f;
  CHECK(static_cast<double>(filled_from_border(one, h).at(1, 1)) == Approx(0.35));
}

TEST_CASE("channel-wise dense: every pixel of a channel reaches every pixel of the same channel and of no other") {
  Params params(Device::cpu(), 3, DType::f64), judge(Device::cpu(), 4, DType::f64);
  const ContextEncoder net(params.root(), {.size = 32, .width = 1});  // maps of 2 x 2, 8 channels
  params.all();
  const NoTape no_tape;
  const Tensor none = net.channelwise(Tensor::zeros({1, 2, 2, 8}, DType::f64));
  for (int64_t pixel = 0; pixel < 4; ++pixel) {
    std::vector<double> v(4 * 8, 0.0);
    v[static_cast<size_t>(pixel * 8 + 5)] = 1;
    const std::vector<double> y = net.channelwise(Tensor::from(std::span<const double>(v), {1, 2, 2, 8})).host_f64();
    for (size_t i = 0; i < y.size(); ++i) CHECK((y[i] != 0) == (i % 8 == 5));
  }
  for (const double y : none.host_f64()) CHECK(y == 0);
  Params e(Device::cpu(), 3), d(Device::cpu(), 4);
  const Gan gan = make_context_gan({.size = 32, .width = 2}, e, d);
  const Tensor centre = gan.generate(Tensor::full({2, 32, 32, 1}, 0.5), {}, {});
  CHECK(centre.shape() == Shape{2, 16, 16, 1});
  CHECK(gan.judge({}, centre, {}).numel() == 2);
  CHECK_THROWS_WITH_AS(make_context_gan({.size = 40}, e, d), doctest::Contains("multiple of 16"), Error);
}

TEST_CASE("a run: every way of filling; the loss matters; stopped anywhere and continued to the same bits") {
  const Sandbox s;
  REQUIRE(run_pathak2016(tiny(), s.dataset, s.root / "whole", {}));
  const json r = read(s.root / "whole/pathak2016.json");
  REQUIRE(r.at("methods").size() == 5);
  CHECK(r.at("hole") == 12);
  double best = 1;
  for (const json& m : r.at("methods")) {
    const bool baseline = !m.contains("difference");
    if (baseline) best = std::min(best, m.at("l2").get<double>());
    CHECK(fs::exists(s.root / "whole" / m.at("picture").get<std::string>()));
  }
  for (const json& m : r.at("methods")) {
    if (m.at("method") == r.at("best_baseline")) CHECK(m.at("l2").get<double>() == best);
    if (m.contains("difference"))
      CHECK(m.at("difference").get<double>() == Approx(m.at("l2").get<double>() - best).epsilon(1e-9));
  }
  CHECK(r.at("methods")[3].at("l2") != r.at("methods")[4].at("l2"));
  for (const int64_t after : {1, 4, 9}) {
    const std::string parts = (s.root / text("parts{}", after)).string();
    Hooks hooks;
    int64_t calls = 0;
    hooks.stop = [&] { return ++calls > after; };
    CHECK_FALSE(run_pathak2016(tiny(), s.dataset, parts, hooks));
    REQUIRE(run_pathak2016(tiny(), s.dataset, parts, {}));
    CHECK(read_file(parts + "/pathak2016.json") == read_file(s.root / "whole/pathak2016.json"));
  }
  PathakConfig bad = tiny();
  bad.losses = {"l1"};
  CHECK_THROWS_WITH_AS(run_pathak2016(bad, s.dataset, s.root / "bad", {}), doctest::Contains("choose of l2, joint"),
                       Error);
}

TEST_CASE("what is in the hole has no influence on what it is filled with") {
  const Sandbox s;
  PathakConfig c = tiny();
  REQUIRE(run_pathak2016(c, s.dataset, s.root / "before", {}));
  const Hole h = hole_of(c.size, c.overlap);
  for (const data::Case& one : s.dataset.cases)
    if (one.split == "test") data::write_png(one.image, with_hole(data::decode_image(one.image), h, 1));
  REQUIRE(run_pathak2016(c, s.dataset, s.root / "after", {}));
  for (const char* way : {"mean", "border", "nearest", "l2_s1", "joint_s1", "film"}) {
    const auto strip = [&](const char* run) {
      return read_file(s.root / run / "gallery" / (std::string(way) + ".png"));
    };
    CHECK((strip("before") == strip("after")) == (way != std::string("film")));
  }
}
