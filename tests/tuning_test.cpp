// Training the last layers only: what is frozen keeps its bytes, batch norms included.
#include <doctest/doctest.h>

#include <set>

#include "layers/optim.h"
#include "models/train.h"
#include "tensor/error.h"

TEST_SUITE_BEGIN("tuning_test");
using namespace querent;

namespace {

struct Net {
  Params params{Device::cpu(), 7};
  Model model;
  explicit Net(const std::string& name)
      : model(make_model({.name = name,
                          .classes = name == "unet" ? 1 : 2,
                          .width = 4,
                          .depth = 2,
                          .fc = 8,
                          .dropout = 0.2,
                          .log_var = true},
                         params)) {
    params.all();
  }
  std::map<std::string, std::vector<float>> values() const {
    std::map<std::string, std::vector<float>> v;
    for (const std::string& n : params.names()) {
      if (params.find(n).dtype() == DType::f32) v[n] = params.find(n).host();
    }
    return v;
  }
  void train(int64_t depth, int steps) {
    Optimizer adam(last_layers(model, params, depth), {.kind = OptimOptions::adamw, .lr = 0.01, .weight_decay = 0.1});
    std::vector<float> x(4 * 32 * 32);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    const Tensor images = Tensor::from(std::span<const float>(x), {4, 32, 32, 1});
    const std::vector<int64_t> ids = {0, 1, 2, 3}, label = {0, 1, 1, 0};
    const Tensor labels =
        model.segments ? Tensor::zeros({4, 32, 32}, DType::i64) : Tensor::from(std::span<const int64_t>(label), {4});
    for (int s = 0; s < steps; ++s) train_step(model, adam, images, labels, make_streams(1, ids, s));
  }
};

std::set<std::string> names_of(const ParamSet& set) {
  std::set<std::string> names;
  for (const Tensor& t : set.tensors) names.insert(t.name());
  return names;
}

}  // namespace

TEST_CASE(
    "the last layers by name: the output with its log-variance, then convolutions and linear layers with their norms") {
  const Net resnet("resnet18"), vgg("vgg16"), unet("unet");
  using Names = std::set<std::string>;
  CHECK(names_of(last_layers(resnet.model, resnet.params, 1)) ==
        Names{"fc.weight", "fc.bias", "log_var.weight", "log_var.bias"});
  CHECK(names_of(last_layers(resnet.model, resnet.params, 2)) == Names{"fc.weight", "fc.bias", "log_var.weight",
                                                                       "log_var.bias", "layer4.1.conv2.weight",
                                                                       "layer4.1.bn2.weight", "layer4.1.bn2.bias"});
  CHECK(names_of(last_layers(vgg.model, vgg.params, 2)) == Names{"classifier.6.weight", "classifier.6.bias",
                                                                 "log_var.weight", "log_var.bias",
                                                                 "classifier.3.weight", "classifier.3.bias"});
  CHECK(names_of(last_layers(unet.model, unet.params, 1)) ==
        Names{"outc.conv.weight", "outc.conv.bias", "log_var.conv.weight", "log_var.conv.bias"});
  for (const auto& [net, layers] : {std::pair{&resnet, 21}, {&vgg, 16}}) {
    const size_t all = net->params.all().tensors.size();
    CHECK(last_layers(net->model, net->params, 0).tensors.size() == all);
    CHECK(last_layers(net->model, net->params, layers).tensors.size() == all);
    CHECK(last_layers(net->model, net->params, layers - 1).tensors.size() < all);
    CHECK_THROWS_WITH_AS(last_layers(net->model, net->params, layers + 1),
                         doctest::Contains(text("has {} layers", layers).c_str()), Error);
    CHECK_THROWS_AS(last_layers(net->model, net->params, -1), Error);
  }
}

TEST_CASE("frozen parameters and the running statistics of frozen batch norms keep their bytes; the others move") {
  for (const char* name : {"resnet18", "vgg16_bn", "unet"}) {
    for (const int64_t depth : {1, 3}) {
      CAPTURE(name);
      CAPTURE(depth);
      Net net(name);
      const auto before = net.values();
      const std::set<std::string> tuned = names_of(last_layers(net.model, net.params, depth));
      net.train(depth, 3);
      const auto after = net.values();
      for (const auto& [n, value] : before) {
        CAPTURE(n);
        const size_t stem = n.rfind('.');
        const bool statistics = n.ends_with("running_mean") || n.ends_with("running_var");
        const bool moves = statistics ? tuned.contains(n.substr(0, stem) + ".weight") : tuned.contains(n);
        CHECK((after.at(n) != value) == moves);
      }
    }
  }
}

TEST_CASE("tuning every layer is the same as training all") {
  Net all("resnet18"), every("resnet18");
  all.train(0, 2);
  every.train(21, 2);
  CHECK(all.values() == every.values());
}
TEST_SUITE_END();
