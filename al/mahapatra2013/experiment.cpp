#include "al/mahapatra2013/experiment.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "al/classic/random_forest.h"
#include "al/mahapatra2013/lab.h"
#include "al/mahapatra2013/query.h"
#include "al/mahapatra2013/results.h"
#include "al/mahapatra2013/segment.h"
#include "al/selection.h"
#include "data/loader.h"
#include "data/parallel.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// All superpixels in a random order; the first labels are the first `start / 2` of each class in it.
std::vector<int64_t> random_order(const SeedSetting& s, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(s.pool.nodes()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  Rng(seed).fork("labels").shuffle(order);
  return order;
}
std::vector<int64_t> first_labels(const SeedSetting& s, uint64_t seed, int64_t count) {
  std::vector<int64_t> taken;
  int64_t left[2] = {count - count / 2, count / 2};
  for (const int64_t i : random_order(s, seed))
    if (left[s.pool.truth[static_cast<size_t>(i)]]-- > 0) taken.push_back(i);
  return taken;
}

RandomForest train(const SuperpixelLab& lab, const std::vector<int64_t>& labelled, bool propagation, uint64_t seed) {
  const SeedSetting& s = *lab.setting;
  const MahapatraConfig& c = lab.config;
  FeatureMatrix rows = s.pool.features.take(labelled);
  std::vector<uint8_t> y;
  for (const int64_t i : labelled) y.push_back(s.pool.truth[static_cast<size_t>(i)]);
  std::vector<double> weight(y.size(), 1);
  if (propagation) {
    std::vector<int8_t> known(static_cast<size_t>(s.pool.nodes()), -1);
    for (const int64_t i : labelled)
      known[static_cast<size_t>(i)] = static_cast<int8_t>(s.pool.truth[static_cast<size_t>(i)]);
    const std::vector<double> p = propagate_labels(s.graph, known, {.alpha = c.alpha});
    for (size_t i = 0; i < p.size(); ++i) {
      if (known[i] >= 0 || std::max(p[i], 1 - p[i]) < c.confidence) continue;
      rows.append(s.pool.features.row(static_cast<int64_t>(i)));
      y.push_back(p[i] >= 0.5);
      weight.push_back(c.pseudo_weight);
    }
  }
  return grow_forest(rows, y, weight,
                     {.trees = c.trees, .seed = mix_key(seed, hash_name(text("{} labels", labelled.size())))});
}

struct Quality {
  SegmentationMetrics forest, cut;
};
Quality quality(const SuperpixelLab& lab, const RandomForest& forest, const std::vector<Film>& films,
                const std::string& title) {
  const auto total = static_cast<int64_t>(films.size());
  std::vector<SegmentationMetrics> plain(films.size()), cut(films.size());
  for (int64_t from = 0; from < total; from += films_at_once) {
    if (lab.hooks.stop()) throw StoppedUnit{};
    const int64_t to = std::min(from + films_at_once, total);
    data::parallel_for(to - from, [&](int64_t k) {
      const auto i = static_cast<size_t>(from + k);
      const Film& f = films[i];
      const std::vector<double> p = probabilities(forest, f.features);
      const FeatureMatrix z = lab.setting->standardizer(f.features);
      plain[i] = measure(f, likelier_labels(p));
      cut[i] = measure(f, cut_labels(p, f.borders, similarity(f.borders, z, forest.importance), lab.config.smoothness));
    });
    lab.report({Progress::scoring, title, 0, 0, to, total, 0, nullptr});
  }
  return {mean_metrics(plain), mean_metrics(cut)};
}
// Of the labels an annotator would give every superpixel.
SegmentationMetrics best_possible(const std::vector<Film>& films) {
  std::vector<SegmentationMetrics> best;
  for (const Film& f : films) best.push_back(measure(f, f.truth));
  return mean_metrics(best);
}

json named(const SegmentationMetrics& m) {
  json j;
  for (const auto& [name, value] : m.named()) j[name] = value;
  return j;
}

std::vector<int64_t> ask(const SuperpixelLab& lab, const std::string& arm, const RandomForest& forest,
                         const std::vector<int64_t>& labelled, int64_t count, uint64_t seed) {
  const SeedSetting& s = *lab.setting;
  std::vector<uint8_t> known(static_cast<size_t>(s.pool.nodes()), 0);
  for (const int64_t i : labelled) known[static_cast<size_t>(i)] = 1;
  if (arm == "random" || arm == "propagation") {
    std::vector<int64_t> asked;
    for (const int64_t i : random_order(s, seed))
      if (!known[static_cast<size_t>(i)] && static_cast<int64_t>(asked.size()) < count) asked.push_back(i);
    return asked;
  }
  const std::vector<double> p = probabilities(forest, s.pool.features);
  const std::vector<double> alike = similarity(s.pool.borders, s.standardised, forest.importance);
  const QueryWeights weights =
      arm == "context" ? QueryWeights{lab.config.context, lab.config.beta} : QueryWeights{0, 0};
  const std::vector<double> score =
      informativeness(p, context_disagreement(p, s.pool.borders, alike), s.density, weights);
  return choose_superpixels(score, known, s.pool.borders, count, mix_key(seed, hash_name("ties")));
}

json measured(const SuperpixelLab& lab, const RandomForest& forest, int64_t labels, const std::string& title) {
  const Quality test = quality(lab, forest, lab.test, title), val = quality(lab, forest, lab.val, title);
  return {{"labels", labels},
          {"forest", named(test.forest)},
          {"cut", named(test.cut)},
          {"val_forest", val.forest.dice},
          {"val_cut", val.cut.dice}};
}

// Does `work` unless the unit is there; tells of both.
json unit(SuperpixelLab& lab, const std::string& name, const std::string& title, const std::function<json()>& work) {
  const auto start = Clock::now();
  json u;
  if (lab.folder.has_unit(name)) {
    u = lab.folder.read_unit(name);
  } else {
    if (lab.hooks.stop()) throw StoppedUnit{};
    lab.report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr});
    u = work();
    lab.folder.write_unit(name, u);
  }
  Point p{.labelled = u.at("labels"),
          .metrics = {{"dice", u.at("forest").at("dice")}},
          .val_metrics = {{"dice", u.at("val_forest")}},
          .seconds = std::chrono::duration<double>(Clock::now() - start).count()};
  lab.report({Progress::unit_end, title, 0, 0, 0, 0, 0, &p});
  ++lab.unit;
  return u;
}

void curve(SuperpixelLab& lab, const std::string& arm, uint64_t seed) {
  const std::vector<int64_t> rounds = lab.config.rounds();
  std::vector<int64_t> labelled;  // empty until it is known from a unit or drawn
  for (size_t r = 0; r < rounds.size(); ++r) {
    const std::string title = text("{}, seed {}, {} superpixels", arm, seed, rounds[r]);
    const bool last = r + 1 == rounds.size();
    const json u = unit(lab, mahapatra_unit(arm, seed, static_cast<int64_t>(r)), title, [&] {
      prepare(lab, seed);
      if (r == 0) labelled = first_labels(*lab.setting, seed, rounds[0]);
      const RandomForest forest = train(lab, labelled, arm != "random", seed);
      json made = measured(lab, forest, static_cast<int64_t>(labelled.size()), title);
      made["labelled"] = labelled;
      made["asked"] =
          last ? std::vector<int64_t>{}
               : ask(lab, arm, forest, labelled, rounds[r + 1] - static_cast<int64_t>(labelled.size()), seed);
      if (last && arm == "context" && seed == lab.config.seed) write_pictures(lab, forest, labelled);
      return made;
    });
    labelled = u.at("labelled").get<std::vector<int64_t>>();
    for (const json& i : u.at("asked")) labelled.push_back(i);
  }
}

void ceiling(SuperpixelLab& lab, uint64_t seed) {
  const std::string title = text("all superpixels, seed {}", seed);
  unit(lab, mahapatra_unit("full", seed, 0), title, [&] {
    prepare(lab, seed);
    std::vector<int64_t> all(static_cast<size_t>(lab.setting->pool.nodes()));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    json made = measured(lab, train(lab, all, false, seed), lab.setting->pool.nodes(), title);
    made["superpixels"] = named(best_possible(lab.test));
    made["val_superpixels"] = best_possible(lab.val).dice;
    return made;
  });
}

void check_config(const MahapatraConfig& c, const data::Dataset& dataset) {
  check(c.start >= 2, "mahapatra2013: --start must be at least 2, a superpixel of each class, got {}", c.start);
  check(c.alpha > 0 && c.alpha < 1, "mahapatra2013: --alpha must lie between 0 and 1, got {}", c.alpha);
  check(c.confidence >= 0.5 && c.confidence <= 1, "mahapatra2013: --confidence must lie between 0.5 and 1, got {}",
        c.confidence);
  check(c.pseudo_weight > 0 && c.context >= 0 && c.beta >= 0 && c.smoothness >= 0 && c.trees > 0 && c.neighbours > 0,
        "mahapatra2013: weights may not be negative, trees and neighbours at least 1");
  const auto count = [&](const char* split) { return static_cast<int64_t>(data::cases_of(dataset, split).size()); };
  check(c.films >= 1 && c.films <= count("train"),
        "mahapatra2013: a pool of {} films from {} training films; use --films {}", c.films, count("train"),
        count("train"));
  check(count("test") > 0 && count("val") > 0, "mahapatra2013: {} validation and {} test films; both are needed",
        count("val"), count("test"));
  check(c.budget <= c.films * c.superpixels / 2, "mahapatra2013: {} labels of about {} superpixels; use --budget {}",
        c.budget, c.films * c.superpixels, c.films * c.superpixels / 2);
}

}  // namespace

std::vector<int64_t> MahapatraConfig::rounds() const { return geometric_rounds(start, growth, budget); }

std::string MahapatraConfig::json() const {
  nlohmann::json j = {{"experiment", "mahapatra2013"},
                      {"seed", seed},
                      {"size", size},
                      {"films", films},
                      {"superpixels", superpixels},
                      {"start", start},
                      {"budget", budget},
                      {"growth", growth},
                      {"trees", trees},
                      {"neighbours", neighbours},
                      {"alpha", alpha},
                      {"confidence", confidence},
                      {"pseudo_weight", pseudo_weight},
                      {"context", context},
                      {"beta", beta},
                      {"smoothness", smoothness},
                      {"val_fraction", val_fraction},
                      {"test_fraction", test_fraction},
                      {"data", data}};
  if (allow_empty_masks) j["allow_empty_masks"] = true;
  return dump_json(j, 2);
}

bool run_mahapatra2013(const MahapatraConfig& config, const data::Dataset& dataset, const std::string& out,
                       const Hooks& hooks) {
  check_config(config, dataset);
  const data::Loader loader(dataset,
                            {.size = config.size, .masks = true, .allow_empty_masks = config.allow_empty_masks});
  const RunFolder folder(out, config.json());
  keep_manifest(dataset, folder);
  SuperpixelLab lab{.config = config, .dataset = dataset, .loader = loader, .folder = folder, .hooks = hooks};
  lab.units = config.seeds * (1 + static_cast<int64_t>(config.rounds().size() * mahapatra_arms.size()));
  try {
    for (int64_t k = 0; k < config.seeds; ++k) {
      const uint64_t seed = config.seed + static_cast<uint64_t>(k);
      lab.setting.reset();
      ceiling(lab, seed);
      for (const std::string& arm : mahapatra_arms) curve(lab, arm, seed);
      write_mahapatra_results(folder, config, dataset);
    }
  } catch (const StoppedUnit&) {
    return false;
  }
  return true;
}

}  // namespace querent::al
