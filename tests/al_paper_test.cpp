// The paper's experiment: which films are chosen, what they cost, and that an interrupted run ends in the same bits.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "al/learner.h"
#include "al/paper/arms.h"
#include "al/synthesis/scoring.h"
#include "al/synthesis/selection.h"
#include "data/decode.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "models/bayes.h"
#include "tensor/error.h"
#include "tensor/rng.h"
#include "tensor/run.h"

TEST_SUITE_BEGIN("al_paper_test");
using namespace querent;
using namespace querent::al;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// 36 phantoms of 32 pixels, drawn once for all tests; what a test writes is removed with it.
struct Phantoms {
  fs::path root = fs::temp_directory_path() / text("querent_al_paper_{}", ::getpid());
  data::Dataset dataset;
  Phantoms() {
    fs::remove_all(root);
    PhantomOptions o;
    o.size = 32;
    o.seed = 3;
    write_phantom_dataset(root / "ph", 36, o);
    dataset = data::open_dataset((root / "ph/labels.csv").string(), {});
    data::split_dataset(dataset, {.val = 0.15, .test = 0.2, .seed = 1});
  }
  ~Phantoms() { fs::remove_all(root); }
};
struct Sandbox {
  static const Phantoms& phantoms() {
    static const Phantoms all;
    return all;
  }
  const data::Dataset& dataset = phantoms().dataset;
  fs::path root = phantoms().root / "out";
  Sandbox() { fs::create_directories(root); }
  ~Sandbox() { fs::remove_all(root); }
  std::string out(const std::string& name) const { return (root / name).string(); }
  const data::Case& find(const std::string& id) const {
    return *std::find_if(dataset.cases.begin(), dataset.cases.end(), [&](const data::Case& c) { return c.id == id; });
  }
};

PaperConfig tiny(const std::string& task) {
  PaperConfig c;
  c.run.task = task;
  c.run.model = task == "seg" ? "unet" : "resnet18";
  c.run.size = 32, c.run.width = 4, c.run.depth = 2;
  c.run.seeds = 1, c.run.steps = 3, c.run.batch = 4, c.run.mc = 3, c.run.pool_limit = 4;
  c.run.from_scratch = false;
  c.variants = 2;
  c.per_class = 2;
  c.fractions = {0.25, 0.35};
  return c;
}

json read(const fs::path& path) {
  std::ifstream in(path);
  return json::parse(in);
}
// Everything that must not depend on when and how fast it was computed.
std::map<std::string, std::string> results_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::stringstream s;
    s << in.rdbuf();
    std::string bytes = s.str();
    if (entry.path().extension() == ".json") {
      json j = json::parse(bytes);
      j.erase("seconds"), j.erase("threads");
      if (j.contains("point")) j["point"].erase("seconds"), j["point"].erase("stall_share");
      bytes = j.dump();
    }
    files[fs::relative(entry.path(), folder).string()] = bytes;
  }
  return files;
}
void check_same(const fs::path& a, const fs::path& b) {
  const auto left = results_of(a), right = results_of(b);
  CHECK(left.size() == right.size());
  for (const auto& [name, bytes] : left) {
    INFO(name);
    REQUIRE(right.contains(name));
    CHECK((bytes == right.at(name)));
  }
}

const Pool pool({"a", "b", "c", "d"}, {"v"}, {"t"});
std::vector<ScoredFilm> some_films() {
  return {{"a+0", "a", 0, 0, 0.9, 1}, {"a+1", "a", 1, 0, 0.8, 9}, {"b+0", "b", 0, 0, 0.7, 8},
          {"b+1", "b", 1, 0, 0.1, 7}, {"c+0", "c", 0, 1, 0.6, 6}, {"c+1", "c", 1, 1, 0.5, 5},
          {"d+0", "d", 0, 1, 0.4, 4}};
}
std::vector<std::string> chosen(const std::vector<ScoredFilm>& films, const FilmSelection& o) {
  std::vector<std::string> names;
  for (const size_t i : choose_films(films, pool, o).films) names.push_back(films[i].id);
  return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the most uncertain of each class, one of each base") {
  const auto films = some_films();
  CHECK(chosen(films, {.per_class = 1}) == Names{"a+0", "c+0"});
  CHECK(chosen(films, {.per_class = 2}) == Names{"a+0", "b+0", "c+0", "d+0"});
  CHECK(chosen(films, {.per_class = 2, .per_base = 2}) == Names{"a+0", "a+1", "c+0", "c+1"});
  CHECK(chosen(films, {.per_class = 3, .per_base = 0}) == Names{"a+0", "a+1", "b+0", "c+0", "c+1", "d+0"});
  // Fewer than asked for: all that the limits allow.
  CHECK(chosen(films, {.per_class = 50}) == Names{"a+0", "b+0", "c+0", "d+0"});
  CHECK(chosen({films.begin() + 4, films.end()}, {.per_class = 5}) == Names{"c+0", "d+0"});
  CHECK(chosen({}, {.per_class = 5}).empty());
}

TEST_CASE("a total: the highest first, and classes that run out are made up for") {
  auto films = some_films();
  CHECK(chosen(films, {.per_class = 2, .total = 3}) == Names{"a+0", "b+0", "c+0"});
  CHECK(chosen(films, {.per_class = 1, .total = 3}) == Names{"a+0", "b+0", "c+0"});  // 1 of each, then the best
  CHECK(chosen({films.begin(), films.begin() + 5}, {.per_class = 2, .total = 4, .per_base = 0}) ==
        Names{"a+0", "a+1", "b+0", "c+0"});
}

TEST_CASE("equal scores: neither the order of the films nor where they stand decides") {
  std::vector<ScoredFilm> films;
  for (int i = 0; i < 12; ++i)
    films.push_back({text("f{}", i), std::string("abcd").substr(static_cast<size_t>(i % 4), 1), i, 0, 0.5});
  const Names one = chosen(films, {.per_class = 4, .seed = 1});
  REQUIRE(one.size() == 4);
  std::reverse(films.begin(), films.end());
  CHECK(chosen(films, {.per_class = 4, .seed = 1}) == one);
  CHECK(chosen(films, {.per_class = 4, .seed = 2}) != one);
}

TEST_CASE("the realism gate refuses what looks least real, and says what share that was") {
  const auto films = some_films();  // the most uncertain one, a+0, looks least real
  const FilmChoice plain = choose_films(films, pool, {.per_class = 1});
  CHECK(plain.refused == 0);
  const FilmSelection o{.per_class = 1, .realism_percentile = 10};
  CHECK(chosen(films, o) == Names{"a+1", "c+0"});
  CHECK(choose_films(films, pool, o).refused == 0.5);
  // Percentile 50 of {1,4,5,6,7,8,9} is 6, which stays.
  CHECK(chosen(films, {.per_class = 2, .realism_percentile = 50}) == Names{"a+1", "b+0", "c+0"});
}

TEST_CASE("a film of a held-out or unknown base is an error that names it") {
  for (const char* base : {"v", "t"}) {
    CHECK_THROWS_WITH_AS(chosen({{"x+3", base, 3, 0, 1}}, {}),
                         doctest::Contains(text("'x+3' is made from case '{}', which is held out", base).c_str()),
                         Error);
  }
  CHECK_THROWS_WITH_AS(chosen({{"x+3", "nobody", 3, 0, 1}}, {}), doctest::Contains("nobody"), Error);
  CHECK_THROWS_AS(chosen({{"a+0", "a", 0, 0, std::nan("")}}, {}), Error);
  CHECK_THROWS_AS(chosen({{"a+0", "a", 0, 0, 1}, {"a+0", "a", 0, 0, 1}}, {}), Error);
  CHECK_THROWS_AS(chosen(some_films(), {.per_class = 0}), Error);
  CHECK_THROWS_AS(chosen(some_films(), {.realism_percentile = 100}), Error);
}

TEST_CASE("scores: the parts of the posterior variance of the output that counts, whatever else is in the batch") {
  const Sandbox s;
  const data::Loader loader(s.dataset, {.size = 32, .masks = true});
  const std::vector<int64_t> cases = {0, 1, 2, 3, 4};
  const Tensor x = loader.batch(cases).x;
  const Names ids = {"a", "b", "c", "d", "e"};
  std::vector<int64_t> keys;
  for (const std::string& id : ids) keys.push_back(static_cast<int64_t>(hash_name(id) >> 1));
  for (const auto& [name, classes] : {std::pair{"resnet18", 2}, {"resnet18", 3}, {"unet", 1}}) {
    INFO(name, " with ", classes, " classes");
    const Learner net({.name = name, .classes = classes, .width = 4, .depth = 2, .dropout = 0.4, .log_var = true}, 5);
    const Posterior p = predict_posterior(net.model(), x, keys, {.passes = 4, .seed = 9});
    const auto score = [&](FilmScore kind) { return score_films(net.model(), x, ids, {kind, 4, 9}); };
    const std::vector<double> total = score(FilmScore::total), epistemic = score(FilmScore::epistemic),
                              aleatoric = score(FilmScore::aleatoric);
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      if (classes == 1) {
        CHECK(total[i] == Posterior::per_image(p.total)[i]);
        CHECK(total[i] == doctest::Approx(epistemic[i] + aleatoric[i]).epsilon(1e-5));
      } else {
        const std::vector<float> mean = p.mean.batch(row, 1).host(), variance = p.total.batch(row, 1).host();
        const auto best = std::max_element(mean.begin(), mean.end()) - mean.begin();
        CHECK(total[i] == static_cast<double>(variance[classes == 2 ? 1 : static_cast<size_t>(best)]));
        CHECK(std::abs(total[i] - epistemic[i] - aleatoric[i]) <= 1e-6 * total[i]);  // three roundings to f32
      }
      CHECK(epistemic[i] > 0);
      CHECK(aleatoric[i] > 0);
      const Names alone = {ids[i]};
      CHECK(score_films(net.model(), loader.batch(std::span(&cases[i], 1)).x, alone, {FilmScore::total, 4, 9})[0] ==
            total[i]);
    }
    // Without dropout all passes agree; without a variance head what is left is the variance of the label, p (1 - p).
    const Learner sure({.name = name, .classes = classes, .width = 4, .depth = 2, .dropout = 0}, 5);
    for (const double v : score_films(sure.model(), x, ids, {FilmScore::epistemic, 4, 9})) CHECK(v <= 1e-12);
    if (classes == 2) {
      const double p1 = static_cast<double>(predict(sure.model(), x).host()[1]);
      CHECK(score_films(sure.model(), x, ids, {FilmScore::total, 4, 9})[0] == doctest::Approx(p1 * (1 - p1)));
    }
  }
  const std::vector<double> by_chance = score_films({}, {}, ids, {FilmScore::random, 4, 9});  // no network is asked
  CHECK(std::set(by_chance.begin(), by_chance.end()).size() == 5);
  const Names reversed(ids.rbegin(), ids.rend());
  std::vector<double> again = score_films({}, {}, reversed, {FilmScore::random, 4, 9});
  std::reverse(again.begin(), again.end());
  CHECK(again == by_chance);
}

TEST_CASE("films in memory are what a loader would read") {
  const Sandbox s;
  data::Loader loader(s.dataset, {.size = 32, .masks = true});
  loader.set_normalization({0.4f, 0.2f});
  std::vector<SyntheticFilm> films(2);
  films[0].image = loader.image(3), films[1].image = loader.image(5);
  const std::vector<int64_t> cases = {3, 5};
  CHECK(film_batch(films, loader.options().normalization).host() == loader.batch(cases).x.host());
}

TEST_CASE("a loader takes cases on and lets them go again") {
  const Sandbox s;
  data::Loader loader(s.dataset, {.size = 32});
  const int64_t count = loader.count();
  data::Case copy = s.dataset.cases[2];
  copy.id = "copy";
  CHECK(loader.append(copy) == count);
  CHECK(loader.image(count).pixels == loader.image(2).pixels);
  loader.truncate(count);
  CHECK(loader.count() == count);
  CHECK_THROWS_AS(loader.image(count), Error);
  copy.image = s.dataset.cases[4].image;
  loader.append(copy);
  CHECK(loader.image(count).pixels == loader.image(4).pixels);  // nothing of the first one was kept
  CHECK_THROWS_AS(loader.truncate(count + 2), Error);
}

TEST_CASE("every arm spends its share: distinct real training films, those of the chosen variants among them") {
  const Sandbox s;
  const auto train = static_cast<double>(data::cases_of(s.dataset, "train").size());
  for (const std::string task : {"cls", "seg"}) {
    CAPTURE(task);
    PaperConfig c = tiny(task);
    c.ablations = {"all"};
    const fs::path out = s.out(task);
    REQUIRE(run_paper(c, s.dataset, out.string(), {}));
    const json r = read(out / "paper.json");
    std::set<std::string> arms;
    for (const json& a : r.at("arms")) {
      const std::string arm = a.at("arm");
      CAPTURE(arm);
      const double f = a.at("fraction");
      arms.insert(arm);
      const bool real_only = arm == "full" || arm == "first" || arm == "selection" || arm == "random";
      if (arm != "loop" && arm != "first") CHECK(a.at("labels").get<int64_t>() == std::llround(f * train));
      CHECK((a.at("synthetic") == 0) == (real_only || (arm == "loop" && a.at("round") == 0)));
      CHECK(a.at("metrics").contains(task == "seg" ? "hausdorff_px" : "sensitivity"));
      if (task == "seg" && arm == "full") CHECK(a.at("pixels") == 1);
    }
    CHECK(arms == std::set<std::string>{"full", "first", "method", "selection", "random", "loop", "no_uncertainty",
                                        "no_boundary", "no_intensity", "only_rigid", "epistemic", "aleatoric"});
    REQUIRE(r.at("table").size() == (task == "seg" ? 2 : 3));
    REQUIRE(r.at("table")[0].at("cells").size() == 4);  // 25 %, 35 %, full, random 35 %
    CHECK(r.at("table")[0].at("cells")[3].at("arm") == "random");
    CHECK(r.at("comparisons").size() == 6);
    CHECK(r.at("notes").dump().find("paid for when a variant of it is chosen") != std::string::npos);

    for (const auto& entry : fs::directory_iterator(out / "units")) {
      const json unit = read(entry.path());
      if (!unit.contains("added")) continue;
      INFO(entry.path().filename().string());
      std::set<std::string> bought, bases;
      for (const json& id : unit.at("added").at("bought")) {
        CHECK(bought.insert(id).second);
        CHECK(s.find(id).split == "train");
      }
      for (const json& film : unit.at("added").at("films")) {
        CHECK(bases.insert(film.at("base")).second);  // at most one a base
        CHECK(bought.contains(film.at("base")));
        const Image image = data::decode_image((out / film.at("image").get<std::string>()).string());
        CHECK((image.height == 32 && image.width == 32));
        CHECK(fs::exists(out / film.at("mask").get<std::string>()));
        const json& edit = film.at("edit");
        CHECK(edit.contains("variant"));
        const std::string arm = unit.at("arm");
        if (arm == "no_boundary" || arm == "only_rigid") CHECK(edit.value("boundary", json::array()).empty());
        if (arm == "no_intensity" || arm == "only_rigid") CHECK_FALSE(edit.contains("intensity"));
      }
    }
    // The method's films were chosen from twice as many as there are bases; a random arm looks at no film twice.
    const json method = read(out / "units/method_f35_s1_r1.json");
    CHECK(method.at("added").at("scored") > method.at("added").at("bought").size());
  }
}

TEST_CASE("stopped at any point and continued, with other numbers of threads: the same bits") {
  const Sandbox s;
  PaperConfig c = tiny("seg");
  c.ablations = {"no_boundary"};
  const int before = querent::threads();
  set_threads(1);
  REQUIRE(run_paper(c, s.dataset, s.out("whole"), {}));
  set_threads(2);
  c.run.recompute = 1;  // changes memory and time, and no result
  int64_t asked = 0, stops = 0;
  Hooks hooks;
  hooks.stop = [&] { return ++asked > 4 + 5 * stops; };  // in the middle of trainings and of scoring
  for (; !run_paper(c, s.dataset, s.out("parts"), hooks); asked = 0) REQUIRE(++stops < 40);
  set_threads(before);
  CHECK(stops > 3);
  check_same(s.out("whole"), s.out("parts"));
  // More seeds extend a run; what is there stays.
  c.run.seeds = 2;
  REQUIRE(run_paper(c, s.dataset, s.out("parts"), {}));
  const auto one = results_of(s.out("whole")), two = results_of(s.out("parts"));
  for (const auto& [name, bytes] : one) CHECK((name == "paper.json" || two.at(name) == bytes));
  CHECK(two.contains("units/method_f35_s2_r1.json"));
  c.variants = 3;
  CHECK_THROWS_WITH_AS(run_paper(c, s.dataset, s.out("parts"), {}), doctest::Contains("variants (2, now 3)"), Error);
}

TEST_CASE("the loop buys as many of each class each round, within its budget, and says why it ended") {
  const Sandbox s;
  PaperConfig c = tiny("cls");
  c.fractions = {0.35};
  c.budget = 0.5;
  c.patience = 0;
  REQUIRE(run_paper(c, s.dataset, s.out("loop"), {}));
  const auto classes = static_cast<int64_t>(s.dataset.classes.size());
  const auto budget = std::llround(0.5 * static_cast<double>(data::cases_of(s.dataset, "train").size()));
  int64_t labels = 0;
  json last;
  const json results = read(s.out("loop") + "/paper.json");
  for (const json& a : results.at("arms")) {
    if (a.at("arm") != "loop") continue;
    const int64_t now = a.at("labels");
    CHECK(now > labels);
    CHECK(now - labels <= 2 * classes);
    labels = now;
    last = a;
  }
  CHECK(labels == budget);
  CHECK(last.at("stop").get<std::string>().find(text("budget of {} labels is spent", budget)) != std::string::npos);
  CHECK(fs::exists(s.out("loop") + text("/weights/loop_s1_r{}.safetensors", last.at("round").get<int64_t>())));
  for (int64_t n = 1; n <= last.at("round"); ++n) {  // every round makes variants that were not seen before
    const json round = read(s.out("loop") + text("/units/loop_s1_r{}.json", n)).at("added");
    for (const json& f : round.at("films")) CHECK(f.at("variant").get<int64_t>() / c.variants == n - 1);
  }
  const json first = read(s.out("loop") + "/units/loop_s1_r1.json").at("added");
  std::map<std::string, int64_t> of_class;
  for (const json& f : first.at("films")) ++of_class[s.find(f.at("base")).label];
  for (const auto& [label, n] : of_class) CHECK(n <= 2);

  // By the test split, as the paper: the result says that it leaks.
  c.patience = 1;
  c.tolerance = 10;  // nothing ever counts as a gain
  c.paper_stop = true;
  REQUIRE(run_paper(c, s.dataset, s.out("leak"), {}));
  const json leak = read(s.out("leak") + "/paper.json");
  CHECK(leak.at("arms").back().at("stop").get<std::string>().find("the TEST split (--paper-stop") != std::string::npos);
  CHECK(leak.at("arms").back().at("round") == 1);
  CHECK(leak.at("notes").dump().find("leak") != std::string::npos);
}

TEST_CASE("strict masks: a film is varied only when it is paid for") {
  const Sandbox s;
  PaperConfig c = tiny("cls");
  c.fractions = {0.35};
  c.strict_masks = true;
  REQUIRE(run_paper(c, s.dataset, s.out("strict"), {}));
  const json method = read(s.out("strict") + "/units/method_f35_s1_r1.json").at("added"),
             selection = read(s.out("strict") + "/units/selection_f35_s1_r1.json").at("added");
  CHECK(method.at("bought") == selection.at("bought"));  // bought as selection alone buys
  const size_t batch = method.at("bought").size();
  CHECK(method.at("films").size() == batch);
  c.films_per_label = 2;
  REQUIRE(run_paper(c, s.dataset, s.out("double"), {}));
  const json twice = read(s.out("double") + "/units/method_f35_s1_r1.json").at("added");
  CHECK(twice.at("bought") == method.at("bought"));
  CHECK(twice.at("films").size() == 2 * batch);
  CHECK(read(s.out("strict") + "/paper.json").at("notes")[0].get<std::string>().find("Only films already paid for") !=
        std::string::npos);
}

TEST_CASE("no limit per base, from scratch and the last layer only also run") {
  const Sandbox s;
  PaperConfig c = tiny("cls");
  c.fractions = {0.35};
  c.per_base = 0;
  c.run.from_scratch = true;
  c.tune_depth = 1;
  REQUIRE(run_paper(c, s.dataset, s.out("literal"), {}));
  const json added = read(s.out("literal") + "/units/method_f35_s1_r1.json").at("added");
  CHECK(added.at("bought").size() <= added.at("films").size());
}

TEST_CASE("what cannot be run is refused before anything is written") {
  const Sandbox s;
  const auto refused = [&](const PaperConfig& c, const data::Dataset& d, const std::string& why) {
    CHECK_THROWS_WITH_AS(run_paper(c, d, s.out("refused"), {}), doctest::Contains(why.c_str()), Error);
    CHECK_FALSE(fs::exists(s.out("refused")));
  };
  PaperConfig c = tiny("cls");
  c.ablations = {"no_nmi"};
  refused(c, s.dataset,
          "ablation no_nmi (content loss without normalised mutual information) needs films of a network");
  c.ablations = {"no_such"};
  refused(c, s.dataset, "'no_such' is unknown; use all or some of no_gan");
  c = tiny("cls");
  c.films = "dreams";
  refused(c, s.dataset, "no source of films named 'dreams'");
  c = tiny("cls");
  c.per_class = 16;
  refused(c, s.dataset, "use a smaller --per-class");
  c = tiny("cls");
  c.fractions = {0.01};
  refused(c, s.dataset, "too few to begin with");
  c.fractions = {0.35, 0.25};
  refused(c, s.dataset, "--fractions must rise");
  c = tiny("cls");
  c.realism_percentile = 10;
  refused(c, s.dataset, "cannot say how real a film looks");
  c = tiny("cls");
  c.films_per_label = 3;
  refused(c, s.dataset, "--films-per-label 3 must be at least 1, and above 1 it needs --strict-masks");
  data::Dataset bare = s.dataset;
  for (data::Case& k : bare.cases) k.mask.clear();
  refused(tiny("cls"), bare, "none of the");
}
TEST_SUITE_END();
