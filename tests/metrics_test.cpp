#include "al/metrics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "al/surface_distance.h"
#include "tensor/error.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("metrics_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;

namespace {

// A random blob mask: an ellipse with noise, or empty now and then.
std::vector<uint8_t> random_mask(Rng& rng, int64_t H, int64_t W, double noise) {
  std::vector<uint8_t> m(static_cast<size_t>(H * W), 0);
  const double cy = rng.uniform(0, double(H)), cx = rng.uniform(0, double(W));
  const double ry = rng.uniform(1, double(H) / 2), rx = rng.uniform(1, double(W) / 2);
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      const double dy = (double(y) - cy) / ry, dx = (double(x) - cx) / rx;
      m[static_cast<size_t>(y * W + x)] = (dy * dy + dx * dx < 1) != (rng.uniform() < noise);
    }
  return m;
}

struct Point {
  double y, x;
};
// The outline, written the other way round: a foreground pixel with a background 4-neighbour or on the frame.
std::vector<Point> outline_points(const std::vector<uint8_t>& m, int64_t H, int64_t W) {
  const auto on = [&](int64_t y, int64_t x) {
    return y >= 0 && y < H && x >= 0 && x < W && m[static_cast<size_t>(y * W + x)] != 0;
  };
  std::vector<Point> out;
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x)
      if (on(y, x) && (!on(y - 1, x) || !on(y + 1, x) || !on(y, x - 1) || !on(y, x + 1)))
        out.push_back({double(y), double(x)});
  return out;
}
Hausdorff brute_hausdorff(const std::vector<Point>& a, const std::vector<Point>& b, double sy, double sx) {
  const auto directed = [&](const auto& from, const auto& to) {
    std::vector<double> d;
    for (const Point& p : from) {
      double best = 1e300;
      for (const Point& q : to) best = std::min(best, std::hypot((p.y - q.y) * sy, (p.x - q.x) * sx));
      d.push_back(best);
    }
    std::sort(d.begin(), d.end());
    return d;
  };
  const auto ab = directed(a, b), ba = directed(b, a);
  const auto p95 = [](const std::vector<double>& d) {
    const double at = 0.95 * double(d.size() - 1);
    const size_t i = size_t(at);
    return i + 1 < d.size() ? d[i] * (1 - (at - double(i))) + d[i + 1] * (at - double(i)) : d[i];
  };
  return {std::max(ab.back(), ba.back()), std::max(p95(ab), p95(ba))};
}

}  // namespace

TEST_CASE("AUC equals the share of ordered pairs, ties counted half") {
  Rng rng(1);
  for (int trial = 0; trial < 50; ++trial) {
    const int n = 2 + int(rng.below(40));
    std::vector<double> s;
    std::vector<uint8_t> y;
    for (int i = 0; i < n; ++i) {
      s.push_back(double(rng.below(8)));  // many ties
      y.push_back(rng.uniform() < 0.4);
    }
    y[0] = 1;
    y[1] = 0;
    double won = 0, pairs = 0;
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        if (y[size_t(i)] && !y[size_t(j)]) {
          pairs += 1;
          won += s[size_t(i)] > s[size_t(j)] ? 1 : s[size_t(i)] == s[size_t(j)] ? 0.5 : 0;
        }
    REQUIRE(auc(s, y) == Approx(won / pairs));
  }
  CHECK(auc(std::vector<double>{0.1, 0.4, 0.35, 0.8}, std::vector<uint8_t>{0, 0, 1, 1}) == Approx(0.75));
  CHECK(std::isnan(auc(std::vector<double>{1, 2}, std::vector<uint8_t>{1, 1})));
}

// Four images, two classes; p1 = .9 .4 .5 .2, truth 1 1 0 0.
TEST_CASE("two classes by hand") {
  const std::vector<float> p{0.1f, 0.9f, 0.6f, 0.4f, 0.5f, 0.5f, 0.8f, 0.2f};
  const std::vector<int64_t> y{1, 1, 0, 0};
  const auto m = classification_metrics(p, y, 2);
  CHECK(m.auc == Approx(0.75));         // pairs: .9 beats both, .4 beats .2 only
  CHECK(m.sensitivity == Approx(0.5));  // .9 found, .4 missed
  CHECK(m.specificity == Approx(0.5));  // .2 right, .5 called positive
  CHECK(m.accuracy == Approx(0.5));
  CHECK(m.nll == Approx(-(std::log(0.9) + std::log(0.4) + std::log(0.5) + std::log(0.8)) / 4));
  CHECK(m.brier == Approx(2 * (0.01 + 0.36 + 0.25 + 0.04) / 4));
  // Confidences .9 right, .6 wrong, .5 wrong, .8 right, each in its own bin.
  CHECK(m.ece == Approx((0.1 + 0.6 + 0.5 + 0.2) / 4));
  CHECK(m.confusion == std::vector<int64_t>{1, 1, 1, 1});
  CHECK(m.reliability.size() == 15);
  CHECK(m.named().size() == 7);
}

TEST_CASE("three classes are averaged one against the rest; an absent class is left out") {
  const std::vector<float> p{0.7f, 0.2f, 0.1f, 0.2f, 0.5f, 0.3f, 0.1f, 0.6f, 0.3f, 0.6f, 0.3f, 0.1f};
  const auto m = classification_metrics(p, std::vector<int64_t>{0, 1, 2, 0}, 3);  // guesses 0 1 1 0
  CHECK(m.accuracy == Approx(0.75));
  CHECK(m.sensitivity == Approx((1.0 + 1 + 0) / 3));
  CHECK(m.specificity == Approx((1.0 + 2.0 / 3 + 1) / 3));
  // Class 0: 1; class 1: .5 against .2 .6 .3: 2/3; class 2: .3 against .1 .3 .1: 2.5/3.
  CHECK(m.auc == Approx((1 + 2.0 / 3 + 2.5 / 3) / 3));
  const auto two = classification_metrics(p, std::vector<int64_t>{0, 1, 1, 0}, 3);
  CHECK(two.auc == Approx(1));
  CHECK(two.sensitivity == Approx(1));
  const auto one = classification_metrics(p, std::vector<int64_t>{0, 0, 0, 0}, 3);
  CHECK(std::isnan(one.auc));
  for (const auto& [name, value] : one.named()) CHECK(name != "auc");
}

TEST_CASE("ECE: bins, edges and pixels") {
  Reliability r(10);
  for (int i = 0; i < 10; ++i) r.add(0.75, i < 5);  // confidence .75, accuracy .5
  for (int i = 0; i < 30; ++i) r.add(0.95, i < 27);
  CHECK(r.ece() == Approx(0.25 * 0.25 + 0.75 * 0.05));
  CHECK(r.mce() == Approx(0.25));
  CHECK(r.bins()[7].count == 10);
  Reliability edges(4);
  for (const double c : {0.0, 0.25, 0.5, 1.0}) edges.add(c, true);  // (low, high]
  CHECK(edges.bins()[0].count == 2);
  CHECK(edges.bins()[1].count == 1);
  CHECK(edges.bins()[3].count == 1);
  CHECK_THROWS_AS(edges.add(std::nan(""), true), Error);
  Reliability mask;
  mask.add_mask(std::vector<float>{0.9f, 0.2f, 0.5f}, std::vector<uint8_t>{1, 1, 0});
  CHECK(mask.ece() == Approx((0.1 + 0.8 + 0.5) / 3).epsilon(1e-6));
  CHECK(Reliability().ece() == 0);
}

TEST_CASE("temperature: recovers a known scale, for softmax and sigmoid") {
  // Labels drawn from softmax(f); the model reports 3 f, so the right temperature is 3.
  Rng rng(4);
  std::vector<float> soft, sig;
  std::vector<int64_t> y_soft, y_sig;
  for (int i = 0; i < 20000; ++i) {
    const double f[3] = {rng.normal(), rng.normal(), rng.normal()};
    const double e[3] = {std::exp(f[0]), std::exp(f[1]), std::exp(f[2])};
    const double u = rng.uniform() * (e[0] + e[1] + e[2]);
    y_soft.push_back(u < e[0] ? 0 : u < e[0] + e[1] ? 1 : 2);
    for (const double v : f) soft.push_back(float(3 * v));
    y_sig.push_back(rng.uniform() < 1 / (1 + std::exp(-f[0])));
    sig.push_back(float(3 * f[0]));
  }
  CHECK(fit_temperature(soft, y_soft, 3) == Approx(3).epsilon(0.05));
  CHECK(fit_temperature(sig, y_sig, 1) == Approx(3).epsilon(0.05));
  // The optimum beats its neighbours.
  const auto nll = [&](double t) {
    const auto p = calibrated(soft, 3, t);
    double sum = 0;
    for (size_t i = 0; i < y_soft.size(); ++i) sum -= std::log(p[3 * i + size_t(y_soft[i])]);
    return sum;
  };
  const double t = fit_temperature(soft, y_soft, 3);
  CHECK(nll(t) < nll(t * 1.02));
  CHECK(nll(t) < nll(t / 1.02));
  CHECK(calibrated(std::vector<float>{0, 2}, 2, 2)[1] == Approx(1 / (1 + std::exp(-1.0))));
  CHECK(calibrated(std::vector<float>{2}, 1, 2)[0] == Approx(1 / (1 + std::exp(-1.0))));
  CHECK(calibrated(std::vector<float>{-2000}, 1, 1)[0] == Approx(0));
  CHECK(fit_temperature(std::vector<float>{1, 0}, std::vector<int64_t>{0}, 2) == Approx(0.05));  // never wrong: limit
}

TEST_CASE("Dice and IoU by hand, and the empty-mask rule") {
  const std::vector<uint8_t> a{1, 1, 0, 0}, b{255, 0, 1, 0}, none(4, 0);
  const auto m = segmentation_metrics(a, b, 2, 2);
  CHECK(m.dice == Approx(0.5));
  CHECK(m.iou == Approx(1.0 / 3));
  CHECK(std::isnan(m.hausdorff_mm));
  CHECK(m.named().size() == 4);
  const auto both = segmentation_metrics(none, none, 2, 2, {2, 2});
  CHECK(both.dice == 1);
  CHECK(both.iou == 1);
  CHECK(both.hausdorff_px == 0);
  CHECK(both.hausdorff_mm == 0);
  const auto missed = segmentation_metrics(none, a, 2, 2, {2, 2});
  CHECK(missed.dice == 0);
  CHECK(missed.hausdorff_px == Approx(std::sqrt(8.0)));
  CHECK(missed.hausdorff95_mm == Approx(2 * std::sqrt(8.0)));
  const auto mean = mean_metrics(std::vector{both, missed});
  CHECK(mean.dice == Approx(0.5));
  CHECK(mean.hausdorff_px == Approx(std::sqrt(2.0)));
}

TEST_CASE("Hausdorff of two squares by hand") {
  // 3x3 squares in 12x12, the second 4 px right and 3 px down: the far corner is at distance 5.
  std::vector<uint8_t> a(144, 0), b(144, 0);
  for (size_t y = 0; y < 3; ++y)
    for (size_t x = 0; x < 3; ++x) {
      a[(y + 1) * 12 + x + 1] = 1;
      b[(y + 4) * 12 + x + 5] = 1;
    }
  const auto m = segmentation_metrics(a, b, 12, 12, {0.5, 0.5});
  CHECK(m.hausdorff_px == Approx(5));
  CHECK(m.hausdorff_mm == Approx(2.5));
  CHECK(m.hausdorff95_px < 5);
}

TEST_CASE("distance transform and Hausdorff equal brute force") {
  Rng rng(9);
  for (int trial = 0; trial < 40; ++trial) {
    const int64_t H = 1 + rng.below(24), W = 1 + rng.below(24);
    const double sy = trial % 2 ? 1 : 0.7, sx = trial % 2 ? 1 : 1.9;
    const auto a = random_mask(rng, H, W, trial % 3 ? 0.0 : 0.1), b = random_mask(rng, H, W, 0.02);
    const auto d = squared_distance_transform(a, H, W, sy, sx);
    for (int64_t y = 0; y < H; ++y)
      for (int64_t x = 0; x < W; ++x) {
        double best = std::numeric_limits<double>::infinity();
        for (int64_t v = 0; v < H; ++v)
          for (int64_t u = 0; u < W; ++u)
            if (a[static_cast<size_t>(v * W + u)])
              best = std::min(best, std::pow(double(y - v) * sy, 2) + std::pow(double(x - u) * sx, 2));
        const double found = d[static_cast<size_t>(y * W + x)];
        if (std::isinf(best))
          REQUIRE(std::isinf(found));
        else
          REQUIRE(found == Approx(best));
      }
    const auto pa = outline_points(a, H, W), pb = outline_points(b, H, W);
    if (pa.empty() || pb.empty()) continue;
    const Hausdorff slow = brute_hausdorff(pa, pb, sy, sx), fast = hausdorff(a, b, H, W, sy, sx);
    REQUIRE(fast.max == Approx(slow.max));
    REQUIRE(fast.p95 == Approx(slow.p95));
  }
}

TEST_CASE("bad input is refused") {
  const std::vector<float> p{0.5f, 0.5f};
  CHECK_THROWS_WITH_AS(classification_metrics({}, {}, 2), "metrics: there is no labelled image to evaluate on", Error);
  CHECK_THROWS_WITH_AS(classification_metrics(p, std::vector<int64_t>{2}, 2),
                       "metrics: image 0 has the class 2, the model knows 2 classes", Error);
  CHECK_THROWS_AS(classification_metrics(std::vector<float>{std::nanf(""), 0.5f}, std::vector<int64_t>{0}, 2), Error);
  CHECK_THROWS_AS(segmentation_metrics(std::vector<uint8_t>(3, 0), std::vector<uint8_t>(4, 0), 2, 2), Error);
  CHECK_THROWS_AS(threshold(std::vector<float>{std::nanf("")}), Error);
  CHECK(threshold(std::vector<float>{0.49f, 0.5f}) == std::vector<uint8_t>{0, 1});
}
TEST_SUITE_END();
