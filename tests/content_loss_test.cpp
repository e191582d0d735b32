// The content loss of the image generator and its parts: against PyTorch, against central differences, and the
// properties that mutual information must have.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>

#include "models/content_loss.h"
#include "models/model.h"
#include "tests/golden_networks.h"
#include "tests/op_samples.h"

TEST_SUITE_BEGIN("content_loss_test");
using namespace querent;
using namespace querent::test;

namespace {

struct TempFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("querent_content_" + std::to_string(::getpid()) + ".safetensors");
  ~TempFile() { std::filesystem::remove(path); }
};

Tensor drawn(const Shape& shape, std::string_view name, Sample::Fill fill = Sample::uniform) {
  return draw_sample({shape, fill}, Arg{}, DType::f64, Rng(5).fork(name));
}
// Smooth and not symmetric, within [0.2,0.8]: no pixel is near the ends of the histogram.
Tensor picture(int64_t size, int64_t shift = 0) {
  std::vector<double> v;
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j) {
      const double a = static_cast<double>(i) / 9, b = static_cast<double>(j + shift) / 7;
      v.push_back(0.5 + 0.15 * std::sin(a + b * b / 3) + 0.15 * std::cos(2 * b - a));
    }
  return Tensor::from(std::span<const double>(v), {1, size, size, 1});
}
double nmi(const Tensor& x, const Tensor& y, const NmiAttrs& a = {}) {
  return normalized_mutual_information(x, y, a).item();
}
Tensor greys(std::vector<double> v) {
  const auto n = static_cast<int64_t>(v.size());
  return Tensor::from(std::span<const double>(v), {1, 1, n, 1});
}

}  // namespace

TEST_CASE("features, every term and its gradient equal PyTorch") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(dtype_name(dtype));
    golden::compare_content(dtype);
  }
}

TEST_CASE("relu4_1 has 512 channels at an eighth of the size, and torchvision's names") {
  const DryRun dry;
  Params params;
  const ContentFeatures features(params.root());
  CHECK(features(Tensor::zeros({2, 64, 48, 1})).shape() == Shape{2, 8, 6, 512});
  CHECK(params.file_shape("features.0.weight") == Shape{64, 3, 3, 3});
  CHECK(params.file_shape("features.17.weight") == Shape{512, 256, 3, 3});
  CHECK(!params.find("features.19.weight"));
  CHECK(params.names().size() == 16);
}

TEST_CASE("the gradient of the whole loss, in f64, against central differences") {
  Params params(Device::cpu(), 3, DType::f64);
  const ContentFeatures features(params.root(), {.in_channels = 3, .width = 2});
  const Shape shape{2, 16, 17, 1};
  const Tensor x = drawn(shape, "x"), y = drawn(shape, "y"), map = drawn(shape, "map");
  const Tensor direction = drawn(shape, "direction", Sample::normal);
  for (const bool tanh_range : {false, true}) {
    const ContentLossOptions o{.nmi = 0.7,
                               .vgg = 1.3,
                               .mse = 0.4,
                               .saliency = 0.9,
                               .low = tanh_range ? -1.0 : 0.0,
                               .bins = 8,
                               .nmi_size = tanh_range ? 9 : 128};
    const auto loss = [&](const Tensor& at) { return content_loss(at, y, o, &features, map).total; };
    const auto moved = [&](double step) { return add(x, scale(direction, step)); };
    Tensor gradient;
    {
      Tape tape;
      tape.watch(x);
      gradient = tape.backward(loss(x), {}, Tensors{x})[0];
    }
    const double analytic = sum(mul(gradient, direction)).item();
    double magnitude = 0, best = INFINITY;
    for (const double term : mul(gradient, direction).host_f64()) magnitude += std::abs(term);
    for (const double step : {1e-3, 1e-4, 1e-5, 1e-6}) {
      const double numeric = (loss(moved(step)).item() - loss(moved(-step)).item()) / (2 * step);
      best = std::min(best, std::abs(analytic - numeric) / magnitude);
    }
    CHECK(best <= 1e-6);
  }
}

TEST_CASE("identical images: VGG, MSE and saliency are 0; a shifted image costs more; gradients are finite") {
  Params params(Device::cpu(), 3, DType::f64);
  const ContentFeatures features(params.root(), {.in_channels = 3, .width = 2});
  const Tensor x = picture(48), shifted = picture(48, 5), map = drawn(x.shape(), "map");
  const ContentLossOptions all{.saliency = 0.5};
  const ContentTerms same = content_loss(x, x, all, &features, map);
  const ContentTerms other = content_loss(shifted, x, all, &features, map);
  CHECK(same.vgg.item() == 0);
  CHECK(same.mse.item() == 0);
  CHECK(same.saliency.item() == 0);
  CHECK(same.total.item() == doctest::Approx(same.nmi.item() / 3).epsilon(1e-12));
  CHECK(same.nmi.item() < other.nmi.item());
  CHECK(other.vgg.item() > 0);
  CHECK(other.total.item() ==
        doctest::Approx((other.nmi.item() + other.vgg.item() + other.mse.item()) / 3 + other.saliency.item() / 2));
  for (const Tensor& at : {x, shifted, Tensor::full(x.shape(), 0.5, DType::f64)}) {
    Tape tape;
    tape.watch(at);
    const Tensor loss = content_loss(at, x, all, &features, map).total;
    for (const double d : tape.backward(loss, {}, Tensors{at})[0].host_f64()) CHECK(std::isfinite(d));
  }
}

TEST_CASE("saliency: an even map is plain MSE, its scale is nothing, a zero map adds nothing") {
  const Tensor x = drawn({2, 9, 8, 1}, "x"), y = drawn({2, 9, 8, 1}, "y"), map = drawn({2, 9, 8, 1}, "map");
  const ContentLossOptions o{.nmi = 0, .vgg = 0, .mse = 1, .saliency = 1};
  const auto saliency = [&](const Tensor& m) { return content_loss(x, y, o, nullptr, m).saliency.item(); };
  CHECK(saliency(Tensor::full(x.shape(), 0.3, DType::f64)) ==
        doctest::Approx(content_loss(x, y, o, nullptr, map).mse.item()));
  CHECK(saliency(scale(map, 7)) == doctest::Approx(saliency(map)));
  CHECK(saliency(Tensor::zeros(x.shape(), DType::f64)) == 0);
}

TEST_CASE("NMI of hard histograms equals the value by hand") {
  // Windows this narrow count a value in the middle of a bin in that bin alone.
  const NmiAttrs hard{.bins = 4, .sigma = 0.05};
  const double a = 0.125, b = 0.375, c = 0.625, d = 0.875;
  const Tensor x = greys({a, a, b, b, c, c, d, d});
  CHECK(nmi(x, x, hard) == doctest::Approx(1));
  CHECK(nmi(x, greys({c, c, a, a, d, d, b, b}), hard) == doctest::Approx(1));            // any renaming of the greys
  CHECK(nmi(x, greys({a, b, a, b, a, b, a, b}), hard) == doctest::Approx(0));            // independent
  CHECK(nmi(x, greys({a, a, a, a, b, b, b, b}), hard) == doctest::Approx(2.0 / 3));      // 1 bit of 2: 2*1/(2+1)
  CHECK(nmi(x, Tensor::full({1, 1, 8, 1}, a, DType::f64), hard) == doctest::Approx(0));  // flat: no entropy to share
  const Tensor flat = Tensor::full({1, 1, 8, 1}, b, DType::f64);
  CHECK(nmi(flat, flat, hard) == doctest::Approx(0));  // 0/0 is defined
}

TEST_CASE("NMI: symmetric, blind to inversion and to a shift of grey, highest for the image itself, near 0 for noise") {
  const Tensor x = picture(64), shifted = picture(64, 5), noise = drawn(x.shape(), "noise");
  const double self = nmi(x, x);
  CHECK(nmi(x, shifted) == doctest::Approx(nmi(shifted, x)).epsilon(1e-12));
  // The bins lie symmetrically in [0,1] and one bin apart, and no pixel is near the ends: both maps only rename bins.
  CHECK(nmi(x, scale(x, -1, 1)) == doctest::Approx(self).epsilon(1e-10));
  CHECK(nmi(x, scale(x, 1, 2.0 / 32)) == doctest::Approx(self).epsilon(1e-5));
  // The histogram moves with its range: the same image in tanh's range.
  CHECK(nmi(scale(x, 2, -1), scale(shifted, 2, -1), {.low = -1}) == doctest::Approx(nmi(x, shifted)).epsilon(1e-10));
  CHECK(self > nmi(x, shifted));
  CHECK(nmi(x, shifted) > nmi(x, noise));
  // Other affine maps change how many bins a grey covers, so the value moves a little; the order does not.
  CHECK(nmi(x, scale(x, 0.7, 0.1)) > 2 * nmi(x, shifted));
  // 64*64 independent pairs of 32 bins: a hard histogram's I is about 31*31/(2*4096) nats above 0 by chance, that is an
  // NMI of 0.117/log 32 = 0.034; soft windows see less.
  CHECK(nmi(x, noise) < 0.034);
  CHECK(nmi(x, noise) >= 0);
}

TEST_CASE("NMI of a batch is the mean over its images") {
  const Tensor x = drawn({3, 6, 7, 1}, "x"), y = drawn({3, 6, 7, 1}, "y");
  double mean = 0;
  for (int64_t n = 0; n < 3; ++n) mean += nmi(x.batch(n, 1), y.batch(n, 1)) / 3;
  CHECK(nmi(x, y) == doctest::Approx(mean).epsilon(1e-12));
}

TEST_CASE("what does not fit is refused") {
  const Tensor x = Tensor::zeros({1, 8, 8, 1}), map = Tensor::zeros({1, 8, 7, 1});
  const auto refuses = [&](const ContentLossOptions& o, const char* message, const Tensor& y) {
    CHECK_THROWS_WITH_AS(content_loss(x, y, o, nullptr, map), doctest::Contains(message), Error);
  };
  refuses({}, "needs features", x);
  refuses({.vgg = 0}, "target must have the shape of generated", map);
  refuses({.vgg = 0, .saliency = 1}, "needs a map", x);
  refuses({.vgg = 0, .mse = -1}, "must not be negative", x);
  refuses({.nmi = 0, .vgg = 0, .mse = 0}, "nor all 0", x);
  refuses({.vgg = 0, .nmi_size = 0}, "nmi_size must be at least 1", x);
  CHECK_THROWS_WITH_AS(content_loss(Tensor::zeros({8, 8}), x), doctest::Contains("must be [N,H,W,1]"), Error);
  Params params;
  CHECK_THROWS_WITH_AS(ContentFeatures(params.root(), {.in_channels = 2}), doctest::Contains("must be 1 or 3"), Error);
  const ContentFeatures grey(params.root().sub("own"), {.in_channels = 1, .width = 2});
  CHECK(grey(x).shape() == Shape{1, 1, 1, 16});
  CHECK_THROWS_WITH_AS(grey(Tensor::zeros({1, 7, 8, 1})), doctest::Contains("at least 8"), Error);
  const TempFile file;  // a file of other weights
  write_tensors(file.path, {Tensor::zeros({2, 2}).named("fc.weight")});
  CHECK_THROWS_WITH_AS(load_content_weights(params, file.path), doctest::Contains("not the weights of VGG16"), Error);
}
TEST_CASE("what stands out of its surroundings is salient, a uniform image nowhere") {
  Tensor image = Tensor::full({1, 64, 64, 1}, 0.3);
  for (const float v : saliency_map(image).host()) CHECK(v == doctest::Approx(0).epsilon(1e-6));
  for (int64_t y = 20; y < 26; ++y)
    for (int64_t x = 40; x < 46; ++x) image.data<float>()[y * 64 + x] = 1;
  const std::vector<float> map = saliency_map(image).host();
  const auto peak = std::max_element(map.begin(), map.end()) - map.begin();
  CHECK(std::abs(peak / 64 - 22.5) < 4);
  CHECK(std::abs(peak % 64 - 42.5) < 4);
  CHECK(map[static_cast<size_t>(22 * 64 + 42)] > 10 * map[static_cast<size_t>(60 * 64 + 4)]);
  for (const float v : map) CHECK(v >= 0);
  CHECK_THROWS_WITH_AS(saliency_map(Tensor::zeros({1, 16, 32, 1})), doctest::Contains("at least 32"), Error);
}

TEST_CASE("features from a file: what a classifier of ours saw, and only a VGG16 will do") {
  const TempFile file;
  Params params;
  const Model vgg = make_model({.name = "vgg16", .width = 2, .fc = 4}, params);
  std::map<std::string, std::string> metadata = {{architecture_key, vgg.options.json()}, {"mean", "0.4"}, {"std", "0.2"}};
  params.save(file.path, metadata);
  Params opened;
  const ContentFeatures f = open_content_features(opened, file.path);
  CHECK(f.mean == std::vector<double>{0.4});
  CHECK(f.deviation == std::vector<double>{0.2});
  CHECK(opened.find("features.0.weight").host() == params.find("features.0.weight").host());
  CHECK(f(Tensor::zeros({1, 32, 32, 1})).shape() == Shape{1, 4, 4, 16});

  for (const auto& [key, value, message] : {std::tuple{"std", "0", "'std' in the metadata"},
                                            {"mean", "x", "'mean' in the metadata"},
                                            {"architecture", "{}", "'model' is missing"}}) {
    auto wrong = metadata;
    wrong[key] = value;
    params.save(file.path, wrong);
    Params unused;
    CHECK_THROWS_WITH_AS(open_content_features(unused, file.path), doctest::Contains(message), Error);
  }
  Params other, unused;
  const Model resnet = make_model({.name = "resnet18", .width = 2}, other);
  other.save(file.path, {{architecture_key, resnet.options.json()}});
  CHECK_THROWS_WITH_AS(open_content_features(unused, file.path), doctest::Contains("weights of resnet18"), Error);
}
TEST_SUITE_END();
