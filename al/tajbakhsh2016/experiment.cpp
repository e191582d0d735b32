#include "al/tajbakhsh2016/experiment.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "al/learner.h"
#include "al/metrics.h"
#include "al/run_folder.h"
#include "al/tajbakhsh2016/films.h"
#include "al/tajbakhsh2016/results.h"
#include "data/loader.h"
#include "data/split.h"
#include "models/train.h"
#include "tensor/error.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct TajLab {
  const TajbakhshConfig& config;
  const data::Dataset& dataset;
  data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  std::vector<int64_t> train = {}, val = {}, test = {};
  int64_t unit = 0, units = 0;

  void report(Progress p) const {
    p.unit_index = unit, p.units = units;
    hooks.progress(p);
  }
};

std::string unit_name(int64_t depth, double share, uint64_t seed) {
  return text("{}_p{}_s{}", depth == scratch ? "scratch" : text("depth{}", depth), 100 * share, seed);
}
std::string source_name(uint64_t seed) { return text("source_s{}", seed); }

ModelOptions model_options(const TajbakhshConfig& c, const data::Dataset& d) {
  return {.name = c.model, .classes = static_cast<int64_t>(d.classes.size()), .width = c.width};
}

bool is_output(const Model& model, const std::string& name) {
  return std::ranges::any_of(model.last_layer, [&](const std::string& prefix) { return name.starts_with(prefix); });
}

// The network of the weight file under a new output layer, also where the number of classes is the same.
void begin_from(Learner& learner, const std::string& weights) {
  std::vector<std::pair<Tensor, Tensor>> fresh;
  for (const Tensor& t : learner.params().all().tensors) {
    if (!is_output(learner.model(), t.name())) continue;
    fresh.emplace_back(t, t.clone());
  }
  load_weights(learner.model(), learner.params(), weights, true);
  for (const auto& [t, values] : fresh) t.copy_from(values);
}

struct Asked {
  std::vector<float> p;  // [N,C]
  double auc = 0;
};
Asked ask(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases) {
  Asked a;
  for (const std::vector<float>& row : learner.predict(loader, cases)) a.p.insert(a.p.end(), row.begin(), row.end());
  const data::Dataset& d = loader.dataset();
  a.auc = classification_metrics(a.p, labels_of(d, cases), static_cast<int64_t>(d.classes.size())).auc;
  return a;
}

// False when hooks.stop() asked to stop; the checkpoint is written first.
bool learn(const TajLab& lab, Learner& learner, data::Loader& loader, std::span<const int64_t> cases, int64_t steps,
           int64_t depth, uint64_t seed, const std::string& name, const std::string& title) {
  const TajbakhshConfig& c = lab.config;
  const TrainOptions options{.steps = steps,
                             .batch = c.batch,
                             .lr = c.lr,
                             .weight_decay = c.weight_decay,
                             .key = mix_key(seed, hash_name("order")),
                             .unit = name,
                             .tune_depth = std::max<int64_t>(depth, 0),
                             .checkpoint = lab.folder.checkpoint()};
  const auto step = [&](int64_t done, double loss) {
    lab.report({Progress::step, title, 0, 0, done, steps, loss, nullptr});
  };
  return learner.train(loader, cases, options, {.step = step, .stop = lab.hooks.stop});
}

// Runs or reads one unit and reports it; none when stopped.
std::optional<json> one_unit(TajLab& lab, const std::string& name, const std::string& title,
                             const std::function<std::optional<json>()>& work) {
  if (!lab.folder.has_unit(name)) {
    lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
    const auto start = Clock::now();
    std::optional<json> unit = work();
    if (!unit) return {};
    (*unit)["seconds"] = std::chrono::duration<double>(Clock::now() - start).count();
    lab.folder.write_unit(name, *unit);
  }
  json unit = lab.folder.read_unit(name);
  Point point;
  point.metrics["auc"] = unit.at("auc");
  point.seconds = unit.at("seconds");
  if (unit.contains("val_auc")) point.val_metrics["auc"] = unit.at("val_auc");
  lab.report({Progress::unit_end, title, 0, 0, 0, 0, 0, &point});
  ++lab.unit;
  return unit;
}

std::optional<json> source_unit(TajLab& lab, data::Loader& loader, uint64_t seed) {
  const std::string name = source_name(seed), title = text("source network, seed {}", seed);
  return one_unit(lab, name, title, [&]() -> std::optional<json> {
    const data::Dataset& d = loader.dataset();
    Learner learner(model_options(lab.config, d), mix_key(seed, hash_name("source")));
    if (!learn(lab, learner, loader, data::cases_of(d, "train"), lab.config.source_steps, 0, seed, name, title))
      return {};
    learner.save(lab.folder.weights(name), {});
    return json{{"auc", ask(learner, loader, data::cases_of(d, "test")).auc}};
  });
}

std::optional<json> target_unit(TajLab& lab, int64_t depth, double share, uint64_t seed) {
  const std::string name = unit_name(depth, share, seed);
  const std::vector<int64_t> films = share_of_films(lab.dataset, lab.train, share, seed);
  const std::string title = text("{}, {} films, seed {}", depth_title(depth), films.size(), seed);
  return one_unit(lab, name, title, [&]() -> std::optional<json> {
    Learner learner(model_options(lab.config, lab.dataset), mix_key(seed, hash_name("target")));
    if (depth != scratch)
      begin_from(learner, lab.config.weights.empty() ? lab.folder.weights(source_name(seed)) : lab.config.weights);
    if (!learn(lab, learner, lab.loader, films, lab.config.steps, depth, seed, name, title)) return {};
    const Asked test = ask(learner, lab.loader, lab.test);
    return json{
        {"films", films.size()}, {"auc", test.auc}, {"val_auc", ask(learner, lab.loader, lab.val).auc}, {"p", test.p}};
  });
}

TestFilms test_films(const TajLab& lab) {
  TestFilms t{.labels = labels_of(lab.dataset, lab.test),
              .patients = {},
              .classes = static_cast<int64_t>(lab.dataset.classes.size())};
  std::map<std::string, int64_t> number;
  for (const int64_t i : lab.test) {
    const auto next = static_cast<int64_t>(number.size());
    t.patients.push_back(
        number.emplace(data::patient_key(lab.dataset.cases[static_cast<size_t>(i)]), next).first->second);
  }
  return t;
}

void check_config(const TajbakhshConfig& c, const data::Dataset& target, const data::Dataset& source) {
  check(c.size >= 32 && c.width > 0 && c.steps > 0 && c.source_steps > 0 && c.batch > 0 && c.lr > 0 && c.seeds > 0,
        "tajbakhsh2016: size must be at least 32, and width, steps, batch, lr and seeds positive");
  check(!c.depths.empty() && !c.shares.empty(), "tajbakhsh2016: there is no depth or no share to compare");
  check(std::set(c.depths.begin(), c.depths.end()).size() == c.depths.size() &&
            std::set(c.shares.begin(), c.shares.end()).size() == c.shares.size(),
        "tajbakhsh2016: a depth or a share is given twice");
  for (const double s : c.shares)
    check(s > 0 && s <= 1, "tajbakhsh2016: a share of the training films must be above 0 and at most 1, got {}", s);
  Params params;
  const Model model = make_model(model_options(c, target), params);
  for (const int64_t k : c.depths) last_layers(model, params, k);
  const auto all_classes = [](const data::Dataset& d, const char* name, std::initializer_list<const char*> splits) {
    check(d.classes.size() >= 2, "tajbakhsh2016: the {} task needs at least two classes, found {}", name,
          dump_json(json(d.classes)));
    for (const char* split : splits) {
      const std::vector<int64_t> labels = labels_of(d, data::cases_of(d, split));
      for (size_t k = 0; k < d.classes.size(); ++k)
        check(std::ranges::count(labels, static_cast<int64_t>(k)) > 0,
              "tajbakhsh2016: the {} split of the {} task has no film of class '{}'; give more films or other shares",
              split, name, d.classes[k]);
    }
  };
  all_classes(target, "target", {"train", "val", "test"});
  if (c.weights.empty()) all_classes(source, "source", {"train", "test"});
}

}  // namespace

std::string TajbakhshConfig::json() const {
  nlohmann::json j = {{"experiment", "tajbakhsh2016"},
                      {"seed", seed},
                      {"model", model},
                      {"size", size},
                      {"width", width},
                      {"steps", steps},
                      {"source_steps", source_steps},
                      {"batch", batch},
                      {"lr", lr},
                      {"weight_decay", weight_decay},
                      {"augment", augment},
                      {"weights", weights},
                      {"source", source},
                      {"source_classes", source_classes},
                      {"source_merge", source_merge},
                      {"source_share", source_share},
                      {"val", val_fraction},
                      {"test", test_fraction},
                      {"data", data}};
  add_process(j);
  return dump_json(j, 2);
}

bool run_tajbakhsh2016(const TajbakhshConfig& config, const data::Dataset& target, const data::Dataset& source,
                       const std::string& out, const Hooks& hooks) {
  check_config(config, target, source);
  const bool from_source = config.weights.empty();
  data::LoaderOptions options{.size = config.size};
  if (config.augment) options.augmentation = data::chest_augmentation();
  data::Loader loader(target, options);
  std::optional<data::Loader> source_loader;
  const RunFolder folder(out, config.json());
  keep_manifest(target, folder);
  TajLab lab{.config = config, .dataset = target, .loader = loader, .folder = folder, .hooks = hooks};
  lab.train = data::cases_of(target, "train");
  lab.val = data::cases_of(target, "val");
  lab.test = data::cases_of(target, "test");
  loader.set_normalization(loader.measure(lab.train));
  if (from_source) {
    source_loader.emplace(source, options);
    source_loader->set_normalization(source_loader->measure(data::cases_of(source, "train")));
  }
  std::vector<int64_t> depths = config.depths;
  depths.insert(depths.begin(), scratch);
  lab.units = config.seeds * (from_source + static_cast<int64_t>(config.shares.size() * depths.size()));

  TunedArms arms;
  json seeds = json::array(), source_auc = json::array();
  for (int64_t n = 0; n < config.seeds; ++n) {
    const uint64_t seed = config.seed + static_cast<uint64_t>(n);
    seeds.push_back(seed);
    if (from_source) {
      const std::optional<json> unit = source_unit(lab, *source_loader, seed);
      if (!unit) return false;
      source_auc.push_back(unit->at("auc"));
    }
    for (const double share : config.shares) {
      for (const int64_t depth : depths) {
        const std::optional<json> unit = target_unit(lab, depth, share, seed);
        if (!unit) return false;
        TunedArm& arm = arms[{depth, share}];
        arm.films = unit->at("films");
        arm.auc.push_back(unit->at("auc"));
        arm.val_auc.push_back(unit->at("val_auc"));
        arm.said.push_back(unit->at("p").get<std::vector<float>>());
      }
    }
  }
  const TestFilms test = test_films(lab);
  json results = {{"classes", target.classes},
                  {"train", lab.train.size()},
                  {"val", lab.val.size()},
                  {"test", lab.test.size()},
                  {"seeds", seeds},
                  {"source", nullptr},
                  {"arms", arms_json(config, arms, test)},
                  {"verdict", verdict_json(config, arms, test)}};
  if (from_source)
    results["source"] = {
        {"classes", source.classes}, {"films", data::cases_of(source, "train").size()}, {"auc", source_auc}};
  folder.write_json("tajbakhsh2016.json", results);
  return true;
}

}  // namespace querent::al
