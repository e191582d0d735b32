#include "al/pathak2016.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "al/inpainting.h"
#include "al/run_folder.h"
#include "al/statistics.h"
#include "al/synthesis/gan_watch.h"
#include "data/encode.h"
#include "data/loader.h"
#include "data/parallel.h"
#include "data/split.h"
#include "layers/checkpoint.h"
#include "layers/schedule.h"
#include "models/context_encoder.h"
#include "models/gan_train.h"
#include "tensor/backend.h"
#include "tensor/json.h"
#include "tensor/ops.h"
#include "tensor/program.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr double checkpoint_every = 30;  // seconds
constexpr int64_t together = 16;         // films filled at one time
const std::vector<std::string> baselines = {"mean", "border", "nearest"};

struct PathakLab {
  const PathakConfig& config;
  const data::Dataset& dataset;
  data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  Hole hole;
  float grey = 0;  // mean of the training pixels
  std::vector<int64_t> train = {}, test = {};
  int64_t unit = 0, units = 0;

  void report(Progress p) const {
    p.unit_index = unit, p.units = units;
    hooks.progress(p);
  }
};

// Films [N,S,S,1] in 0..1 -> with the hole filled with grey, in -1..1.
Tensor context_of(const PathakLab& lab, const Tensor& films) {
  std::vector<float> v = films.host();
  const int64_t S = lab.config.size;
  for (int64_t n = 0; n < films.dim(0); ++n)
    for (int64_t y = 0; y < lab.hole.side; ++y)
      std::fill_n(v.begin() + (n * S + lab.hole.first + y) * S + lab.hole.first, lab.hole.side, lab.grey);
  for (float& x : v) x = 2 * x - 1;
  return Tensor::from(std::span<const float>(v), films.shape());
}
// Their centres in -1..1.
Tensor centre_of(const PathakLab& lab, const Tensor& films) {
  const int64_t at = lab.hole.centre, side = lab.hole.centre_side;
  return scale(crop(films, {.start = {0, at, at, 0}, .size = {films.dim(0), side, side, 1}}), 2, -1);
}
// What the square of a pixel of the centre weighs.
Tensor weights_of(const PathakLab& lab) {
  const Hole& h = lab.hole;
  std::vector<float> w(static_cast<size_t>(h.centre_side * h.centre_side), static_cast<float>(lab.config.band_weight));
  for (int64_t y = h.first - h.centre; y < h.first - h.centre + h.side; ++y)
    std::fill_n(w.begin() + y * h.centre_side + h.first - h.centre, h.side, 1.0f);
  return Tensor::from(std::span<const float>(w), {1, h.centre_side, h.centre_side, 1});
}

// A context encoder in training, alone or against a discriminator.
struct PathakRun {
  const PathakLab& lab;
  const bool joint;
  Params encoder, judge;
  Gan gan;
  Optimizer encoder_optimizer, judge_optimizer;
  Tensor weights;
  std::optional<Program> program = {};

  PathakRun(const PathakLab& l, bool adversarial, uint64_t seed)
      : lab(l),
        joint(adversarial),
        encoder(compute_device(), mix_key(seed, hash_name("encoder"))),
        judge(compute_device(), mix_key(seed, hash_name("judge"))),
        gan(make_context_gan({.size = l.config.size, .width = l.config.width}, encoder, judge)),
        encoder_optimizer(encoder.all(), {.lr = l.config.lr, .beta1 = 0.5}),
        judge_optimizer(judge.all(), {.lr = l.config.lr / 10, .beta1 = 0.5}),
        weights(weights_of(l).to(compute_device())) {}

  Tensors step_of(Inputs in) const {  // context, centre, the optimizers' numbers -> loss
    const Pass pass{Pass::train, {}};
    const GanBatch batch{in[0], in[1]};
    Tape tape;
    const Tensor made = gan.generate(batch.condition, {}, pass);
    const Tensor squares = mean(mul(square(sub(made, batch.image)), weights));
    Tensor loss = squares;
    if (joint) {
      {
        Tape inner;  // here `made` is a constant
        const GanTerms d = discriminator_loss(gan, batch, made, pass);
        judge_optimizer.apply(inner.backward(d.total, judge_optimizer.params()), in[3]);
      }
      const double a = lab.config.adversarial;
      loss = add(scale(squares, 1 - a), scale(generator_loss(gan, batch, made, pass).first, a));
    }
    require_finite(loss, "pathak2016: the loss is {}; lower the learning rate");
    encoder_optimizer.apply(tape.backward(loss, encoder_optimizer.params()), in[2]);
    return {loss};
  }
  double step(const Tensor& films, double rate) {
    encoder_optimizer.set_lr(rate), judge_optimizer.set_lr(rate / 10);
    Tensors in = {context_of(lab, films), centre_of(lab, films), encoder_optimizer.advance(),
                  judge_optimizer.advance()};
    for (Tensor& t : in) t = t.to(encoder.device());
    if (program)
      (*program)(in);
    else
      program = Program::capture([this](Inputs i) { return step_of(i); }, in);
    return program->results()[0].item();
  }

  void save(const std::string& path, const std::string& unit) const {
    Tensors all = encoder_optimizer.state();
    for (const Tensor& t : judge_optimizer.state()) all.push_back(t.clone().named("judge." + t.name()));
    add_to_checkpoint(all, encoder, "encoder.");
    add_to_checkpoint(all, judge, "judge.");
    write_tensors(path, all, {{"unit", unit}});
  }
  void load(const std::string& path, const std::string& unit) {
    if (!std::filesystem::exists(path)) return;
    const TensorFile file = read_tensors(path);
    if (!file.metadata.contains("unit") || file.metadata.at("unit") != unit) return;
    read_from_checkpoint(file, encoder, "encoder.");
    read_from_checkpoint(file, judge, "judge.");
    encoder_optimizer.load_state(file);
    TensorFile part{.tensors = {}, .metadata = {}, .path = path};
    for (const auto& [name, t] : file.tensors)
      if (name.starts_with("judge.optim.")) part.tensors[name.substr(6)] = t;
    judge_optimizer.load_state(part);
  }
};

// False when hooks.stop() asked to stop; the checkpoint is written first.
bool train(const PathakLab& lab, PathakRun& run, uint64_t seed, const std::string& name, const std::string& title) {
  const PathakConfig& c = lab.config;
  const Schedule schedule(
      {.kind = ScheduleOptions::cosine, .lr = c.lr, .min_lr = c.lr * 0.01, .warmup = c.steps / 20, .total = c.steps});
  run.load(lab.folder.checkpoint(), name);
  lab.loader.set_seed(mix_key(seed, hash_name("order")));
  auto saved = Clock::now();
  while (run.encoder_optimizer.steps() < c.steps) {
    const bool stop = lab.hooks.stop();
    if (stop || std::chrono::duration<double>(Clock::now() - saved).count() > checkpoint_every) {
      run.save(lab.folder.checkpoint(), name);
      saved = Clock::now();
    }
    if (stop) return false;
    const int64_t step = run.encoder_optimizer.steps();
    const double loss = run.step(lab.loader.train_batch(lab.train, step, c.batch).x, schedule.rate(step));
    lab.report({Progress::step, title, 0, 0, step + 1, c.steps, loss, nullptr});
  }
  return true;
}

// The test films as the network fills them.
std::vector<Image> fill_films(const PathakLab& lab, const PathakRun& run) {
  const NoTape no_tape;
  std::vector<Image> all;
  for (size_t first = 0; first < lab.test.size(); first += together) {
    const auto part = std::span(lab.test).subspan(first, std::min<size_t>(together, lab.test.size() - first));
    const Tensor context = context_of(lab, lab.loader.batch(part).x).to(run.encoder.device());
    const Tensor made = scale(run.gan.generate(context, {}, {}), 0.5, 0.5);
    for (size_t i = 0; i < part.size(); ++i) {
      const std::vector<float> centre = made.batch(static_cast<int64_t>(i), 1).host();
      Image other(lab.config.size, lab.config.size);
      for (int64_t y = 0; y < lab.hole.centre_side; ++y)
        std::copy_n(centre.begin() + y * lab.hole.centre_side, lab.hole.centre_side,
                    &other.at(lab.hole.centre + y, lab.hole.centre));
      all.push_back(filled_from(lab.loader.image(part[i]), other, lab.hole));
    }
  }
  return all;
}

std::vector<Image> fill_by(const PathakLab& lab, const std::string& baseline) {
  std::vector<Image> train, test;
  for (const int64_t i : lab.train) train.push_back(lab.loader.image(i));
  for (const int64_t i : lab.test) test.push_back(lab.loader.image(i));
  Image mean(lab.config.size, lab.config.size);
  for (const Image& film : train)
    for (size_t k = 0; k < mean.pixels.size(); ++k) mean.pixels[k] += film.pixels[k] / static_cast<float>(train.size());
  std::vector<Image> all(test.size());
  data::parallel_for(static_cast<int64_t>(test.size()), [&](int64_t i) {
    const Image& film = test[static_cast<size_t>(i)];
    Image& filled = all[static_cast<size_t>(i)];
    if (baseline == "mean") filled = filled_from(film, mean, lab.hole);
    if (baseline == "border") filled = filled_from_border(film, lab.hole);
    if (baseline != "nearest") return;
    const auto distance = [&](const Image& other) { return outside_difference(film, other, lab.hole); };
    filled = filled_from(film, *std::ranges::min_element(train, {}, distance), lab.hole);
  });
  return all;
}

// The errors film by film, and the picture of the first of them.
json judged(const PathakLab& lab, const std::vector<Image>& filled, const std::string& name) {
  json l1 = json::array(), l2 = json::array(), psnr = json::array();
  for (size_t i = 0; i < filled.size(); ++i) {
    const FillError e = fill_error(filled[i], lab.loader.image(lab.test[i]), lab.hole);
    l1.push_back(e.l1), l2.push_back(e.l2), psnr.push_back(e.psnr());
  }
  std::vector<std::vector<Image>> column;
  for (size_t i = 0; i < std::min(filled.size(), static_cast<size_t>(lab.config.gallery)); ++i)
    column.push_back({filled[i]});
  if (!column.empty()) data::write_png(lab.folder.file("gallery/" + name + ".png"), contact_sheet(column));
  return {{"l1", l1}, {"l2", l2}, {"psnr", psnr}};
}

double mean_of(const json& values) { return summarize(values.get<std::vector<double>>()).mean; }

// The means of every method, and the losses against the best baseline.
json table_of(const PathakLab& lab, const std::map<std::string, std::vector<json>>& units, json results) {
  std::vector<std::string> methods = baselines;
  methods.insert(methods.end(), lab.config.losses.begin(), lab.config.losses.end());
  std::map<std::string, std::vector<double>> films;  // mean d^2 of each film over the seeds
  for (const std::string& m : methods) {
    json row = {{"method", m}, {"seeds", json::array()}};
    std::vector<double>& each = films[m];
    each.assign(lab.test.size(), 0);
    for (const json& unit : units.at(m)) {
      json seed = {{"seed", unit.at("seed")}};
      for (const char* key : {"l1", "l2", "psnr"}) seed[key] = mean_of(unit.at(key));
      row["seeds"].push_back(seed);
      for (size_t i = 0; i < each.size(); ++i)
        each[i] += unit.at("l2")[i].get<double>() / static_cast<double>(units.at(m).size());
    }
    for (const char* key : {"l1", "l2", "psnr"}) {
      double sum = 0;
      for (const json& seed : row.at("seeds")) sum += seed.at(key).get<double>();
      row[key] = sum / static_cast<double>(row.at("seeds").size());
    }
    row["picture"] = text("gallery/{}.png", units.at(m)[0].at("name").get<std::string>());
    results["methods"].push_back(row);
  }
  const auto error = [](const json& row) { return row.at("l2").get<double>(); };
  json& rows = results["methods"];
  const auto best =
      std::ranges::min_element(rows.begin(), rows.begin() + static_cast<int64_t>(baselines.size()), {}, error);
  const std::string best_name = best->at("method");
  results["best_baseline"] = best_name;
  std::map<std::string, int64_t> number;
  std::vector<int64_t> patients;
  for (const int64_t i : lab.test)
    patients.push_back(
        number
            .emplace(data::patient_key(lab.dataset.cases[static_cast<size_t>(i)]), static_cast<int64_t>(number.size()))
            .first->second);
  for (json& row : rows) {
    if (std::ranges::count(baselines, row.at("method").get<std::string>())) continue;
    std::vector<double> difference = films.at(row.at("method"));
    for (size_t i = 0; i < difference.size(); ++i) difference[i] -= films.at(best_name)[i];
    const Interval ci = bootstrap_grouped_mean(difference, patients, lab.config.seed);
    row["difference"] = summarize(difference).mean, row["low"] = ci.low, row["high"] = ci.high;
  }
  return results;
}

}  // namespace

std::string PathakConfig::json() const {
  nlohmann::json j = {{"experiment", "pathak2016"},
                      {"seed", seed},
                      {"size", size},
                      {"width", width},
                      {"overlap", overlap},
                      {"band_weight", band_weight},
                      {"adversarial", adversarial},
                      {"steps", steps},
                      {"batch", batch},
                      {"lr", lr},
                      {"augment", augment},
                      {"val", val_fraction},
                      {"test", test_fraction},
                      {"gallery", gallery},
                      {"data", data}};
  add_process(j);
  return dump_json(j, 2);
}

bool run_pathak2016(const PathakConfig& config, const data::Dataset& dataset, const std::string& out,
                    const Hooks& hooks) {
  const PathakConfig& c = config;
  for (const std::string& loss : c.losses)
    check(loss == "l2" || loss == "joint", "pathak2016: loss '{}' is unknown; choose of l2, joint", loss);
  check(
      c.size >= 16 && c.size % 16 == 0 && c.width > 0 && c.steps > 0 && c.batch > 1 && c.lr > 0 && c.seeds > 0 &&
          c.overlap > 0 && c.band_weight >= 0 && c.adversarial > 0 && c.adversarial < 1 && c.gallery >= 0,
      "pathak2016: size must be a multiple of 16, batch at least 2, adversarial between 0 and 1, and width, steps, lr, "
      "seeds and overlap positive");
  data::Loader loader(dataset,
                      {.size = c.size, .augmentation = c.augment ? data::chest_augmentation() : data::Augmentation{}});
  const RunFolder folder(out, c.json());
  keep_manifest(dataset, folder);
  PathakLab lab{.config = c,
                .dataset = dataset,
                .loader = loader,
                .folder = folder,
                .hooks = hooks,
                .hole = hole_of(c.size, c.overlap)};
  lab.train = data::cases_of(dataset, "train");
  lab.test = data::cases_of(dataset, "test");
  check(!lab.train.empty() && !lab.test.empty(), "pathak2016: {} training and {} test films; both are needed",
        lab.train.size(), lab.test.size());
  loader.preload(lab.train);
  loader.preload(lab.test);
  lab.grey = loader.measure(lab.train).mean;
  lab.units = static_cast<int64_t>(baselines.size()) + c.seeds * static_cast<int64_t>(c.losses.size());

  std::map<std::string, std::vector<json>> units;  // by method
  const auto run_unit = [&](const std::string& method, uint64_t seed, bool baseline) {
    const std::string name = baseline ? method : text("{}_s{}", method, seed),
                      title = baseline ? method : text("{}, seed {}", method, seed);
    if (!folder.has_unit(name)) {
      if (hooks.stop()) return false;
      lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
      const auto start = Clock::now();
      json unit;
      if (baseline) {
        unit = judged(lab, fill_by(lab, method), name);
      } else {
        PathakRun run(lab, method == "joint", seed);
        if (!train(lab, run, seed, name, title)) return false;
        unit = judged(lab, fill_films(lab, run), name);
        run.encoder.save(folder.weights(name), {});
      }
      unit["seed"] = seed, unit["name"] = name;
      unit["seconds"] = std::chrono::duration<double>(Clock::now() - start).count();
      folder.write_unit(name, unit);
    }
    const json& unit = units[method].emplace_back(folder.read_unit(name));
    Point point;
    point.metrics["l2"] = mean_of(unit.at("l2"));
    point.seconds = unit.at("seconds");
    lab.report({Progress::unit_end, title, 0, 0, 0, 0, 0, &point});
    ++lab.unit;
    return true;
  };
  for (const std::string& method : baselines)
    if (!run_unit(method, c.seed, true)) return false;
  for (int64_t n = 0; n < c.seeds; ++n)
    for (const std::string& loss : c.losses)
      if (!run_unit(loss, c.seed + static_cast<uint64_t>(n), false)) return false;
  std::vector<Image> films, holes;
  for (size_t i = 0; i < std::min(lab.test.size(), static_cast<size_t>(c.gallery)); ++i) {
    films.push_back(loader.image(lab.test[i]));
    holes.push_back(with_hole(films.back(), lab.hole, lab.grey));
  }
  judged(lab, films, "film"), judged(lab, holes, "hole");
  folder.write_json("pathak2016.json", table_of(lab, units,
                                                {{"train", lab.train.size()},
                                                 {"test", lab.test.size()},
                                                 {"size", c.size},
                                                 {"hole", lab.hole.side},
                                                 {"methods", json::array()}}));
  return true;
}

}  // namespace querent::al
