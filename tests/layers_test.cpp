// Single ops, optimizers and schedules against PyTorch (tests/golden/ops.safetensors); norm and dropout modes.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/loss.h"
#include "layers/norm.h"
#include "layers/optim.h"
#include "layers/schedule.h"
#include "tensor/tape.h"
#include "tests/golden.h"

using namespace querent;
using golden::nchw;
using golden::nhwc;

namespace {

struct TempFile {
  std::filesystem::path path;
  explicit TempFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("querent_layers_" + std::to_string(::getpid()) + name)) {}
  ~TempFile() { std::filesystem::remove(path); }
};

// The op a fixture case names, on engine-layout inputs.
Tensor apply(const nlohmann::json& a, const std::string& name, std::map<std::string, Tensor>& in,
             const golden::Fixture& f, DType dtype) {
  const std::string op = a["op"];
  const auto get = [&](const char* key, int64_t fallback) { return a.value(key, fallback); };
  const auto extra = [&](const char* key) { return nhwc(f.file.at(name + "/" + key)).cast(dtype); };
  const Tensor x = in["x"], w = in["w"], b = in["b"];
  if (op == "conv2d")
    return conv2d(x, w, b,
                  {.stride = get("stride", 1),
                   .padding = get("padding", 0),
                   .dilation = get("dilation", 1),
                   .groups = get("groups", 1)});
  if (op == "conv_transpose2d")
    return conv_transpose2d(
        x, w, b,
        {.stride = get("stride", 1), .padding = get("padding", 0), .output_padding = get("output_padding", 0)});
  if (op == "linear") return bias_add(matmul(x, w, {.transpose_b = true}), b);
  if (op == "adaptive_avg_pool2d") return adaptive_avg_pool2d(x, get("size", 1));
  if (op == "max_pool2d")
    return max_pool2d(x, {.kernel = get("kernel", 2), .stride = get("stride", 2), .padding = get("padding", 0)});
  if (op == "avg_pool2d")
    return avg_pool2d(x, {.kernel = get("kernel", 2), .stride = get("stride", 2), .padding = get("padding", 0)});
  if (op == "upsample_bilinear") return upsample_bilinear(x, {get("height", 1), get("width", 1)}, a["align_corners"]);
  if (op == "upsample_nearest") return upsample_nearest(x, get("scale", 2));
  if (op == "batch_norm_train") return batch_norm_train(x, w, b).y;
  if (op == "batch_norm_eval") return batch_norm_eval(x, w, b, extra("mean"), extra("var"));
  if (op == "instance_norm") return instance_norm(x, w, b).y;
  if (op == "cross_entropy")
    return cross_entropy(x, f.file.at(name + "/target"),
                         f.file.contains(name + "/class_weight") ? extra("class_weight") : Tensor{});
  if (op == "bce_dice") return bce_dice_loss(x, extra("target"));
  if (op == "gauss_nll") return gaussian_nll(x, in["s"], extra("target"));
  FAIL("the fixture names an unknown op: " << op);
  return {};
}

void compare_case(const golden::Fixture& f, const std::string& name, const nlohmann::json& attrs, DType dtype) {
  CAPTURE(name);
  CAPTURE(dtype);
  std::map<std::string, Tensor> in;
  std::vector<std::string> wanted_names;
  Tensors wanted;
  Tape tape;
  for (const std::string key : {"x", "w", "b", "s"}) {
    if (!f.file.contains(name + "/" + key)) continue;
    in[key] =
        nhwc(f.file.at(name + "/" + key)).cast(dtype);  // filters [O,C,Kh,Kw] -> [O,Kh,Kw,C] by the same permutation
    tape.watch(in[key]);
    wanted.push_back(in[key]);
    wanted_names.push_back(key);
  }
  const Tensor y = apply(attrs, name, in, f, dtype);
  f.compare(name + "/y", nchw(y), dtype);
  const Tensors dx = tape.backward(y, nhwc(f.file.at(name + "/dy")).cast(dtype).reshaped(y.shape()), wanted);
  for (size_t i = 0; i < dx.size(); ++i) {
    REQUIRE(bool{dx[i]});
    f.compare(name + "/d" + wanted_names[i], nchw(dx[i]), dtype);
  }
}

}  // namespace

TEST_SUITE_BEGIN("layers_test");

TEST_CASE("single ops with their options equal PyTorch, forward and gradient") {
  const golden::Fixture f("ops");
  const auto cases = nlohmann::json::parse(f.file.metadata.at("cases"));
  for (const auto& [name, attrs] : cases.items()) {
    if (name.starts_with("optim/")) continue;
    compare_case(f, name, attrs, DType::f64);
    compare_case(f, name, attrs, DType::f32);
  }
}

TEST_CASE("optimizers equal PyTorch step by step") {
  const golden::Fixture f("ops");
  const auto cases = nlohmann::json::parse(f.file.metadata.at("cases"));
  for (const auto& [name, a] : cases.items()) {
    if (!name.starts_with("optim/")) continue;
    for (const DType dtype : {DType::f64, DType::f32}) {
      OptimOptions o{.kind = name.starts_with("optim/sgd") ? OptimOptions::sgd
                             : name == "optim/adam"        ? OptimOptions::adam
                                                           : OptimOptions::adamw};
      o.lr = a["lr"];
      o.momentum = a.value("momentum", 0.0);
      o.nesterov = a.value("nesterov", false);
      o.weight_decay = a.value("weight_decay", 0.0);
      if (a.contains("betas")) o.beta1 = a["betas"][0], o.beta2 = a["betas"][1];
      Params params(Device::cpu(), 0, dtype);
      const Tensor w = params.root().parameter("w", {11}, Init::zeros());
      w.copy_from(f.file.at("optim/w").cast(dtype));
      Optimizer optimizer(params.all(), o);
      Tensor states = Tensor::zeros({4, 11}, dtype);
      for (int64_t t = 0; t < 4; ++t) {
        Gradients g{params.all(), Tensor::zeros({params.all().total}, dtype)};
        g[w].copy_from(f.file.at("optim/grads").batch(t, 1).reshaped({11}).cast(dtype));
        optimizer.step(g);
        states.batch(t, 1).reshaped({11}).copy_from(w);
      }
      f.compare(name, states, dtype);
    }
  }
}

TEST_CASE("schedules equal PyTorch") {
  const golden::Fixture f("ops");
  using S = ScheduleOptions;
  const auto compare = [&](const std::string& name, const S& o) {
    const Schedule schedule(o);
    const std::vector<double> want = f.file.at("schedule/" + name).host_f64();
    for (int64_t t = 0; t <= 10; ++t)
      CHECK(schedule.rate(t) == doctest::Approx(want[static_cast<size_t>(t)]).epsilon(1e-12));
  };
  compare("step", {.kind = S::step, .lr = 0.1, .period = 3, .factor = 0.5});
  compare("cosine", {.kind = S::cosine, .lr = 0.1, .min_lr = 0.001, .total = 10});
  compare("linear", {.kind = S::linear, .lr = 0.1, .total = 10});
  Schedule plateau({.kind = S::plateau, .lr = 0.1, .factor = 0.5, .patience = 1});
  const std::vector<double> values = f.file.at("schedule/plateau_values").host_f64(),
                            want = f.file.at("schedule/plateau").host_f64();
  for (size_t i = 0; i < values.size(); ++i) {
    plateau.observe(values[i]);
    Schedule resumed({.kind = S::plateau, .lr = 0.1, .factor = 0.5, .patience = 1});
    resumed.restore(plateau.state());
    CHECK(resumed.rate(0) == doctest::Approx(want[i]));
  }
  const Schedule warm({.kind = S::constant, .lr = 0.1, .warmup = 4});
  CHECK(warm.rate(0) == doctest::Approx(0.025));
  CHECK(warm.rate(3) == doctest::Approx(0.1));
  CHECK(warm.rate(9) == doctest::Approx(0.1));
}

TEST_CASE("optimizer state saved and loaded continues bit for bit") {
  const TempFile file("optim.safetensors");
  const auto run_steps = [](Params& p, Optimizer& o, int first, int last) {
    for (int t = first; t < last; ++t) {
      Gradients g{p.all(), Tensor::zeros({p.all().total})};
      for (int64_t i = 0; i < g.flat.numel(); ++i) g.flat.data<float>()[i] = std::sin(static_cast<float>(i + 31 * t));
      o.step(g);
    }
  };
  Params a(Device::cpu(), 1), b(Device::cpu(), 1);
  for (Params* p : {&a, &b}) Linear(p->root().sub("fc"), 5, 3);
  Optimizer straight(a.all(), {.kind = OptimOptions::adamw, .weight_decay = 0.1});
  run_steps(a, straight, 0, 6);
  Optimizer before(b.all(), {.kind = OptimOptions::adamw, .weight_decay = 0.1});
  run_steps(b, before, 0, 3);
  write_tensors(file.path, before.state());
  Optimizer after(b.all(), {.kind = OptimOptions::adamw, .weight_decay = 0.1});
  after.load_state(read_tensors(file.path));
  run_steps(b, after, 3, 6);
  CHECK(std::memcmp(a.all().flat.raw(), b.all().flat.raw(), a.all().flat.bytes()) == 0);
}

TEST_CASE("batch norm updates its running statistics in training only") {
  Params p(Device::cpu(), 1);
  const BatchNorm2d norm(p.root().sub("bn"), 2);
  const std::vector<float> values = {1, 10, 3, 20, 5, 30};
  const Tensor x = Tensor::from(std::span<const float>(values), {3, 1, 1, 2});
  norm(x, {Pass::eval, {}});
  norm(x, {Pass::mc_dropout, {}});
  CHECK(norm.running_mean.host() == std::vector<float>{0, 0});
  norm(x, {Pass::train, {}});
  CHECK(norm.running_mean.host()[0] == doctest::Approx(0.3));
  CHECK(norm.running_var.host()[1] == doctest::Approx(0.9 + 0.1 * 100));
  CHECK(norm.batches.item() == 1);
  CHECK_THROWS_WITH_AS(norm(x.batch(0, 1), {Pass::train, {}}), doctest::Contains("larger batch"), Error);
}

TEST_CASE("dropout is off in evaluation and asks for streams otherwise") {
  Params p(Device::cpu(), 1);
  const Dropout drop(p.root().sub("d"), 0.5);
  const Tensor x = Tensor::full({2, 64}, 1);
  CHECK(drop(x, {}).host() == x.host());
  CHECK_THROWS_WITH_AS(drop(x, {Pass::train, {}}), doctest::Contains("make_streams"), Error);
  const std::vector<int64_t> ids = {3, 4}, swapped = {4, 3};
  const std::vector<float> a = drop(x, {Pass::train, make_streams(1, ids, 0)}).host(),
                           b = drop(x, {Pass::mc_dropout, make_streams(1, swapped, 0)}).host();
  CHECK(std::equal(a.begin(), a.begin() + 64, b.begin() + 64));
  CHECK(a != drop(x, {Pass::train, make_streams(1, ids, 1)}).host());
  CHECK_THROWS_AS(Dropout(p.root(), 1.0), Error);
}

TEST_SUITE_END();
