// querent advise: the answer, its reasons and its price, on runs whose truth is known.
#include <doctest/doctest.h>

#include <cmath>

#include "app/advice.h"
#include "app/html.h"
#include "tensor/error.h"

TEST_SUITE_BEGIN("advise_test");

using namespace querent;
using namespace querent::app;
using doctest::Approx;
using doctest::Contains;

namespace {

// Dice 0.9 - 0.8 / sqrt(n) at 8 ... 256 labels: 0.85 at the end, 0.86 at 400, 0.9 - 0.8 / sqrt(512) twice as far.
Results run(int seeds = 1) {
  Results r;
  r.folder = "run";
  r.task = "seg";
  r.primary = "dice";
  r.train = 1000;
  r.full = {{"dice", 0.88}};
  StrategyCurves s{.name = "bald", .color = 1, .seeds = {}};
  for (int k = 0; k < seeds; ++k) {
    SeedCurve curve{.seed = static_cast<uint64_t>(k), .points = {}};
    for (int64_t n = 8; n <= 256; n *= 2) {
      const double dice = 0.9 - 0.8 / std::sqrt(static_cast<double>(n));
      curve.points.push_back({n, static_cast<double>(n) / 1000, {{"dice", dice}}, {}, {}, {}});
    }
    s.seeds.push_back(curve);
  }
  r.strategies = {s};
  return r;
}
const StopRule& rule(const Advice& a, const std::string& name) {
  for (const StopRule& one : a.rules)
    if (one.name == name) return one;
  FAIL("no rule ", name);
  return a.rules.front();
}

}  // namespace

TEST_CASE("labels, gain and price by hand") {
  AdviceOptions o;
  o.target = 0.86;
  o.more = 144;
  o.rates = {.minutes_per_label = 5, .money_per_hour = 120};
  const Results r = run();
  const Advices all = advise(r, o);
  REQUIRE(all.each.size() == 1);
  const Advice& a = all.each[0];
  CHECK(*a.need->labels == Approx(400).epsilon(1e-3));
  CHECK(a.gain->mean == Approx(0.01).epsilon(1e-3));
  CHECK(a.answer == Advice::go);
  CHECK(describe_gain(r, a, all) == "+0.0100 Dice (95 %: 0.0100 to 0.0100) for 144 labels = 12 h = 1440 EUR");
  CHECK(describe_need(a, all).starts_with("about 400 labels, 144 more"));
  CHECK(describe_need(a, all).ends_with("144 labels = 12 h = 1440 EUR"));
}

TEST_CASE("the answer turns where the gain is no longer worth it") {
  AdviceOptions o;
  o.more = 144;  // + 0.01
  o.min_gain = 0.0099;
  CHECK(advise(run(), o).each[0].answer == Advice::go);
  o.min_gain = 0.0101;
  CHECK(advise(run(), o).each[0].answer == Advice::stop);
  CHECK(*rule(advise(run(), o).each[0], "gain").stop);
  // 144 labels at 10 cost 1440: a hundredth must be worth that much.
  o.rates.money_per_label = 10;
  o.worth = 1450;
  CHECK(advise(run(), o).each[0].answer == Advice::go);
  o.worth = 1430;
  CHECK(advise(run(), o).each[0].answer == Advice::stop);
  CHECK(advise(run(), o).each[0].sentence.find("what the labels cost (1440 EUR)") != std::string::npos);
}

TEST_CASE("an interval on both sides of the least gain makes the answer a probable one") {
  Results r = run(2);
  for (size_t k = 0; k < 2; ++k)
    for (size_t i = 0; i < 6; ++i)
      r.strategies[0].seeds[k].points[i].metrics["dice"] += ((k + i / 2) % 2 == 0 ? 0.006 : -0.006);
  AdviceOptions o;
  o.more = 144;
  const al::Gain gain = *advise(r, o).each[0].gain;
  REQUIRE(gain.interval.low < 0.9 * gain.mean);
  REQUIRE(gain.interval.high > 1.1 * gain.mean);
  o.min_gain = 0.95 * gain.mean;
  CHECK(advise(r, o).each[0].answer == Advice::likely);
  o.min_gain = 1.05 * gain.mean;
  CHECK(advise(r, o).each[0].answer == Advice::unlikely);
  o.min_gain = 1.01 * gain.interval.high;
  CHECK(advise(r, o).each[0].answer == Advice::stop);
}

TEST_CASE("by default: 99 % of the full-data figure, and as many labels as the last round added") {
  const Advices all = advise(run());
  CHECK(*all.target == Approx(0.99 * 0.88));
  CHECK(all.each[0].gain->more == 128);
  // The law reaches 0.8712 at (0.8 / 0.0288)^2 = 772 labels.
  CHECK(*all.each[0].need->labels == Approx(771.6).epsilon(1e-3));
  Results few = run();
  few.train = 300;
  CHECK(advise(few).each[0].gain->more == 44);
  few.train = 256;
  CHECK_FALSE(advise(few).each[0].gain);
  CHECK(advise(few).each[0].sentence == "Cannot be told: every image is labelled.");
  AdviceOptions o;
  o.more = 50;
  few.train = 300;
  CHECK_THROWS_WITH_AS(advise(few, o), Contains("use at most 44"), Error);
}

TEST_CASE("plateau and predictions are read from the validation split, or not told") {
  Results r = run(2);
  CHECK_FALSE(rule(advise(r).each[0], "plateau").stop);
  CHECK_FALSE(rule(advise(r).each[0], "predictions").stop);
  for (SeedCurve& c : r.strategies[0].seeds) {
    for (size_t i = 0; i < c.points.size(); ++i) {
      c.points[i].val_metrics["dice"] = i < 4 ? 0.5 + 0.1 * static_cast<double>(i) : 0.8;
      if (i > 0) c.points[i].agreement = i < 3 ? 0.5 : 0.995;
    }
  }
  CHECK(*rule(advise(r).each[0], "plateau").stop);  // rounds 5 and 6 add nothing to round 4
  CHECK(*rule(advise(r).each[0], "predictions").stop);
  for (SeedCurve& c : r.strategies[0].seeds) {
    c.points.back().val_metrics["dice"] = 0.85;
    c.points.back().agreement = 0.9;
  }
  CHECK_FALSE(*rule(advise(r).each[0], "plateau").stop);
  CHECK_FALSE(*rule(advise(r).each[0], "predictions").stop);
}

TEST_CASE("without a forecast the other rules decide, and a price is that of what was counted") {
  Results r = run();
  std::vector<ReportPoint>& points = r.strategies[0].seeds[0].points;
  points.resize(3);
  Advice a = advise(r).each[0];
  CHECK(a.answer == Advice::unknown);
  CHECK(a.sentence.find("a forecast needs 4") != std::string::npos);
  for (ReportPoint& p : points) p.val_metrics["dice"] = 0.8;
  a = advise(r).each[0];
  CHECK(a.answer == Advice::unlikely);
  CHECK(a.sentence.find("no improvement") != std::string::npos);
  points.back().work = al::Work{.labels = 32, .patients = 30, .area = 6400, .contour = 320};
  CHECK(advise(r).each[0].work->contour == 320);
}

TEST_SUITE_END();
