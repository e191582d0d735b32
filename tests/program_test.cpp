// Capture and replay: the same bits as eager, in less memory.
#include "tensor/program.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "models/train.h"
#include "tensor/ops.h"
#include "tensor/ledger.h"
#include "tensor/op_attrs.h"
#include "tensor/rng.h"
#include "tensor/run.h"
#include "tensor/tape.h"

TEST_SUITE_BEGIN("program_test");
using namespace querent;

namespace {

Tensor vec(std::initializer_list<float> v) {
  return Tensor::from(std::span<const float>(std::vector<float>(v)), {static_cast<int64_t>(v.size())});
}
Tensor noise(Shape shape, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = static_cast<float>(rng.normal());
  return Tensor::from(std::span<const float>(v), shape);
}
bool same_bits(const Tensor& a, const Tensor& b) { return std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }

// Twelve steps of a model on changing batches, eager or as a Program; the weights, statistics and losses after it.
struct Trained {
  std::vector<double> losses;
  Tensors state;
  size_t records = 0, replayed = 0, arena = 0, values = 0;
  bool assigns = false;  // copies gradients to one buffer
};
Trained trained(const ModelOptions& options, int64_t size, bool captured, OptimOptions::Kind kind,
                int64_t recompute = 0) {
  Params params(Device::cpu(), 5);
  const Model model = make_model(options, params);
  Optimizer optimizer(params.all(), {.kind = kind, .lr = 1e-3, .weight_decay = 1e-4});
  TrainingStep step(model, optimizer, {.samples = 3}, recompute);
  Trained t;
  for (int64_t i = 0; i < 5; ++i) {
    const Tensor x = noise({4, size, size, 1}, static_cast<uint64_t>(i));
    std::vector<int64_t> labels(static_cast<size_t>(model.segments ? 4 * size * size : 4));
    for (size_t k = 0; k < labels.size(); ++k) labels[k] = (k * 7 + static_cast<size_t>(i)) % 2;
    const Tensor y = Tensor::from(std::span<const int64_t>(labels), model.segments ? Shape{4, size, size} : Shape{4});
    const std::vector<int64_t> ids = {4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3};
    const Tensor streams = make_streams(9, ids, 0);
    optimizer.set_lr(1e-3 * static_cast<double>(5 - i));
    const Ledger ledger;
    t.losses.push_back(captured ? step(x, y, streams)
                                : train_step(model, optimizer, x, y, streams, {.samples = 3}, recompute));
    if (i < 4 || !captured) continue;
    // What fused records do not write: the value between a norm and its ReLU, and that ReLU's gradient.
    for (const Record& record : ledger.records()) {
      if (record.op->name == "batch_norm_relu") t.values += record.out[0].bytes();
      if (record.op->name == "batch_norm_grad" && record.in[5]) t.values += record.in[5].bytes();
    }
  }
  t.state = optimizer.state();
  t.state.push_back(params.all().flat);
  for (const Tensor& b : params.buffers()) t.state.push_back(b);
  if (captured) {
    step.program()->check();
    t.assigns = step.program()->listing().find("assign") != std::string::npos;
    t.records = step.program()->captured(), t.replayed = step.program()->size();
    t.arena = step.program()->arena_bytes(), t.values += step.program()->value_bytes();
  }
  return t;
}

}  // namespace

TEST_CASE("a replay computes from its inputs, and from parameters as they are then") {
  const Tensor w = vec({1, 2, 3});
  Program p = Program::capture(
      [&](Inputs in) {
        return Tensors{sum(mul(in[0], w)), add(in[0], in[0])};
      },
      {vec({1, 1, 1})});
  CHECK(p.results()[0].item() == 6);
  CHECK(p({vec({2, 0, 1})})[0].item() == 5);
  w.copy_from(vec({10, 10, 10}));
  CHECK(p({vec({2, 0, 1})})[0].item() == 30);
  CHECK(p.results()[1].host() == std::vector<float>{4, 0, 2});
}

TEST_CASE("training as a Program has the same bits as eager training") {
  const std::vector<std::pair<ModelOptions, int64_t>> models = {
      {{.name = "unet", .classes = 1, .width = 4, .depth = 2, .dropout = 0.2, .log_var = true}, 16},
      {{.name = "unet", .classes = 3, .width = 4, .depth = 2}, 16},
      {{.name = "resnet18", .classes = 2, .width = 8, .dropout = 0.2, .log_var = true}, 32},
      {{.name = "vgg16_bn", .classes = 2, .width = 4, .fc = 16, .dropout = 0.5}, 32},
      {{.name = "vgg16", .classes = 1, .width = 4, .fc = 16}, 32},
  };
  for (const auto& [options, size] : models) {
    CAPTURE(options.json());
    for (const auto kind : {OptimOptions::adamw, OptimOptions::sgd}) {
      const Trained eager = trained(options, size, false, kind), program = trained(options, size, true, kind);
      CHECK(eager.losses == program.losses);
      REQUIRE(eager.state.size() == program.state.size());
      for (size_t i = 0; i < eager.state.size(); ++i)
        CHECK_MESSAGE(same_bits(eager.state[i], program.state[i]), eager.state[i]);
      CHECK(program.arena < program.values / 2);       // values, fused ones included, share places
      CHECK(program.replayed < program.records);
      CHECK(!program.assigns);  // gradients are used where they are made
    }
  }
}

TEST_CASE("levels of a U-Net that are computed again have the same bits in less memory") {
  const ModelOptions options{.name = "unet", .classes = 1, .width = 16, .depth = 3, .dropout = 0.2, .log_var = true};
  const Trained plain = trained(options, 48, true, OptimOptions::adamw);
  size_t arena = plain.arena;
  for (const int64_t levels : {1, 2, 3}) {
    CAPTURE(levels);
    for (const bool captured : {false, true}) {
      const Trained again = trained(options, 48, captured, OptimOptions::adamw, levels);
      CHECK(again.losses == plain.losses);
      REQUIRE(again.state.size() == plain.state.size());
      for (size_t i = 0; i < again.state.size(); ++i)
        CHECK_MESSAGE(same_bits(again.state[i], plain.state[i]), again.state[i]);
      if (!captured) continue;
      CHECK(again.records > plain.records);
      CHECK(again.arena < arena);  // each level takes less
      arena = again.arena;
    }
  }
}

TEST_CASE("a replay asks for no memory") {
  Params params(Device::cpu(), 5);
  const Model model = make_model({.name = "unet", .classes = 1, .width = 4, .depth = 2, .dropout = 0.2}, params);
  Optimizer optimizer(params.all(), {});
  TrainingStep step(model, optimizer);
  const Tensor x = noise({2, 16, 16, 1}, 1), y = Tensor::zeros({2, 16, 16}, DType::i64);
  const std::vector<int64_t> ids = {0, 1};
  const Tensor streams = make_streams(9, ids, 0);
  for (int i = 0; i < 3; ++i) step(x, y, streams);
  const size_t held = memory_stats().held;
  for (int i = 0; i < 3; ++i) step(x, y, streams);
  CHECK(memory_stats().held == held);
}

TEST_CASE("convolutions take what they need while they run from the arena") {
  struct Shapes {
    int64_t n, size, c, o, kernel, stride, padding;
  };
  for (const Shapes& s :
       {Shapes{1, 16, 64, 160, 3, 1, 1}, {2, 32, 16, 32, 3, 1, 1}, {1, 8, 64, 64, 3, 1, 1}, {2, 16, 32, 64, 2, 2, 0},
        {1, 32, 48, 64, 4, 2, 1}, {4, 4, 64, 128, 3, 1, 1}, {2, 20, 3, 5, 3, 1, 1}, {2, 6, 5, 7, 3, 1, 1},
        {2, 17, 20, 24, 3, 2, 1}, {2, 16, 24, 1, 1, 1, 0}}) {
    CAPTURE(text("{} images of {}, {} to {} channels, filters of {} with stride {}", s.n, s.size, s.c, s.o, s.kernel,
                 s.stride));
    set_threads(1);
    const Conv2dAttrs a{.stride = s.stride, .padding = s.padding};
    const Tensors given = {noise({s.n, s.size, s.size, s.c}, 1), noise({s.o, s.kernel, s.kernel, s.c}, 2)};
    Program p = Program::capture(
        [&](Inputs in) {
          const Tensor y = conv2d(in[0], in[1], {}, a);
          return Tensors{run(find_op("conv2d_grad_input"), {y, in[1]}, Conv2dGradInputAttrs{a, s.size})[0],
                         run(find_op("conv2d_grad_weight"), {in[0], y}, Conv2dGradWeightAttrs{a, s.kernel})[0]};
        },
        given);
    reset_memory_peak();
    const size_t live = memory_stats().live;
    p(given);
    set_threads(0);
    CHECK(memory_stats().peak == live);
  }
}

TEST_CASE("another shape of batch is captured anew") {
  Params params(Device::cpu(), 5);
  const Model model = make_model({.name = "unet", .classes = 1, .width = 4, .depth = 2}, params);
  Optimizer optimizer(params.all(), {});
  TrainingStep step(model, optimizer);
  for (const int64_t n : {2, 3, 3, 2}) {
    const double loss = step(noise({n, 16, 16, 1}, 1), Tensor::zeros({n, 16, 16}, DType::i64), {});
    CHECK(std::isfinite(loss));
  }
}

TEST_CASE("a loss that is not finite stops a replay before anything is changed") {
  Params params(Device::cpu(), 5);
  const Model model = make_model({.name = "unet", .classes = 1, .width = 4, .depth = 2}, params);
  Optimizer optimizer(params.all(), {});
  TrainingStep step(model, optimizer);
  const Tensor x = noise({2, 16, 16, 1}, 1), y = Tensor::zeros({2, 16, 16}, DType::i64);
  step(x, y, {});
  step(x, y, {});
  const Tensor before = params.all().flat.clone();
  CHECK_THROWS_WITH_AS(step(Tensor::full({2, 16, 16, 1}, std::numeric_limits<double>::quiet_NaN()), y, {}),
                       doctest::Contains("training: the loss is nan; lower the learning rate"), Error);
  CHECK(same_bits(before, params.all().flat));
}

TEST_CASE("reshapes and parts of larger buffers keep their values") {
  const Tensor flat = Tensor::zeros({7});
  Program p = Program::capture(
      [&](Inputs in) {
        const Tensor y = reshape(scale(in[0], 2), {3, 2}), z = reshape(y, {6});
        assign(flat.batch(1, 6), z);
        return Tensors{sum(y), add(z, z)};
      },
      {vec({1, 2, 3, 4, 5, 6})});
  CHECK(flat.host() == std::vector<float>{0, 2, 4, 6, 8, 10, 12});
  const Tensors& r = p({vec({6, 5, 4, 3, 2, 1})});
  CHECK(r[0].item() == 42);
  CHECK(r[1].host() == std::vector<float>{24, 20, 16, 12, 8, 4});
  CHECK(flat.host() == std::vector<float>{0, 12, 10, 8, 6, 4, 2});
}

TEST_CASE("the optimizer takes each gradient as it is made, where nothing else looks at them") {
  Params params(Device::cpu(), 5);
  const Tensor a = params.root().parameter("a", {40, 24}, Init::torch_default()),
               b = params.root().parameter("b", {40}, Init::ones()),
               unused = params.root().parameter("unused", {40}, Init::ones());
  const Tensor x = noise({6, 24}, 1);
  enum What { all, all_but_unused, read_before_update, flat_is_a_result };
  for (const auto kind : {OptimOptions::adam, OptimOptions::adamw, OptimOptions::sgd}) {
    for (const What what : {all, all_but_unused, read_before_update, flat_is_a_result}) {
      CAPTURE(static_cast<int>(what));
      const ParamSet set = what == all ? params.where([&](const Tensor& t) { return t.id() != unused.id(); }) : params.all();
      const Tensor start = params.all().flat.clone();
      const auto run_steps = [&](bool captured, Tensors& after) {
        params.all().flat.copy_from(start);
        Optimizer optimizer(set, {.kind = kind, .lr = 1e-2, .weight_decay = 1e-2});
        const auto step = [&](Inputs in) {
          Tape tape;
          const Tensor loss = mean(square(relu(bias_add(matmul(in[0], a, {.transpose_b = true}), b))));
          const Gradients g = tape.backward(what == all || what == all_but_unused ? loss : add(loss, sum(square(unused))), set);
          const Tensor old = what == read_before_update ? sum(a) : Tensor{};
          optimizer.apply(g, in[1]);
          return Tensors{loss, what == flat_is_a_result ? g.flat : old};
        };
        std::optional<Program> p;
        for (int i = 0; i < 3; ++i) {
          const Tensors in = {x, optimizer.advance()};
          if (captured && !p)
            p = Program::capture(step, in);
          else if (captured)
            (*p)(in);
          const Tensors r = captured ? p->results() : step(in);
          for (const Tensor& t : r)
            if (t) after.push_back(t.clone());
        }
        after.push_back(params.all().flat.clone());
        for (const Tensor& t : optimizer.state()) after.push_back(t.clone());
        if (!captured) return;
        p->check();
        const bool in_backward = p->constant_bytes() < 64;  // there is no buffer of all gradients
        CHECK(in_backward == (what == all));
        CHECK((p->listing().find("matmul_update") != std::string::npos) == (what == all));
      };
      Tensors eager, program;
      run_steps(false, eager);
      run_steps(true, program);
      params.all().flat.copy_from(start);
      REQUIRE(eager.size() == program.size());
      for (size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], program[i]));
    }
  }
}

TEST_CASE("a gradient is not computed in a place that is still read") {
  const Tensor place = vec({1, 2});
  Program p = Program::capture(
      [&](Inputs in) {
        const Tensor x = scale(in[0], 3);
        const Tensor old = add(place, x);  // reads the old values after x was made
        assign(place, x);
        return Tensors{old};
      },
      {vec({1, 1})});
  CHECK(p.results()[0].host() == std::vector<float>{4, 5});
  CHECK(p({vec({2, 2})})[0].host() == std::vector<float>{9, 9});  // 3 + 6
  CHECK(p({vec({0, 1})})[0].host() == std::vector<float>{6, 9});  // 6 + 0, 6 + 3
}

TEST_CASE("what a captured step may not do is an error that says what to do instead") {
  const Tensor x = vec({1, 2});
  const auto captured = [&](auto body) {
    return [&x, body] { Program::capture([&](Inputs in) { return Tensors{body(in[0])}; }, {x}); };
  };
  CHECK_THROWS_WITH_AS(captured([](const Tensor& t) { return scale(t, t.host()[0]); })(),
                       doctest::Contains("host() of f32[2] inside a captured step; make it an op"), Error);
  CHECK_THROWS_WITH_AS(captured([](const Tensor& t) {
                         const Tensor total = Tensor::zeros({2});
                         accumulate(total, t);
                         return add(total, t);
                       })(),
                       doctest::Contains("accumulate changes f32[2], which the step made outside of any op"), Error);
  Program p = Program::capture([](Inputs in) { return Tensors{add(in[0], in[0])}; }, {x});
  CHECK_THROWS_WITH_AS(p({x, x}), doctest::Contains("captured with 1 inputs, got 2"), Error);
  CHECK_THROWS_WITH_AS(p({vec({1, 2, 3})}), doctest::Contains("cannot take the values"), Error);
  const Tape tape;
  CHECK_THROWS_WITH_AS(p({x}), doctest::Contains("a replay cannot be recorded"), Error);
}
TEST_SUITE_END();
