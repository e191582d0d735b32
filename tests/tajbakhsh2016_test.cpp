// Fine-tuning against training from scratch: who learns from which films, AUCs by hand, and a run on a few phantoms.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "al/tajbakhsh2016/experiment.h"
#include "al/tajbakhsh2016/films.h"
#include "al/tajbakhsh2016/results.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "models/model.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("tajbakhsh2016_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

data::Dataset films(int64_t patients, const std::string& split, const std::string& prefix = "p") {
  data::Dataset d;
  for (int64_t i = 0; i < 2 * patients; ++i) {  // two films of each, one of each class
    data::Case c;
    c.id = text("{}{}", prefix, i), c.patient = text("{}", i / 2), c.split = split, c.label = i % 2 ? "b" : "a";
    d.cases.push_back(c);
  }
  d.classes = {"a", "b"};
  return d;
}
std::set<std::string> patients_of(const data::Dataset& d) {
  std::set<std::string> all;
  for (const data::Case& c : d.cases) all.insert(c.patient);
  return all;
}

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_tajbakhsh2016_{}", getpid());
  data::Dataset target, source;
  Sandbox() {
    fs::remove_all(root);
    PhantomOptions o;
    o.size = 32, o.seed = 3, o.nodule_fraction = 0.5, o.opacity_fraction = 0.3;
    write_phantom_dataset(root / "target", 30, o);
    o.seed = 4;
    write_phantom_dataset(root / "source", 24, o);
    target = data::open_dataset(root / "target/labels.csv");
    source = data::open_dataset(root / "source/labels.csv");
    for (data::Case& c : source.cases) c.patient = "s" + c.id;
    data::split_dataset(target, {.val = 0.2, .test = 0.4, .seed = 1});
    data::split_dataset(source, {.val = 0, .test = 0.4, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
};
TajbakhshConfig tiny() {
  TajbakhshConfig c;
  c.depths = {1, 0}, c.shares = {0.5, 1}, c.seeds = 2, c.size = 32, c.width = 2;
  c.steps = 2, c.source_steps = 3, c.batch = 4;
  return c;
}
json read(const fs::path& path) { return parse_json(read_file(path)); }

}  // namespace

TEST_CASE("a patient belongs to one task; those held out to the target; about the share asked for to the source") {
  const int64_t n = 400;
  data::Dataset target = films(n, "train"), source = films(n, "");
  deal_patients(target, source, 0.25, 1);
  const std::set<std::string> of_target = patients_of(target), of_source = patients_of(source);
  CHECK(of_target.size() + of_source.size() == n);
  for (const std::string& p : of_source) CHECK_FALSE(of_target.contains(p));
  CHECK(target.cases.size() == 2 * of_target.size());
  const double sd = std::sqrt(n * 0.25 * 0.75);  // binomial
  CHECK(std::abs(static_cast<double>(of_source.size()) - 0.25 * n) < 5 * sd);
  data::Dataset again_target = films(n, "train"), again_source = films(n, "");
  deal_patients(again_target, again_source, 0.25, 1);
  CHECK(again_source.cases == source.cases);

  for (const char* held_out : {"val", "test"}) {
    data::Dataset held = films(n, held_out), other = films(n + 3, "");
    deal_patients(held, other, 0.9, 1);
    CHECK(held.cases.size() == 2 * n);
    CHECK(patients_of(other) == std::set<std::string>{"400", "401", "402"});
  }
}

TEST_CASE("a share of each class; small shares are part of larger ones; at least one film") {
  data::Dataset d = films(10, "train");
  d.cases.pop_back();  // 10 of a, 9 of b
  const std::vector<int64_t> all = data::cases_of(d, "train");
  const auto taken = [&](double share, uint64_t seed) {
    const std::vector<int64_t> v = share_of_films(d, all, share, seed);
    return std::set(v.begin(), v.end());
  };
  std::set<int64_t> before;
  for (const auto& [share, a, b] : {std::tuple{0.01, 1, 1}, {0.25, 3, 2}, {0.5, 5, 5}, {1.0, 10, 9}}) {
    const std::set<int64_t> now = taken(share, 1);
    CHECK(std::ranges::count_if(now, [](int64_t i) { return i % 2 == 0; }) == a);
    CHECK(std::ranges::count_if(now, [](int64_t i) { return i % 2 == 1; }) == b);
    CHECK(std::ranges::includes(now, before));
    before = now;
  }
  CHECK(taken(0.5, 1) != taken(0.5, 2));
}

TEST_CASE("mean AUC and the difference of two arms by hand") {
  TestFilms t{.labels = {0, 0, 1, 1}, .patients = {0, 1, 2, 3}, .classes = 2};
  const std::vector<float> right = {.9f, .1f, .8f, .2f, .3f, .7f, .2f, .8f},  // of class 1: .1 .2 .7 .8
      half = {.9f, .1f, .2f, .8f, .3f, .7f, .1f, .9f};                        // .1 .8 .7 .9: three of four pairs
  const std::vector<size_t> all = {0, 1, 2, 3};
  CHECK(mean_auc({right}, t, all) == 1);
  CHECK(mean_auc({half}, t, all) == 0.75);
  CHECK(mean_auc({right, half}, t, all) == 0.875);
  CHECK(mean_auc({half}, t, std::vector<size_t>{1, 1, 3, 2}) == 0.5);  // .8 .8 against .9 .7
  CHECK(std::isnan(mean_auc({half}, t, std::vector<size_t>{0, 1})));
  // Three classes: the mean of each against the rest. Class 0: 1; class 1: .5 (tied); class 2: 0.
  const TestFilms three{.labels = {0, 1, 2}, .patients = {0, 1, 2}, .classes = 3};
  CHECK(mean_auc({{.8f, .1f, .1f, .3f, .1f, .6f, .3f, .1f, .05f}}, three, std::vector<size_t>{0, 1, 2}) ==
        Approx((1 + .5 + 0) / 3));

  CHECK(compare_auc({right}, {half}, t, 1, 0.95).mean == 0.25);
  const AucDifference same = compare_auc({half}, {half}, t, 1, 0.95);
  CHECK(same.mean == 0);
  CHECK(same.ci.low == 0);
  CHECK(same.ci.high == 0);
  // Two patients with a film of each class: a resample has whole patients, so the difference is that of the films of
  // one patient or of both. Patient 0 has films 0 and 2 (1 - 1), patient 1 films 1 and 3 (1 - 1): always 0.
  t.patients = {0, 1, 0, 1};
  const AucDifference grouped = compare_auc({right}, {half}, t, 1, 0.5);
  CHECK(grouped.mean == 0.25);
  CHECK(grouped.ci.low == 0);
}

TEST_CASE("the verdict: the depth that validation prefers, and who wins beyond doubt") {
  const std::vector<float> right = {.9f, .1f, .8f, .2f, .3f, .7f, .2f, .8f},  // AUC 1 in every resample
      wrong = {.1f, .9f, .2f, .8f, .7f, .3f, .8f, .2f};                       // 0
  const TestFilms test{.labels = {0, 0, 1, 1}, .patients = {0, 1, 2, 3}, .classes = 2};
  TajbakhshConfig c;
  c.depths = {1, 0}, c.shares = {0.25, 0.5, 1};
  TunedArms arms;
  const auto add = [&](double share, int64_t depth, double val_auc, const std::vector<float>& said) {
    arms[{depth, share}] = {4, {mean_auc({said}, test, std::vector<size_t>{0, 1, 2, 3})}, {val_auc}, {said}};
  };
  add(0.25, scratch, 0.9, wrong), add(0.25, 1, 0.6, wrong), add(0.25, 0, 0.7, right);
  add(0.5, scratch, 0.1, right), add(0.5, 1, 0.7, wrong), add(0.5, 0, 0.6, right);
  add(1, scratch, 0.1, right), add(1, 1, 0.6, wrong), add(1, 0, 0.7, right);
  const json v = verdict_json(c, arms, test);
  const auto says = [&](size_t i, int64_t depth, double difference, const char* winner) {
    CHECK(v[i].at("depth") == depth);
    CHECK(v[i].at("difference") == difference);
    CHECK(v[i].at("winner") == winner);
    CHECK(v[i].at("level").get<double>() == Approx(1 - 0.05 / 3));
  };
  says(0, 0, 1, "tuned");
  says(1, 1, -1, "scratch");
  says(2, 0, 0, "neither");
}

TEST_CASE("a run: every arm at every share; what is frozen stays; stopped anywhere and continued to the same bits") {
  const Sandbox s;
  REQUIRE(run_tajbakhsh2016(tiny(), s.target, s.source, s.root / "whole", {}));
  const json r = read(s.root / "whole/tajbakhsh2016.json");
  REQUIRE(r.at("arms").size() == 3);
  CHECK(r.at("arms")[0].at("arm") == "scratch");
  CHECK(r.at("source").at("auc").size() == 2);
  for (const json& arm : r.at("arms")) {
    for (const json& cell : arm.at("cells")) {
      CHECK(cell.at("auc").size() == 2);
      CHECK(cell.at("mean").get<double>() ==
            Approx((cell.at("auc")[0].get<double>() + cell.at("auc")[1].get<double>()) / 2));
      if (arm.at("arm") == "scratch") continue;
      const json& base = r.at("arms")[0].at("cells")[cell.at("share") == 1 ? 1 : 0];
      CHECK(cell.at("difference").get<double>() ==
            Approx(cell.at("mean").get<double>() - base.at("mean").get<double>()));
    }
  }
  REQUIRE(r.at("verdict").size() == 2);
  for (size_t i = 0; i < 2; ++i) {  // the depth that validation prefers
    const auto validation = [&](size_t arm) {
      const json& v = r.at("arms")[arm].at("cells")[i].at("val_auc");
      return v[0].get<double>() + v[1].get<double>();
    };
    CHECK(r.at("verdict")[i].at("depth") == (validation(1) >= validation(2) ? 1 : 0));
    CHECK(r.at("verdict")[i].at("level").get<double>() == Approx(0.975));
  }
  const auto said = [&](const std::string& unit) { return read(s.root / "whole/units" / (unit + ".json")).at("p"); };
  CHECK(said("depth1_p100_s1") != said("depth0_p100_s1"));
  CHECK(said("scratch_p100_s1") != said("depth0_p100_s1"));

  for (const int64_t after : {0, 1, 4}) {
    const std::string parts = (s.root / text("parts{}", after)).string();
    Hooks hooks;
    int64_t ended = 0, calls = 0;
    hooks.progress = [&](const Progress& p) { ended += p.what == Progress::unit_end; };
    hooks.stop = [&] { return ended >= after && ++calls > 1; };
    CHECK_FALSE(run_tajbakhsh2016(tiny(), s.target, s.source, parts, hooks));
    REQUIRE(run_tajbakhsh2016(tiny(), s.target, s.source, parts, {}));
    CHECK(read_file(parts + "/tajbakhsh2016.json") == read_file(s.root / "whole/tajbakhsh2016.json"));
  }
}

TEST_CASE("a weight file instead of a source task: the output layer is new, also with as many classes") {
  const Sandbox s;
  TajbakhshConfig c = tiny();
  c.depths = {1}, c.shares = {1}, c.seeds = 1;
  REQUIRE(run_tajbakhsh2016(c, s.target, s.source, s.root / "source-run", {}));
  const fs::path weights = s.root / "source-run/weights/source_s1.safetensors";
  c.weights = weights.string();
  REQUIRE(run_tajbakhsh2016(c, s.target, {}, s.root / "weights-run", {}));
  const auto p = [&](const char* run) { return read(s.root / run / "units/depth1_p100_s1.json").at("p"); };
  CHECK(p("weights-run") == p("source-run"));
  CHECK(read(s.root / "weights-run/tajbakhsh2016.json").at("source").is_null());
  // The same file with another output layer makes no difference.
  {
    Params params(Device::cpu(), 9);
    const Model model = make_model({.name = "resnet18", .classes = 2, .width = 2}, params);
    params.all();
    load_weights(model, params, weights);
    for (const char* name : {"fc.weight", "fc.bias"}) {
      const Tensor t = params.find(name);
      t.copy_from(Tensor::full(t.shape(), 5));
    }
    params.save(s.root / "other.safetensors");
  }
  c.weights = (s.root / "other.safetensors").string();
  REQUIRE(run_tajbakhsh2016(c, s.target, {}, s.root / "other-run", {}));
  CHECK(p("other-run") == p("source-run"));
}

TEST_CASE("what cannot be compared is an error that says why") {
  const Sandbox s;
  const auto run = [&](const TajbakhshConfig& c, const data::Dataset& target) {
    run_tajbakhsh2016(c, target, s.source, s.root / "bad", {});
  };
  TajbakhshConfig c = tiny();
  c.depths = {22};
  CHECK_THROWS_WITH_AS(run(c, s.target), doctest::Contains("resnet18 has 21 layers"), Error);
  c = tiny(), c.shares = {1.5};
  CHECK_THROWS_WITH_AS(run(c, s.target), doctest::Contains("at most 1, got 1.5"), Error);
  c = tiny(), c.shares = {1, 1};
  CHECK_THROWS_WITH_AS(run(c, s.target), doctest::Contains("given twice"), Error);
  data::Dataset no_val = s.target;
  for (data::Case& one : no_val.cases) one.split = one.split == "val" ? "train" : one.split;
  CHECK_THROWS_WITH_AS(run(tiny(), no_val), doctest::Contains("the val split of the target task has no film of class"),
                       Error);
}
