// Networks against what PyTorch computed for them (tests/golden), on any device: shared by the suites of the CPU and by
// those of a GPU. Tolerances are those of golden.h: they bound any order of summation in float32, so they hold on a GPU
// that computes in strict float32.
#pragma once
#include <unistd.h>

#include <filesystem>

#include "layers/layout.h"
#include "layers/loss.h"
#include "layers/optim.h"
#include "models/content_loss.h"
#include "models/gan.h"
#include "models/gan_train.h"
#include "models/mask_autoencoder.h"
#include "models/model.h"
#include "tensor/tape.h"
#include "tests/golden.h"

namespace golden {

inline constexpr const char* models[] = {"unet", "unet_brain", "vgg16", "vgg16_bn", "resnet18"};
inline constexpr const char* gans[] = {"gan_pix2pix", "gan_pix2pix_instance", "gan_residual", "gan_residual_film"};

// The tensors of the fixture whose names begin with PREFIX + "param/" or "buffer/", in a weight file with PyTorch's
// names. It disappears with the object.
class Checkpoint {
 public:
  explicit Checkpoint(const Fixture& f, const std::string& prefix = "", const Tensors& others = {}) {
    Tensors tensors = others;
    for (const auto& [name, t] : f.file.tensors) {
      for (const char* kind : {"param/", "buffer/"}) {
        const std::string begin = prefix + kind;
        if (name.starts_with(begin)) tensors.push_back(t.clone().named(name.substr(begin.size())));
      }
    }
    write_tensors(path, tensors);
  }
  ~Checkpoint() { std::filesystem::remove(path); }
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("querent_golden_" + std::to_string(::getpid()) + ".safetensors");
};

// A gradient or parameter of the engine in PyTorch's order; `flattened` names the weight of a linear layer that reads an
// image of so many pixels.
inline Tensor in_file_order(const Params& params, const std::string& name, const Tensor& t,
                            const std::string& flattened = "", int64_t pixels = 0) {
  FileLayout layout;
  if (t.rank() == 4) layout.kind = FileLayout::conv;
  if (name == flattened) layout = {FileLayout::flattened, pixels};
  const std::vector<double> v = engine_to_file(t.host_f64(), permutation(t.shape(), layout));
  return Tensor::from(std::span<const double>(v), params.file_shape(name), DType::f64);
}

// What a loss of a training may be off: rounding errors only grow along it, so `seen` is the largest so far of PyTorch's
// own float32 runs.
inline double loss_bound(DType dtype, double first, double seen) {
  return dtype == DType::f64 ? 1e-9 * first + 1e-6 * seen : 8 * seen + 4 * 0x1p-23 * first;
}

// A U-Net or classifier: output, loss, every gradient, running statistics and ten training losses, or the first few.
// Returns the largest distance / bound.
inline double compare_model(const std::string& name, DType dtype, Device device = Device::cpu(), size_t steps = 10) {
  double worst = 0;
  const Fixture f(name);
  const auto compare = [&](const std::string& key, const Tensor& got) {
    worst = std::max(worst, f.compare(key, got, dtype));
  };
  const auto j = nlohmann::json::parse(f.file.metadata.at("architecture"));
  const ModelOptions options{.name = j["model"],
                             .classes = j["classes"],
                             .width = j["width"],
                             .depth = j.value("depth", 0),
                             .fc = j.value("fc", 0),
                             .dropout = 0};
  const Checkpoint checkpoint(f);
  Params params(device, 1, dtype);
  const Model model = make_model(options, params);
  CHECK(load_weights(model, params, checkpoint.path).complete());
  std::vector<double> pixels = f.file.at("input").host_f64();
  for (double& x : pixels) x = x / 256 - 0.5;
  const Shape s = f.file.at("input").shape();  // one channel
  const Tensor x = Tensor::from(std::span<const double>(pixels), {s[0], s[2], s[3], s[1]}, dtype).to(device);
  compare("eval_logits", nchw(model.forward(x).logits));
  if (!f.file.contains("losses")) return worst;
  const Tensor target = f.file.at("target").to(device);
  const auto loss_of = [&](const Tensor& logits) {
    return model.segments ? bce_dice_loss(logits, target.reshaped(logits.shape()).cast(logits.dtype()))
                          : cross_entropy(logits, target);
  };
  {
    Tape tape;
    const Output out = model.forward(x, {Pass::train, {}});
    compare("train_logits", nchw(out.logits));
    const Tensor loss = loss_of(out.logits);
    compare("loss", loss);
    const Gradients g = tape.backward(loss, params.all());
    for (const Tensor& p : params.all().tensors)
      compare("grad/" + p.name(), in_file_order(params, p.name(), g[p], "classifier.0.weight", 49));
    for (const Tensor& b : params.buffers()) compare("after/" + b.name(), b);
  }
  load_weights(model, params, checkpoint.path);
  const auto recipe = nlohmann::json::parse(f.file.metadata.at("optimizer"));
  Optimizer optimizer(
      params.all(),
      {.kind = parse_optimizer(recipe["name"]), .lr = recipe["lr"], .momentum = recipe.value("momentum", 0.0)});
  const std::vector<double> want = f.file.at("losses").host_f64(), error = f.file.at("losses_f32_error").host_f64();
  double seen = 0;
  for (size_t step = 0; step < std::min(steps, want.size()); ++step) {
    Tape tape;
    const Tensor loss = loss_of(model.forward(x, {Pass::train, {}}).logits);
    optimizer.step(tape.backward(loss, params.all()));
    seen = std::max(seen, error[step]);
    CAPTURE(step);
    const double bound = loss_bound(dtype, want[0], seen);
    CHECK(std::abs(loss.item() - want[step]) <= bound);
    worst = std::max(worst, std::abs(loss.item() - want[step]) / bound);
  }
  return worst;
}

// Both networks of a conditional GAN: forward in evaluation and training, six loss values, every gradient and running
// statistic; then ten steps of the trainer, or the first few, with its default optimizers and, after ten, the average.
// Returns the largest distance / bound.
inline double compare_gan(const std::string& name, DType dtype, Device device = Device::cpu(), size_t steps = 10) {
  double worst = 0;
  const Fixture f(name);
  const auto compare = [&](const std::string& key, const Tensor& got) {
    // Float64 noise is 2^-29 of float32's; 8 times it, as for float32: the biases before norms are summed over many pixels.
    worst = std::max(worst, f.compare(key, got, dtype, 8 * 0x1p-29));
  };
  const GanOptions options = GanOptions::parse(f.file.metadata.at("architecture"));
  Params g(device, 1, dtype), d(device, 1, dtype), average(device, 1, dtype);
  const Gan gan = make_gan(options, g, d);
  make_generator(options, average);
  const auto load = [&] {
    CHECK(g.load(Checkpoint(f, "g/").path).complete());
    CHECK(d.load(Checkpoint(f, "d/").path).complete());
  };
  const auto image_of = [&](const std::string& key) {
    const Tensor t = nhwc(f.file.at(key).cast(DType::f64));
    std::vector<double> v = t.host_f64();
    for (double& x : v) x = x / 128 - 1;
    return Tensor::from(std::span<const double>(v), t.shape(), dtype).to(device);
  };
  const auto as_in_file = [&](const Params& params, const std::string& key, const Tensor& t) {
    return in_file_order(params, key, t, "dense.0.weight", 4);
  };
  const auto recipe = nlohmann::json::parse(f.file.metadata.at("loss"));
  GanTraining training;
  training.loss.kind = recipe["kind"] == "logistic" ? GanLoss::logistic : GanLoss::least_squares;
  training.loss.content_weight = recipe["content_weight"];
  const GanBatch batch{image_of("condition"), image_of("target"), f.file.at("latent").cast(dtype).to(device)};
  load();
  compare("g_eval", nchw(gan.generate(batch.condition, batch.latent, {})));
  const Tensor verdicts = gan.judge(batch.condition, batch.image, {});
  compare("d_eval", nchw(verdicts));
  {
    const Pass pass{Pass::train, {}};
    Tape tape;
    const Tensor fake = gan.generate(batch.condition, batch.latent, pass);
    compare("g_train", nchw(fake));
    std::vector<double> losses;
    {
      Tape inner;
      const GanTerms t = discriminator_loss(gan, batch, fake, pass, training.loss);
      losses = {t.first.item(), t.second.item(), t.total.item()};
      const Gradients grad = inner.backward(t.total, d.all());
      for (const Tensor& p : d.all().tensors) compare("d/grad/" + p.name(), as_in_file(d, p.name(), grad[p]));
    }
    const GanTerms t = generator_loss(gan, batch, fake, pass, training.loss);
    losses.insert(losses.end(), {t.first.item(), t.second.item(), t.total.item()});
    compare("losses", Tensor::from(std::span<const double>(losses), {6}));
    const Gradients grad = tape.backward(t.total, g.all());
    for (const Tensor& p : g.all().tensors) compare("g/grad/" + p.name(), as_in_file(g, p.name(), grad[p]));
    for (const Tensor& b : g.buffers()) compare("g/after/" + b.name(), b);
    for (const Tensor& b : d.buffers()) compare("d/after/" + b.name(), b);
  }
  load();
  GanTrainer trainer(gan, g, d, training, &average);
  double seen[2] = {0, 0};
  for (size_t step = 0; step < steps; ++step) {
    const GanLosses losses = trainer.step(batch);
    for (const int i : {0, 1}) {
      const std::string key = i == 0 ? "losses_d" : "losses_g";
      const std::vector<double> want = f.file.at(key).host_f64();
      seen[i] = std::max(seen[i], f.file.at(key + "_f32_error").host_f64()[step]);
      const double got = i == 0 ? losses.discriminator : losses.generator, bound = loss_bound(dtype, want[0], seen[i]);
      CAPTURE(key);
      CAPTURE(step);
      CHECK(std::abs(got - want[step]) <= bound);
      worst = std::max(worst, std::abs(got - want[step]) / bound);
    }
  }
  for (const auto& [key, unused] : f.file.tensors) {
    if (steps < 10 || !key.starts_with("ema/")) continue;
    const std::string parameter = key.substr(4);
    compare(key, as_in_file(average, parameter, average.find(parameter)));
  }
  return worst;
}

// Codes, masks, loss, gradients and running statistics of the mask autoencoder.
inline double compare_autoencoder(DType dtype, Device device = Device::cpu()) {
  double worst = 0;
  const Fixture f("mask_autoencoder");
  Params params(device, 3, dtype);
  const MaskAutoencoder net(params.root(), MaskAutoencoderOptions::parse(f.file.metadata.at("architecture")));
  params.all();
  CHECK(params.load(Checkpoint(f).path).complete());
  const Tensor mask = nhwc(f.file.at("mask").cast(dtype)).to(device);
  const auto compare = [&](const std::string& name, const Tensor& got) {
    // Float64 noise is 2^-29 of float32's; 8 times it, as for float32.
    worst = std::max(worst, f.compare(name, got, dtype, 8 * 0x1p-29));
  };
  compare("code", net.encode(mask));
  compare("logits", nchw(net.decode(net.encode(mask))));
  const Pass pass{Pass::train, {}};
  Tape tape;
  const Tensor loss = reconstruction_loss(net.decode(net.encode(mask, pass), pass), mask);
  compare("loss", loss);
  const Gradients g = tape.backward(loss, params.all());
  for (const Tensor& p : params.all().tensors) compare("grad/" + p.name(), in_file_order(params, p.name(), g[p]));
  for (const Tensor& b : params.buffers()) compare("after/" + b.name(), b);
  return worst;
}

// Features of the content loss, each of its terms and its gradient in the image.
inline double compare_content(DType dtype, Device device = Device::cpu()) {
  double worst = 0;
  const Fixture f("content_loss");
  Params params(device, 1, dtype);
  const ContentFeatures features(params.root(), {.in_channels = 3, .width = 2});
  // What lies above relu4_1 is not read, but tells how many classes there are.
  load_content_weights(params, Checkpoint(f, "", {Tensor::zeros({2, 2}, DType::f32).named("classifier.6.weight")}).path);
  const auto image = [&](const std::string& name) {
    return scale(nhwc(f.file.at(name)).cast(dtype), 1.0 / 256).to(device);
  };
  const auto compare = [&](const std::string& name, const Tensor& got) {
    worst = std::max(worst, f.compare(name, got, dtype));
  };
  const Tensor x = image("x"), y = image("y"), map = image("map");
  compare("features", nchw(features(x)));
  const std::pair<const char*, ContentLossOptions> terms[] = {
      {"nmi", {.nmi = 1, .vgg = 0, .mse = 0}},
      {"nmi_small", {.nmi = 1, .vgg = 0, .mse = 0, .nmi_size = 20}},
      {"vgg", {.nmi = 0, .vgg = 1, .mse = 0}},
      {"mse", {.nmi = 0, .vgg = 0, .mse = 1}},
      {"saliency", {.nmi = 0, .vgg = 0, .mse = 0, .saliency = 1}},
      {"total", {}}};
  for (const auto& [name, o] : terms) {
    Tape tape;
    tape.watch(x);
    const Tensor loss = content_loss(x, y, o, &features, map).total;
    compare(name, loss.reshaped({1}));
    compare(std::string("d") + name, nchw(tape.backward(loss, {}, Tensors{x})[0]));
  }
  return worst;
}

}  // namespace golden
