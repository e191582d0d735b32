// Every network against PyTorch (tests/golden), its names and totals against torchvision, and the Bayesian readings.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "layers/loss.h"
#include "layers/optim.h"
#include "models/bayes.h"
#include "models/explain.h"
#include "models/model.h"
#include "models/train.h"
#include "tensor/tape.h"
#include "tests/golden_networks.h"

using namespace querent;

namespace {

// A file of its own that disappears with the test.
struct TempFile {
  std::filesystem::path path;
  explicit TempFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("querent_models_" + std::to_string(::getpid()) + name)) {}
  ~TempFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_SUITE_BEGIN("models_test");

TEST_CASE("forward, loss, every gradient and ten training losses equal PyTorch") {
  std::string agreement;
  for (const std::string name : {"unet", "unet_brain", "vgg16", "vgg16_bn", "resnet18"}) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(name);
      CAPTURE(dtype_name(dtype));
      agreement += text(" {} {} {};", name, dtype, golden::compare_model(name, dtype));
    }
  }
  MESSAGE("largest distance from PyTorch as a part of its bound:", agreement);
}

TEST_CASE("names, shapes and totals equal torchvision's and milesial's at full size") {
  const DryRun dry;
  std::map<std::string, std::map<std::string, std::string>> want;
  std::ifstream in(std::string(QUERENT_SOURCE_DIR) + "/tests/golden/keys.txt");
  for (std::string model, name, shape; in >> model >> name >> shape;) want[model][name] = shape;
  const std::map<std::string, int64_t> totals = {
      {"vgg16", 138'357'544}, {"vgg16_bn", 138'365'992}, {"resnet18", 11'689'512}, {"unet", 31'036'481}};
  for (const auto& [name, total] : totals) {
    CAPTURE(name);
    Params params;
    make_model({.name = name, .in_channels = name == "unet" ? 1 : 3, .classes = name == "unet" ? 1 : 1000}, params);
    CHECK(params.count() == total);
    std::map<std::string, std::string> have;
    for (const std::string& n : params.names()) {
      std::string shape;
      for (const int64_t extent : params.file_shape(n)) shape += (shape.empty() ? "" : "x") + std::to_string(extent);
      have[n] = shape.empty() ? "scalar" : shape;
    }
    CHECK(have == want[name]);
  }
}

TEST_CASE("explain gives the published totals") {
  const Explanation resnet = explain({.name = "resnet18", .in_channels = 3, .classes = 1000}, 224);
  CHECK(resnet.parameters == 11'689'512);
  CHECK(resnet.multiply_adds == doctest::Approx(1.814e9).epsilon(0.001));  // 1.82 G in He et al., table 1: 1.8e9
  const Explanation vgg = explain({.name = "vgg16", .in_channels = 3, .classes = 1000}, 224);
  CHECK(vgg.multiply_adds == doctest::Approx(15.47e9).epsilon(0.001));
  CHECK(resnet.rows.front().layer == "conv1");
  CHECK(resnet.rows.front().output == Shape{1, 112, 112, 64});
  int64_t sum = 0;
  for (const LayerRow& r : resnet.rows) sum += r.parameters;
  CHECK(sum == resnet.parameters);
  CHECK(resnet.listing().find("11,689,512 parameters") != std::string::npos);
  CHECK_THROWS_WITH_AS(explain({.name = "unet"}, 100), doctest::Contains("multiples of 16"), Error);
}

TEST_CASE("an architecture survives its description") {
  const ModelOptions o{.name = "vgg16_bn",
                       .in_channels = 3,
                       .classes = 4,
                       .width = 8,
                       .depth = 4,
                       .fc = 32,
                       .dropout = 0.25,
                       .log_var = true};
  CHECK(ModelOptions::parse(o.json()) == o);
  CHECK_THROWS_AS(ModelOptions::parse("[1]"), Error);
  CHECK_THROWS_AS(ModelOptions::parse("{\"model\":\"unet\"}"), Error);
  Params params;
  CHECK_THROWS_WITH_AS(make_model({.name = "alexnet"}, params), doctest::Contains("resnet18"), Error);
}

TEST_CASE("saved weights load bit for bit, with the architecture in the file") {
  const TempFile file("roundtrip.safetensors");
  const ModelOptions o{.name = "vgg16_bn", .classes = 3, .width = 2, .fc = 16};
  Params first(Device::cpu(), 5), second(Device::cpu(), 6);
  const Model a = make_model(o, first);
  first.save(file.path, {{architecture_key, a.options.json()}});
  const Model b = make_model(saved_architecture(file.path), second);
  load_weights(b, second, file.path);
  CHECK(a.options == b.options);
  for (const std::string& name : first.names()) {
    CAPTURE(name);
    const Tensor x = first.find(name), y = second.find(name);
    CHECK(std::memcmp(x.raw(), y.raw(), x.bytes()) == 0);
  }
}

TEST_CASE("checkpoints for three channels and other class counts are adapted when asked") {
  const TempFile file("imagenet.safetensors");
  Params big(Device::cpu(), 1), small(Device::cpu(), 2);
  make_model({.name = "resnet18", .in_channels = 3, .classes = 10, .width = 4}, big);
  big.save(file.path);
  const Model model = make_model({.name = "resnet18", .classes = 2, .width = 4, .log_var = true}, small);
  CHECK_THROWS_WITH_AS(load_weights(model, small, file.path),
                       doctest::Contains("'fc.weight' is [10,32], the model needs [2,32]"), Error);
  const LoadReport report = load_weights(model, small, file.path, true);
  CHECK(report.adapted.size() == 1);
  CHECK(report.skipped.size() == 4);  // fc and log_var, weight and bias
  CHECK(report.complete());
  const std::vector<float> three = big.find("conv1.weight").host(), one = small.find("conv1.weight").host();
  for (size_t i = 0; i < one.size(); ++i)
    CHECK(one[i] == doctest::Approx(three[3 * i] + three[3 * i + 1] + three[3 * i + 2]));
}

TEST_CASE("Monte-Carlo dropout is deterministic, independent of the batch, and off without dropout") {
  for (const std::string name : {"unet", "resnet18", "vgg16"}) {
    CAPTURE(name);
    Params params(Device::cpu(), 3);
    const Model model = make_model(
        {.name = name, .classes = 2, .width = 4, .depth = 2, .fc = 8, .dropout = 0.5, .log_var = true}, params);
    std::vector<double> pixels(3 * 32 * 32);
    for (size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = std::sin(0.37 * static_cast<double>(i)) + static_cast<double>(i / 1024);
    const Tensor x = Tensor::from(std::span<const double>(pixels), {3, 32, 32, 1}, DType::f32);
    const std::vector<int64_t> ids = {7, 8, 9}, last = {9};
    const PosteriorOptions o{.passes = 6, .seed = 4};
    const Posterior p = predict_posterior(model, x, ids, o), again = predict_posterior(model, x, ids, o);
    CHECK(p.total.host() == again.total.host());
    const Posterior alone = predict_posterior(model, x.batch(2, 1), last, o);
    CHECK(p.passes.dim(0) == 6);
    const std::vector<double> whole = Posterior::per_image(p.epistemic), part = Posterior::per_image(alone.epistemic);
    CHECK(whole[2] == part[0]);
    CHECK(whole[2] > 0);
    // The moments of the stored passes are the returned ones.
    const std::vector<float> passes = p.passes.host(), mean = p.mean.host(), epistemic = p.epistemic.host();
    double sum = 0, squares = 0;
    for (size_t t = 0; t < 6; ++t) {
      const double v = passes[t * mean.size() + 1];
      sum += v / 6, squares += v * v / 6;
    }
    CHECK(mean[1] == doctest::Approx(sum));
    CHECK(epistemic[1] == doctest::Approx(squares - sum * sum).epsilon(1e-4));
    for (size_t i = 0; i < mean.size(); ++i)
      CHECK(p.total.host()[i] == doctest::Approx(epistemic[i] + p.aleatoric.host()[i]));
    CHECK(predict_posterior(model, x, ids, {.passes = 6, .seed = 5}).total.host() != p.total.host());
  }
  Params params(Device::cpu(), 3);
  const Model sure = make_model({.name = "resnet18", .classes = 2, .width = 4}, params);
  const std::vector<int64_t> ids = {1, 2};
  const Tensor x = Tensor::full({2, 32, 32, 1}, 0.3);
  const Posterior p = predict_posterior(sure, x, ids, {.passes = 3, .space = PosteriorOptions::logit});
  CHECK(Posterior::per_image(p.total)[0] == 0);
  const std::vector<float> a = p.mean.host(), b = predict(sure, x).host();
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]));
}

TEST_CASE("the log-variance head moves the aleatoric term alone") {
  Params params(Device::cpu(), 3);
  const Model model =
      make_model({.name = "resnet18", .classes = 1, .width = 4, .dropout = 0.5, .log_var = true}, params);
  const std::vector<int64_t> ids = {1};
  const Tensor x = Tensor::full({1, 32, 32, 1}, 0.3);
  const PosteriorOptions o{.passes = 5, .space = PosteriorOptions::logit};
  params.find("log_var.weight").fill(0);
  params.find("log_var.bias").fill(std::log(0.25));
  const Posterior low = predict_posterior(model, x, ids, o);
  params.find("log_var.bias").fill(std::log(4.0));
  const Posterior high = predict_posterior(model, x, ids, o);
  CHECK(low.aleatoric.host()[0] == doctest::Approx(0.25));
  CHECK(high.aleatoric.host()[0] == doctest::Approx(4.0));
  CHECK(low.epistemic.host() == high.epistemic.host());
  CHECK(low.epistemic.host()[0] > 0);
}

TEST_CASE("the linear layers of a VGG16 shrink with its width, 4096 to 64 as published") {
  Params params;
  make_model({.name = "vgg16", .width = 2}, params);
  CHECK(params.find("classifier.3.weight").shape() == Shape{128, 128});
}

TEST_CASE("images that do not fit are refused with the rule") {
  Params params;
  const Model unet = make_model({.name = "unet", .width = 2, .depth = 3}, params);
  CHECK_THROWS_WITH_AS(unet.forward(Tensor::zeros({1, 20, 24, 1})), doctest::Contains("multiples of 8"), Error);
  CHECK_THROWS_WITH_AS(unet.forward(Tensor::zeros({1, 24, 24, 3})), doctest::Contains("must be [N,H,W,1]"), Error);
  Params other;
  const Model vgg = make_model({.name = "vgg16", .width = 2, .fc = 4}, other);
  CHECK_THROWS_WITH_AS(vgg.forward(Tensor::zeros({1, 16, 64, 1})), doctest::Contains("at least 32x32"), Error);
}

TEST_CASE("a training step lowers the loss of every task and repeats bit for bit") {
  for (const ModelOptions& o :
       {ModelOptions{.name = "unet", .classes = 1, .width = 4, .depth = 2, .dropout = 0.2},
        ModelOptions{.name = "unet", .classes = 3, .width = 4, .depth = 2},
        ModelOptions{.name = "unet", .classes = 1, .width = 4, .depth = 2, .log_var = true},
        ModelOptions{.name = "resnet18", .classes = 1, .width = 4, .small_stem = true},
        ModelOptions{.name = "resnet18", .classes = 3, .width = 4, .dropout = 0.2, .log_var = true}}) {
    CAPTURE(o.json());
    std::vector<double> pixels(4 * 32 * 32);
    std::vector<int64_t> labels(o.name == "unet" ? pixels.size() : 4), ids = {0, 1, 2, 3};
    for (size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = std::sin(0.37 * static_cast<double>(i)) + static_cast<double>(i / 1024);
    for (size_t i = 0; i < labels.size(); ++i)
      labels[i] = static_cast<int64_t>(i / (labels.size() / 4)) % std::max<int64_t>(2, o.classes);
    const Tensor x = Tensor::from(std::span<const double>(pixels), {4, 32, 32, 1}, DType::f32);
    const Tensor y = Tensor::from(std::span<const int64_t>(labels), o.name == "unet" ? Shape{4, 32, 32} : Shape{4});
    std::vector<double> runs[2];
    for (auto& losses : runs) {
      Params params(Device::cpu(), 1);
      const Model model = make_model(o, params);
      Optimizer optimizer(params.all(), {.lr = 3e-3});
      for (int64_t t = 0; t < 12; ++t) losses.push_back(train_step(model, optimizer, x, y, make_streams(1, ids, t)));
    }
    CHECK(runs[0] == runs[1]);
    CHECK(runs[0].back() < 0.9 * runs[0].front());
  }
  Params params;
  const Model model = make_model({.name = "resnet18", .classes = 2, .width = 2}, params);
  const Tensor x = Tensor::zeros({2, 32, 32, 1});
  CHECK_THROWS_WITH_AS(task_loss(model, model.forward(x), Tensor::zeros({3}, DType::i64)),
                       doctest::Contains("needs labels i64[2]"), Error);
}

TEST_SUITE_END();
