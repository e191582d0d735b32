#include "al/goodfellow2014.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "al/parzen_window.h"
#include "al/run_folder.h"
#include "al/synthesis/gan_watch.h"
#include "data/encode.h"
#include "data/loader.h"
#include "data/split.h"
#include "layers/checkpoint.h"
#include "models/dense_gan.h"
#include "models/gan_train.h"
#include "tensor/backend.h"
#include "tensor/json.h"
#include "tensor/rng.h"
#include "tensor/tape.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int64_t points = 40;           // of the curve of the value
constexpr int64_t grid_side = 10;        // images across and down
constexpr double checkpoint_every = 30;  // seconds
constexpr const char* training_window = "training_window";

struct GoodfellowLab {
  const GoodfellowConfig& config;
  const data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  std::vector<int64_t> train = {}, val = {}, test = {};
  int64_t unit = 0;

  void report(Progress p) const {
    p.unit_index = unit, p.units = config.seeds + 1;
    hooks.progress(p);
  }
  int64_t pixels() const { return config.size * config.size; }
  Tensor images(std::span<const int64_t> cases) const {  // [N,pixels] in 0..1
    return loader.batch(cases).x.reshaped({static_cast<int64_t>(cases.size()), pixels()});
  }
};

// Widths to choose from: 0.1 to 1, evenly on a log scale.
std::vector<double> widths() {
  std::vector<double> w;
  for (int i = 0; i < 10; ++i) w.push_back(std::pow(10.0, -1 + i / 9.0));
  return w;
}

Tensor noise(const GoodfellowConfig& c, uint64_t seed, const char* what, int64_t step, int64_t count) {
  Rng rng = Rng(seed).fork(what).fork(static_cast<uint64_t>(step));
  std::vector<float> z(static_cast<size_t>(count * c.latent));
  for (float& v : z) v = static_cast<float>(rng.uniform(-1, 1));
  return Tensor::from(std::span<const float>(z), {count, c.latent});
}

// A GAN in training and the curve of its value so far.
struct GoodfellowRun {
  Params generator, discriminator;
  Gan gan;
  GanTrainer trainer;
  json curve = json::array();
  double real = 0, fake = 0;  // sums since the last point
  GoodfellowRun(const GoodfellowConfig& c, uint64_t seed)
      : generator(compute_device(), mix_key(seed, hash_name("generator"))),
        discriminator(compute_device(), mix_key(seed, hash_name("discriminator"))),
        gan(make_dense_gan({.latent = c.latent, .hidden = c.hidden, .pixels = c.size * c.size}, generator,
                           discriminator)),
        trainer(gan, generator, discriminator,
                {.loss = {.kind = GanLoss::logistic, .content_weight = 0},
                 .generator = {.lr = c.lr, .beta1 = 0.5},
                 .discriminator = {.lr = c.lr, .beta1 = 0.5}}) {}

  void save(const std::string& path, const std::string& unit) const {
    Tensors all = trainer.state();
    add_to_checkpoint(all, generator, "generator.");
    add_to_checkpoint(all, discriminator, "discriminator.");
    write_tensors(path, all,
                  {{"unit", unit}, {"curve", dump_json({{"points", curve}, {"real", real}, {"fake", fake}})}});
  }
  void load(const std::string& path, const std::string& unit) {
    if (!std::filesystem::exists(path)) return;
    const TensorFile file = read_tensors(path);
    if (!file.metadata.contains("unit") || file.metadata.at("unit") != unit) return;
    read_from_checkpoint(file, generator, "generator.");
    read_from_checkpoint(file, discriminator, "discriminator.");
    trainer.load_state(file);
    const json said = parse_json(file.metadata.at("curve"));
    curve = said.at("points"), real = said.at("real"), fake = said.at("fake");
  }
};

// False when hooks.stop() asked to stop; the checkpoint is written first.
bool train(const GoodfellowLab& lab, GoodfellowRun& run, uint64_t seed, const std::string& name,
           const std::string& title) {
  const GoodfellowConfig& c = lab.config;
  const int64_t part = std::max<int64_t>(1, c.steps / points);
  run.load(lab.folder.checkpoint(), name);
  auto saved = Clock::now();
  int64_t since = run.trainer.steps() % part;
  while (run.trainer.steps() < c.steps) {
    const bool stop = lab.hooks.stop();
    if (stop || std::chrono::duration<double>(Clock::now() - saved).count() > checkpoint_every) {
      run.save(lab.folder.checkpoint(), name);
      saved = Clock::now();
    }
    if (stop) return false;
    const int64_t step = run.trainer.steps();
    Rng rng = Rng(seed).fork("batch").fork(static_cast<uint64_t>(step));
    std::vector<int64_t> cases(static_cast<size_t>(c.batch)), places(cases.size());
    for (int64_t& i : cases) i = lab.train[static_cast<size_t>(rng.below(static_cast<int64_t>(lab.train.size())))];
    std::iota(places.begin(), places.end(), step * c.batch);
    const GanLosses l =
        run.trainer.step({noise(c, seed, "noise", step, c.batch), lab.images(cases)}, make_streams(seed, places, 0));
    run.real -= l.judge_real, run.fake -= l.judge_fake, ++since;
    if (run.trainer.steps() % part == 0) {
      const auto n = static_cast<double>(since);
      run.curve.push_back({{"step", run.trainer.steps()},
                           {"value", (run.real + run.fake) / n},
                           {"real", run.real / n},
                           {"fake", run.fake / n}});
      run.real = run.fake = 0, since = 0;
    }
    lab.report({Progress::step, title, 0, 0, run.trainer.steps(), c.steps, l.generator, nullptr});
  }
  return true;
}

Image grid(const Tensor& images, int64_t size) {
  std::vector<std::vector<Image>> rows(grid_side);
  for (int64_t i = 0; i < grid_side * grid_side; ++i) {
    Image& one = rows[static_cast<size_t>(i / grid_side)].emplace_back(size, size);
    one.pixels = images.batch(i, 1).host();
  }
  return contact_sheet(rows);
}

json to_json(const ParzenFit& f) {
  return {{"width", f.width}, {"log_likelihood", f.log_likelihood}, {"error", f.error}};
}

std::optional<json> seed_unit(const GoodfellowLab& lab, uint64_t seed, const std::string& name,
                              const std::string& title) {
  GoodfellowRun run(lab.config, seed);
  if (!train(lab, run, seed, name, title)) return {};
  const NoTape no_tape;
  const Tensor z = noise(lab.config, seed, "samples", 0, lab.config.samples).to(compute_device());
  const Tensor made = run.gan.generate(z, {}, {});
  json unit = to_json(
      fit_parzen(made, lab.images(lab.val).to(made.device()), lab.images(lab.test).to(made.device()), widths()));
  unit["seed"] = seed;
  unit["value"] = run.curve;
  unit["grid"] = text("gallery/{}.png", name);
  data::write_png(lab.folder.file(unit.at("grid")), grid(made, lab.config.size));
  run.generator.save(lab.folder.weights(name), {});
  return unit;
}

// What is to be had: the window on as many training images.
json window_unit(const GoodfellowLab& lab) {
  std::vector<int64_t> some = lab.train;
  Rng rng = Rng(lab.config.seed).fork(training_window);
  rng.shuffle(some);
  some.resize(std::min(some.size(), static_cast<size_t>(lab.config.samples)));
  data::write_png(lab.folder.file("gallery/real.png"), grid(lab.images(some), lab.config.size));
  return to_json(fit_parzen(lab.images(some), lab.images(lab.val), lab.images(lab.test), widths()));
}

}  // namespace

std::string GoodfellowConfig::json() const {
  nlohmann::json j = {{"experiment", "goodfellow2014"},
                      {"seed", seed},
                      {"size", size},
                      {"latent", latent},
                      {"hidden", hidden},
                      {"steps", steps},
                      {"batch", batch},
                      {"lr", lr},
                      {"samples", samples},
                      {"validation", validation},
                      {"data", data}};
  add_process(j);
  return dump_json(j, 2);
}

bool run_goodfellow2014(const GoodfellowConfig& config, const data::Dataset& dataset, const std::string& out,
                        const Hooks& hooks) {
  const GoodfellowConfig& c = config;
  constexpr int64_t shown = grid_side * grid_side;
  check(
      c.size >= 8 && c.latent > 0 && c.hidden > 0 && c.steps > 0 && c.batch > 0 && c.lr > 0 && c.seeds > 0 &&
          c.samples >= shown && c.validation > 0,
      "goodfellow2014: size must be at least 8, samples {}, and latent, hidden, steps, batch, lr, seeds and validation "
      "positive",
      shown);
  data::Loader loader(dataset, {.size = c.size, .smallest_side = 8});
  const RunFolder folder(out, c.json());
  GoodfellowLab lab{.config = c, .loader = loader, .folder = folder, .hooks = hooks};
  lab.train = data::cases_of(dataset, "train");
  lab.val = data::cases_of(dataset, "val");
  lab.test = data::cases_of(dataset, "test");
  check(static_cast<int64_t>(lab.train.size()) >= shown && !lab.val.empty() && !lab.test.empty(),
        "goodfellow2014: {} training, {} validation and {} test images; at least {}, 1 and 1 are needed",
        lab.train.size(), lab.val.size(), lab.test.size(), shown);
  lab.val.resize(std::min(lab.val.size(), static_cast<size_t>(c.validation)));
  for (const auto* part : {&lab.train, &lab.val, &lab.test}) loader.preload(*part);

  json results = {
      {"train", lab.train.size()},          {"validation", lab.val.size()}, {"test", lab.test.size()}, {"size", c.size},
      {"mnist", dataset.layout == "mnist"}, {"seeds", json::array()}};
  for (int64_t n = -1; n < c.seeds; ++n) {  // -1: the window on training images
    const uint64_t seed = c.seed + static_cast<uint64_t>(std::max<int64_t>(n, 0));
    const std::string name = n < 0 ? training_window : text("gan_s{}", seed),
                      title = n < 0 ? "Parzen window on training images" : text("GAN, seed {}", seed);
    if (!folder.has_unit(name)) {
      if (hooks.stop()) return false;
      lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
      const auto start = Clock::now();
      std::optional<json> unit = n < 0 ? window_unit(lab) : seed_unit(lab, seed, name, title);
      if (!unit) return false;
      (*unit)["seconds"] = std::chrono::duration<double>(Clock::now() - start).count();
      folder.write_unit(name, *unit);
    }
    json unit = folder.read_unit(name);
    Point point;
    point.metrics["log-likelihood"] = unit.at("log_likelihood");
    point.seconds = unit.at("seconds");
    lab.report({Progress::unit_end, title, 0, 0, 0, 0, 0, &point});
    ++lab.unit;
    unit.erase("seconds");
    if (n < 0) results[training_window] = unit;
    if (n >= 0) results["seeds"].push_back(unit);
    folder.write_json("goodfellow2014.json", results);
  }
  return true;
}

}  // namespace querent::al
