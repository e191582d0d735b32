// Networks that are asked through Programs, the rules that fuse records, and plans of memory.
#include "models/inference.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "models/bayes.h"
#include "models/train.h"
#include "tensor/ops.h"
#include "tensor/rng.h"
#include "tensor/run.h"
#include "tensor/tape.h"

TEST_SUITE_BEGIN("inference_test");
using namespace querent;

namespace {

Tensor noise(Shape shape, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = static_cast<float>(rng.normal());
  return Tensor::from(std::span<const float>(v), shape);
}
Tensor positive(Shape shape, uint64_t seed) { return scale(square(noise(shape, seed)), 1, 0.5); }
bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}
int64_t count(const std::string& text, const std::string& what) {
  int64_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

std::vector<std::pair<ModelOptions, int64_t>> networks() {
  return {{{.name = "unet", .classes = 1, .width = 16, .depth = 2, .dropout = 0.3, .log_var = true}, 24},
          {{.name = "unet", .classes = 3, .width = 4, .depth = 3}, 16},
          {{.name = "resnet18", .classes = 2, .width = 8, .dropout = 0.2, .log_var = true}, 32},
          {{.name = "vgg16_bn", .classes = 2, .width = 4, .fc = 16, .dropout = 0.5}, 32},
          {{.name = "vgg16", .classes = 1, .width = 4, .fc = 16, .dropout = 0.5}, 32}};
}

// Running statistics that are not 0 and 1.
void disturb(const Params& params) {
  for (const Tensor& b : params.buffers())
    if (b.dtype() == DType::f32) b.copy_from(positive(b.shape(), static_cast<uint64_t>(b.numel())));
}

}  // namespace

TEST_CASE("answers have the bits of eager passes, for changing batches and after the weights changed") {
  for (const auto& [options, size] : networks()) {
    CAPTURE(options.json());
    Params params(Device::cpu(), 5);
    const Model model = make_model(options, params);
    params.all();
    disturb(params);
    Inference inference(model, true);
    for (const int64_t n : {3, 3, 1, 3}) {
      const Tensor x = noise({n, size, size, 1}, static_cast<uint64_t>(n));
      const Output eager = model.forward(x);
      const Inference::Answer answer = inference(x);
      CHECK(same_bits(answer.output.logits, eager.logits));
      CHECK(same_bits(answer.probability, predict(model, x)));
      if (eager.log_var) CHECK(same_bits(answer.output.log_var, eager.log_var));
      CHECK(same_bits(answer.features, model.embed(model.trunk(x, {}))));
      CHECK(same_bits(inference.features(x), model.embed(model.trunk(x, {}))));
      params.all().flat.copy_from(scale(params.all().flat, 0.9));
    }
  }
}

TEST_CASE("Monte-Carlo passes have the bits of eager passes, several in a batch or one") {
  for (const auto& [options, size] : networks()) {
    CAPTURE(options.json());
    Params params(Device::cpu(), 5);
    const Model model = make_model(options, params);
    params.all();
    disturb(params);
    Inference inference(model);
    for (const int64_t n : {1, 3, 9, 3}) {  // 8, 2 and 1 passes in a batch of a U-Net
      const Tensor x = noise({n, size, size, 1}, static_cast<uint64_t>(n));
      std::vector<int64_t> ids;
      for (int64_t i = 0; i < n; ++i) ids.push_back(100 + 7 * i);
      const Tensors features = model.trunk(x, {Pass::mc_dropout, {}});
      int64_t next = 0;
      inference.sample(x, ids, 5, 9, [&](int64_t t, const Inference::Answer& answer) {
        CHECK(t == next++);
        const Output eager = model.head(features, {Pass::mc_dropout, make_streams(9, ids, t)});
        CHECK(same_bits(answer.output.logits, eager.logits));
        CHECK(same_bits(answer.probability, probability_of(eager.logits)));
        if (eager.log_var) CHECK(same_bits(answer.output.log_var, eager.log_var));
      });
      CHECK(next == 5);
    }
  }
}

TEST_CASE("asking again asks for no memory, and passes for no more than one arena") {
  Params params(Device::cpu(), 5);
  const Model model = make_model({.name = "unet", .classes = 1, .width = 8, .depth = 3, .dropout = 0.2}, params);
  params.all();
  Inference inference(model);
  const Tensor x = noise({8, 32, 32, 1}, 1), small = noise({3, 32, 32, 1}, 2);
  const std::vector<int64_t> ids = {0, 1, 2, 3, 4, 5, 6, 7};
  const PosteriorOptions o{.passes = 20, .keep_passes = false};
  predict_posterior(inference, x, ids, o);
  const size_t arena = inference.arena_bytes(), held = memory_stats().held;
  reset_memory_peak();
  const size_t live = memory_stats().live;
  for (int i = 0; i < 3; ++i) predict_posterior(inference, x, ids, o);
  CHECK(memory_stats().held == held);
  // A kernel's scratch: a megabyte of tiles for each thread, and filters.
  CHECK(memory_stats().peak - live < static_cast<size_t>(1 + threads()) << 20);
  CHECK(inference.arena_bytes() == arena);
  inference.sample(small, std::span(ids).first(3), 4, 1, [](int64_t, const Inference::Answer&) {});
  CHECK(inference.arena_bytes() < arena);  // the Program of another shape takes the place of the first
}

TEST_CASE("what does not depend on the varying inputs is computed once") {
  const Tensor w = noise({4}, 1);
  int64_t calls = 0;
  Program p = Program::capture(
      [&](Inputs in) {
        ++calls;
        const Tensor steady = mul(square(in[0]), w), late = sigmoid(in[1]);
        return Tensors{add(add(late, steady), scale(steady, 2)), steady};
      },
      {noise({4}, 2), noise({4}, 3)}, 1);
  CHECK(calls == 1);
  CHECK(p.size() == 6);
  CHECK(p.steady() == 3);  // square, mul, scale
  const auto eager = [&](const Tensor& a, const Tensor& b) {
    const Tensor s = mul(square(a), w);
    return add(add(sigmoid(b), s), scale(s, 2));
  };
  CHECK(same_bits(p.results()[0], eager(noise({4}, 2), noise({4}, 3))));
  for (uint64_t seed = 4; seed < 7; ++seed)
    CHECK(same_bits(p.again({noise({4}, seed)})[0], eager(noise({4}, 2), noise({4}, seed))));
  CHECK(same_bits(p({noise({4}, 8), noise({4}, 9)})[0], eager(noise({4}, 8), noise({4}, 9))));
  CHECK_THROWS_WITH_AS(p.again({w, w}), doctest::Contains("captured with 1 inputs, got 2"), Error);
  Program plain = Program::capture([](Inputs in) { return Tensors{square(in[0])}; }, {w});
  CHECK_THROWS_WITH_AS(plain.again({}), doctest::Contains("captured without steady inputs"), Error);
}

TEST_CASE("what an op changes is not steady") {
  const Tensor total = Tensor::zeros({2});
  Program p = Program::capture(
      [&](Inputs in) {
        accumulate(total, in[0]);
        return Tensors{scale(total, 2)};
      },
      {Tensor::full({2}, 1), Tensor::full({2}, 0)}, 1);
  CHECK(p.steady() == 0);
  CHECK(p.results()[0].host() == std::vector<float>{2, 2});
  CHECK(p.again({Tensor::full({2}, 0)})[0].host() == std::vector<float>{4, 4});
}

TEST_CASE("rule convolution-epilogue: the same bits in one record instead of three") {
  struct Layer {
    int64_t size, in, out, kernel, stride;
  };
  for (const Layer& l : {Layer{16, 16, 32, 3, 1},
                         {6, 32, 17, 3, 1},
                         {17, 5, 20, 3, 2},
                         {13, 3, 8, 7, 2},
                         {9, 16, 1, 1, 1},
                         {4, 8, 8, 3, 1}}) {
    CAPTURE(l.size);
    const Tensor w = noise({l.out, l.kernel, l.kernel, l.in}, 1), b = noise({l.out}, 2), gamma = noise({l.out}, 3),
                 beta = noise({l.out}, 4), mean = noise({l.out}, 5), var = positive({l.out}, 6);
    const Tensor x = noise({2, l.size, l.size, l.in}, 7);
    const Conv2dAttrs a{.stride = l.stride, .padding = l.kernel / 2};
    const auto normed = [&](const Tensor& t, const Tensor& bias) {
      return batch_norm_eval(conv2d(t, w, bias, a), gamma, beta, mean, var, {.eps = 1e-3});
    };
    const std::vector<std::function<Tensor(const Tensor&)>> chains = {
        [&](const Tensor& t) { return relu(normed(t, {})); }, [&](const Tensor& t) { return relu(normed(t, b)); },
        [&](const Tensor& t) { return normed(t, b); }, [&](const Tensor& t) { return relu(conv2d(t, w, b, a)); }};
    for (const auto& chain : chains) {
      const Program p = Program::capture([&](Inputs in) { return Tensors{chain(in[0])}; }, {x});
      CHECK(p.size() == 1);
      CHECK(count(p.listing(), "conv2d_epilogue(") == 1);
      CHECK(same_bits(p.results()[0], chain(x)));
    }
    // A convolution that somebody else reads as well is left alone.
    const auto shared = [&](const Tensor& t) {
      const Tensor y = conv2d(t, w, b, a);
      return add(relu(y), y);
    };
    const Program p = Program::capture([&](Inputs in) { return Tensors{shared(in[0])}; }, {x});
    CHECK(p.size() == p.captured());
    CHECK(same_bits(p.results()[0], shared(x)));
  }
}

TEST_CASE("rule filters-once: the same bits, and a whole replay reads the weights as they are then") {
  const Tensor w = noise({40, 3, 3, 19}, 1), b = noise({40}, 2), first = noise({2, 9, 10, 19}, 3);
  const auto step = [&](Inputs in) { return Tensors{sigmoid(conv2d(add(in[1], in[0]), w, b, {.padding = 1}))}; };
  const Tensor zero = Tensor::zeros({1});
  Program p = Program::capture(step, {zero, first}, 1);
  Program every = Program::capture(step, {zero, first});
  CHECK(count(p.listing(), "winograd_filters(") == 0);  // nothing is steady but the weights
  CHECK(count(every.listing(), "winograd_filters(") == 0);
  const auto with_steady = [&](Inputs in) {
    return Tensors{sigmoid(conv2d(add(in[1], square(in[0])), w, b, {.padding = 1}))};
  };
  Program staged = Program::capture(with_steady, {zero, first}, 1);
  CHECK(count(staged.listing(), "winograd_filters(") == 1);
  CHECK(staged.steady() == 2);
  const Tensor x = noise(first.shape(), 4);
  CHECK(same_bits(staged.again({x})[0], with_steady(Tensors{zero, x})[0]));
  w.copy_from(noise(w.shape(), 5));
  CHECK(same_bits(staged({zero, x})[0], with_steady(Tensors{zero, x})[0]));
}

TEST_CASE("rules norm-relu and norm-relu-gradient: the same bits forward and backward") {
  Tensor gamma = noise({19}, 3), beta = noise({19}, 4);
  gamma.as_parameter("gamma"), beta.as_parameter("beta");
  const auto step = [&](Inputs in) {
    Tape tape;
    tape.watch(in[0]);
    const NormResult r = batch_norm_train(in[0], gamma, beta);
    const Tensor y = relu(r.y);
    Tensors out = tape.backward(y, in[1], Tensors{in[0], gamma, beta});
    out.push_back(y), out.push_back(r.mean), out.push_back(r.var);
    return out;
  };
  Tensor x = noise({3, 7, 5, 19}, 1);
  const Tensor dy = noise(x.shape(), 2);
  x.data<float>()[23] = std::nanf("");  // a NaN passes the ReLU both ways as it does eagerly
  for (const bool with_nan : {true, false}) {
    if (!with_nan) x = noise({3, 7, 5, 19}, 1);
    const Tensors eager = step(Tensors{x, dy});
    const Program p = Program::capture(step, {x, dy});
    CHECK(count(p.listing(), "batch_norm_relu(") == 1);
    CHECK(count(p.listing(), "relu_grad(") == 0);
    for (size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(p.results()[i], eager[i]));
  }
}

TEST_CASE("rules norm-add-relu, add-relu and add-relu-gradient: the end of a residual block in one pass") {
  Tensor gamma = noise({19}, 3), beta = noise({19}, 4);
  gamma.as_parameter("gamma"), beta.as_parameter("beta");
  // Two blocks, the first with a norm on its other branch too, and gradients from two readers.
  const auto step = [&](Inputs in) {
    Tape tape;
    tape.watch(in[0]);
    const Tensor a = relu(add(batch_norm_train(in[0], gamma, beta).y, batch_norm_train(square(in[0]), gamma, beta).y));
    const Tensor b = relu(add(batch_norm_train(sigmoid(a), gamma, beta).y, a)), c = relu(add(square(b), b));
    Tensors out = tape.backward(c, in[1], Tensors{in[0], gamma, beta});
    for (const Tensor& t : {a, b, c}) out.push_back(t);
    return out;
  };
  Tensor x = noise({3, 7, 5, 19}, 1);
  const Tensor dy = noise(x.shape(), 2);
  x.data<float>()[23] = std::nanf("");
  for (const bool with_nan : {true, false}) {
    if (!with_nan) x = noise({3, 7, 5, 19}, 1);
    const Tensors eager = step(Tensors{x, dy});
    const Program p = Program::capture(step, {x, dy});
    CHECK(count(p.listing(), "batch_norm_relu(") == 2);
    CHECK(count(p.listing(), "batch_norm_train(") == 1);
    CHECK(count(p.listing(), "add_relu(") == 1);
    CHECK(count(p.listing(), "add_relu_grad(") == 2);
    CHECK(count(p.listing(), " relu(") == 0);
    for (size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(p.results()[i], eager[i]));
  }
  // A sum that repeats one side, and one that somebody else reads as well, are left alone.
  const Tensor row = noise({19}, 5);
  for (const std::function<Tensor(const Tensor&)>& left :
       {std::function<Tensor(const Tensor&)>([&](const Tensor& t) { return relu(add(t, row)); }),
        std::function<Tensor(const Tensor&)>([&](const Tensor& t) {
          const Tensor y = add(t, t);
          return mul(relu(y), y);
        })}) {
    const Program p = Program::capture([&](Inputs in) { return Tensors{left(in[0])}; }, {x});
    CHECK(p.size() == p.captured());
    CHECK(same_bits(p.results()[0], left(x)));
  }
}

TEST_CASE("rule result-in-place: where nobody reads an input afterwards, and nowhere else") {
  const Tensor x = noise({1000}, 1), z = noise({1000}, 2);
  const size_t one = 4032;  // 4000 bytes in whole cache lines
  const auto arena = [&](const std::function<Tensors(Inputs)>& step) {
    Program p = Program::capture(step, {x, z});
    const Tensors eager = step(Tensors{z, x}), results = p({z, x});
    for (size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(results[i], eager[i]));
    return p.arena_bytes();
  };
  CHECK(arena([](Inputs in) { return Tensors{relu(add(square(in[0]), square(in[1])))}; }) == 2 * one);
  CHECK(arena([](Inputs in) {  // the first sum is read again
          const Tensor s = add(square(in[0]), in[1]);
          return Tensors{add(add(s, in[1]), s)};
        }) == 2 * one);
  CHECK(arena([](Inputs in) {  // and here it is a result
          const Tensor s = square(in[0]);
          return Tensors{add(s, in[1]), s};
        }) == 2 * one);
  CHECK(arena([](Inputs in) { return Tensors{add(in[0], in[1])}; }) == one);  // inputs are left as they are
  // What was computed once for several replays stays.
  Program p = Program::capture([](Inputs in) { return Tensors{add(square(in[0]), in[1])}; }, {x, z}, 1);
  for (int i = 0; i < 3; ++i) CHECK(same_bits(p.again({z})[0], add(square(x), z)));
}

TEST_CASE("the noise of the logits is the same in each pass: without dropout nothing is epistemic") {
  Params params(Device::cpu(), 3);
  const Model sure = make_model({.name = "resnet18", .classes = 2, .width = 4, .log_var = true}, params);
  const std::vector<int64_t> ids = {1, 2};
  const Posterior p = predict_posterior(sure, noise({2, 32, 32, 1}, 1), ids, {.passes = 6});
  for (const float v : p.epistemic.host()) CHECK(v == 0);
  for (const float v : p.aleatoric.host()) CHECK(v > 0);
}

TEST_CASE("the plan of a training is what it needs, within 3 %") {
  for (const auto& [options, size, batch, recompute] :
       {std::tuple<ModelOptions, int64_t, int64_t, int64_t>{
            {.name = "unet", .classes = 1, .width = 16, .depth = 4, .dropout = 0.1, .log_var = true}, 96, 4, 0},
        {{.name = "unet", .classes = 1, .width = 16, .depth = 4, .dropout = 0.1, .log_var = true}, 96, 4, 3},
        {{.name = "unet", .classes = 1, .width = 8, .depth = 3}, 64, 1, 0},
        {{.name = "resnet18", .classes = 3, .width = 16, .dropout = 0.2}, 64, 8, 0}}) {
    CAPTURE(options.json());
    set_threads(1);  // a plan counts what each thread takes
    const TrainingMemory plan = plan_training(options, size, batch, {}, recompute);
    release_free_memory();
    const size_t before = memory_stats().live;
    Params params(Device::cpu(), 5);
    const Model model = make_model(options, params);
    Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw});
    TrainingStep step(model, optimizer, {}, recompute);
    const Tensor x = noise({batch, size, size, 1}, 1),
                 y = Tensor::zeros(model.segments ? Shape{batch, size, size} : Shape{batch}, DType::i64);
    std::vector<int64_t> ids(static_cast<size_t>(batch));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i);
    reset_memory_peak();
    for (int64_t i = 0; i < 2; ++i) step(x, y, make_streams(1, ids, i));
    const auto measured = static_cast<double>(memory_stats().peak - before),
               planned = static_cast<double>(plan.total());
    set_threads(0);
    CHECK(plan.arena == step.program()->arena_bytes());
    CHECK_MESSAGE(std::abs(planned / measured - 1) < 0.03, "planned ", planned, ", measured ", measured);
  }
}

TEST_CASE("a plan counts the batches that are made ahead, and is made for a GPU without one") {
  const ModelOptions o{.name = "unet", .classes = 1, .width = 8, .depth = 3, .log_var = true};
  const TrainingMemory alone = plan_training(o, 64, 2);
  size_t asked = 0;
  const auto ahead = [&](size_t bytes) {
    asked = bytes;
    return int64_t{5};
  };
  const TrainingMemory several = plan_training(o, 64, 2, {}, 0, {.ahead = ahead});
  CHECK(asked == 2 * 64 * 64 * (4 + 8 + 4));  // image, label, the label as the loss compares it
  CHECK(several.inputs == alone.inputs + 5 * asked);
  CHECK(several.arena == alone.arena);
  // There the batch that is taken lies twice, and one kernel updates all weights when all gradients are there.
  const TrainingMemory gpu = plan_training(o, 64, 2, {}, 0, {.device = Device::cuda(0), .ahead = ahead});
  CHECK(gpu.inputs == several.inputs + asked);
  Params params;
  const Model model = make_model(o, params);
  CHECK(gpu.weights == alone.weights + params.all().flat.bytes());
  CHECK(gpu.arena > 0);
  CHECK(gpu.arena != alone.arena);
}

TEST_CASE("labels that no loss reads are not among the targets") {
  const auto targets = [](bool log_var, int64_t classes, const char* name) {
    Params params;
    const Model model =
        make_model({.name = name, .classes = classes, .width = 2, .depth = 2, .log_var = log_var}, params);
    return make_targets(model, Tensor::zeros(model.segments ? Shape{1, 8, 8} : Shape{4}, DType::i64), DType::f32,
                        {.class_weights = Tensor::full({2}, 1)});
  };
  const auto has = [](const Targets& t) { return std::vector<bool>{bool{t.labels}, bool{t.one_hot}, bool{t.weights}}; };
  CHECK(has(targets(false, 1, "unet")) == std::vector<bool>{false, true, true});  // as 0 and 1, not as i64
  CHECK(has(targets(true, 1, "unet")) == std::vector<bool>{true, true, false});
  CHECK(has(targets(true, 1, "resnet18")) == std::vector<bool>{true, false, false});
  CHECK(has(targets(false, 3, "resnet18")) == std::vector<bool>{true, false, false});
}

TEST_CASE("the largest batch fits, and twice as many do not") {
  const ModelOptions o{.name = "unet", .classes = 1, .width = 8, .depth = 3};
  const size_t bytes = size_t{64} << 20;
  const int64_t n = largest_batch(o, 64, bytes, 1024);
  CHECK(n > 1);
  CHECK(plan_training(o, 64, n).total() <= bytes);
  CHECK(plan_training(o, 64, 2 * n).total() > bytes);
  CHECK(largest_batch(o, 64, bytes, 2) == 2);
  CHECK(largest_batch(o, 64, bytes, 1024, {}, 3) > n);
  CHECK(largest_batch(o, 64, 1000, 1024) == 0);
}
TEST_SUITE_END();
