// The loop on a few phantoms, for the strategies that see the whole pool, ensembles and cold starts.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "al/acquisition.h"
#include "al/cold_start.h"
#include "al/experiment.h"
#include "al/learner.h"
#include "al/pseudo_labels.h"
#include "al/scoring.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/run.h"

TEST_SUITE_BEGIN("al_experiment_test");
using namespace querent;
using namespace querent::al;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct Sandbox {
  fs::path root = fs::temp_directory_path() / ("querent_al_experiment_" + std::to_string(getpid()));
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    write_phantom_dataset(root / "ph", 36, 32, 3);
    dataset = data::open_dataset((root / "ph/labels.csv").string(), {});
    data::split_dataset(dataset, {.val = 0.1, .test = 0.2, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
};

ExperimentConfig tiny(const std::string& task, std::vector<std::string> strategies) {
  ExperimentConfig c;
  c.task = task;
  c.model = task == "seg" ? "unet" : "resnet18";
  c.size = 32, c.width = 4, c.depth = 2;
  c.strategies = std::move(strategies);
  c.seeds = 1, c.start = 6, c.budget = 12, c.steps = 3, c.full_steps = 3, c.batch = 4, c.mc = 3;
  return c;
}
json first_round(const fs::path& folder, const std::string& strategy) {
  std::ifstream in(folder / "units" / (strategy + "_s1_r0.json"));
  return json::parse(in).at("asked");
}
std::vector<int64_t> training(const data::Dataset& d) { return data::cases_of(d, "train"); }

}  // namespace

TEST_CASE("every batch selector runs in the loop, the same for any number of threads") {
  const Sandbox s;
  for (const std::string task : {"cls", "seg"}) {
    std::vector<std::string> names{"power_bald", "vote_entropy"};
    for (const Strategy* strategy : strategies())
      if (strategy->select && (task == "cls" || !strategy->needs.classification_only))
        names.emplace_back(strategy->name);
    const int before = querent::threads();
    const fs::path many = s.root / (task + "_many"), one = s.root / (task + "_one");
    REQUIRE(run_experiment(tiny(task, names), s.dataset, many.string(), {}));
    set_threads(1);
    REQUIRE(run_experiment(tiny(task, names), s.dataset, one.string(), {}));
    set_threads(before);
    for (const std::string& name : names) {
      INFO(task, " ", name);
      json asked = first_round(many, name), again = first_round(one, name);
      REQUIRE(asked.size() == 6);
      CHECK(asked[0].at("reason").get<std::string>().starts_with(name + " "));
      CHECK(asked == again);
    }
  }
}

TEST_CASE("a strategy for the other task, a cold start that needs a model and an ensemble of one are refused") {
  const Sandbox s;
  const std::string out = (s.root / "refused").string();
  CHECK_THROWS_WITH_AS(run_experiment(tiny("seg", {"badge"}), s.dataset, out, {}),
                       "run: strategy badge needs --task cls; for seg use power_bald, coreset or information_density",
                       Error);
  ExperimentConfig c = tiny("seg", {"random"});
  c.cold_start = "bald";
  CHECK_THROWS_WITH_AS(run_experiment(c, s.dataset, out, {}),
                       "cold start: bald needs a model that has seen labels; the first labels can be chosen by random, "
                       "coreset, typiclust, probcover",
                       Error);
  data::Dataset one_class = s.dataset;
  for (data::Case& k : one_class.cases)
    if (k.split == "test") k.label = one_class.classes[0];
  CHECK_THROWS_WITH_AS(run_experiment(tiny("cls", {"random"}), one_class, out, {}),
                       doctest::Contains("test images are of one class"), Error);
  c = tiny("seg", {"random"});
  c.ensemble = 1;
  CHECK_THROWS_WITH_AS(run_experiment(c, s.dataset, out, {}), doctest::Contains("at least 2 networks, got 1"), Error);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("cold start: different images first, none twice, whatever the order of the pool") {
  const Sandbox s;
  data::Loader loader(s.dataset, {.size = 32});
  std::vector<int64_t> cases = training(s.dataset);
  for (const char* name : {"coreset", "typiclust", "probcover"}) {
    CAPTURE(name);
    const auto ids = cold_start(find_cold_start(name), loader, cases, 6, 1);
    CHECK(std::set(ids.begin(), ids.end()).size() == 6);
    std::vector<int64_t> reversed(cases.rbegin(), cases.rend());
    CHECK(cold_start(find_cold_start(name), loader, reversed, 6, 1) == ids);
  }
}

TEST_CASE("a run with a cold start and an ensemble; a plain configuration is written as before") {
  const Sandbox s;
  ExperimentConfig c = tiny("cls", {"vote_entropy", "coreset"});
  CHECK(c.json().find("ensemble") == std::string::npos);
  CHECK(c.json().find("cold_start") == std::string::npos);
  ExperimentConfig saving = c;
  saving.recompute = 2;  // changes memory and time, and no result
  CHECK(saving.json() == c.json());
  c.cold_start = "typiclust";
  c.ensemble = 3;
  CHECK(c.json().find("\"ensemble\": 3") != std::string::npos);
  const std::string out = (s.root / "ensemble").string();
  REQUIRE(run_experiment(c, s.dataset, out, {}));
  CHECK(first_round(out, "vote_entropy").size() == 6);
  c.ensemble = 0;
  CHECK_THROWS_WITH_AS(run_experiment(c, s.dataset, out, {}), doctest::Contains("ensemble (3, now null)"), Error);
}

TEST_CASE("suggestive annotation brings its own committee, smaller when --ensemble says so") {
  const Sandbox s;
  std::vector<double> losses;  // of the steps between the two rounds' own trainings
  const auto trained = [&](ExperimentConfig c, const std::string& out) {
    losses.clear();
    Hooks hooks;
    hooks.progress = [&](const Progress& p) {
      if (p.what == Progress::step && p.unit.starts_with(c.strategies[0] + ", seed 1, 6 labels")) losses.push_back(p.loss);
    };
    REQUIRE(run_experiment(c, s.dataset, (s.root / out).string(), hooks));
    return losses.size();
  };
  ExperimentConfig c = tiny("seg", {"suggestive_annotation"});
  CHECK(trained(c, "four") == static_cast<size_t>(3 * c.steps));
  c.ensemble = 2;
  CHECK(trained(c, "two") == static_cast<size_t>(c.steps));
  const std::vector<double> resampled = losses;
  c.strategies = {"mean_std"};
  CHECK(trained(c, "plain") == static_cast<size_t>(c.steps));
  CHECK(losses != resampled);  // the same weights and order, but each label once
}

TEST_CASE("a training that was stopped is not continued for another strategy's labels") {
  const Sandbox s;
  const fs::path whole = s.root / "whole", parts = s.root / "parts";
  REQUIRE(run_experiment(tiny("seg", {"bald", "random"}), s.dataset, whole.string(), {}));
  for (const std::string strategy : {"random", "bald"}) {  // each stops in its second round
    bool stop = false;
    Hooks hooks;
    hooks.progress = [&](const Progress& p) {
      stop = stop || (p.what == Progress::step && p.unit.starts_with(strategy) && p.done == 2);
    };
    hooks.stop = [&] { return stop; };
    CHECK_FALSE(run_experiment(tiny("seg", {strategy}), s.dataset, parts.string(), hooks));
    REQUIRE(fs::exists(parts / "checkpoint.safetensors"));
  }
  REQUIRE(run_experiment(tiny("seg", {"random", "bald"}), s.dataset, parts.string(), {}));
  for (const char* weights : {"weights/bald_s1_r1.safetensors", "weights/random_s1_r1.safetensors"})
    CHECK_MESSAGE(read_file((whole / weights).string()) == read_file((parts / weights).string()), weights);
}

TEST_CASE("CEAL: who is sure, and how sure one must be") {
  const std::vector<std::string> ids = {"a", "b", "c"};
  const std::vector<std::vector<float>> p = {{0.5f, 0.5f}, {0.01f, 0.99f}, {1, 0}};  // entropies ln 2, 0.0560, 0
  const auto named = [&](double delta) {
    std::string list;
    for (const PseudoLabel& l : confident(ids, p, delta)) list += l.id + std::to_string(l.label);
    return list;
  };
  CHECK(named(1) == "a0b1c0");
  CHECK(named(0.0561) == "b1c0");
  CHECK(named(0.0559) == "c0");
  CHECK(named(0).empty());
  CHECK(pseudo_label_threshold(0.05, 0.02, 0) == 0.05);
  CHECK(pseudo_label_threshold(0.05, 0.02, 2) == doctest::Approx(0.01));
  CHECK(pseudo_label_threshold(0.05, 0.02, 3) == 0);
}

TEST_CASE("CEAL in the loop: pseudo-labels change one training and leave pool, labels and data as they were") {
  const Sandbox s;
  ExperimentConfig c = tiny("cls", {"entropy"});
  c.growth = 1.3, c.budget = 10;  // 6, 7, 9, 10 labels
  REQUIRE(run_experiment(c, s.dataset, (s.root / "plain").string(), {}));
  c.pseudo_labels = 100, c.pseudo_decay = 60;  // everything in rounds 0 and 1, nothing from round 2 on
  REQUIRE(run_experiment(c, s.dataset, (s.root / "ceal").string(), {}));
  const auto unit = [&](const char* folder, int round) {
    std::ifstream in(s.root / folder / ("units/entropy_s1_r" + std::to_string(round) + ".json"));
    return json::parse(in);
  };
  CHECK_FALSE(unit("plain", 0).contains("pseudo_labels"));
  CHECK(unit("ceal", 0).at("asked") == unit("plain", 0).at("asked"));
  const size_t training_images = training(s.dataset).size();
  for (const int round : {0, 1}) {
    const json u = unit("ceal", round);
    const size_t labelled = u.at("point").at("labelled").get<size_t>() + u.at("asked").size();
    REQUIRE(u.at("pseudo_labels").size() == training_images - labelled);
    for (const json& l : u.at("pseudo_labels"))
      for (const json& a : u.at("asked")) CHECK(l.at("id") != a.at("id"));
  }
  CHECK_FALSE(unit("ceal", 2).contains("pseudo_labels"));
  CHECK(find_strategy("ceal").needs.pseudo_labels == 0.005);
  CHECK(unit("ceal", 1).at("point").at("labelled") == unit("plain", 1).at("point").at("labelled"));
  CHECK(unit("ceal", 1).at("point").at("metrics") != unit("plain", 1).at("point").at("metrics"));
  c.task = "seg", c.model = "unet", c.strategies = {"random"};
  CHECK_THROWS_WITH_AS(run_experiment(c, s.dataset, (s.root / "seg").string(), {}),
                       doctest::Contains("--pseudo-labels 100 needs --task cls"), Error);
}

TEST_CASE("the passes of an ensemble are one prediction of each network") {
  const Sandbox s;
  data::Loader loader(s.dataset, {.size = 32});
  const std::vector<int64_t> all = training(s.dataset), cases(all.begin(), all.begin() + 9);
  ModelOptions m{
      .name = "resnet18", .classes = static_cast<int64_t>(s.dataset.classes.size()), .width = 4, .dropout = 0.5};
  const Learner a(m, 1);
  std::vector<Learner> others;
  others.emplace_back(m, 2);
  Strategy keep = find_strategy("batchbald");
  ScoringOptions o;
  o.ensemble = others;
  const PoolView view = survey(a, loader, keep, cases, {}, o);
  REQUIRE(view.passes == 2);
  const auto first = a.predict(loader, cases), second = others[0].predict(loader, cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    std::vector<float> both = first[i];
    both.insert(both.end(), second[i].begin(), second[i].end());
    CHECK(view.cases[i].p == both);
  }
  // Without one: BADGE's single pass is the deterministic prediction, its features have the width of the last layer.
  const PoolView plain = survey(a, loader, find_strategy("badge"), cases, {}, {});
  CHECK(plain.passes == 1);
  for (size_t i = 0; i < cases.size(); ++i) CHECK(plain.cases[i].p == first[i]);
  CHECK(plain.cases[0].feature.size() == 32);
  CHECK(survey(a, loader, find_strategy("coreset"), cases, cases, {}).labelled.size() == 9);
}
TEST_SUITE_END();
