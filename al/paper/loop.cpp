#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "al/evaluation.h"
#include "al/paper/arms.h"
#include "al/paper/lab.h"
#include "al/paper/results.h"
#include "al/selection.h"
#include "al/stopping.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int64_t most_rounds = 20;  // of the loop; it ends earlier unless many films come from one base

// Arms with the same initial labels and the same share to spend.
struct Group {
  std::string name;
  double fraction = 0;  // 0: the loop
  int64_t start = 0, batch = 0, per_class = 0;
  bool is_loop() const { return fraction == 0; }
};

int64_t share_of(double fraction, size_t films) { return std::llround(fraction * static_cast<double>(films)); }

Group loop_group(const PaperConfig& c, int64_t classes, size_t films) {
  const int64_t batch = c.per_class * classes, budget = share_of(c.budget, films);
  check(batch < budget,
        "paper: {} films of each of {} classes to begin with are the whole budget of {} of {} training "
        "films; use a smaller --per-class or a larger --budget-share",
        c.per_class, classes, budget, films);
  return {"loop", 0, batch, batch, c.per_class};
}
Group fraction_group(double fraction, int64_t classes, size_t films) {
  const int64_t all = share_of(fraction, films), start = std::max(classes, all / 2);
  check(all > start,
        "paper: {} % of {} training films are {}, too few to begin with and to choose from; use more films or "
        "larger --fractions",
        100 * fraction, films, all);
  return {text("f{}", 100 * fraction), fraction, start, all - start, (all - start + classes - 1) / classes};
}

// The same order for every group of a seed: a smaller initial set is part of a larger one.
std::vector<std::string> initial_labels(const Lab& lab, const Group& group, uint64_t seed) {
  std::vector<Candidate> all;
  for (const std::string& id : lab.ids(lab.train))
    all.push_back({id, Rng(seed).fork("initial").fork(id).uniform(), lab.label_of(id)});
  std::vector<std::string> names;
  for (const size_t k : top_k_stratified(all, group.start, seed)) names.push_back(all[k].id);
  return names;
}

// Share of the annotated pixels of the training films that these films hold; 0 for classification.
double annotated_pixels(const Lab& lab, const std::vector<std::string>& paid) {
  if (lab.config.run.task != "seg") return 0;
  const auto count = [&](const std::vector<int64_t>& cases) {
    double n = 0;
    for (const int64_t i : cases) {
      for (const float v : lab.bases.mask(i).pixels) n += v > 0;
    }
    return n;
  };
  return count(lab.indices(paid)) / std::max(count(lab.train), 1.0);
}

std::map<std::string, std::string> weight_metadata(const Lab& lab, uint64_t seed, int64_t labels) {
  return {{"task", lab.config.run.task},
          {"classes", dump_json(lab.dataset.classes)},
          {"size", std::to_string(lab.config.run.size)},
          {"seed", std::to_string(seed)},
          {"labelled", std::to_string(labels)},
          {"mean", text("{}", lab.loader.options().normalization.mean)},
          {"std", text("{}", lab.loader.options().normalization.std)}};
}

// Trains a new network on real films: the initial ones of a group, or all of them.
Point training_unit(Lab& lab, const std::string& name, const std::string& title, json unit,
                    const std::vector<std::string>& films, int64_t steps, uint64_t seed) {
  if (lab.folder.has_unit(name)) {
    const Point p = point_from_json(lab.folder.read_unit(name).at("point"));
    lab.note(name, title, p);
    return p;
  }
  lab.begin(title);
  const auto start = Clock::now();
  Learner learner = lab.new_learner(seed);
  lab.train_on(learner, lab.indices(films), steps, seed, name, title);
  const Point p = lab.measure(learner, static_cast<int64_t>(films.size()), start);
  learner.save(lab.folder.weights(name), weight_metadata(lab, seed, p.labelled));
  unit.update(json{
      {"seed", seed}, {"round", 0}, {"point", to_json(p)}, {"synthetic", 0}, {"pixels", annotated_pixels(lab, films)}});
  lab.finish(name, unit, title, p);
  return p;
}

// Why an arm ends after the last of these points; empty: it goes on.
std::string end_of(const Lab& lab, const Group& group, const Holdings& h, int64_t round,
                   std::span<const CurvePoint> watched) {
  const PaperConfig& c = lab.config;
  if (!group.is_loop()) return text("the share is spent: {} labels", h.labels());
  StoppingRule rule{.budget = share_of(c.budget, lab.train.size()), .tolerance = c.tolerance};
  rule.patience = c.patience > 0 ? std::optional(c.patience) : std::nullopt;
  const StoppingVerdict verdict = should_stop(rule, watched);
  std::string why = verdict.why;
  constexpr std::string_view honest = "the validation split";
  if (const size_t at = why.find(honest); c.paper_stop && at != why.npos)
    why.replace(at, honest.size(), "the TEST split (--paper-stop: a leak, the figures are selected ones)");
  if (why.empty() && h.pool.count(CaseState::unlabelled) == 0) return "every training film is paid for";
  return why.empty() && round >= most_rounds ? text("{} rounds are done", most_rounds) : why;
}

// One arm from the initial labels of its group to its end.
void arm_units(Lab& lab, const Group& group, const Arm& arm, uint64_t seed, const Point& first) {
  lab.loader.truncate(static_cast<int64_t>(lab.dataset.cases.size()));
  Holdings h{Pool(lab.ids(lab.train), lab.ids(lab.val), lab.ids(lab.test)), {}};
  add(lab, h, {initial_labels(lab, group, seed), {}, 0, 0}, 0);
  const FilmSource source = film_source(lab.config, arm, seed);
  const std::string metric = primary_metric(lab.config.run.task);
  const auto watch = [&](const Point& p) { return (lab.config.paper_stop ? p.metrics : p.val_metrics).at(metric); };
  std::vector<CurvePoint> watched = {{first.labelled, watch(first)}};
  const std::string stem = group.is_loop() ? text("loop_s{}", seed) : text("{}_{}_s{}", arm.name, group.name, seed);
  for (int64_t number = 1;; ++number) {
    const std::string name = text("{}_r{}", stem, number), before = text("{}_r{}", stem, number - 1);
    const std::string previous = number == 1 ? text("first_{}_s{}", group.name, seed) : before;
    const int64_t left = share_of(lab.config.budget, lab.train.size()) - h.labels();
    const int64_t batch = group.is_loop() ? std::min(group.batch, left) : group.batch;
    const std::string title = group.is_loop() ? text("loop, seed {}, round {}", seed, number)
                                              : text("{}, {} %, seed {}", arm.name, 100 * group.fraction, seed);
    // Weights before the last of a loop have served when this is called; those of other arms serve nobody.
    const auto drop_previous = [&] {
      if (number >= 2) discard(lab.folder.weights(before));
    };
    if (lab.folder.has_unit(name)) {
      const json unit = lab.folder.read_unit(name);
      const Point p = point_from_json(unit.at("point"));
      add(lab, h, addition_from_json(unit.at("added")), number);
      watched.push_back({p.labelled, watch(p)});
      lab.note(name, title, p);
      drop_previous();
      if (unit.at("last")) return;
      continue;
    }
    lab.begin(title);
    const auto start = Clock::now();
    Learner learner = lab.new_learner(seed);
    learner.load(lab.folder.weights(previous));
    // A whole batch is asked for per class; the last one before the budget is made up from all of them.
    const bool whole = group.is_loop() && batch == group.batch;
    const Addition addition = choose_addition(lab, arm, source, learner, h.pool,
                                              {name, title, seed, number, group.per_class, whole ? 0 : batch});
    add(lab, h, addition, number);
    if (lab.config.run.from_scratch) learner = lab.new_learner(seed);
    const std::vector<std::string> paid = h.pool.ids(CaseState::labelled);
    std::vector<int64_t> cases = lab.indices(paid);
    cases.insert(cases.end(), h.films.begin(), h.films.end());
    lab.train_on(learner, cases, lab.config.run.steps, seed, name, title);
    const Point p = lab.measure(learner, h.labels(), start);
    watched.push_back({p.labelled, watch(p)});
    std::string stop = end_of(lab, group, h, number, watched);
    if (addition.bought.empty() && addition.films.empty()) stop = "there is nothing left to choose";
    if (group.is_loop()) learner.save(lab.folder.weights(name), weight_metadata(lab, seed, p.labelled));
    const json unit = {{"arm", group.is_loop() ? "loop" : arm.name},
                       {"fraction", group.is_loop() ? p.fraction : group.fraction},
                       {"seed", seed},
                       {"round", number},
                       {"point", to_json(p)},
                       {"added", to_json(addition)},
                       {"synthetic", h.films.size()},
                       {"pixels", annotated_pixels(lab, paid)},
                       {"stop", stop},
                       {"last", !stop.empty()}};
    lab.finish(name, unit, title, p);
    drop_previous();
    if (!stop.empty()) return;
  }
}

void group_units(Lab& lab, const Group& group, const std::vector<Arm>& arms, uint64_t seed) {
  const std::vector<std::string> initial = initial_labels(lab, group, seed);
  const std::string name = text("first_{}_s{}", group.name, seed);
  const json unit = {{"arm", group.is_loop() ? "loop" : "first"}, {"fraction", group.fraction}};
  const Point first = training_unit(lab, name, text("first {} labels, seed {}", initial.size(), seed), unit, initial,
                                    lab.config.run.steps, seed);
  for (const Arm& arm : arms) arm_units(lab, group, arm, seed, first);
}

}  // namespace

bool run_paper(const PaperConfig& config, const data::Dataset& dataset, const std::string& out, const Hooks& hooks) {
  const std::vector<int64_t> train = data::cases_of(dataset, "train"), val = data::cases_of(dataset, "val"),
                             test = data::cases_of(dataset, "test");
  check(
      !train.empty() && !val.empty() && !test.empty(),
      "paper: the split leaves {} training, {} validation and {} test films; each needs at least one: change --val or "
      "--test",
      train.size(), val.size(), test.size());
  check(config.variants >= 1 && config.per_class >= 1 && config.per_base >= 0,
        "paper: --variants and --per-class must be at least 1, --per-base at least 0; got {}, {} and {}",
        config.variants, config.per_class, config.per_base);
  check(config.films_per_label >= 1 && (config.films_per_label == 1 || config.strict_masks),
        "paper: --films-per-label {} must be at least 1, and above 1 it needs --strict-masks, where films of what is "
        "paid for cost nothing",
        config.films_per_label);
  const std::vector<double>& f = config.fractions;
  check(!f.empty() && f.front() > 0 && f.back() < 1 &&
            std::adjacent_find(f.begin(), f.end(), std::greater_equal()) == f.end() && config.budget > 0 &&
            config.budget <= 1,
        "paper: --fractions must rise between 0 and 1, and --budget-share lie between them");
  for (const auto* part : {&val, &test}) {
    const auto label = [&](int64_t i) { return dataset.cases[static_cast<size_t>(i)].label; };
    check(config.run.task == "seg" ||
              std::any_of(part->begin(), part->end(), [&](int64_t i) { return label(i) != label(part->front()); }),
          "paper: all {} {} films are of one class ({}), so there is no AUC; change --{} or the seed", part->size(),
          part == &val ? "validation" : "test", label(part->front()), part == &val ? "val" : "test");
  }
  const std::vector<std::string> chosen = choose_ablations(config.ablations, config.films);
  std::set<std::string> training_ids;
  for (const int64_t i : train) training_ids.insert(dataset.cases[static_cast<size_t>(i)].id);
  check_gan(config, method_arm().name, training_ids);
  for (const std::string& name : chosen) check_gan(config, ablated_arm(name).name, training_ids);
  check(config.realism_percentile == 0 || config.films == "gan",
        "paper: --films {} cannot say how real a film looks; leave --realism out", config.films);
  film_source(config, method_arm(), config.run.seed);  // opens its files: a missing one ends the run now

  const int64_t classes = config.run.task == "seg" ? 1 : static_cast<int64_t>(dataset.classes.size());
  std::vector<std::pair<Group, std::vector<Arm>>> plan;
  for (const double share : f) plan.emplace_back(fraction_group(share, classes, train.size()), fraction_arms());
  for (const std::string& name : chosen) plan.back().second.push_back(ablated_arm(name));
  plan.emplace_back(loop_group(config, classes, train.size()), std::vector{method_arm()});

  // Every film is read before anything is written: a damaged one ends the run now, not after an hour.
  data::LoaderOptions o = loader_options(config.run), with_masks = o;
  with_masks.masks = with_masks.allow_empty_masks = true;
  data::Loader loader(dataset, o);
  const data::Loader bases(dataset, with_masks);
  for (const auto* part : {&train, &val, &test}) loader.preload(*part);
  std::vector<int64_t> masked;
  std::copy_if(train.begin(), train.end(), std::back_inserter(masked),
               [&](int64_t i) { return !dataset.cases[static_cast<size_t>(i)].mask.empty(); });
  check(!masked.empty(),
        "paper: none of the {} training films has a mask, and films are varied through their masks; add a "
        "mask column, or compare real films only with 'querent run'",
        train.size());
  bases.preload(masked);
  loader.set_normalization(loader.measure(train));
  const RunFolder folder(out, config.json());
  keep_manifest(dataset, folder);

  Lab lab{config, dataset, loader, bases, folder, hooks, train, val, test, {}};
  for (size_t i = 0; i < dataset.cases.size(); ++i) lab.index_of[dataset.cases[i].id] = static_cast<int64_t>(i);
  const Group& loop = plan.back().first;
  const int64_t rounds = (share_of(config.budget, train.size()) - loop.start + loop.batch - 1) / loop.batch;
  lab.units = std::min(rounds, most_rounds);  // full supervision, and the loop's rounds after its first
  for (const auto& [group, arms] : plan) lab.units += 1 + static_cast<int64_t>(arms.size());
  lab.units *= config.run.seeds;
  try {
    for (int64_t k = 0; k < config.run.seeds; ++k) {
      const uint64_t seed = config.run.seed + static_cast<uint64_t>(k);
      training_unit(lab, text("full_s{}", seed), text("all {} labels, seed {}", train.size(), seed),
                    {{"arm", "full"}, {"fraction", 1}}, lab.ids(train), 2 * config.run.steps, seed);
      for (const auto& [group, arms] : plan) group_units(lab, group, arms, seed);
    }
  } catch (const Stopped&) {
    return false;
  }
  discard(folder.checkpoint());  // when the last run was killed before it could
  write_paper_results(folder, config, dataset, lab.unit_names);
  return true;
}

}  // namespace querent::al
