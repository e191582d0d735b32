// The report: what it says about small results.json files whose truth is known, and that it holds whatever they
// contain.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "app/html.h"
#include "app/report.h"
#include "app/report_data.h"
#include "app/report_pictures.h"
#include "app/report_verdict.h"
#include "app/svg.h"
#include "data/encode.h"
#include "tensor/error.h"
#include "tensor/files.h"

TEST_SUITE_BEGIN("report_test");

using namespace querent;
using namespace querent::app;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / text("querent_report_{}", static_cast<const void*>(this));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string page(const json& results) const {
    write_atomically(path / "results.json", results.dump());
    return read_file(write_report(path.string()));
  }
  Verdict said(const json& results) const {
    write_atomically(path / "results.json", results.dump());
    const Results r = read_results(path.string());
    return verdict(r, analyse(r));
  }
};

json curve(const std::string& strategy, int seed, const std::vector<std::pair<int, double>>& values) {
  json points = json::array();
  for (const auto& [labelled, dice] : values) {
    points.push_back(
        {{"labelled", labelled}, {"fraction", labelled / 1000.0}, {"metrics", {{"dice", dice}, {"iou", dice - 0.05}}}});
  }
  return {{"strategy", strategy}, {"seed", seed}, {"points", points}};
}
// Full-data Dice 0.9, so the targets are 0.855, 0.882 and 0.891.
json results(const json& curves, int seeds) {
  json list = json::array(), runs = json::array();
  for (int s = 1; s <= seeds; ++s) {
    list.push_back(s);
    runs.push_back({{"seed", s}, {"metrics", {{"dice", 0.9}}}});
  }
  return {{"task", "seg"},
          {"model", "unet"},
          {"primary_metric", "dice"},
          {"data", {{"train", 1000}, {"images", 1200}}},
          {"seeds", list},
          {"full_data", {{"dice", 0.9}}},
          {"full_data_runs", runs},
          {"curves", curves},
          {"command", "querent run"},
          {"config", {{"task", "seg"}}}};
}
// bald reaches 99 % with 32 labels, random with 64, in every seed.
json clear_win(int seeds) {
  json curves = json::array();
  for (int s = 1; s <= seeds; ++s) {
    const double e = 1e-4 * s;
    curves.push_back(curve("random", s, {{16, 0.70 + e}, {32, 0.80 + e}, {64, 0.893}}));
    curves.push_back(curve("bald", s, {{16, 0.70 + e}, {32, 0.892 + 2 * e}, {64, 0.898}}));
  }
  return results(curves, seeds);
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
int64_t count(const std::string& text, const std::string& part) {
  int64_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}
void check_whole(const std::string& page) {
  CHECK(page.rfind("<!doctype html>", 0) == 0);
  for (const std::string tag : {"section", "table", "tr",   "div",  "figure", "details", "ul",     "li",     "dl",
                                "article", "h1",    "h2",   "h3",   "p",      "main",    "header", "footer", "style",
                                "svg",     "body",  "html", "text", "pre",    "filter",  "u"}) {
    CAPTURE(tag);
    CHECK(count(page, "<" + tag + ">") + count(page, "<" + tag + " ") + count(page, "<" + tag + "\n") ==
          count(page, "</" + tag + ">"));
  }
  // Nothing from elsewhere: every reference is inside the page or carries its data.
  CHECK_FALSE(has(page, "http:"));
  CHECK_FALSE(has(page, "https:"));
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "@import"));
  CHECK_FALSE(has(page, "<link"));
  const std::regex reference("(?:src|href)=\"([^\"]{0,24})|url\\(([^)]{0,24})");
  for (auto m = std::sregex_iterator(page.begin(), page.end(), reference); m != std::sregex_iterator(); ++m) {
    const std::string target = (*m)[1].matched ? (*m)[1].str() : (*m)[2].str();
    CAPTURE(target);
    CHECK((target.rfind("data:image/png;base64,", 0) == 0 || target.rfind("#", 0) == 0));
  }
  CHECK_FALSE(has(page, "nan"));
  CHECK_FALSE(has(page, "{}"));
}

}  // namespace

TEST_CASE("a clear win is stated with its labels, its limit and, with enough seeds, its significance") {
  const Folder folder;
  Verdict v = folder.said(clear_win(3));
  CHECK(v.headline ==
        "bald reached 99\u00a0% of full-data Dice (0.891) with 32 of 1,000 labels (3.2\u00a0%); random needed 64.");
  CHECK(v.tone == Verdict::promising);
  CHECK(has(v.detail, "in all 3 seeds"));
  CHECK(has(v.detail, "cannot give p below 0.25"));
  CHECK(has(v.detail, "6 seeds (--seeds 6)"));
  v = folder.said(clear_win(6));
  CHECK(v.tone == Verdict::good);
  CHECK(has(v.detail, "p = 0.031"));
  v = folder.said(clear_win(1));
  CHECK(v.tone == Verdict::neutral);
  CHECK(v.badge == "One seed only");
}

TEST_CASE("no win, a loss and seeds that disagree are said plainly") {
  const Folder folder;
  const std::vector<std::pair<int, double>> slow = {{16, 0.7}, {32, 0.80}, {64, 0.895}},
                                            fast = {{16, 0.7}, {32, 0.893}, {64, 0.895}};
  Verdict v = folder.said(
      results({curve("bald", 1, slow), curve("bald", 2, slow), curve("random", 1, fast), curve("random", 2, fast)}, 2));
  CHECK(v.tone == Verdict::bad);
  CHECK(v.headline.rfind("random reached 99\u00a0%", 0) == 0);
  CHECK(has(v.headline, "the best, bald, needed 64"));
  v = folder.said(
      results({curve("bald", 1, slow), curve("bald", 2, fast), curve("random", 1, fast), curve("random", 2, slow)}, 2));
  CHECK(v.tone == Verdict::neutral);
  CHECK(has(v.headline, "bald and random both reached"));
  CHECK(has(v.headline, "no labels were saved"));
  CHECK(has(v.detail, "The seeds disagree"));
}

TEST_CASE("a target that nobody reached is not claimed") {
  const Folder folder;
  const Verdict v =
      folder.said(results({curve("random", 1, {{16, 0.7}, {32, 0.8}}), curve("bald", 1, {{16, 0.7}, {32, 0.86}})}, 1));
  CHECK(v.headline ==
        "No strategy reached 99\u00a0% of full-data Dice (0.891) with up to 32 labels; bald came closest at 0.860.");
  CHECK(has(v.lower,
            "bald reached 95\u00a0% of full-data Dice (0.855) with 32 of 1,000 labels (3.2\u00a0%); random did not get "
            "there within 32."));
}

TEST_CASE("the median needs most seeds, and seeds are paired by number, not by order") {
  const Folder folder;
  const json r = results({curve("random", 2, {{16, 0.5}, {32, 0.6}}), curve("random", 1, {{16, 0.7}, {32, 0.8}}),
                          curve("bald", 1, {{16, 0.71}, {32, 0.892}}), curve("bald", 2, {{16, 0.51}, {32, 0.61}})},
                         2);
  write_atomically(folder.path / "results.json", r.dump());
  const Results read = read_results(folder.path.string());
  const Analysis a = analyse(read);
  REQUIRE(a.strategies.size() == 2);
  CHECK(a.strategies[1].reach[2].reached == 1);
  CHECK_FALSE(a.strategies[1].reach[2].median.has_value());
  REQUIRE(a.against_baseline.size() == 1);
  CHECK(a.against_baseline[0].wins == 2);
  CHECK(a.against_baseline[0].difference.mean == doctest::Approx((0.051 + 0.01) / 2));
}

TEST_CASE("the page is whole, refers to nothing outside and escapes what it is given") {
  const Folder folder;
  json r = clear_win(2);
  const std::string hostile = "<script>alert(\"1\")</script>&'";
  fs::create_directories(folder.path / "gallery");
  Image mask(16, 16);
  for (int64_t y = 4; y < 12; ++y) {
    for (int64_t x = 4; x < 12; ++x) mask.at(y, x) = 1;
  }
  data::write_png(folder.path / "gallery/1.png", mask);
  const std::string outside = "../" + folder.path.filename().string() + ".png";  // a real picture beside the run folder
  data::write_png(folder.path / outside, mask);
  const json item = {{"id", hostile},
                     {"rank", 1},
                     {"score", 0.5},
                     {"reason", hostile},
                     {"image", "gallery/1.png"},
                     {"truth", "gallery/1.png"},
                     {"prediction", "gallery/1.png"},
                     {"epistemic", "gallery/1.png"},
                     {"aleatoric", outside},
                     {"label", hostile},
                     {"dice", 0.5}};
  r["queries"] =
      json::array({{{"strategy", hostile}, {"seed", 1}, {"round", 1}, {"labelled", 16}, {"items", {item, item}}}});
  r["worst"] = {item};
  r["command"] = r["model"] = hostile;
  r["data"]["classes"] = {hostile, "normal"};
  r["class_counts"] = json::array({{{"strategy", "bald"}, {"counts", {{hostile, 3}, {"normal", 1}}}}});
  r["config"] = {{hostile, hostile}};
  r["hashes"] = {{"manifest", hostile}};
  r["curves"].push_back(curve(hostile, 1, {{16, 0.7}, {32, 0.8}, {64, 0.9}}));
  r["calibration"] = json::array({{{"strategy", "all labels"},
                                   {"seed", 1},
                                   {"ece", 0.1},
                                   {"bins", {{{"count", 4}, {"confidence", 0.9}, {"accuracy", 0.75}}}}}});
  for (const std::string task : {"seg", "cls"}) {
    r["task"] = task;
    const std::string page = folder.page(r);
    check_whole(page);
    CHECK(has(page, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"));
    CHECK(has(page, "picture missing"));  // the path that leaves the run
    CHECK(has(page, "Dice 1.00"));
    CHECK(has(page, "not a medical device"));
  }
  fs::remove(folder.path / outside);
}

TEST_CASE("pictures stay within the limit of bytes") {
  const Folder folder;
  fs::create_directories(folder.path / "gallery");
  Image noise(64, 64);
  for (size_t i = 0; i < noise.pixels.size(); ++i) noise.pixels[i] = static_cast<float>(i * 7919 % 256) / 255;
  data::write_png(folder.path / "gallery/1.png", noise);
  const auto size = static_cast<uint64_t>(fs::file_size(folder.path / "gallery/1.png")) * 4 / 3;
  Results r;
  r.folder = folder.path.string();
  ReportItem item;
  item.image = "gallery/1.png";
  r.queries.push_back(
      {.strategy = "bald", .seed = 1, .round = 1, .labelled = 4, .items = {item, item, item, item, item}});
  Pictures two(r, 2 * size + size / 2);
  CHECK(two.per_query() == 2);
  CHECK(has(two.overlay(item), "data:image/png;base64,"));
  CHECK(has(two.overlay(item), "data:image/png;base64,"));
  CHECK(has(two.overlay(item), "left out"));
  CHECK(Pictures(r, 100 * size).per_query() == 4);
}

TEST_CASE("a full-data model that trained longer is said to have done so") {
  const Folder folder;
  json r = clear_win(2);
  r["config"] = {{"steps", 200}, {"full_steps", 600}};
  CHECK(has(folder.page(r), "trained for 600 steps, every round for 200"));
  r["config"]["full_steps"] = 200;
  CHECK_FALSE(has(folder.page(r), "every round for"));
  CHECK_FALSE(has(folder.page(r), "the targets are easy"));
  r["full_data"]["dice"] = 0.85;
  CHECK(has(folder.page(r), "the targets are easy"));
}

TEST_CASE("a forecast is given only for a curve that earns it") {
  const Folder folder;
  const auto law = [](int n) { return 0.92 - 0.6 / n; };  // reaches 0.891 at 20.7 labels
  json r = results({curve("random", 1, {{4, 0.7}, {8, 0.7}, {12, 0.71}, {16, 0.7}}),
                    curve("bald", 1, {{4, law(4)}, {8, law(8)}, {12, law(12)}, {16, law(16)}})},
                   1);
  std::string page = folder.page(r);
  CHECK(has(page, "Target: about 21 labels, 5 more (95 %: 21 to 21 labels)"));
  CHECK(count(page, "Target: about") == 1);
  CHECK(has(page, "No forecast: the rounds scatter"));
  CHECK(count(page, "class=\"curve c1 dashed\"") == 1);
  CHECK(count(page, "class=\"curve c0 dashed\"") == 0);
  check_whole(page);
}

TEST_CASE("every pair of strategies is tested, and no difference is called none") {
  const Folder folder;
  std::string page = folder.page(clear_win(3));
  CHECK(has(page, "<b>No significant difference</b> between any two strategies. With 3 seeds and 1 pair no difference could be"));
  CHECK(has(page, "<td>3 : 0<small>"));
  CHECK(has(page, "<td>0 : 3<small>"));
  page = folder.page(clear_win(6));
  CHECK(has(page, "<b>Significant:</b> bald over random (p 0.031)"));
  CHECK(has(page, "<td class=\"more\">6 : 0<small>"));
  CHECK(has(page, "<td class=\"less\">0 : 6<small>"));
  check_whole(page);
}

TEST_CASE("cost, doubt and who was asked for are shown where the run knows them") {
  const Folder folder;
  json r = clear_win(2);
  std::string page = folder.page(r);
  for (const char* id : {"id=\"cost\"", "id=\"doubt\"", "id=\"classes\""}) CHECK_FALSE(has(page, id));
  for (json& c : r["curves"])
    for (json& p : c["points"])
      p["work"] = {{"labels", p["labelled"]}, {"patients", 10}, {"mask_pixels", 900}, {"contour_pixels", 30}};
  page = folder.page(r);
  CHECK(has(page, "id=\"cost\""));
  CHECK_FALSE(has(page, "<small>hours</small>"));
  r["rates"] = {{"minutes_per_label", 3}, {"money_per_hour", 100}, {"currency", "<b>"}};
  r["test_cases"] = {{{"strategy", "bald"}, {"seed", 1}, {"cases", json::array()}}};
  for (int i = 0; i < 10; ++i) r["test_cases"][0]["cases"].push_back({{"error", 0.02 * i}, {"uncertainty", i}});
  r["selection"] = {{{"strategy", "bald"}, {"seed", 1}, {"groups", {{"s<x", {{"F", {{"asked", 30}, {"pool", 50}}}, {"M", {{"asked", 10}, {"pool", 50}}}}}}}}};
  page = folder.page(r);
  check_whole(page);
  CHECK(has(page, "<small>hours</small>"));
  CHECK(has(page, "3.2"));                       // 64 labels of 3 minutes, in hours
  CHECK(has(page, "&lt;b&gt;"));
  CHECK(has(page, "<td>0.090</td><td>0.040</td>"));  // error of all, and of the surest half
  CHECK(has(page, "<td>1.00</td>"));             // error and uncertainty have one order
  CHECK(has(page, "s&lt;x"));
  CHECK(has(page, "1.50 ×"));                    // 75 % of what was asked, 50 % of the pool
  CHECK(has(page, "0.50 ×"));
  CHECK(has(page, "1 of 1 seeds"));
}

TEST_CASE("a run in progress, odd fields and nothing at all still make a page") {
  const Folder folder;
  json partial = clear_win(3);
  partial["full_data"] = json::object();
  partial["full_data_runs"] = json::array();
  partial["curves"].erase(partial["curves"].begin() + 1, partial["curves"].end());
  std::string page = folder.page(partial);
  check_whole(page);
  CHECK(has(page, "not finished"));
  CHECK(has(page, "The model trained on all labels is missing"));

  // Seed 2 has only begun: it neither counts as "not reached" nor enters the comparison.
  json begun = results({curve("random", 1, {{16, 0.7}, {32, 0.8}}), curve("bald", 1, {{16, 0.7}, {32, 0.895}}),
                        curve("random", 2, {{16, 0.7}}), curve("bald", 2, {{16, 0.6}})},
                       2);
  const Verdict v = folder.said(begun);
  CHECK(v.badge == "One seed only");
  CHECK(has(v.headline, "bald reached 99\u00a0%"));
  CHECK(has(folder.page(begun), "not finished"));
  begun["config"]["patience"] = 2;  // now both seeds have stopped early, on purpose
  CHECK_FALSE(has(folder.page(begun), "not finished"));

  page = folder.page({{"curves", json::array()}});
  check_whole(page);
  CHECK(has(page, "has not measured a strategy yet"));

  json odd = clear_win(2);
  odd["curves"][0]["points"] = "none";
  odd["curves"][1]["points"][0]["metrics"]["dice"] = nullptr;
  odd["curves"][2]["points"][1]["labelled"] = -4;
  odd["curves"][3]["strategy"] = 7;
  odd["data"] = 3;
  odd["seeds"] = {"a", -1};
  odd["worst"] = {1, {{"id", 5}}};
  odd["queries"] = {{{"items", {nullptr, 1}}}};
  odd["calibration"] = {nullptr, {{"bins", {1, {{"count", 3}}}}}};
  odd["full_data_runs"] = {4};
  odd["class_counts"] = {{{"counts", 5}}};
  odd["test_cases"] = {3, {{"strategy", "bald"}, {"cases", {1, {{"error", 1}}}}}};
  odd["selection"] = {{{"groups", 3}}, {{"strategy", "bald"}, {"groups", {{"sex", 4}, {"age", {{"x", {{"asked", 9}, {"pool", 3}}}}}}}}};
  odd["rates"] = {{"minutes_per_label", -3}, {"currency", 5}};
  odd["curves"][1]["points"][1]["work"] = {{"labels", -1}};
  check_whole(folder.page(odd));

  json single = results(json::array({curve("bald", 1, {{16, 0.7}})}), 1);
  check_whole(folder.page(single));
  CHECK(folder.said(single).badge == "No baseline");
}

TEST_CASE("a missing or damaged results.json is one line with the fix") {
  const Folder folder;
  CHECK_THROWS_WITH_AS(write_report(folder.path.string()), doctest::Contains("give the folder of a run"), Error);
  for (const std::string bytes : {"", "{\"curves\": [", "[1]", "{\"labelled\": 3}"}) {
    write_atomically(folder.path / "results.json", bytes);
    CHECK_THROWS_WITH_AS(write_report(folder.path.string()), doctest::Contains("results.json"), Error);
  }
}

TEST_CASE("a saving that chance made as well is not the method's alone") {
  const auto arm = [](const char* name, double at_15, double at_35) {
    return nlohmann::json{{"arm", name},
                          {"cells",
                           {{{"fraction", 0.15}, {"n", 3}, {"mean", at_15}}, {{"fraction", 0.35}, {"n", 3}, {"mean", at_35}}}}};
  };
  nlohmann::json r = {{"primary_metric", "auc"},
                      {"saving", {{"target", 0.95}, {"fraction", 0.15}, {"films", 0.85}}},
                      {"by_arm", {arm("method", 0.96, 0.97), arm("selection", 0.94, 0.97), arm("random", 0.93, 0.97)}}};
  r["comparisons"] = nlohmann::json::array();
  const auto headline = [&] { return paper_summary(r).at(0); };
  CHECK(headline() == "The method reached 99 % of full supervision (AUC 0.950) and saved 85\u00a0% of the labels");
  r["by_arm"][2] = arm("random", 0.95, 0.97);
  CHECK(headline().ends_with("of the labels; so did random films"));
  r["by_arm"][1] = arm("selection", 0.955, 0.97);
  CHECK(headline().ends_with("; so did real films chosen alike and random films"));
}

TEST_CASE("the headline says what is significant, in both directions, and how large it is") {
  const auto row = [](const char* a, const char* b, double fraction, double difference, double p_holm) {
    return json{{"a", a}, {"b", b}, {"fraction", fraction}, {"difference", difference}, {"p_holm", p_holm}};
  };
  json r = {{"primary_metric", "dice"}, {"saving", {{"target", 0.943}, {"fraction", nullptr}}}};
  r["comparisons"] = {row("method", "selection", 0.01, 0.0101, 0.0313), row("method", "random", 0.01, 0.0176, 0.0234),
                      row("selection", "random", 0.01, 0.02, 0.01), row("method", "selection", 0.35, -0.004, 0.0004),
                      row("method", "random", 0.35, -0.003, 0.06)};
  const std::string saved = "The method did not reach 99 % of full supervision (Dice 0.943) at any fraction";
  CHECK(paper_summary(r) ==
        std::vector<std::string>{
            "The method was ahead of real films chosen alike with 1\u00a0% of the labels (+0.010 Dice, p = 0.031 after "
            "Holm), behind with 35\u00a0% of the labels (−0.004 Dice, p < 0.001 after Holm)",
            "The method was ahead of random films with 1\u00a0% of the labels (+0.018 Dice, p = 0.023 after Holm)",
            saved});
  for (json& c : r["comparisons"]) c["p_holm"] = 0.05;
  CHECK(paper_summary(r) ==
        std::vector<std::string>{saved, "No difference between the method and real films is significant"});
  r["comparisons"] = json::array();
  CHECK(paper_summary(r) == std::vector<std::string>{saved});
}

TEST_CASE("outlines, base64, numbers and ticks") {
  Image square(4, 4);
  square.at(1, 1) = square.at(1, 2) = square.at(2, 1) = square.at(2, 2) = 1;
  const std::string path = outline(square);
  CHECK(count(path, "M") == 1);
  CHECK(count(path, "L") >= 4);
  CHECK(outline(Image(4, 4)).empty());
  square.at(0, 3) = 1;  // touches the square at a corner only
  CHECK(count(outline(square), "M") <= 2);
  CHECK(base64("Man") == "TWFu");
  CHECK(base64("Ma") == "TWE=");
  CHECK(base64("M") == "TQ==");
  CHECK(base64("").empty());
  CHECK(thousands(1234567) == "1,234,567");
  CHECK(thousands(-123) == "-123");
  CHECK(percent(1) == "100\u00a0%");
  CHECK(percent(0.0317) == "3.2\u00a0%");
  CHECK(signed_fixed(-0.0123, 3) == "−0.012");
  CHECK(signed_fixed(-0.00001, 3) == "0.000");
  CHECK(duration(75) == "1 min 15 s");
  CHECK(nice_ticks(0.81, 0.97, 4) == std::vector<double>{17 * 0.05, 18 * 0.05, 19 * 0.05});
}

TEST_SUITE_END();
