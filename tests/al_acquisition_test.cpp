#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "al/acquisition.h"
#include "tensor/error.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("al_acquisition_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;

namespace {

using Values = std::vector<float>;

double value(std::string_view strategy, int64_t T, int64_t C, const Values& p, const Values& logit = {},
             const Values& log_variance = {}) {
  return score(find_strategy(strategy), classification_passes("x", T, C, p, logit, log_variance)).value;
}
double part(const Score& s, std::string_view name) {
  for (const auto& [key, v] : s.parts)
    if (key == name) return v;
  FAIL("no part named " << name);
  return 0;
}
std::string error_of(const auto& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}
bool has(const std::string& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

// T random softmax rows, [T,C].
Values random_rows(Rng& rng, int64_t T, int64_t C) {
  Values p;
  for (int64_t t = 0; t < T; ++t) {
    std::vector<double> row;
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += row.emplace_back(std::exp(3 * rng.normal()));
    for (const double v : row) p.push_back(static_cast<float>(v / sum));
  }
  return p;
}

}  // namespace

// Two passes, three classes: mean = (0.5, 0.35, 0.15).
TEST_CASE("formulas on a hand-computed case") {
  const Values p{0.7f, 0.2f, 0.1f, 0.3f, 0.5f, 0.2f};
  const double h_mean = -(0.5 * std::log(0.5) + 0.35 * std::log(0.35) + 0.15 * std::log(0.15));
  const double h1 = -(0.7 * std::log(0.7) + 0.2 * std::log(0.2) + 0.1 * std::log(0.1));
  const double h2 = -(0.3 * std::log(0.3) + 0.5 * std::log(0.5) + 0.2 * std::log(0.2));
  CHECK(h_mean == Approx(0.998580).epsilon(1e-5));  // by pocket calculator
  CHECK(value("least_confidence", 2, 3, p) == Approx(0.5));
  CHECK(value("variation_ratios", 2, 3, p) == Approx(0.5));
  CHECK(value("variation_ratios_mode", 2, 3, p) == Approx(0.5));  // one vote each
  CHECK(value("margin", 2, 3, p) == Approx(-0.15));
  CHECK(value("entropy", 2, 3, p) == Approx(h_mean));
  CHECK(value("bald", 2, 3, p) == Approx(h_mean - (h1 + h2) / 2));
  CHECK(value("mean_std", 2, 3, p) == Approx((0.2 + 0.15 + 0.05) / 3));  // half the difference of two values
  CHECK(value("kendall_gal_epistemic", 2, 3, p) == Approx((0.04 + 0.0225 + 0.0025) / 3));
  const Score s = score(find_strategy("bald"), classification_passes("x", 2, 3, p));
  CHECK(part(s, "entropy") == Approx(h_mean));
  CHECK(part(s, "expected_entropy") == Approx((h1 + h2) / 2));
  CHECK(s.group == 0);
}

TEST_CASE("mode variation ratio counts votes") {
  const Values p{0.9f, 0.1f, 0.6f, 0.4f, 0.2f, 0.8f, 0.7f, 0.3f};  // votes 0 0 1 0
  CHECK(value("variation_ratios_mode", 4, 2, p) == Approx(0.25));
  CHECK(value("variation_ratios", 4, 2, p) == Approx(0.4));
}

TEST_CASE("query by committee: votes and divergence from the consensus") {
  const Values p{0.9f, 0.1f, 0.6f, 0.4f, 0.2f, 0.8f, 0.7f, 0.3f};  // votes 0 0 1 0
  CHECK(value("vote_entropy", 4, 2, p) == Approx(0.562335));          // -(3/4 log 3/4 + 1/4 log 1/4)
  CHECK(value("vote_entropy", 2, 2, {0.9f, 0.1f, 0.6f, 0.4f}) == 0);
  // Two members (1,0) and (1/2,1/2): consensus (3/4,1/4); (log 4/3 + (log 2/3 + log 2) / 2) / 2.
  CHECK(value("mean_kl", 2, 2, {1, 0, 0.5f, 0.5f}) ==
        Approx((std::log(4.0 / 3) + (std::log(2.0 / 3) + std::log(2.0)) / 2) / 2));
  Rng rng(11);
  for (int i = 0; i < 50; ++i) {
    const Values q = random_rows(rng, 6, 4);
    CHECK(value("mean_kl", 6, 4, q) == Approx(value("bald", 6, 4, q)).epsilon(1e-9));
  }
}

TEST_CASE("BALD is 0 when the passes agree and log 2 when two classes flip; 0 log 0 is 0") {
  CHECK(value("bald", 3, 2, {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f}) == Approx(0).epsilon(1e-12));
  CHECK(value("bald", 4, 2, {1, 0, 0, 1, 1, 0, 0, 1}) == Approx(std::log(2.0)));
  CHECK(value("entropy", 1, 3, {1, 0, 0}) == 0);
  CHECK(value("entropy", 1, 4, {0.25f, 0.25f, 0.25f, 0.25f}) == Approx(std::log(4.0)));
}

TEST_CASE("entropy >= BALD >= 0 for any probabilities") {
  Rng rng(5);
  for (int i = 0; i < 300; ++i) {
    const int64_t T = 1 + rng.below(12), C = 2 + rng.below(5);
    const Values p = random_rows(rng, T, C);
    const Score s = score(find_strategy("bald"), classification_passes("x", T, C, p));
    REQUIRE(s.value >= 0);
    REQUIRE(part(s, "entropy") >= s.value - 1e-12);
    REQUIRE(part(s, "entropy") <= std::log(static_cast<double>(C)) + 1e-6);
  }
}

TEST_CASE("with two classes least confidence, margin and entropy rank alike") {
  Rng rng(6);
  std::vector<double> lc, ma, en;
  for (int i = 0; i < 50; ++i) {
    const Values p = random_rows(rng, 3, 2);
    lc.push_back(value("least_confidence", 3, 2, p));
    ma.push_back(value("margin", 3, 2, p));
    en.push_back(value("entropy", 3, 2, p));
  }
  for (size_t i = 0; i < 50; ++i)
    for (size_t j = 0; j < 50; ++j)
      if (lc[i] > lc[j] + 1e-9) CHECK((ma[i] > ma[j] && en[i] > en[j]));
}

TEST_CASE("the Kendall-Gal variance equals the hand value") {
  // y = 1, 2, 3: mean of squares 14/3, square of mean 4, so epistemic 2/3. sigma^2 = .1 .2 .6: mean .3.
  const std::vector<double> y{1, 2, 3}, sigma2{0.1, 0.2, 0.6};
  const Variance v = predictive_variance(y, sigma2);
  CHECK(v.epistemic == Approx(2.0 / 3));
  CHECK(v.aleatoric == Approx(0.3));
  CHECK(v.total() == Approx(2.0 / 3 + 0.3));
  CHECK(predictive_variance(std::vector<double>{2, 2, 2}).epistemic == 0);  // no dropout

  // On logits, word for word: logits (0,1), (0,2), (0,3) with those variances on class 1 and none on class 0.
  const float off = -200;
  const Values logit{0, 1, 0, 2, 0, 3};
  const Values s{off, std::log(0.1f), off, std::log(0.2f), off, std::log(0.6f)};
  Values p;
  for (const double f : y) p.insert(p.end(), {float(1 / (1 + std::exp(f))), float(1 / (1 + std::exp(-f)))});
  CHECK(value("kendall_gal_logit", 3, 2, p, logit, s) == Approx((2.0 / 3 + 0.3) / 2));  // mean over two classes

  // On probabilities the aleatoric term is sum_k (p_c ([c=k] - p_k))^2 sigma_k^2 = (p0 p1)^2 sigma_1^2 for both
  // classes.
  double aleatoric = 0;
  for (size_t t = 0; t < 3; ++t) {
    const double slope = double(p[2 * t]) * double(p[2 * t + 1]);
    aleatoric += slope * slope * sigma2[t] / 3;
  }
  CHECK(value("kendall_gal_aleatoric", 3, 2, p, {}, s) == Approx(aleatoric));
  CHECK(value("kendall_gal", 3, 2, p, {}, s) == Approx(aleatoric + value("kendall_gal_epistemic", 3, 2, p)));
}

TEST_CASE("more predicted noise raises only the aleatoric term") {
  const Values p{0.3f, 0.7f, 0.6f, 0.4f};
  const auto at = [&](float s) {
    return score(find_strategy("kendall_gal"), classification_passes("x", 2, 2, p, {}, std::vector<float>(4, s)));
  };
  const Score a = at(-2), b = at(1);
  CHECK(part(a, "epistemic") == part(b, "epistemic"));
  CHECK(part(b, "aleatoric") > part(a, "aleatoric"));
  CHECK(b.value == Approx(part(b, "epistemic") + part(b, "aleatoric")));
}

TEST_CASE("the first-order aleatoric term is the derivative of softmax") {
  // Three classes, noise on one logit at a time, against a finite difference.
  const double f[3] = {0.2, -0.5, 1.1};
  const auto softmax = [&](int k, double step) {
    double g[3], sum = 0;
    for (int c = 0; c < 3; ++c) sum += g[c] = std::exp(f[c] + (c == k ? step : 0));
    return std::array{g[0] / sum, g[1] / sum, g[2] / sum};
  };
  const auto p = softmax(0, 0);
  for (int k = 0; k < 3; ++k) {
    Values s(3, -200.0f);
    s[static_cast<size_t>(k)] = 0;
    const auto hi = softmax(k, 1e-5), lo = softmax(k, -1e-5);
    double expected = 0;
    for (size_t c = 0; c < 3; ++c) expected += std::pow((hi[c] - lo[c]) / 2e-5, 2) / 3;
    CHECK(value("kendall_gal_aleatoric", 1, 3, {float(p[0]), float(p[1]), float(p[2])}, {}, s) ==
          Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("sampled logits: noise off is epistemic only; small noise is the first-order term") {
  const Values f{0, 0.4f, 0, -0.8f}, p{float(1 / (1 + std::exp(0.4))), float(1 / (1 + std::exp(-0.4))),
                                       float(1 / (1 + std::exp(-0.8))), float(1 / (1 + std::exp(0.8)))};
  const Values off(2, -200.0f);  // one s per pass
  const Passes quiet = classification_passes("x", 2, 2, p, f, off);
  const Score a = score(find_strategy("kendall_gal_sampled"), quiet);
  CHECK(part(a, "aleatoric") == Approx(0).epsilon(1e-12));
  CHECK(part(a, "epistemic") == Approx(value("kendall_gal_epistemic", 2, 2, p)).epsilon(1e-5));
  const Values small(4, std::log(0.01f));
  const Score b =
      score(find_strategy("kendall_gal_sampled"), classification_passes("x", 2, 2, p, f, small), {.samples = 20000});
  CHECK(part(b, "aleatoric") / value("kendall_gal_aleatoric", 2, 2, p, {}, small) == Approx(1).epsilon(0.02));
}

TEST_CASE("segmentation scores each pixel as two classes and takes the mean") {
  // One row of two pixels: pixel 0 flips 1, 0; pixel 1 says 0.5 twice.
  const Values p{1, 0.5f, 0, 0.5f};
  const Passes x = segmentation_passes("x", 2, 1, 2, p);
  CHECK(score(find_strategy("bald"), x).value == Approx(std::log(2.0) / 2));
  CHECK(score(find_strategy("entropy"), x).value == Approx(std::log(2.0)));
  CHECK(score(find_strategy("mean_std"), x).value == Approx(0.25));
  CHECK(score(find_strategy("margin"), x).value == Approx(0));
  const Values s{0, 0, 0, 0};  // sigma^2 = 1: (p(1-p))^2 is 0 at p = 0 or 1 and 1/16 at p = 1/2
  const Score k = score(find_strategy("kendall_gal"), segmentation_passes("x", 2, 1, 2, p, {}, s));
  CHECK(part(k, "epistemic") == Approx(0.125));
  CHECK(part(k, "aleatoric") == Approx(1.0 / 32));
}

TEST_CASE("reductions") {
  // A 4x4 map: 8 at (1,1), 4 at (1,2), else 0; foreground = the two left columns.
  std::vector<double> map(16, 0.0), fg(16, 0.0);
  map[5] = 8;
  map[6] = 4;
  for (size_t i = 0; i < 16; ++i) fg[i] = i % 4 < 2 ? 0.9 : 0.1;
  CHECK(reduce(map, fg, 4, 4, {}) == Approx(12.0 / 16));
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::top_percent, .top_percent = 12.5}) == Approx(6));
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::top_percent, .top_percent = 0.1}) == Approx(8));  // at least one pixel
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::max_patch, .patch = 2}) == Approx(3));
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::max_patch, .patch = 99}) == Approx(12.0 / 16));
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::foreground}) == Approx(12.0 / 8));
  // The contour runs between columns 1 and 2; one pixel each side is the band, so both bright pixels go.
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::boundary_excluded, .boundary = 1}) == 0);
  map[4] = 2;
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::boundary_excluded, .boundary = 1}) == Approx(2.0 / 8));
  CHECK(reduce(map, fg, 4, 4, {.kind = Reduce::boundary_excluded, .boundary = 2}) == Approx(14.0 / 16));  // none left
  CHECK(reduce(map, std::vector<double>(16, 0.0), 4, 4, {.kind = Reduce::foreground}) == Approx(14.0 / 0.16));
  for (const auto r : {Reduce::mean, Reduce::max_patch, Reduce::foreground}) CHECK(parse_reduce(name_of(r)) == r);
  CHECK(has(error_of([] { parse_reduce("median"); }), "unknown reduction 'median'"));
}

TEST_CASE("the largest patch mean equals the one found by trying every window") {
  Rng rng(8);
  const int64_t H = 9, W = 7, side = 3;
  std::vector<double> map, fg(static_cast<size_t>(H * W), 0.0);
  for (int64_t i = 0; i < H * W; ++i) map.push_back(rng.uniform());
  double best = 0;
  for (int64_t y = 0; y + side <= H; ++y)
    for (int64_t x = 0; x + side <= W; ++x) {
      double sum = 0;
      for (int64_t v = 0; v < side; ++v)
        for (int64_t u = 0; u < side; ++u) sum += map[static_cast<size_t>((y + v) * W + x + u)];
      best = std::max(best, sum / 9);
    }
  CHECK(reduce(map, fg, H, W, {.kind = Reduce::max_patch, .patch = side}) == Approx(best));
}

TEST_CASE("random is a function of seed and case id only, and uniform") {
  const Strategy& s = find_strategy("random");
  const auto draw = [&](uint64_t seed, const std::string& id) {
    return score(s, Passes{.id = id}, {.seed = seed}).value;
  };
  CHECK(draw(1, "a") == draw(1, "a"));
  CHECK(draw(1, "a") != draw(1, "b"));
  CHECK(draw(1, "a") != draw(2, "a"));
  double mean = 0;
  for (int i = 0; i < 4000; ++i) mean += draw(3, "case" + std::to_string(i)) / 4000;
  CHECK(std::abs(mean - 0.5) < 4 * std::sqrt(1.0 / 12 / 4000));
}

TEST_CASE("foreground_random draws the first image in proportion to its weight") {
  // Foreground 0.28 against 0.08: weights 0.30 and 0.10, so the first wins three times in four.
  const Values big{0.28f}, small{0.08f};
  int wins = 0;
  const int n = 4000;
  for (int i = 0; i < n; ++i) {
    const ScoreOptions o{.seed = static_cast<uint64_t>(i)};
    const Strategy& s = find_strategy("fg-random");
    wins += score(s, segmentation_passes("a", 1, 1, 1, big), o).value >
            score(s, segmentation_passes("b", 1, 1, 1, small), o).value;
  }
  CHECK(std::abs(wins / double(n) - 0.75) < 4 * std::sqrt(0.75 * 0.25 / n));
}

TEST_CASE("sampled logits: one sigmoid is the softmax of {0, f}") {
  const Values f{0.4f, -0.8f}, s{0.5f, 1}, f2{0, 0.4f, 0, -0.8f}, s2{-200, 0.5f, -200, 1};
  Values p, p2;
  for (const float v : f) {
    p.push_back(1 / (1 + std::exp(-v)));
    p2.insert(p2.end(), {1 - p.back(), p.back()});
  }
  const Strategy& sampled = find_strategy("kendall_gal_sampled");
  const ScoreOptions o{.samples = 40000};
  const Score a = score(sampled, segmentation_passes("x", 2, 1, 1, p, f, s), o);
  const Score b = score(sampled, classification_passes("x", 2, 2, p2, f2, s2), o);
  CHECK(part(a, "aleatoric") / part(b, "aleatoric") == Approx(1).epsilon(0.03));
  CHECK(part(a, "epistemic") / part(b, "epistemic") == Approx(1).epsilon(0.03));
}

// A posterior over where the threshold between two classes lies, and a region x > 2 whose labels are coin flips.
TEST_CASE("BALD asks where the model can learn; entropy also asks for pure noise; random asks anywhere") {
  Rng rng(2);
  const int64_t T = 20;
  std::vector<double> threshold;
  for (int64_t t = 0; t < T; ++t) threshold.push_back(0.3 * rng.normal());
  const auto share = [&](std::string_view name, auto wanted) {
    std::vector<std::pair<double, double>> pool;  // score, x
    for (int i = 0; i < 400; ++i) {
      const double x = -3 + 6.0 * i / 400;
      Values p;
      for (const double at : threshold) {
        const float q = x > 2 ? 0.5f : static_cast<float>(1 / (1 + std::exp(-12 * (x - at))));
        p.insert(p.end(), {1 - q, q});
      }
      const std::string id = "case" + std::to_string(i);
      pool.emplace_back(score(find_strategy(name), classification_passes(id, T, 2, p)).value, x);
    }
    std::sort(pool.rbegin(), pool.rend());
    return std::count_if(pool.begin(), pool.begin() + 40, [&](const auto& c) { return wanted(c.second); }) / 40.0;
  };
  const auto near = [](double x) { return std::abs(x) < 0.7; };
  const auto noise = [](double x) { return x > 2; };
  CHECK(share("bald", near) == 1);
  CHECK(share("kendall_gal_epistemic", near) == 1);
  CHECK(share("entropy", noise) > 0.5);
  CHECK(share("random", near) < 0.5);
}

TEST_CASE("bad input is an error that names the case") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(has(error_of([&] { value("entropy", 1, 2, {nan, 0.5f}); }), "case 'x' has a probability of nan"));
  CHECK(has(error_of([&] { value("entropy", 1, 2, {1.5f, -0.5f}); }), "probability of 1.5"));
  CHECK(has(error_of([&] { value("entropy", 1, 2, {0.5f, 0.4f}); }), "add up to 0.9"));
  CHECK(has(error_of([&] { value("entropy", 2, 2, {0.5f, 0.5f}); }), "has 2 probabilities, its shape needs 4"));
  CHECK(has(error_of([&] { value("kendall_gal", 1, 2, {0.5f, 0.5f}); }), "log-variance head"));
  CHECK(has(error_of([&] { value("kendall_gal_logit", 1, 2, {0.5f, 0.5f}, {}, {0, 0}); }), "needs logits"));
  CHECK(has(error_of([&] { value("kendall_gal_logit", 1, 2, {0.5f, 0.5f}, {0, 0}, {800, 0}); }), "score of inf"));
  CHECK(has(error_of([&] { value("foreground_random", 1, 2, {0.5f, 0.5f}); }), "is for segmentation"));
}

TEST_CASE("strategies are found by name, alias and with hyphens; unknown names get a hint") {
  for (const Strategy* s : strategies()) {
    CHECK(&find_strategy(s->name) == s);
    CHECK_FALSE(s->formula.empty());
    CHECK_FALSE(s->doc.empty());
    CHECK_FALSE(s->source.empty());
    const std::string e = explain(*s);
    CHECK(has(e, s->formula));
    CHECK(has(e, "disputed"));
  }
  CHECK(find_strategy("Kendall-Gal").name == "kendall_gal");
  CHECK(find_strategy("fg-random").name == "foreground_random");
  const std::string e = error_of([] { find_strategy("blad"); });
  CHECK(has(e, "did you mean 'bald'?"));
  CHECK(has(e, "kendall_gal_sampled"));
}

TEST_CASE("the reason names the parts") {
  const Strategy& s = find_strategy("bald");
  CHECK(reason(s, score(s, classification_passes("x", 2, 2, std::vector<float>{1, 0, 0.4f, 0.6f}))) ==
        "bald 0.274 (entropy 0.611, expected_entropy 0.337)");
}
TEST_SUITE_END();
