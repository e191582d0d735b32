#include "al/gal2017.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "al/learner.h"
#include "al/pool.h"
#include "al/run_folder.h"
#include "al/scoring.h"
#include "data/split.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct StoppedRound {};  // thrown to leave a round half-way; the checkpoint has been written

struct Quality {
  double error = 0, nll = 0;  // share of images; mean, nats
};

struct GalLab {
  const GalConfig& config;
  const data::Dataset& dataset;
  data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  std::map<std::string, int64_t> index_of = {};
  std::vector<int64_t> train = {}, test = {};
  int64_t units = 0, unit = 0;

  ModelOptions model() const {
    return {.name = "bcnn", .classes = static_cast<int64_t>(dataset.classes.size())};
  }
  std::vector<int64_t> indices(const std::vector<std::string>& names) const {
    std::vector<int64_t> v;
    for (const std::string& n : names) v.push_back(index_of.at(n));
    return v;
  }
  std::vector<std::string> ids(const std::vector<int64_t>& cases) const {
    std::vector<std::string> v;
    for (const int64_t i : cases) v.push_back(dataset.cases[static_cast<size_t>(i)].id);
    return v;
  }
  void report(Progress p) const {
    p.unit_index = unit, p.units = units;
    hooks.progress(p);
  }
  int64_t query(const Strategy& s) const { return s.needs.model ? config.query : config.random_query; }
  int64_t budget() const {
    return config.per_class * static_cast<int64_t>(dataset.classes.size()) + config.query * config.rounds;
  }
};

Quality quality(const GalLab& lab, const Learner& learner, const std::vector<int64_t>& cases) {
  Quality q;
  const std::vector<std::vector<float>> all = learner.predict(lab.loader, cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto label = static_cast<size_t>(
        data::class_index(lab.dataset, lab.dataset.cases[static_cast<size_t>(cases[i])]));
    q.error += std::max_element(all[i].begin(), all[i].end()) - all[i].begin() != static_cast<ptrdiff_t>(label);
    q.nll -= std::log(std::max(static_cast<double>(all[i][label]), 1e-12));
  }
  const auto n = static_cast<double>(std::max<size_t>(cases.size(), 1));
  return {q.error / n, q.nll / n};
}

Learner train_one(GalLab& lab, const std::vector<int64_t>& labelled, uint64_t seed, size_t candidate,
                  const std::string& unit) {
  const GalConfig& c = lab.config;
  const auto N = static_cast<int64_t>(labelled.size());
  Learner learner(lab.model(), mix_key(seed, hash_name("weights")));
  TrainOptions t{.steps = c.steps(N), .batch = c.batch, .lr = c.lr, .weight_decay = 0};
  t.l2 = c.decay[candidate] / static_cast<double>(N);
  t.decayed = "fc1.weight";
  t.key = mix_key(seed, hash_name(text("{} labels", N)));
  t.unit = text("{} {}", unit, candidate);
  t.checkpoint = lab.folder.checkpoint();
  TrainHooks h;
  h.step = [&](int64_t step, double loss) {
    lab.report({Progress::step, unit, 0, 0, step, t.steps, loss, nullptr});
  };
  h.stop = lab.hooks.stop;
  if (!learner.train(lab.loader, labelled, t, h)) throw StoppedRound{};
  return learner;
}

// One network for each weight decay; the validation images choose.
std::pair<Learner, double> train_network(GalLab& lab, const std::vector<int64_t>& labelled, uint64_t seed,
                                         const std::vector<int64_t>& validation, const std::string& unit) {
  Learner best = train_one(lab, labelled, seed, 0, unit);
  double decay = lab.config.decay[0], least = 0;
  for (size_t k = 1; k < lab.config.decay.size(); ++k) {
    if (k == 1) least = quality(lab, best, validation).nll;
    Learner other = train_one(lab, labelled, seed, k, unit);
    const double nll = quality(lab, other, validation).nll;
    if (nll >= least) continue;
    best = std::move(other), decay = lab.config.decay[k], least = nll;
  }
  return {std::move(best), decay};
}

std::vector<std::string> ask(const GalLab& lab, const Strategy& strategy, const Learner& learner, const Pool& pool,
                             uint64_t seed, int64_t round, int64_t count, const std::string& title) {
  std::vector<std::string> names = pool.ids(CaseState::unlabelled);
  if (lab.config.pool_subset > 0 && static_cast<int64_t>(names.size()) > lab.config.pool_subset) {
    Rng(seed).fork("candidates").fork(static_cast<uint64_t>(round)).shuffle(names);
    names.resize(static_cast<size_t>(std::max(lab.config.pool_subset, count)));
  }
  ScoringOptions o;
  o.passes = lab.config.passes;
  o.seed = o.score.seed = mix_key(seed, hash_name("scoring") + static_cast<uint64_t>(round));
  o.progress = [&](int64_t done, int64_t total) {
    lab.report({Progress::scoring, title, 0, 0, done, total, 0, nullptr});
  };
  o.stop = lab.hooks.stop;
  const std::vector<int64_t> candidates = lab.indices(names);
  PoolView view = survey(learner, lab.loader, strategy, candidates, lab.indices(pool.ids(CaseState::labelled)), o);
  if (view.cases.size() < candidates.size()) throw StoppedRound{};
  std::vector<std::string> asked;
  for (const Pick& pick : choose(strategy, std::move(view), count, o.score)) asked.push_back(names[pick.index]);
  return asked;
}

// The first labels and the validation images: the same for every method of a seed.
struct Beginning {
  std::vector<std::string> labelled, validation;
};
Beginning beginning(const GalLab& lab, uint64_t seed) {
  std::vector<int64_t> order = lab.train;
  Rng(seed).fork("initial").shuffle(order);
  std::vector<int64_t> taken(lab.dataset.classes.size(), 0), first, validation;
  for (const int64_t i : order) {
    auto& t = taken[static_cast<size_t>(data::class_index(lab.dataset, lab.dataset.cases[static_cast<size_t>(i)]))];
    if (t < lab.config.per_class)
      first.push_back(i), ++t;
    else if (static_cast<int64_t>(validation.size()) < lab.config.validation)
      validation.push_back(i);
  }
  check(static_cast<int64_t>(first.size()) == lab.config.per_class * static_cast<int64_t>(taken.size()),
        "gal2017: every one of the {} classes needs {} training images to start with; found {} in all", taken.size(),
        lab.config.per_class, first.size());
  return {lab.ids(first), lab.ids(validation)};
}

// One round: train, test, ask. The first is trained once for all methods of a seed.
json round_unit(GalLab& lab, const Strategy& strategy, const Pool& pool, const std::vector<int64_t>& validation,
                uint64_t seed, int64_t round, const std::string& title) {
  const std::vector<int64_t> labelled = lab.indices(pool.ids(CaseState::labelled));
  const auto labels = static_cast<int64_t>(labelled.size());
  const std::string first = text("first_s{}", seed);
  const std::string weights = lab.folder.weights(first);
  Learner learner(lab.model(), 0);
  json unit;
  if (round == 0 && lab.folder.has_unit(first)) {
    learner.load(weights);
    unit = lab.folder.read_unit(first);
  } else {
    auto [trained, decay] = train_network(lab, labelled, seed, validation, title);
    learner = std::move(trained);
    unit = {{"labels", labels},
            {"error", quality(lab, learner, lab.test).error},
            {"val_error", quality(lab, learner, validation).error},
            {"decay", decay}};
    if (round == 0) {
      learner.save(weights, {});
      lab.folder.write_unit(first, unit);
    }
  }
  const int64_t count = std::min(lab.query(strategy), pool.count(CaseState::unlabelled));
  unit["asked"] = ask(lab, strategy, learner, pool, seed, round + 1, count, title);
  return unit;
}

// All rounds of one method with one seed: the points of its curve.
json curve(GalLab& lab, const Strategy& strategy, uint64_t seed) {
  const Beginning begin = beginning(lab, seed);
  const std::vector<int64_t> validation = lab.indices(begin.validation);
  std::vector<std::string> candidates;  // training images but those held out, in the order of the data set
  for (const std::string& id : lab.ids(lab.train))
    if (std::find(begin.validation.begin(), begin.validation.end(), id) == begin.validation.end())
      candidates.push_back(id);
  Pool pool(candidates, begin.validation, lab.ids(lab.test));
  pool.ask(begin.labelled, 0);
  pool.label(begin.labelled);
  json points = json::array();
  for (int64_t round = 0;; ++round) {
    const std::string name = text("{}_s{}_r{}", strategy.name, seed, round);
    const int64_t labels = pool.count(CaseState::labelled);
    const std::string title = text("{}, seed {}, {} labels", strategy.name, seed, labels);
    const auto start = Clock::now();
    json unit;
    if (lab.folder.has_unit(name)) {
      unit = lab.folder.read_unit(name);
    } else {
      lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
      unit = round_unit(lab, strategy, pool, validation, seed, round, title);
      lab.folder.write_unit(name, unit);
    }
    const double error = unit.at("error");
    Point p{.labelled = labels,
            .fraction = static_cast<double>(labels) / static_cast<double>(lab.train.size()),
            .metrics = {{"error", error}},
            .val_metrics = {{"error", unit.at("val_error")}},
            .seconds = std::chrono::duration<double>(Clock::now() - start).count()};
    lab.report({Progress::unit_end, title, 0, 0, 0, 0, 0, &p});
    ++lab.unit;
    const auto asked = unit.at("asked").get<std::vector<std::string>>();
    unit.erase("asked");
    points.push_back(unit);
    const auto next = static_cast<int64_t>(asked.size());
    const bool reached = lab.config.stop_error > 0 && error <= lab.config.stop_error;
    if (next == 0 || labels + next > lab.budget() || reached) return points;
    pool.ask(asked, round + 1);
    pool.label(asked);
  }
}

json labels_to_reach(const json& points, double error) {
  for (const json& p : points)
    if (p.at("error") <= error) return p.at("labels");
  return {};
}

json mean_of_all(const json& seeds, const char* key) {
  double sum = 0;
  for (const json& s : seeds) {
    if (s.at(key).is_null()) return {};
    sum += s.at(key).get<double>();
  }
  return seeds.empty() ? json() : json(sum / static_cast<double>(seeds.size()));
}

}  // namespace

int64_t GalConfig::steps(int64_t labels) const { return std::max(least_steps, epochs * labels / batch); }

std::string GalConfig::json() const {
  nlohmann::json j = {{"experiment", "gal2017"}, {"seed", seed},         {"per_class", per_class},
                      {"query", query},          {"validation", validation}, {"random_query", random_query},
                      {"pool_subset", pool_subset}, {"passes", passes},  {"epochs", epochs},
                      {"batch", batch},          {"least_steps", least_steps}, {"lr", lr},
                      {"decay", decay},          {"data", data}};
  add_process(j);
  return dump_json(j, 2);
}

const GalPublished* gal_published(const std::string& method) {
  static const std::map<std::string, GalPublished> table = {{"variation_ratios", {120, 295}},
                                                            {"bald", {145, 335}},
                                                            {"entropy", {165, 355}},
                                                            {"mean_std", {230, 695}},
                                                            {"random", {255, 835}}};
  const auto it = table.find(method);
  return it == table.end() ? nullptr : &it->second;
}

bool run_gal2017(const GalConfig& config, const data::Dataset& dataset, const std::string& out, const Hooks& hooks) {
  std::vector<const Strategy*> methods;
  for (const std::string& m : config.methods) methods.push_back(&find_strategy(m));
  for (const Strategy* s : methods)
    check(!s->needs.segmentation_only && !s->needs.log_variance,
          "gal2017: method {} does not fit a classifier without a log-variance head", s->name);
  check(config.per_class > 0 && config.query > 0 && config.random_query > 0 && config.rounds >= 0 &&
            config.passes > 0 && config.batch > 0 && config.epochs >= 0 && config.least_steps > 0 &&
            !config.decay.empty() && config.validation > 0,
        "gal2017: labels, passes, batch and steps must be at least 1, and there must be a weight decay");
  data::Loader loader(dataset, {.size = 28});
  const RunFolder folder(out, config.json());
  GalLab lab{.config = config, .dataset = dataset, .loader = loader, .folder = folder, .hooks = hooks};
  for (size_t i = 0; i < dataset.cases.size(); ++i) lab.index_of[dataset.cases[i].id] = static_cast<int64_t>(i);
  lab.test = data::cases_of(dataset, "test");
  lab.train = data::cases_of(dataset, "train");
  check(!lab.test.empty() && !lab.train.empty(), "gal2017: {} training and {} test images; MNIST has 60000 and 10000",
        lab.train.size(), lab.test.size());
  loader.preload(lab.train);
  loader.preload(lab.test);
  loader.set_normalization(loader.measure(lab.train));
  for (const Strategy* s : methods)
    lab.units += config.seeds * (1 + config.query * config.rounds / lab.query(*s));
  std::vector<json> seeds(methods.size(), json::array());
  const auto write = [&] {
    json results = json::array();
    for (size_t m = 0; m < methods.size(); ++m) {
      const std::string name(methods[m]->name);
      json row = {{"method", name},
                  {"to_10_percent", mean_of_all(seeds[m], "to_10_percent")},
                  {"to_5_percent", mean_of_all(seeds[m], "to_5_percent")},
                  {"published", nullptr},
                  {"seeds", seeds[m]}};
      if (const GalPublished* p = gal_published(name))
        row["published"] = {{"to_10_percent", p->to_10_percent}, {"to_5_percent", p->to_5_percent}};
      results.push_back(std::move(row));
    }
    folder.write_json("gal2017.json", results);
  };
  try {
    for (int64_t k = 0; k < config.seeds; ++k) {
      const uint64_t seed = config.seed + static_cast<uint64_t>(k);
      for (size_t m = 0; m < methods.size(); ++m) {
        const json points = curve(lab, *methods[m], seed);
        seeds[m].push_back({{"seed", seed},
                            {"to_10_percent", labels_to_reach(points, 0.10)},
                            {"to_5_percent", labels_to_reach(points, 0.05)},
                            {"points", points}});
        write();
      }
    }
  } catch (const StoppedRound&) {
    return false;
  }
  return true;
}

}  // namespace querent::al
