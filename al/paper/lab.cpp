#include "al/paper/lab.h"

#include <nlohmann/json.hpp>

#include "al/evaluation.h"
#include "al/paper/results.h"
#include "data/split.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::al {

using nlohmann::json;

int64_t Lab::label_of(const std::string& id) const {
  if (config.run.task == "seg") return 0;
  return data::class_index(dataset, dataset.cases[static_cast<size_t>(index_of.at(id))]);
}
bool Lab::can_vary(const std::string& id) const {
  return !dataset.cases[static_cast<size_t>(index_of.at(id))].mask.empty();
}
std::vector<std::string> Lab::ids(const std::vector<int64_t>& cases) const {
  std::vector<std::string> names;
  for (const int64_t i : cases) names.push_back(dataset.cases[static_cast<size_t>(i)].id);
  return names;
}
std::vector<int64_t> Lab::indices(const std::vector<std::string>& names) const {
  std::vector<int64_t> cases;
  for (const std::string& n : names) cases.push_back(index_of.at(n));
  return cases;
}

Learner Lab::new_learner(uint64_t seed) const {
  Learner learner(config.model_options(classes()), mix_key(seed, hash_name("weights")));
  if (!config.weights.empty()) load_weights(learner.model(), learner.params(), config.weights, true);
  return learner;
}

void Lab::train_on(Learner& learner, const std::vector<int64_t>& cases, int64_t steps, uint64_t seed,
                   const std::string& unit, const std::string& title) {
  const ExperimentConfig& r = config.run;
  TrainOptions t{.steps = steps, .batch = r.batch, .lr = r.lr, .weight_decay = r.weight_decay};
  t.key = mix_key(seed, hash_name(unit));
  t.tune_depth = config.tune_depth;
  t.recompute = r.recompute;
  t.checkpoint = folder.checkpoint();
  TrainHooks h;
  h.step = [&](int64_t step, double loss) { report({Progress::step, title, 0, 0, step, steps, loss, nullptr}); };
  h.stop = hooks.stop;
  if (!learner.train(loader, cases, t, h)) throw Stopped{};
}

Point Lab::measure(const Learner& learner, int64_t labels, std::chrono::steady_clock::time_point start) const {
  Point p;
  p.labelled = labels;
  p.fraction = static_cast<double>(labels) / static_cast<double>(train.size());
  p.metrics = evaluate(learner, loader, test);
  p.val_metrics = evaluate(learner, loader, val);
  p.stall_share = learner.training_time().stall_share();
  p.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return p;
}

void Lab::report(Progress p) const {
  p.unit_index = unit_index;
  p.units = units;
  hooks.progress(p);
}
void Lab::finish(const std::string& name, const json& unit, const std::string& title, const Point& p) {
  folder.write_unit(name, unit);
  note(name, title, p);
  write_paper_results(folder, config, dataset, unit_names);
}
void Lab::note(const std::string& name, const std::string& title, const Point& p) {
  unit_names.push_back(name);
  report({Progress::unit_end, title, 0, 0, 0, 0, 0, &p});
  ++unit_index;
}

json to_json(const Addition& a) {
  json films = json::array();
  for (const KeptFilm& f : a.films) {
    films.push_back({{"id", f.id},
                     {"base", f.base},
                     {"variant", f.variant},
                     {"score", f.score},
                     {"image", f.image},
                     {"mask", f.mask},
                     {"edit", parse_json(f.edit)}});
  }
  return {{"bought", a.bought}, {"films", films}, {"scored", a.scored}, {"refused", a.refused}};
}
Addition addition_from_json(const json& j) {
  Addition a;
  a.bought = j.at("bought").get<std::vector<std::string>>();
  for (const json& f : j.at("films")) {
    a.films.push_back({f.at("id"), f.at("base"), f.at("image"), f.at("mask"), dump_json(f.at("edit")), f.at("variant"),
                       f.at("score")});
  }
  a.scored = j.at("scored");
  a.refused = j.at("refused");
  return a;
}

void add(Lab& lab, Holdings& holdings, const Addition& a, int64_t round) {
  holdings.pool.ask(a.bought, round);
  holdings.pool.label(a.bought);
  for (const KeptFilm& f : a.films) {
    const data::Case& base = lab.dataset.cases[static_cast<size_t>(lab.index_of.at(f.base))];
    data::Case c;
    c.id = f.id;
    c.image = lab.folder.file(f.image);
    c.mask = lab.folder.file(f.mask);
    c.label = base.label;
    c.patient = data::patient_key(base);
    c.split = "train";
    c.width = c.height = lab.config.run.size;
    c.extra = {{"synthetic", "1"}, {"base", f.base}};
    holdings.films.push_back(lab.loader.append(std::move(c)));
  }
  data::check_synthetic(lab.loader.dataset());
}

}  // namespace querent::al
