// bf16: what is stored in it, what is computed in f32, and networks that compute in bf16 with f32 weights.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <sstream>

#include "al/run_folder.h"
#include "layers/precision.h"
#include "models/gan_train.h"
#include "models/inference.h"
#include "models/train.h"
#include "tensor/backend.h"
#include "tensor/run.h"
#include "tests/op_samples.h"

TEST_SUITE_BEGIN("bf16_test");
using namespace querent;
using namespace querent::test;

namespace {

struct ComputeIn {  // networks made while one lives compute in `type`
  explicit ComputeIn(DType type) { set_compute_dtype(type); }
  ~ComputeIn() { set_compute_dtype(DType::f32); }
  ComputeIn(const ComputeIn&) = delete;
  ComputeIn& operator=(const ComputeIn&) = delete;
};

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

ModelOptions small(const std::string& name) {
  return {.name = name, .classes = name == "unet" ? 1 : 3, .width = 4, .depth = 2, .dropout = 0.1, .small_stem = true};
}

struct Batch {
  Tensor x, labels;
};
// Bright squares: to be outlined, or told by their place.
Batch batch_of(const Model& model, int64_t n = 4, int64_t size = 16) {
  const Tensor noise = draw_sample({{n, size, size, 1}, Sample::normal, 0.3}, {"x", "[*]"}, DType::f32, Rng(5));
  std::vector<float> x = noise.host();
  std::vector<int64_t> pixels(x.size(), 0), classes;
  for (int64_t i = 0; i < n; ++i) {
    classes.push_back(i % 3);
    const int64_t first = 4 * (i % 3);
    for (int64_t k = 0; k < 36; ++k) {
      const auto at = static_cast<size_t>((i * size + first + k / 6) * size + first + k % 6);
      x[at] += 1.5f, pixels[at] = 1;
    }
  }
  const Tensor images = Tensor::from(std::span<const float>(x), noise.shape());
  return {images, model.segments ? Tensor::from(pixels, {n, size, size}) : Tensor::from(classes, {n})};
}

struct Training {
  std::vector<double> losses;
  std::vector<float> weights, probabilities;
};
// Some steps by Program or one by one; with a stop, after which a new process goes on from weights and optimizer alone.
Training train(const std::string& name, DType type, int64_t steps, bool eager = false, int64_t stop = 0) {
  const ComputeIn bf16_or_f32(type);
  Training t;
  std::optional<Params> params;
  std::optional<Model> model;
  std::optional<Optimizer> optimizer;
  std::optional<TrainingStep> step;
  const auto start = [&](uint64_t seed) {
    step.reset(), optimizer.reset(), model.reset();
    params.emplace(Device::cpu(), seed);
    model.emplace(make_model(small(name), *params));
    optimizer.emplace(params->all(), OptimOptions{.kind = OptimOptions::adamw, .lr = 1e-2});
    step.emplace(*model, *optimizer);
  };
  start(3);
  const Batch b = batch_of(*model);
  const int64_t ids[] = {3, 1, 4, 5};
  for (int64_t k = 0; k < steps; ++k) {
    if (stop > 0 && k == stop) {
      TensorFile saved;
      for (const Tensor& s : optimizer->state()) saved.tensors[s.name()] = s.clone();
      const Tensor flat = params->all().flat.clone();
      Tensors buffers;
      for (const Tensor& s : params->buffers()) buffers.push_back(s.clone());
      start(99);
      optimizer->load_state(saved);
      params->all().flat.copy_from(flat);
      for (size_t i = 0; i < buffers.size(); ++i) params->buffers()[i].copy_from(buffers[i]);
    }
    const Tensor streams = make_streams(1, ids, k);
    t.losses.push_back(eager ? train_step(*model, *optimizer, b.x, b.labels, streams)
                             : (*step)(b.x, b.labels, streams));
  }
  t.weights = params->all().flat.host();
  Inference inference(*model);
  const Tensor answer = inference(b.x).output.logits;
  CHECK(answer.dtype() == DType::f32);
  t.probabilities = probability_of(answer).host();
  return t;
}

template <class F>
void for_each_case_in_bf16(F f) {
  for_each_good_case([&](const Op& op, const Case& c) {
    if (takes_bf16(op, Device::Kind::cpu)) f(op, c);
  });
}

template <class T>
double largest_difference(const std::vector<T>& a, const std::vector<T>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
  return worst;
}

}  // namespace

TEST_CASE("every op: computed in f32, rounded once, by either kernel") {
  set_memory_debug(true);
  const size_t before = guard_violations();
  for_each_case_in_bf16([&](const Op& op, const Case& c) {
    const Tensors expected = run_exactly(op, c, DType::bf16);
    std::optional<ReferenceKernels> reference;
    for (const bool by_reference : {false, true}) {
      if (by_reference) reference.emplace();
      const double ratio = error_over_bound(op, c, run_case(op, c, DType::bf16), expected);
      CHECK_MESSAGE(ratio <= 1, op.name, " / ", c.name, ": the error is ", ratio, " times its bound");
      CHECK_MESSAGE(guard_violations() == before, op.name, " / ", c.name, " wrote outside its output");
    }
  });
  set_memory_debug(false);
}

TEST_CASE("inference of shapes and types agrees with what is returned") {
  for_each_case_in_bf16([](const Op& op, const Case& c) {
    const Tensors in = draw_inputs(op, c, DType::bf16), real = run(op, in, c.attrs);
    double written = 0;
    for (const Tensor& t : real) written += static_cast<double>(t.bytes());
    CHECK_MESSAGE(op.cost(in, c.attrs).bytes >= written, op.name, " / ", c.name);
    const DryRun dry;
    const Tensors planned = run(op, in, c.attrs);
    for (size_t i = 0; i < real.size(); ++i) CHECK_MESSAGE(planned[i].dtype() == real[i].dtype(), op.name);
  });
}

TEST_CASE("norms keep scales and statistics in f32; other inputs do not mix") {
  const Tensor x = draw_sample({{2, 3, 3, 5}, Sample::normal, 1, 100}, {"x", "[*]"}, DType::bf16, Rng(1)),
               ones = Tensor::full({5}, 1), zeros = Tensor::zeros({5});
  const NormResult batch = batch_norm_train(x, ones, zeros), image = instance_norm(x, ones, zeros);
  for (const NormResult& r : {batch, image}) {
    CHECK(r.y.dtype() == DType::bf16);
    CHECK(r.mean.dtype() == DType::f32);
    CHECK(r.var.dtype() == DType::f32);
  }
  CHECK(message_of([&] { batch_norm_train(x, ones.cast(DType::bf16), zeros); }) ==
        "batch_norm_train: inputs mix element types f32 and bf16; gamma=bf16[5]");
  CHECK(message_of([&] { add(x, ones); }) == "add: inputs mix element types bf16 and f32; b=f32[5]");
  CHECK(message_of([] { set_compute_dtype(DType::f64); }) == "networks compute in f32 or bf16, not f64");
}

TEST_CASE("a gradient comes back in the type of the weight") {
  const Tensor x = Tensor::full({2, 3}, 1, DType::bf16);
  Tensor w = Tensor::full({4, 3}, 1.0 / 3);
  w.as_parameter("w");
  Tape tape;
  const Tensor y = leaves(matmul(x, weight_for(x, w), {.transpose_b = true}));
  const Tensor dw = tape.backward(sum(y), {}, std::array{w})[0];
  CHECK(y.dtype() == DType::f32);
  CHECK(y.host()[0] == 1.0f);  // three times bf16(1/3) = 0.333984, rounded to bf16
  CHECK(dw.dtype() == DType::f32);
  CHECK(dw.host() == std::vector<float>(12, 2));
}

// Along the longest path of either network about twenty convolutions or norms round their weights and their results,
// to 2^-8 each; a norm keeps what it is given in proportion. Losses and probabilities are Lipschitz in the logits with
// a constant of at most 1, and the logits are of the order of 1.
constexpr double band = 3 * 20 * 0x1p-8;

TEST_CASE("training in bf16 follows training in f32") {
  for (const char* name : {"unet", "resnet18"}) {
    const Training f32 = train(name, DType::f32, 20), bf16 = train(name, DType::bf16, 20);
    CHECK_MESSAGE(bf16.losses.back() < 0.8 * bf16.losses.front(), name, " ", bf16.losses.back());
    CHECK_MESSAGE(largest_difference(bf16.losses, f32.losses) < band, name);
    CHECK_MESSAGE(largest_difference(bf16.probabilities, f32.probabilities) < band, name);
    CHECK(bf16.losses != f32.losses);
    size_t finer = 0;  // weights that bf16 could not hold
    for (const float w : bf16.weights) finer += static_cast<float>(querent::bf16(w)) != w;
    CHECK(finer > bf16.weights.size() / 2);
  }
}

TEST_CASE("a captured step and a resumed training have the bits of one that runs through") {
  for (const char* name : {"unet", "resnet18"}) {
    const Training through = train(name, DType::bf16, 4);
    for (const Training& other : {train(name, DType::bf16, 4, true), train(name, DType::bf16, 4, false, 2)}) {
      CHECK_MESSAGE(other.losses == through.losses, name);
      CHECK_MESSAGE(other.weights == through.weights, name);
    }
  }
}

TEST_CASE("rule cast-together: a step casts its weights at once") {
  const ComputeIn bf16(DType::bf16);
  for (const char* name : {"unet", "resnet18"}) {
    Params params(Device::cpu(), 3);
    const Model model = make_model(small(name), params);
    Optimizer optimizer(params.all(), {});
    TrainingStep step(model, optimizer);
    const Batch b = batch_of(model);
    const int64_t ids[] = {1, 2, 3, 4};
    step(b.x, b.labels, make_streams(1, ids, 0));
    step.program()->check();
    std::istringstream lines(step.program()->listing());
    int to_bf16 = 0;
    for (std::string line; std::getline(lines, line);)
      to_bf16 += line.find("  cast(") != std::string::npos && line.find("-> bf16") != std::string::npos;
    CHECK_MESSAGE(to_bf16 == 3, name, "\n", step.program()->listing());  // images, weights, the gradient of the logits
  }
}

TEST_CASE("questions are answered with the bits of eager passes") {
  const ComputeIn bf16(DType::bf16);
  for (const char* name : {"unet", "resnet18", "vgg16", "bcnn"}) {
    Params params(Device::cpu(), 2);
    ModelOptions o = small(name);
    o.log_var = true, o.fc = 8;
    const Model model = make_model(o, params);
    params.all();
    const Tensor x = draw_sample({{2, 32, 32, 1}}, {"x", "[*]"}, DType::f32, Rng(6));
    const int64_t ids[] = {3, 1};
    Inference inference(model);
    const Tensor once = inference(x).output.logits.clone(), eager = model.forward(x).logits;
    CHECK_MESSAGE(once.host() == eager.host(), name);
    inference.sample(x, ids, 3, 1, [&](int64_t t, const Inference::Answer& a) {
      const Output pass = model.forward(x, {Pass::mc_dropout, make_streams(1, ids, t)});
      CHECK_MESSAGE(a.output.logits.host() == pass.logits.host(), name);
      CHECK_MESSAGE(a.output.log_var.host() == pass.log_var.host(), name);
    });
  }
}

TEST_CASE("both GANs: steps in bf16 are near those in f32, and replays have the bits of eager ones") {
  for (const char* generator : {"unet", "residual"}) {
    std::vector<double> losses[3];
    for (int run = 0; run < 3; ++run) {
      const ComputeIn f32_or_bf16(run == 0 ? DType::f32 : DType::bf16);
      const GanOptions o{.generator = generator,
                         .size = 32,
                         .width = 4,
                         .judge_width = 4,
                         .depth = generator[0] == 'u' ? 3 : 0,
                         .blocks = 1,
                         .judge_layers = 1};
      Params g(Device::cpu(), 1), d(Device::cpu(), 2);
      GanTraining training;
      training.eager = run == 2;
      GanTrainer trainer(make_gan(o, g, d), g, d, training);
      const auto image = [](uint64_t seed) {
        return draw_sample({{2, 32, 32, 1}, Sample::uniform, 2, -1}, {"x", "[*]"}, DType::f32, Rng(seed));
      };
      const int64_t ids[] = {1, 2};
      for (int64_t k = 0; k < 3; ++k) {
        const GanLosses l = trainer.step({image(1), image(2)}, make_streams(1, ids, k));
        losses[run].insert(losses[run].end(), {l.judge_real, l.judge_fake, l.adversarial, l.content});
      }
    }
    CHECK_MESSAGE(largest_difference(losses[0], losses[1]) < band, generator);
    CHECK(losses[0] != losses[1]);
    CHECK(losses[2] == losses[1]);
  }
}

TEST_CASE("the configuration of a run says bf16, and only then") {
  CHECK(al::ExperimentConfig{}.json().find("bf16") == std::string::npos);
  const ComputeIn bf16(DType::bf16);
  CHECK(al::ExperimentConfig{}.json().find("\"bf16\": true") != std::string::npos);
}

TEST_CASE("the plan of a training in bf16 needs less for its values than in f32") {
  const auto plan = [](DType type) {
    const ComputeIn f32_or_bf16(type);
    return plan_training(small("unet"), 64, 4);
  };
  const TrainingMemory f32 = plan(DType::f32), bf16 = plan(DType::bf16);
  CHECK(bf16.arena < 0.65 * static_cast<double>(f32.arena));
  CHECK(f32.widened == 0);
  CHECK(bf16.widened > 0);  // on the CPU: copies in f32 for one kernel at a time
}
TEST_SUITE_END();
