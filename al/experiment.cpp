#include "al/experiment.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "al/cold_start.h"
#include "al/evaluation.h"
#include "al/gallery.h"
#include "al/learner.h"
#include "al/metrics.h"
#include "al/pool.h"
#include "al/pseudo_labels.h"
#include "al/run_folder.h"
#include "al/scoring.h"
#include "al/selection.h"
#include "al/stopping.h"
#include "data/split.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

struct Stopped {};  // thrown to leave a unit half-way; the checkpoint has been written

// Carries what every unit needs.
struct Lab {
  const ExperimentConfig& config;
  const data::Dataset& dataset;
  data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  std::vector<int64_t> train, val, test;
  std::vector<int64_t> schedule;  // labels at each round
  int64_t units = 0, unit_index = 0;
  std::vector<std::string> unit_names;  // finished ones, in order

  ModelOptions model_options() const {
    ModelOptions m;
    m.name = config.model;
    m.classes = config.task == "seg" ? 1 : static_cast<int64_t>(dataset.classes.size());
    m.width = config.width;
    m.depth = config.depth;
    m.dropout = config.dropout;
    m.log_var = config.log_var;
    return m;
  }

  std::vector<std::string> ids(const std::vector<int64_t>& cases) const {
    std::vector<std::string> v;
    for (const int64_t i : cases) v.push_back(dataset.cases[static_cast<size_t>(i)].id);
    return v;
  }
  std::vector<int64_t> indices(const std::vector<std::string>& names) const {
    std::vector<int64_t> v;
    for (const std::string& n : names) v.push_back(index_of.at(n));
    return v;
  }
  std::map<std::string, int64_t> index_of;

  void report(Progress p) const {
    p.unit_index = unit_index;
    p.units = units;
    hooks.progress(p);
  }

  // Trains `learner` on `cases`; throws Stopped when the user asked to stop.
  void train_on(Learner& learner, const std::vector<int64_t>& cases, int64_t steps, uint64_t key, const std::string& unit) {
    TrainOptions t{.steps = steps, .batch = config.batch, .lr = config.lr, .weight_decay = config.weight_decay};
    t.key = key;
    t.unit = unit;
    t.recompute = config.recompute;
    t.checkpoint = folder.checkpoint();
    TrainHooks h;
    h.step = [&](int64_t step, double loss) { report({Progress::step, unit, 0, 0, step, steps, loss, nullptr}); };
    h.stop = hooks.stop;
    if (!learner.train(loader, cases, t, h)) throw Stopped{};
  }

  Point measure(const Learner& learner, int64_t labelled, Clock::time_point start) const {
    Point p;
    p.labelled = labelled;
    p.fraction = static_cast<double>(labelled) / static_cast<double>(train.size());
    p.metrics = evaluate(learner, loader, test);
    p.val_metrics = evaluate(learner, loader, val);
    p.seconds = seconds_since(start);
    p.stall_share = learner.training_time().stall_share();
    return p;
  }

  // What annotating these images took.
  Work work(const std::vector<std::string>& labelled) const {
    Work w;
    std::set<std::string> patients;
    for (const int64_t i : indices(labelled)) {
      w.labels += 1;
      patients.insert(data::patient_key(dataset.cases[static_cast<size_t>(i)]));
      if (config.task == "seg") add_mask(w, threshold(loader.mask(i).pixels), config.size, config.size);
    }
    w.patients = static_cast<double>(patients.size());
    return w;
  }

  // What is measured once, of a curve's last network.
  void final_model(json& unit, const Learner& learner, uint64_t seed, const std::string& title) const {
    unit["calibration"] = calibration(learner, loader, test, val);
    ScoringOptions o;
    o.passes = config.mc;
    o.seed = mix_key(seed, hash_name("test"));
    o.progress = [&](int64_t done, int64_t total) { report({Progress::scoring, title, 0, 0, done, total, 0, nullptr}); };
    o.stop = hooks.stop;
    unit["test_cases"] = doubts(learner, loader, test, o);
    if (unit["test_cases"].size() < test.size()) throw Stopped{};
  }

  void finish_unit(const std::string& name, const json& unit, const std::string& title, const Point& p) {
    folder.write_unit(name, unit);
    note_unit(name, title, p);
    write_results(folder, config, dataset, unit_names);
  }
  void note_unit(const std::string& name, const std::string& title, const Point& p) {
    unit_names.push_back(name);
    report({Progress::unit_end, title, 0, 0, 0, 0, 0, &p});
    ++unit_index;
  }
};

std::map<std::string, std::string> weight_metadata(const Lab& lab, uint64_t seed, int64_t labelled) {
  json classes = json::array();
  for (const std::string& c : lab.dataset.classes) classes.push_back(c);
  return {{"task", lab.config.task},
          {"classes", dump_json(classes)},
          {"size", std::to_string(lab.config.size)},
          {"seed", std::to_string(seed)},
          {"labelled", std::to_string(labelled)},
          {"mean", text("{}", lab.loader.options().normalization.mean)},
          {"std", text("{}", lab.loader.options().normalization.std)}};
}

// The ceiling: everything labelled.
void full_data_unit(Lab& lab, uint64_t seed) {
  const std::string name = text("full_s{}", seed), title = text("all {} labels, seed {}", lab.train.size(), seed);
  if (lab.folder.has_unit(name)) {
    return lab.note_unit(name, title, point_from_json(lab.folder.read_unit(name).at("point")));
  }
  lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
  const auto start = Clock::now();
  Learner learner(lab.model_options(), mix_key(seed, hash_name("weights")));
  lab.train_on(learner, lab.train, lab.config.full_steps, mix_key(seed, hash_name("full")), title);
  const Point p = lab.measure(learner, static_cast<int64_t>(lab.train.size()), start);
  learner.save(lab.folder.weights(name), weight_metadata(lab, seed, p.labelled));
  json unit = {{"unit", "full"}, {"seed", seed}, {"point", to_json(p)}};
  lab.final_model(unit, learner, seed, title);
  if (seed == lab.config.seed) unit["worst"] = worst_cases(learner, lab.loader, lab.test, lab.folder.path());
  lab.finish_unit(name, unit, title, p);
}

// The labels every strategy starts from: for cls as even over classes as can be, so that no class is missing.
std::vector<std::string> initial_labels(const Lab& lab, uint64_t seed) {
  if (lab.config.cold_start != "random")
    return cold_start(find_cold_start(lab.config.cold_start), lab.loader, lab.train, lab.schedule.front(), seed);
  std::vector<Candidate> all;
  for (const int64_t i : lab.train) {
    const data::Case& c = lab.dataset.cases[static_cast<size_t>(i)];
    Rng rng = Rng(seed).fork("initial").fork(c.id);
    all.push_back({c.id, rng.uniform(), lab.config.task == "cls" ? data::class_index(lab.dataset, c) : 0});
  }
  std::vector<std::string> names;
  for (const size_t k : top_k_stratified(all, lab.schedule.front(), seed)) names.push_back(all[k].id);
  return names;
}

// Round 0 is the same for every strategy of a seed: train it once.
Point first_round_unit(Lab& lab, uint64_t seed, const std::vector<std::string>& labelled) {
  const std::string name = text("first_s{}", seed), title = text("first {} labels, seed {}", labelled.size(), seed);
  if (lab.folder.has_unit(name)) {
    const Point p = point_from_json(lab.folder.read_unit(name).at("point"));
    lab.note_unit(name, title, p);
    return p;
  }
  lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
  const auto start = Clock::now();
  Learner learner(lab.model_options(), mix_key(seed, hash_name("weights")));
  lab.train_on(learner, lab.indices(labelled), lab.config.steps, mix_key(seed, hash_name("round 0")), title);
  const Point p = lab.measure(learner, static_cast<int64_t>(labelled.size()), start);
  learner.save(lab.folder.weights(name), weight_metadata(lab, seed, p.labelled));
  lab.finish_unit(name, {{"unit", "first"}, {"seed", seed}, {"labelled", labelled}, {"point", to_json(p)}}, title, p);
  return p;
}

// As many of these, drawn with replacement.
std::vector<int64_t> resampled(const std::vector<int64_t>& cases, Rng rng) {
  std::vector<int64_t> drawn;
  for (size_t i = 0; i < cases.size(); ++i)
    drawn.push_back(cases[static_cast<size_t>(rng.below(static_cast<int64_t>(cases.size())))]);
  return drawn;
}

// The networks besides the round's own whose predictions are the passes: other initial weights, another order of images,
// and other labels when that is part of the method.
std::vector<Learner> ensemble_members(Lab& lab, const Strategy& strategy, const std::vector<int64_t>& labelled,
                                      uint64_t seed, int64_t round, const std::string& title) {
  std::vector<Learner> members;
  if (!strategy.needs.model || strategy.needs.one_pass) return members;
  const int64_t networks = lab.config.ensemble > 0 ? lab.config.ensemble : strategy.needs.committee;
  for (int64_t m = 1; m < networks; ++m) {
    members.emplace_back(lab.model_options(), mix_key(seed, hash_name(text("weights {}", m))));
    const uint64_t key = mix_key(seed, hash_name(text("round {} member {}", round, m)));
    const std::vector<int64_t> sample = strategy.needs.committee > 0 ? resampled(labelled, Rng(key).fork("labels")) : labelled;
    lab.train_on(members.back(), sample, lab.config.steps, key, title);
  }
  return members;
}

// Asks for `count` more labels: surveys candidates from the pool and lets the strategy choose. Returns the asked items as JSON.
json ask(Lab& lab, const Strategy& strategy, const Learner& learner, Pool& pool, uint64_t seed, int64_t round,
         int64_t count, const std::string& title) {
  const std::vector<std::string> unlabelled = pool.ids(CaseState::unlabelled);
  // Candidates: the whole pool, or a random part of it, the same for every strategy with the same pool.
  std::vector<std::string> names = unlabelled;
  Rng rng = Rng(seed).fork("candidates").fork(static_cast<uint64_t>(round));
  if (lab.config.pool_limit > 0 && static_cast<int64_t>(names.size()) > lab.config.pool_limit) {
    rng.shuffle(names);
    names.resize(static_cast<size_t>(std::max(lab.config.pool_limit, count)));
  }
  const std::vector<int64_t> candidates = lab.indices(names);
  ScoringOptions o;
  o.passes = lab.config.mc;
  o.seed = mix_key(seed, hash_name("scoring") + static_cast<uint64_t>(round));
  o.score.seed = o.seed;
  o.score.reduction.kind = parse_reduce(lab.config.reduction);
  o.progress = [&](int64_t done, int64_t total) { lab.report({Progress::scoring, title, 0, 0, done, total, 0, nullptr}); };
  o.stop = lab.hooks.stop;
  const std::vector<int64_t> labelled = lab.indices(pool.ids(CaseState::labelled));
  const std::vector<Learner> others = ensemble_members(lab, strategy, labelled, seed, round, title);
  o.ensemble = others;
  PoolView view = survey(learner, lab.loader, strategy, candidates, labelled, o);
  if (view.cases.size() < candidates.size()) throw Stopped{};

  json items = json::array();
  std::vector<std::string> asked;
  for (const auto& [k, score] : choose(strategy, std::move(view), count, o.score)) {
    json parts = json::object();
    for (const auto& [part, value] : score.parts) parts[part] = value;
    items.push_back({{"id", names[k]}, {"rank", items.size() + 1}, {"score", score.value}, {"parts", parts},
                     {"reason", reason(strategy, score)}});
    if (lab.config.task == "cls") items.back()["label"] = lab.dataset.cases[static_cast<size_t>(candidates[k])].label;
    asked.push_back(names[k]);
  }
  if (seed == lab.config.seed) {
    add_pictures(items, learner, lab.loader, lab.indices(asked), lab.folder.path(),
                 text("{}_r{}", strategy.name, round), lab.config.mc, o.seed);
    add_nearest(items, learner, lab.loader, lab.indices(asked), labelled);
  }
  pool.ask(asked, round);
  pool.label(asked);
  return items;
}

// What this round's network is sure about in the rest of the pool, for the next round's training alone.
json sure_of(const Lab& lab, const Strategy& strategy, const Learner& learner, const Pool& pool, int64_t round) {
  json labels = json::array();
  const bool asked_for = lab.config.pseudo_labels > 0;
  const double delta = pseudo_label_threshold(asked_for ? lab.config.pseudo_labels : strategy.needs.pseudo_labels,
                                              asked_for ? lab.config.pseudo_decay : strategy.needs.pseudo_decay, round);
  if (delta <= 0) return labels;
  const std::vector<std::string> ids = pool.ids(CaseState::unlabelled);
  const std::vector<std::vector<float>> p = learner.predict(lab.loader, lab.indices(ids));
  for (const PseudoLabel& l : confident(ids, p, delta))
    labels.push_back({{"id", l.id}, {"label", lab.dataset.classes[static_cast<size_t>(l.label)]}});
  return labels;
}

// Cases of the loader that stand for the pseudo-labelled images for as long as this lives.
class PseudoLabelled {
 public:
  PseudoLabelled(Lab& lab, const json& labels) : loader_(lab.loader), kept_(lab.loader.count()) {
    for (const json& l : labels) {
      data::Case c = lab.dataset.cases[static_cast<size_t>(lab.index_of.at(l.at("id")))];
      c.id += " pseudo-labelled";
      c.label = l.at("label");
      cases_.push_back(loader_.append(std::move(c)));
    }
  }
  ~PseudoLabelled() { loader_.truncate(kept_); }
  PseudoLabelled(const PseudoLabelled&) = delete;
  std::vector<int64_t> with(std::vector<int64_t> labelled) const {
    labelled.insert(labelled.end(), cases_.begin(), cases_.end());
    return labelled;
  }

 private:
  data::Loader& loader_;
  int64_t kept_;
  std::vector<int64_t> cases_;
};

void strategy_curve(Lab& lab, const Strategy& strategy, uint64_t seed, const Point& first,
                    const std::vector<std::string>& initial) {
  Pool pool(lab.ids(lab.train), lab.ids(lab.val), lab.ids(lab.test));
  pool.ask(initial, 0);
  pool.label(initial);
  StoppingRule rule;
  rule.patience = lab.config.patience > 0 ? std::optional(lab.config.patience) : std::nullopt;
  std::vector<CurvePoint> validation;
  json pseudo = json::array();  // of the round before
  const std::string curve = text("{}_s{}", strategy.name, seed);
  const std::string metric = primary_metric(lab.config.task);
  for (size_t round = 0; round < lab.schedule.size(); ++round) {
    const std::string name = text("{}_r{}", curve, round);
    const int64_t labels = pool.count(CaseState::labelled);
    const std::string title = text("{}, seed {}, {} labels", strategy.name, seed, labels);
    // Only the last weights of a curve are for keeps; those before served this round, which is done when this is called.
    const auto drop_previous = [&] {
      if (round >= 2) discard(lab.folder.weights(text("{}_r{}", curve, round - 1)));
    };
    if (lab.folder.has_unit(name)) {
      const json unit = lab.folder.read_unit(name);
      const Point p = point_from_json(unit.at("point"));
      std::vector<std::string> asked;
      for (const json& item : unit.at("asked")) asked.push_back(item.at("id"));
      pool.ask(asked, static_cast<int64_t>(round) + 1);
      pool.label(asked);
      pseudo = unit.value("pseudo_labels", json::array());
      lab.note_unit(name, title, p);
      drop_previous();
      if (unit.at("last")) break;
      validation.push_back({labels, p.val_metrics.at(metric)});
      continue;
    }
    lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
    const auto start = Clock::now();
    Learner learner(lab.model_options(), mix_key(seed, hash_name("weights")));
    const std::string previous = round <= 1 ? text("first_s{}", seed) : text("{}_r{}", curve, round - 1);
    Point p = first;
    if (round == 0) {
      learner.load(lab.folder.weights(previous));
    } else {
      if (!lab.config.from_scratch) learner.load(lab.folder.weights(previous));
      const PseudoLabelled more(lab, pseudo);
      lab.train_on(learner, more.with(lab.indices(pool.ids(CaseState::labelled))), lab.config.steps,
                   mix_key(seed, hash_name(text("round {}", round))), title);
      p = lab.measure(learner, labels, start);
      learner.save(lab.folder.weights(name), weight_metadata(lab, seed, labels));
    }
    validation.push_back({labels, p.val_metrics.at(metric)});
    const bool last = round + 1 == lab.schedule.size() || pool.count(CaseState::unlabelled) == 0 ||
                      should_stop(rule, validation).stop;
    const Work work = lab.work(pool.ids(CaseState::labelled));
    json asked = json::array();
    if (!last) {
      const int64_t count = std::min(lab.schedule[round + 1] - labels, pool.count(CaseState::unlabelled));
      asked = ask(lab, strategy, learner, pool, seed, static_cast<int64_t>(round) + 1, count, title);
    }
    json unit = {{"unit", "round"}, {"strategy", strategy.name}, {"seed", seed}, {"round", round},
                 {"point", to_json(p)}, {"asked", asked}, {"last", last}};
    unit["work"] = to_json(work);
    if (round > 0) {
      Learner before(lab.model_options(), seed);
      before.load(lab.folder.weights(previous));
      unit["agreement"] = agreement(before, learner, lab.loader, lab.val);
    }
    if (last) lab.final_model(unit, learner, seed, title);
    pseudo = last ? json::array() : sure_of(lab, strategy, learner, pool, static_cast<int64_t>(round));
    if (!pseudo.empty()) unit["pseudo_labels"] = pseudo;
    lab.finish_unit(name, unit, title, p);
    drop_previous();
    if (last) break;
  }
}

}  // namespace

bool run_experiment(const ExperimentConfig& config, const data::Dataset& dataset, const std::string& out, const Hooks& hooks) {
  std::vector<const Strategy*> strategies;
  for (const std::string& s : config.strategies) {
    strategies.push_back(&find_strategy(s));
    check(config.task == "seg" || !strategies.back()->needs.segmentation_only,
          "run: strategy {} needs --task seg", strategies.back()->name);
    check(config.task == "cls" || !strategies.back()->needs.classification_only,
          "run: strategy {} needs --task cls; for seg use power_bald, coreset or information_density",
          strategies.back()->name);
  }
  const std::vector<int64_t> train = data::cases_of(dataset, "train"), val = data::cases_of(dataset, "val"),
                             test = data::cases_of(dataset, "test");
  check(!train.empty() && !val.empty() && !test.empty(),
        "run: the split leaves {} training, {} validation and {} test images; each needs at least one: change --val or --test",
        train.size(), val.size(), test.size());
  for (const auto* part : {&val, &test}) {
    const auto label = [&](int64_t i) { return dataset.cases[static_cast<size_t>(i)].label; };
    const auto other = [&](int64_t i) { return label(i) != label(part->front()); };
    const char* name = part == &val ? "validation" : "test";
    check(config.task == "seg" || std::any_of(part->begin(), part->end(), other),
          "run: all {} {} images are of one class ({}), so there is no AUC; change --{} or --seed", part->size(), name,
          label(part->front()), part == &val ? "val" : "test");
  }
  const auto available = static_cast<int64_t>(train.size());
  check(config.start <= available, "run: --start {} labels, but there are only {} training images; use at most {}",
        config.start, available, available);
  check(config.start <= config.budget, "run: --start {} is more than --budget {}", config.start, config.budget);
  // Every file is read before anything is written: a damaged one ends the run now, not after an hour.
  data::Loader loader(dataset, loader_options(config));
  for (const auto* part : {&train, &val, &test}) loader.preload(*part);
  if (config.cold_start != "random") find_cold_start(config.cold_start);
  check(config.pseudo_labels == 0 || (config.task == "cls" && config.pseudo_labels > 0 && config.pseudo_decay >= 0),
        "run: --pseudo-labels {} needs --task cls, a positive entropy and a decay of at least 0", config.pseudo_labels);
  check(config.ensemble == 0 || config.ensemble >= 2, "run: --ensemble needs at least 2 networks, got {}", config.ensemble);
  const RunFolder folder(out, config.json());
  Lab lab{config, dataset, loader, folder, hooks, train, val, test, {}, 0, 0, {}, {}};
  for (size_t i = 0; i < dataset.cases.size(); ++i) lab.index_of[dataset.cases[i].id] = static_cast<int64_t>(i);
  lab.schedule = geometric_rounds(config.start, config.growth, std::min(config.budget, available));
  const auto rounds = static_cast<int64_t>(lab.schedule.size());
  lab.units = config.seeds * (2 + rounds * static_cast<int64_t>(strategies.size()));
  loader.set_normalization(loader.measure(lab.train));
  keep_manifest(dataset, folder);
  try {
    for (int64_t k = 0; k < config.seeds; ++k) {
      const uint64_t seed = config.seed + static_cast<uint64_t>(k);
      full_data_unit(lab, seed);
      const std::vector<std::string> initial = initial_labels(lab, seed);
      const Point first = first_round_unit(lab, seed, initial);
      for (const Strategy* s : strategies) strategy_curve(lab, *s, seed, first, initial);
    }
  } catch (const Stopped&) {
    return false;
  }
  discard(folder.checkpoint());  // when the last run was killed before it could
  write_results(folder, config, dataset, lab.unit_names);
  return true;
}

}  // namespace querent::al
