#include "al/chestxray8.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "al/findings.h"
#include "al/metrics.h"
#include "al/run_folder.h"
#include "data/encode.h"
#include "data/loader.h"
#include "data/prefetch.h"
#include "data/split.h"
#include "layers/checkpoint.h"
#include "layers/optim.h"
#include "layers/schedule.h"
#include "models/chestxray8.h"
#include "tensor/backend.h"
#include "tensor/json.h"
#include "tensor/ops.h"
#include "tensor/program.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int64_t small_film = 256;  // below, the stem of ResNet18 would leave a heat map of a few pixels
constexpr size_t films_together = 16;
constexpr double checkpoint_every = 30;  // seconds

struct Criterion {
  const char* name;
  Overlap overlap;
  std::vector<double> thresholds;  // as published
};
const std::vector<Criterion>& criteria() {
  static const std::vector<Criterion> all = {{"iobb", iobb, {0.1, 0.25, 0.5, 0.75, 0.9}},
                                             {"iou", iou, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}}};
  return all;
}

struct ChestLab {
  const ChestXray8Config& config;
  const data::Dataset& dataset;
  data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  std::vector<std::string> findings;
  std::vector<int64_t> train, val, test;
  std::vector<FindingBoxes> truth;  // of the test films
  int64_t unit = 0;

  void report(Progress p) const {
    p.unit_index = unit, p.units = static_cast<int64_t>(config.poolings.size());
    hooks.progress(p);
  }
  // 1 where the case has the finding: [N,findings].
  Tensor targets(std::span<const int64_t> cases) const {
    std::vector<float> t;
    for (const int64_t i : cases) {
      const std::vector<std::string> has = findings_of(dataset.cases[static_cast<size_t>(i)]);
      for (const std::string& f : findings) t.push_back(std::ranges::count(has, f) > 0);
    }
    return Tensor::from(std::span<const float>(t),
                        {static_cast<int64_t>(cases.size()), static_cast<int64_t>(findings.size())});
  }
};

// None when hooks.stop() asked to stop; the checkpoint is written first.
std::optional<data::LoopTime> train(const ChestLab& lab, const ChestXray8& net, const Params& params,
                                    const std::string& pooling) {
  const ChestXray8Config& c = lab.config;
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = c.lr, .weight_decay = c.weight_decay});
  const Schedule schedule(
      {.kind = ScheduleOptions::cosine, .lr = c.lr, .min_lr = c.lr * 0.01, .warmup = c.steps / 20, .total = c.steps});
  const std::string checkpoint = lab.folder.checkpoint();
  if (std::filesystem::exists(checkpoint)) {
    const TensorFile file = read_tensors(checkpoint);
    const auto unit = file.metadata.find("unit");
    if (unit != file.metadata.end() && unit->second == pooling) {
      read_from_checkpoint(file, params, "");
      optimizer.load_state(file);
    }
  }
  lab.loader.set_seed(mix_key(c.seed, hash_name("order")));
  std::optional<Program> program;
  const auto step = [&](Inputs in) {
    Tape tape;
    const Tensor said = net.logits(net.activations(in[0], {Pass::train, {}, &optimizer.params()}));
    const Tensor loss = bce_with_logits(said, in[1], in[2]);
    require_finite(loss, "chestxray8: the loss is {}; lower the learning rate");
    optimizer.apply(tape.backward(loss, optimizer.params()), in[3]);
    return Tensors{loss};
  };
  data::Prefetcher<data::Batch> batches(
      optimizer.steps(), c.steps, [&](int64_t k) { return lab.loader.train_batch(lab.train, k, c.batch); },
      data::prefetching(lab.loader.batch_bytes(c.batch)));
  auto saved = Clock::now();
  while (optimizer.steps() < c.steps) {
    const bool stop = lab.hooks.stop();
    if (stop || std::chrono::duration<double>(Clock::now() - saved).count() > checkpoint_every) {
      Tensors all = optimizer.state();
      add_to_checkpoint(all, params, "");
      write_tensors(checkpoint, all, {{"unit", pooling}});
      saved = Clock::now();
    }
    if (stop) return {};
    const data::Batch batch = batches.next();
    const Tensor target = lab.targets(batch.index);
    optimizer.set_lr(schedule.rate(optimizer.steps()));
    Tensors inputs = {batch.x, target, balanced_weights(target), optimizer.advance()};
    for (Tensor& t : inputs) t = t.to(params.device());
    if (program)
      (*program)(inputs);
    else
      program = Program::capture(step, inputs);
    lab.report({Progress::step, pooling, 0, 0, optimizer.steps(), c.steps, program->results()[0].item(), nullptr});
  }
  return batches.time();
}

// What the network says of each case: logits [findings] and heat maps of the films' size.
void ask(const ChestLab& lab, const ChestXray8& net, std::span<const int64_t> cases,
         const std::function<void(size_t i, const std::vector<float>& logits, const Tensor& heat)>& use) {
  const NoTape no_tape;
  const int64_t size = lab.config.size;
  for (size_t first = 0; first < cases.size(); first += films_together) {
    const auto part = cases.subspan(first, std::min(films_together, cases.size() - first));
    const Tensor a = net.activations(lab.loader.batch(part).x.to(compute_device()), {});
    const Tensor logits = net.logits(a), heat = upsample_bilinear(net.heat_maps(a), {size, size});
    for (size_t i = 0; i < part.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      use(first + i, logits.batch(n, 1).host(), heat.batch(n, 1));
    }
  }
}

// AUC of each finding; NaN where the films have it all or not at all.
std::vector<double> aucs(const ChestLab& lab, std::span<const int64_t> cases,
                         const std::vector<std::vector<float>>& logits) {
  std::vector<double> all;
  const std::vector<float> target = lab.targets(cases).host();
  const size_t findings = lab.findings.size();
  for (size_t f = 0; f < findings; ++f) {
    std::vector<double> scores;
    std::vector<uint8_t> positive;
    for (size_t i = 0; i < cases.size(); ++i) {
      scores.push_back(static_cast<double>(logits[i][f]));
      positive.push_back(target[i * findings + f] > 0);
    }
    all.push_back(auc(scores, positive));
  }
  return all;
}

double mean_of_known(const std::vector<double>& values) {
  double sum = 0, n = 0;
  for (const double v : values)
    if (!std::isnan(v)) sum += v, n += 1;
  return sum / n;
}
json or_null(double v) { return std::isfinite(v) ? json(v) : json(); }

Image channel_of(const Tensor& heat, size_t channel) {  // heat [1,H,W,C]
  Image map(heat.dim(1), heat.dim(2));
  const std::vector<float> v = heat.host();
  const auto channels = static_cast<size_t>(heat.dim(3));
  for (size_t i = 0; i < map.pixels.size(); ++i) map.pixels[i] = v[i * channels + channel];
  return map;
}

json to_json(const std::vector<Box>& boxes) {
  json all = json::array();
  for (const Box& b : boxes) all.push_back({b.left, b.top, b.right, b.bottom});
  return all;
}

json box_table(const ChestLab& lab, const std::vector<std::vector<FilmBoxes>>& located) {  // by finding
  json rows = json::array();
  const size_t all = lab.findings.size();
  for (size_t row = 0; row <= all; ++row) {
    for (const Criterion& c : criteria()) {
      for (const double threshold : c.thresholds) {
        Localization own, other;
        for (size_t f = 0; f < all; ++f) {
          if (row != all && row != f) continue;
          own += compare(located[f], c.overlap, threshold);
          if (located[f].size() > 1) other += compare(located[f], c.overlap, threshold, 1);
        }
        if (own.films == 0) continue;
        rows.push_back({{"finding", row == all ? "all" : lab.findings[row]},
                        {"criterion", c.name},
                        {"threshold", threshold},
                        {"films", own.films},
                        {"boxes", own.boxes},
                        {"accuracy", own.accuracy()},
                        {"chance", or_null(other.accuracy())},
                        {"false_boxes", own.false_per_film()}});
      }
    }
  }
  return rows;
}

// Trains and judges the network of one kind of pooling; none when it was stopped.
std::optional<json> pooling_unit(const ChestLab& lab, const std::string& pooling) {
  const ChestXray8Config& c = lab.config;
  const auto start = Clock::now();
  Params params(compute_device(), mix_key(c.seed, hash_name("weights")));
  const ChestXray8 net(params.root(), {.findings = static_cast<int64_t>(lab.findings.size()),
                                       .width = c.width,
                                       .small_stem = c.size < small_film,
                                       .pooling = parse_pooling(pooling),
                                       .r = c.r});
  params.all();
  const std::optional<data::LoopTime> training = train(lab, net, params, pooling);
  if (!training) return {};
  params.save(lab.folder.weights(pooling), {{"findings", dump_json(json(lab.findings))}});
  std::vector<std::vector<float>> said, validation;
  std::vector<std::vector<FilmBoxes>> located(lab.findings.size());
  json gallery = json::array();
  ask(lab, net, lab.test, [&](size_t i, const std::vector<float>& logits, const Tensor& heat) {
    said.push_back(logits);
    for (size_t f = 0; f < lab.findings.size(); ++f) {
      const auto truth = lab.truth[i].find(lab.findings[f]);
      if (truth == lab.truth[i].end()) continue;
      const Image map = channel_of(heat, f);
      located[f].push_back({truth->second, boxes_of_heat_map(map)});
      if (static_cast<int64_t>(located[f].size()) > c.gallery) continue;
      const std::string film = text("gallery/film{}.png", lab.test[i]),
                        picture = text("gallery/{}_{}_{}.png", pooling, f, lab.test[i]);
      data::write_png(lab.folder.file(film), lab.loader.image(lab.test[i]));
      data::write_png(lab.folder.file(picture), normalized(map));
      gallery.push_back({{"id", lab.dataset.cases[static_cast<size_t>(lab.test[i])].id},
                         {"finding", lab.findings[f]},
                         {"probability", 1 / (1 + std::exp(-static_cast<double>(logits[f])))},
                         {"film", film},
                         {"heat", picture},
                         {"truth", to_json(located[f].back().truth)},
                         {"boxes", to_json(located[f].back().detected)}});
    }
  });
  ask(lab, net, lab.val,
      [&](size_t, const std::vector<float>& logits, const Tensor&) { validation.push_back(logits); });
  const std::vector<double> test = aucs(lab, lab.test, said);
  json by_finding = json::object();
  for (size_t f = 0; f < test.size(); ++f) by_finding[lab.findings[f]] = or_null(test[f]);
  return json{{"pooling", pooling},
              {"auc", by_finding},
              {"mean_auc", or_null(mean_of_known(test))},
              {"val_auc", or_null(mean_of_known(aucs(lab, lab.val, validation)))},
              {"boxes", box_table(lab, located)},
              {"gallery", gallery},
              {"seconds", std::chrono::duration<double>(Clock::now() - start).count()},
              {"stall_share", training->stall_share()}};
}

}  // namespace

std::string ChestXray8Config::json() const {
  nlohmann::json j = {{"experiment", "chestxray8"},
                      {"seed", seed},
                      {"findings", findings},
                      {"r", r},
                      {"size", size},
                      {"width", width},
                      {"steps", steps},
                      {"batch", batch},
                      {"lr", lr},
                      {"weight_decay", weight_decay},
                      {"augment", augment},
                      {"val", val_fraction},
                      {"test", test_fraction},
                      {"gallery", gallery},
                      {"data", data}};
  add_process(j);
  return dump_json(j, 2);
}

double chestxray8_published(const std::string& finding) {
  static const std::map<std::string, double> table = {
      {"Atelectasis", .7069}, {"Cardiomegaly", .8141}, {"Effusion", .7362},  {"Infiltration", .6128},
      {"Mass", .5609},        {"Nodule", .7164},       {"Pneumonia", .6333}, {"Pneumothorax", .7891}};
  const auto it = table.find(finding);
  return it == table.end() ? 0 : it->second;
}

bool run_chestxray8(const ChestXray8Config& config, const data::Dataset& dataset, const std::string& out,
                    const Hooks& hooks) {
  for (const std::string& p : config.poolings) parse_pooling(p);
  check(config.size >= 32 && config.width > 0 && config.steps > 0 && config.batch > 0 && config.lr > 0 &&
            config.r > 0 && config.gallery >= 0 && !config.poolings.empty(),
        "chestxray8: size must be at least 32, and width, steps, batch, lr and r positive");
  const std::vector<std::string> known = all_findings(dataset);
  check(!known.empty(), "chestxray8: no film has a finding; name them in the column 'label' or 'finding'");
  for (const std::string& f : config.findings)
    check(std::ranges::count(known, f) > 0, "chestxray8: no film has the finding '{}'; there are {}", f,
          dump_json(json(known)));
  const std::vector<int64_t> train = data::cases_of(dataset, "train"), val = data::cases_of(dataset, "val"),
                             test = data::cases_of(dataset, "test");
  check(!train.empty() && !test.empty(), "chestxray8: {} training and {} test films; both are needed", train.size(),
        test.size());
  data::Loader loader(dataset, {.size = config.size,
                                .augmentation = config.augment ? data::chest_augmentation() : data::Augmentation{}});
  for (const auto* part : {&train, &val, &test}) loader.preload(*part);
  loader.set_normalization(loader.measure(train));
  const RunFolder folder(out, config.json());
  keep_manifest(dataset, folder);
  make_folder(folder.file("gallery"));
  ChestLab lab{config, dataset,
               loader, folder,
               hooks,  config.findings.empty() ? known : config.findings,
               train,  val,
               test,   true_boxes(dataset, test)};
  json results = {{"findings", lab.findings},
                  {"train", train.size()},
                  {"test", test.size()},
                  {"published", json::object()},
                  {"poolings", json::array()}};
  for (const std::string& f : lab.findings)
    if (const double auc = chestxray8_published(f); auc > 0) results["published"][f] = auc;
  for (const std::string& pooling : config.poolings) {
    if (!folder.has_unit(pooling)) {
      lab.report({Progress::unit_begin, pooling, 0, 0, 0, 0, 0, nullptr});
      const std::optional<json> unit = pooling_unit(lab, pooling);
      if (!unit) return false;
      folder.write_unit(pooling, *unit);
    }
    json unit = folder.read_unit(pooling);
    const auto known_auc = [&](const char* key) { return unit.at(key).is_null() ? NAN : unit.at(key).get<double>(); };
    const Point point{.metrics = {{"auc", known_auc("mean_auc")}},
                      .val_metrics = {{"auc", known_auc("val_auc")}},
                      .seconds = unit.at("seconds"),
                      .stall_share = unit.value("stall_share", 0.0)};
    lab.report({Progress::unit_end, pooling, 0, 0, 0, 0, 0, &point});
    ++lab.unit;
    unit.erase("seconds"), unit.erase("stall_share");
    results["poolings"].push_back(std::move(unit));
    folder.write_json("chestxray8.json", results);
  }
  return true;
}

}  // namespace querent::al
