// Is it worth labelling more? Forecast, cost, and the stop rule on predictions, on curves whose truth is known.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "al/cost.h"
#include "al/forecast.h"
#include "al/selective.h"
#include "al/stopping.h"
#include "tensor/error.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("al_forecast_test");

using namespace querent;
using namespace querent::al;
using doctest::Approx;
using doctest::Contains;

namespace {

using Curve = std::vector<CurvePoint>;
Curve on(
    const PowerLaw& law, int64_t from, int64_t to, const std::function<double()>& noise = [] { return 0.0; }) {
  Curve c;
  for (int64_t n = from; n <= to; n *= 2) c.push_back({n, law.at(static_cast<double>(n)) + noise()});
  return c;
}
// Seeds with noise of their own in every round, and `shared` over their whole curve.
std::vector<Curve> noisy(const PowerLaw& law, int seeds, double shared, double each, uint64_t key) {
  Rng rng = Rng(key).fork("noisy");
  std::vector<Curve> all;
  for (int s = 0; s < seeds; ++s) {
    const double offset = shared * rng.normal();
    all.push_back(on(law, 8, 256, [&] { return offset + each * rng.normal(); }));
  }
  return all;
}

}  // namespace

TEST_CASE("a curve without noise is recovered, whatever its weights") {
  for (const PowerLaw truth : {PowerLaw{0.95, 0.8, 0.6}, {0.9, 3, 1.7}, {0.99, 0.3, 0.1}}) {
    CAPTURE(truth.c);
    const Curve c = on(truth, 8, 512);
    const std::vector<double> even(c.size(), 1.0), odd{1, 9, 2, 5, 3, 1, 7};
    for (const auto& weights : {even, odd}) {
      const PowerLaw f = fit_power_law(c, weights);
      // Golden section leaves c within 2 cells x 0.618^40 of a minimum that is flat to half the digits of a double.
      CHECK(f.a == Approx(truth.a).epsilon(1e-4));
      CHECK(f.b == Approx(truth.b).epsilon(1e-4));
      CHECK(f.c == Approx(truth.c).epsilon(1e-4));
    }
    CHECK(fit_power_law(c, even).at(2048) == Approx(truth.at(2048)).epsilon(1e-6));
  }
}

TEST_CASE("weights decide where the law passes; a share never goes beyond 1") {
  Curve c = on({0.95, 0.8, 0.6}, 8, 512);
  c[3].metric += 0.05;
  std::vector<double> weights(c.size(), 1.0);
  const double drawn = fit_power_law(c, weights).at(64);
  weights[3] = 1e-9;
  CHECK(fit_power_law(c, weights).at(64) == Approx(c[3].metric - 0.05).epsilon(1e-5));
  CHECK(drawn > c[3].metric - 0.049);

  const Curve steep = on({1.2, 0.9, 0.2}, 8, 128);
  const std::vector<double> even(steep.size(), 1.0);
  CHECK(fit_power_law(steep, even).a == Approx(1.2).epsilon(1e-3));
  const PowerLaw bounded = fit_power_law(steep, even, 1);
  CHECK(bounded.a == 1);
  // By hand: with a = 1 the best b of this c is sum x (1 - y) / sum x^2.
  double above = 0, below = 0;
  for (const CurvePoint& p : steep) {
    const double x = std::pow(static_cast<double>(p.labelled), -bounded.c);
    above += x * (1 - p.metric);
    below += x * x;
  }
  CHECK(bounded.b == Approx(above / below));
  CHECK_THROWS_WITH_AS(fit_power_law(steep, std::vector<double>(steep.size(), 0.0)), Contains("weight"), Error);
}

TEST_CASE("labels to a target, by hand") {
  // 0.9 - 0.8 / sqrt(n): 0.8 at 64 labels, 0.85 at 256, 0.86 at 400, 0.89 at 6400.
  const PowerLaw law{0.9, 0.8, 0.5};
  CHECK(law.labels_for(0.8) == Approx(64));
  CHECK(law.labels_for(0.85) == Approx(256));
  CHECK(std::isinf(law.labels_for(0.9)));
  const Forecast f = forecast(std::vector<Curve>{on(law, 8, 256)});
  REQUIRE(f.refused.empty());
  const LabelsNeeded need = labels_needed(f, 0.86);
  CHECK_FALSE(need.measured);
  CHECK(*need.labels == Approx(400).epsilon(1e-3));
  CHECK(*need.low == Approx(400).epsilon(0.01));  // nothing scatters
  CHECK(labels_needed(f, 0.8).measured == 64);
  CHECK(labels_needed(f, 0.79).measured == 64);
  CHECK(labels_needed(f, 0.1).measured == 8);
  const LabelsNeeded far = labels_needed(f, 0.89);
  CHECK_FALSE(far.labels);
  CHECK(far.refused == "it lies beyond 1024 labels, 4 times what was measured");
  CHECK(labels_needed(f, 0.95).refused == "the fitted curve levels off at 0.9");
  const Gain g = expected_gain(f, 144);
  CHECK(g.mean == Approx(0.01).epsilon(1e-3));
  CHECK_NOTHROW(expected_gain(f, 768));
  CHECK_THROWS_WITH_AS(expected_gain(f, 769), Contains("use at most 768"), Error);
}

TEST_CASE("the interval covers as often as it says") {
  // 250 curves: 95 % less three standard errors of a binomial is 0.909.
  const PowerLaw truth{0.95, 0.6, 0.5};
  constexpr int runs = 250;
  for (const auto& [seeds, shared] : {std::pair{1, 0.0}, {3, 0.0}, {3, 0.012}}) {
    CAPTURE(seeds);
    CAPTURE(shared);
    int gain = 0, band = 0, labels = 0;
    for (int r = 0; r < runs; ++r) {
      const Forecast f = forecast(noisy(truth, seeds, shared, 0.008, static_cast<uint64_t>(r)),
                                  {.ceiling = 1, .resamples = 200, .seed = static_cast<uint64_t>(r)});
      REQUIRE(f.refused.empty());
      const Interval g = expected_gain(f, 256).interval, b = f.band(512);
      gain += g.low <= truth.at(512) - truth.at(256) && truth.at(512) - truth.at(256) <= g.high;
      band += b.low <= truth.at(512) && truth.at(512) <= b.high;
      const LabelsNeeded need = labels_needed(f, truth.at(900));
      labels += need.measured ? 0 : need.low.value_or(INFINITY) <= 900 && 900 <= need.high.value_or(INFINITY);
    }
    CHECK(gain >= 0.909 * runs);
    CHECK(band >= 0.909 * runs);
    CHECK(labels >= 0.909 * runs);
    CHECK(gain < runs);  // and is not so wide that it says nothing
  }
}

TEST_CASE("the same seed gives the same interval, and more seeds a narrower one") {
  const PowerLaw truth{0.95, 0.6, 0.5};
  const auto two = noisy(truth, 2, 0, 0.008, 5), eight = noisy(truth, 8, 0, 0.008, 5);
  const Interval a = forecast(two).band(512), b = forecast(two).band(512);
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK(forecast(two, {.seed = 2}).band(512).low != a.low);
  const Interval narrow = forecast(eight).band(512);
  CHECK(narrow.high - narrow.low < a.high - a.low);
}

TEST_CASE("no forecast where there should be none, with the reason") {
  const PowerLaw law{0.9, 0.8, 0.5};
  CHECK(forecast(std::vector<Curve>{on(law, 8, 32)}).refused ==
        "3 rounds are measured by every seed; a forecast needs 4");
  CHECK(forecast(std::vector<Curve>{on(law, 8, 256), on(law, 8, 32)}).refused.starts_with("3 rounds"));
  CHECK(forecast(std::vector<Curve>{on({0.5, -0.8, 0.5}, 8, 256)}).refused == "the curve does not rise");
  const Curve zigzag{{8, 0.7}, {16, 0.8}, {32, 0.72}, {64, 0.82}, {128, 0.74}};
  const Forecast f = forecast(std::vector<Curve>{zigzag});
  CHECK(f.refused.find("more than a quarter of its rise") != std::string::npos);
  CHECK(labels_needed(f, 0.9).refused == f.refused);
  CHECK(labels_needed(f, 0.8).measured == 16);  // what was measured needs no forecast
  CHECK_THROWS_WITH_AS(expected_gain(f, 8), Contains("there is none"), Error);
  CHECK_FALSE(forecast(std::vector<Curve>{{{8, 0.7}, {16, 0.7}, {32, 0.7}, {64, 0.7}}}).refused.empty());
}

TEST_CASE("work, minutes and money by hand") {
  Work w{.labels = 40, .patients = 38};
  CHECK(price(w, {}) == "40 labels");
  CHECK_FALSE(minutes(w, {}));
  CHECK_FALSE(money(w, {}));
  CHECK(price(w, {.minutes_per_label = 5, .money_per_hour = 120}) == "40 labels = 3 h 20 min = 400 EUR");
  CHECK(price(w, {.money_per_label = 2.5, .currency = "USD"}) == "40 labels = 100 USD");
  CHECK(price({.labels = 1}, {.minutes_per_label = 30}) == "1 label = 30 min");
  // A 3 x 2 rectangle has 6 pixels and all of them lie on its outline; a 3 x 3 square has 8 of 9.
  std::vector<uint8_t> mask(36, 0);
  for (const int y : {1, 2}) mask[y * 6 + 1] = mask[y * 6 + 2] = mask[y * 6 + 3] = 1;
  add_mask(w, mask, 6, 6);
  CHECK(w.area == 6);
  CHECK(w.contour == 6);
  mask[3 * 6 + 1] = mask[3 * 6 + 2] = mask[3 * 6 + 3] = 1;
  add_mask(w, mask, 6, 6);
  CHECK(w.area == 15);
  CHECK(w.contour == 14);
  CHECK(*minutes(w, {.minutes_per_label = 1, .seconds_per_contour_pixel = 30}) == 47);
  CHECK(like(w, 80) == Work{80, 76, 30, 28});
  CHECK_THROWS_AS(like({}, 1), Error);
  CHECK_THROWS_WITH_AS(check_rates({.money_per_hour = 90}), Contains("--minutes-per-label"), Error);
  CHECK_THROWS_WITH_AS(check_rates({.money_per_label = -1}), Contains("--cost-per-label"), Error);
  CHECK(to_json(w, {.minutes_per_label = 3}).at("minutes") == 120);
  CHECK_FALSE(to_json(w, {.minutes_per_label = 3}).contains("money"));
}

TEST_CASE("kappa by hand; predictions are stable after three rounds that agree") {
  // 4 of 5 agree; chance: (3/5 2/5) + (2/5 3/5) = 12/25, so (20 - 12) / (25 - 12).
  CHECK(cohens_kappa(std::vector<int64_t>{0, 0, 0, 1, 1}, std::vector<int64_t>{0, 0, 1, 1, 1}) == Approx(8.0 / 13));
  CHECK(cohens_kappa(std::vector<int64_t>{2, 2}, std::vector<int64_t>{2, 2}) == 1);
  CHECK(cohens_kappa(std::vector<int64_t>{0, 1}, std::vector<int64_t>{1, 0}) == Approx(-1));
  CHECK_THROWS_AS(cohens_kappa({}, {}), Error);
  const std::vector<double> agreement{0.2, 0.985, 0.99, 1.0};
  CHECK_FALSE(predictions_stable(std::span(agreement).first(2)).stop);
  CHECK_FALSE(predictions_stable(std::span(agreement).first(3)).stop);
  CHECK(predictions_stable(agreement).stop);
  CHECK(predictions_stable(agreement).why.find("0.992") != std::string::npos);
}

TEST_CASE("risk and coverage by hand") {
  // Surest first: errors 0, 0.2, 0.1, 0.7.
  const std::vector<double> error{0.7, 0.0, 0.1, 0.2}, doubt{0.9, 0.1, 0.5, 0.3};
  const RiskCoverage r = risk_coverage(error, doubt);
  const std::vector<double> by_hand{0, 0.1, 0.1, 0.25};
  REQUIRE(r.risk.size() == 4);
  for (size_t k = 0; k < 4; ++k) CHECK(r.risk[k] == Approx(by_hand[k]));
  CHECK(r.area == Approx(0.1125));
  CHECK(r.ideal == Approx((0 + 0.05 + 0.1 + 0.25) / 4));
  // Equal doubt: every order is as good, so the risk is the mean everywhere.
  for (const double risk : risk_coverage(error, std::vector<double>(4, 1.0)).risk) CHECK(risk == Approx(0.25));
  const auto groups = error_by_uncertainty(error, doubt, 2);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].error == Approx(0.1));
  CHECK(groups[1].error == Approx(0.4));
  CHECK(groups[1].uncertainty == Approx(0.7));
  CHECK(rank_correlation(error, doubt) == Approx(0.8));  // one neighbouring pair changed places: 1 - 6 * 2 / (4 * 15)
  CHECK(rank_correlation(error, std::vector<double>(4, 1.0)) == 0);
  CHECK_THROWS_AS(risk_coverage(error, std::vector{1.0}), Error);
}

TEST_SUITE_END();
