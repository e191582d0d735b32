#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "al/acquisition.h"
#include "al/curve.h"
#include "al/statistics.h"
#include "al/stopping.h"
#include "al/uncertainty.h"
#include "tensor/error.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("al_statistics_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;

namespace {
// Pairs with |difference| 1..n whose negative ranks add up to w.
std::vector<double> differences_with(int n, int w) {
  std::vector<double> d;
  for (int r = n; r >= 1; --r) {
    const bool negative = r <= w;
    if (negative) w -= r;
    d.push_back(negative ? -r : r);
  }
  return d;
}
double p_of(const std::vector<double>& d) { return wilcoxon_signed_rank(d, std::vector<double>(d.size(), 0.0)).p; }
}  // namespace

TEST_CASE("Student t quantiles equal the printed table") {
  CHECK(student_t_quantile(0.975, 1) == Approx(12.7062).epsilon(1e-5));
  CHECK(student_t_quantile(0.975, 2) == Approx(4.30265).epsilon(1e-5));
  CHECK(student_t_quantile(0.975, 4) == Approx(2.77645).epsilon(1e-5));
  CHECK(student_t_quantile(0.975, 9) == Approx(2.26216).epsilon(1e-5));
  CHECK(student_t_quantile(0.95, 30) == Approx(1.69726).epsilon(1e-5));
  CHECK(student_t_quantile(0.025, 4) == Approx(-2.77645).epsilon(1e-5));
}

TEST_CASE("mean, standard deviation and interval by hand") {
  const Summary s = summarize(std::vector<double>{1, 2, 3});
  CHECK(s.n == 3);
  CHECK(s.mean == Approx(2));
  CHECK(s.sd == Approx(1));
  CHECK(s.ci.low == Approx(2 - 4.30265 / std::sqrt(3.0)).epsilon(1e-5));
  const Summary one = summarize(std::vector<double>{5});
  CHECK(one.ci.low == 5);
  CHECK(one.sd == 0);
  CHECK_THROWS_AS(summarize(std::vector<double>{1, NAN}), Error);
  CHECK(quantile(std::vector<double>{1, 2, 3, 10}, 0.5) == Approx(2.5));
  CHECK(quantile(std::vector<double>{1, 2, 3, 10}, 0.95) == Approx(8.95));
}

// Critical values of W, two-sided 5 %, as printed in textbooks: p(W) <= .05 there and > .05 one above.
TEST_CASE("Wilcoxon equals the published critical values") {
  const int critical[] = {0, 2, 3, 5, 8, 10, 13, 17, 21, 25, 29, 34, 40, 46, 52};  // n = 6 .. 20
  for (int n = 6; n <= 20; ++n) {
    CHECK(p_of(differences_with(n, critical[n - 6])) <= 0.05);
    CHECK(p_of(differences_with(n, critical[n - 6] + 1)) > 0.05);
  }
  CHECK(p_of(differences_with(10, 8)) == Approx(2 * 25.0 / 1024));  // 25 sets of ranks add up to 8 or less
  CHECK(p_of(differences_with(5, 0)) == Approx(smallest_wilcoxon_p(5)));
  CHECK(smallest_wilcoxon_p(3) == 0.25);
}

TEST_CASE("Wilcoxon: ties, zeros, symmetry and the normal approximation") {
  // Differences 1 1 -1 2 0: the zero goes, |1| ties at rank 2, so W- = 2, W+ = 8.
  const std::vector<double> a{1, 1, -1, 2, 0}, zero(5, 0.0);
  const Wilcoxon w = wilcoxon_signed_rank(a, zero);
  CHECK(w.n == 4);
  CHECK(w.w_minus == Approx(2));
  CHECK(w.w_plus == Approx(8));
  // Of 16 sign patterns, W- <= 2 in 4: none negative, or one of the three tied ones.
  CHECK(w.p == Approx(2 * 4.0 / 16));
  CHECK(wilcoxon_signed_rank(zero, a).p == Approx(w.p));
  CHECK(wilcoxon_signed_rank(zero, zero).p == 1);
  // Either side of n = 50 the exact and the approximate p are close.
  const auto shifted = [](int n) {
    std::vector<double> d = differences_with(n, n * (n + 1) / 4 - 4 * n);
    return wilcoxon_signed_rank(d, std::vector<double>(d.size(), 0.0));
  };
  const Wilcoxon exact = shifted(50), approximate = shifted(51);
  CHECK(exact.exact);
  CHECK_FALSE(approximate.exact);
  CHECK(exact.p == Approx(approximate.p).epsilon(0.01));
  CHECK(exact.p > 0.01);
  CHECK(exact.p < 0.1);
}

TEST_CASE("Holm by hand") {
  const auto p = holm(std::vector<double>{0.01, 0.04, 0.03, 0.005});
  CHECK(p[3] == Approx(0.02));
  CHECK(p[0] == Approx(0.03));
  CHECK(p[2] == Approx(0.06));
  CHECK(p[1] == Approx(0.06));  // 0.04 alone, but never below the one before
  CHECK(holm(std::vector<double>{0.9, 0.8})[0] == 1);
}

TEST_CASE("the bootstrap is seeded and covers") {
  Rng rng(3);
  int covered = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> v;
    for (int i = 0; i < 40; ++i) v.push_back(rng.normal());
    const Interval ci = bootstrap_mean(v, static_cast<uint64_t>(trial), 400);
    covered += ci.low <= 0 && 0 <= ci.high;
  }
  CHECK(covered >= 178);  // expected about 187 of 200
  const std::vector<double> v{1, 2, 3, 4, 8};
  CHECK(bootstrap_mean(v, 1).low == bootstrap_mean(v, 1).low);
  CHECK(bootstrap_mean(v, 1).low >= 1);
  CHECK_THROWS_AS(bootstrap(
                      3, [](auto) { return NAN; }, 1),
                  Error);
}

TEST_CASE("strategies against a baseline") {
  const NamedValues random{"random", {0.80, 0.81, 0.79, 0.80, 0.82, 0.78}};
  const std::vector<NamedValues> others{{"bald", {0.83, 0.85, 0.80, 0.82, 0.86, 0.84}},
                                        {"entropy", {0.80, 0.80, 0.80, 0.79, 0.83, 0.77}}};
  const auto c = compare_with(random, others);
  CHECK(c[0].wins == 6);
  CHECK(c[0].test.p == Approx(2.0 / 64));
  CHECK(c[0].p_holm == Approx(4.0 / 64));
  CHECK(c[0].difference.mean == Approx(0.2 / 6));
  CHECK(c[1].ties == 1);
  CHECK(c[1].losses == 3);
  CHECK_THROWS_AS(compare_with(random, std::vector<NamedValues>{{"x", {1}}}), Error);
}

TEST_CASE("mean curve, area and labels to target") {
  const std::vector<std::vector<CurvePoint>> seeds{{{10, 0.6}, {20, 0.8}, {40, 0.9}}, {{10, 0.7}, {20, 0.8}}};
  const auto mean = mean_curve(seeds);
  REQUIRE(mean.size() == 2);  // 40 was reached by one seed only
  CHECK(mean[0].metric.mean == Approx(0.65));

  const auto& curve = seeds[0];
  CHECK(area_under_learning_curve(curve) == Approx((0.7 + 0.85) / 2));  // both steps are one doubling
  CHECK(area_under_learning_curve(curve, false) == Approx((10 * 0.7 + 20 * 0.85) / 30));

  const auto hit = labels_to_target(curve, 0.85 / 0.95, 0.95);  // half-way between 0.8 and 0.9
  CHECK(hit.measured == 40);
  CHECK(*hit.interpolated == Approx(20 * std::sqrt(2.0)));
  CHECK_FALSE(hit.at_first_point);
  CHECK_FALSE(labels_to_target(curve, 1, 0.95).measured);
  const auto first = labels_to_target(curve, 0.6, 0.95);
  CHECK(first.measured == 10);
  CHECK(first.at_first_point);
  CHECK_THROWS_AS(area_under_learning_curve(std::vector<CurvePoint>{{10, 0.5}, {10, 0.6}}), Error);
}

TEST_CASE("every pair of strategies, and Holm over all of them") {
  const std::vector<NamedValues> all{{"a", {1, 2, 3, 4, 5, 6}}, {"b", {0, 1, 2, 3, 4, 5.5}}, {"c", {1, 2, 3, 4, 5, 6}}};
  const auto pairs = compare_all(all);
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[0].first == 0);
  CHECK(pairs[0].second == 1);
  CHECK(pairs[0].c.wins == 6);
  CHECK(pairs[0].c.p_holm == Approx(3 * 2.0 / 64));
  CHECK(pairs[1].c.ties == 6);
  CHECK(pairs[1].c.p_holm == 1);
  CHECK(pairs[2].c.losses == 6);
  CHECK(pairs[2].c.p_holm == Approx(3 * 2.0 / 64));
}

TEST_CASE("chi-square: printed table, and by hand") {
  // 60 and 40 asked for where 50 and 50 are expected, of 1000 each.
  const ChiSquare t = chi_square(std::vector<int64_t>{60, 40}, std::vector<int64_t>{1000, 1000});
  CHECK(t.freedom == 1);
  CHECK(t.statistic == Approx((100.0 / 50 + 100.0 / 50) * 1999 / 1900));
  CHECK(t.p == Approx(std::erfc(std::sqrt(t.statistic / 2))));  // one degree of freedom: a squared normal
  CHECK(t.reliable);
  CHECK(chi_square(std::vector<int64_t>{5, 5}, std::vector<int64_t>{100, 100}).p == Approx(1));
  // 5 % critical values of the printed table for 2 and 10 degrees: 5.991 and 18.307; N so large that nothing is corrected.
  constexpr int64_t many = 1'000'000'000;
  const std::vector<int64_t> three(3, many), eleven(11, many);
  const auto at = [](std::vector<int64_t> drawn, const std::vector<int64_t>& pool) { return chi_square(drawn, pool); };
  const ChiSquare two = at({1000 + 55, 1000 - 54, 1000 - 1}, three);
  CHECK(two.statistic == Approx(5.942).epsilon(1e-3));
  CHECK(two.p == Approx(std::exp(-two.statistic / 2)));  // two degrees of freedom: an exponential
  std::vector<int64_t> ten(11, 10000);
  ten[0] += 306;
  ten[1] -= 306;
  CHECK(at(ten, eleven).p == Approx(0.0438676326));
  CHECK_FALSE(chi_square(std::vector<int64_t>{3, 1}, std::vector<int64_t>{10, 10}).reliable);
  CHECK(chi_square(std::vector<int64_t>{0, 0}, std::vector<int64_t>{10, 10}).p == 1);
  CHECK_THROWS_AS(chi_square(std::vector<int64_t>{11}, std::vector<int64_t>{10}), Error);
}

TEST_CASE("stopping: budget, patience, tolerance") {
  const std::vector<CurvePoint> rising{{4, 0.80}, {8, 0.85}, {16, 0.90}};
  CHECK_FALSE(should_stop({}, rising).stop);
  CHECK(should_stop({.budget = 16}, rising).stop);
  CHECK(should_stop({.budget = 16}, rising).why == "the budget of 16 labels is spent");
  // 0.901 and 0.9015 are within the tolerance of 0.90, so the best is still round 2.
  std::vector<CurvePoint> flat = rising;
  flat.push_back({32, 0.901});
  CHECK_FALSE(should_stop({}, flat).stop);
  flat.push_back({64, 0.9015});
  const auto v = should_stop({}, flat);
  CHECK(v.stop);
  CHECK(v.best_round == 2);
  CHECK(v.stale == 2);
  CHECK_FALSE(should_stop({.patience = {}}, flat).stop);
  CHECK_FALSE(should_stop({.patience = 3}, flat).stop);
  flat.back().metric = 0.91;
  CHECK_FALSE(should_stop({}, flat).stop);
  flat.back().metric = NAN;
  CHECK_THROWS_AS(should_stop({}, flat), Error);
  CHECK_FALSE(should_stop({}, {}).stop);
}

TEST_CASE("running sums give the formula of the variance and the entropies") {
  Moments m(2, 1);  // two pixels, two passes
  const std::vector<float> s{0, 0};
  m.add(std::vector<float>{1, 0.5f}, s);
  m.add(std::vector<float>{0, 0.5f}, s);
  const auto u = m.maps();
  CHECK(u.mean == std::vector<double>{0.5, 0.5});
  CHECK(u.epistemic[0] == Approx(0.25));
  CHECK(u.epistemic[1] == 0);
  CHECK(u.aleatoric[0] == 0);
  CHECK(u.aleatoric[1] == Approx(1.0 / 16));
  CHECK(u.total[1] == Approx(1.0 / 16));
  CHECK(u.mutual_information[0] == Approx(std::log(2.0)));
  CHECK(u.mutual_information[1] == Approx(0));
  CHECK(u.expected_entropy[1] == Approx(std::log(2.0)));
  CHECK(mean_of(u.epistemic) == Approx(0.125));
}

TEST_CASE("running sums equal the scores that see all passes at once") {
  Rng rng(11);
  const int64_t T = 7, H = 3, W = 4;
  std::vector<float> p, s;
  Moments pixels(H * W, 1);
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = 0; i < H * W; ++i) {
      p.push_back(static_cast<float>(rng.uniform()));
      s.push_back(static_cast<float>(rng.normal()));
    }
    const auto first = static_cast<size_t>(t * H * W);
    pixels.add(std::span(p).subspan(first), std::span(s).subspan(first));
  }
  const Passes x = segmentation_passes("x", T, H, W, p, {}, s);
  const Score kg = score(find_strategy("kendall_gal"), x), bald = score(find_strategy("bald"), x);
  const auto u = pixels.maps();
  CHECK(mean_of(u.total) == Approx(kg.value));
  CHECK(mean_of(u.epistemic) == Approx(kg.parts[1].second));
  CHECK(mean_of(u.mutual_information) == Approx(bald.value));

  std::vector<float> q;
  Moments image(1, 3);
  for (int t = 0; t < 4; ++t) {
    const float a = float(0.1 + 0.2 * t), b = float(0.3 - 0.05 * t);
    q.insert(q.end(), {a, b, 1 - a - b});
    image.add(std::span(q).last(3), std::vector<float>{-1, 0, 1});
  }
  const std::vector<float> sq{-1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1};
  const Score three = score(find_strategy("kendall_gal"), classification_passes("x", 4, 3, q, {}, sq));
  CHECK(image.maps().total[0] == Approx(three.value));
  CHECK(image.maps().entropy[0] == Approx(score(find_strategy("entropy"), classification_passes("x", 4, 3, q)).value));
}

TEST_CASE("running sums: dropout off is epistemic 0; errors") {
  Moments m(1, 2);
  for (int t = 0; t < 5; ++t) m.add(std::vector<float>{0.3f, 0.7f});
  CHECK(m.maps().epistemic[0] == Approx(0).epsilon(1e-15));
  CHECK(m.maps().aleatoric[0] == 0);
  CHECK_THROWS_AS(Moments(1, 2).maps(), Error);
  CHECK_THROWS_AS(m.add(std::vector<float>{0.3f}), Error);
  CHECK_THROWS_AS(m.add(std::vector<float>{NAN, 0.3f}), Error);
}
TEST_SUITE_END();
