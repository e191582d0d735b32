// Batch selectors: each formula on a hand-computed case, and what holds for all of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "al/selection/family.h"
#include "models/resnet.h"
#include "models/unet.h"
#include "models/vgg.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("al_batch_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;

namespace {

using Values = std::vector<float>;

Values random_rows(Rng& rng, int64_t T, int64_t C) {
  Values p;
  for (int64_t t = 0; t < T; ++t) {
    std::vector<double> row;
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += row.emplace_back(std::exp(2 * rng.normal()));
    for (const double v : row) p.push_back(static_cast<float>(v / sum));
  }
  return p;
}
// H(labels) of several images, by walking through all configurations.
double joint_entropy(const std::vector<Values>& images, int64_t T, int64_t C) {
  std::vector<size_t> label(images.size(), 0);
  double h = 0;
  for (;;) {
    double q = 0;
    for (int64_t t = 0; t < T; ++t) {
      double product = 1;
      for (size_t i = 0; i < images.size(); ++i) product *= images[i][static_cast<size_t>(t * C) + label[i]];
      q += product / static_cast<double>(T);
    }
    if (q > 0) h -= q * std::log(q);
    size_t i = 0;
    while (i < label.size() && ++label[i] == static_cast<size_t>(C)) label[i++] = 0;
    if (i == label.size()) return h;
  }
}
double expected(const Values& p, int64_t T) {
  double h = 0;
  for (const float q : p) h -= q > 0 ? q * std::log(double{q}) : 0;
  return h / static_cast<double>(T);
}
const auto no_draw = [](int64_t) { return 0.5; };

Points points(int64_t d, std::vector<double> x) { return {static_cast<int64_t>(x.size()) / d, d, std::move(x)}; }
template <class Item>
std::vector<size_t> indices(const std::vector<Item>& items) {
  std::vector<size_t> v;
  for (const Item& i : items) v.push_back(i.index);
  return v;
}
using Indices = std::vector<size_t>;

// A pool with everything any selector may need.
PoolView random_pool(int n, int labelled, const Strategy& s, uint64_t seed = 4) {
  Rng rng(seed);
  const int64_t T = s.needs.one_pass ? 1 : 5, C = 3;
  PoolView view{T, C, {}, {}};
  const auto feature = [&] {
    Values f;
    for (int j = 0; j < 6; ++j) f.push_back(static_cast<float>(std::abs(rng.normal())));
    return f;
  };
  for (int i = 0; i < n; ++i) {
    const std::string id = "case" + std::to_string(i);
    const Values p = random_rows(rng, T, C);
    view.cases.push_back({id, s.compute ? score(s, classification_passes(id, T, C, p)) : Score{}, p, feature()});
  }
  for (int i = 0; i < labelled; ++i) view.labelled.push_back(feature());
  for (int i = 0; i < labelled; ++i) view.labelled_class.push_back(i % C);
  for (int i = 0; i < labelled; ++i) view.labelled_loss.push_back(0.1 * i);
  view.stages = {4, 2};
  return view;
}
std::vector<std::string> names(const PoolView& view, const std::vector<Pick>& picks) {
  std::vector<std::string> v;
  for (const Pick& p : picks) v.push_back(view.cases[p.index].id);
  return v;
}
std::vector<const Strategy*> selectors() {
  std::vector<const Strategy*> v;
  for (const Strategy* s : strategies())
    if (s->select) v.push_back(s);
  return v;
}

}  // namespace

TEST_CASE("BatchBALD: a copy of an image whose label is known teaches nothing, an independent one everything") {
  // Four passes; A says 0 0 1 1, B says 0 1 0 1: each worth log 2, together log 4, and a copy of A nothing more.
  const Values a{1, 0, 1, 0, 0, 1, 0, 1}, b{1, 0, 0, 1, 1, 0, 0, 1};
  JointLabels joint(4, 2, 100);
  CHECK(joint.gain(a) == Approx(std::log(2.0)));
  joint.add(a, no_draw);
  CHECK(joint.gain(a) == Approx(0).epsilon(1e-12));
  CHECK(joint.gain(b) == Approx(std::log(2.0)));
  joint.add(b, no_draw);
  CHECK(joint.gain(Values{1, 0, 0, 1, 0, 1, 1, 0}) == Approx(0).epsilon(1e-12));  // A xor B is known too
}

TEST_CASE("BatchBALD by hand: two passes, two images") {
  // p(y=1): image A 0.9, 0.2; image B 0.6, 0.1. Joint, mean over the passes:
  // 11: (.54+.02)/2 = .28   10: (.36+.18)/2 = .27   01: (.06+.08)/2 = .07   00: (.04+.72)/2 = .38
  const Values a{0.1f, 0.9f, 0.8f, 0.2f}, b{0.4f, 0.6f, 0.9f, 0.1f};
  const double joint_h =
      -(0.28 * std::log(0.28) + 0.27 * std::log(0.27) + 0.07 * std::log(0.07) + 0.38 * std::log(0.38));
  CHECK(joint_h == Approx(1.263782).epsilon(1e-6));  // by pocket calculator
  JointLabels joint(2, 2, 100);
  const double h_a = joint.conditional_entropy(a);
  CHECK(h_a == Approx(-(0.55 * std::log(0.55) + 0.45 * std::log(0.45))));
  joint.add(a, no_draw);
  CHECK(h_a + joint.conditional_entropy(b) == Approx(joint_h).epsilon(1e-6));
  CHECK(joint.gain(b) == Approx(joint_h - h_a - expected(b, 2)).epsilon(1e-5));
}

TEST_CASE("the chain of conditional entropies is the joint entropy; gains never grow") {
  Rng rng(7);
  const int64_t T = 4, C = 3;
  std::vector<Values> images;
  for (int i = 0; i < 5; ++i) images.push_back(random_rows(rng, T, C));
  JointLabels joint(T, C, 1000);
  double h = 0, before = 1e9;
  for (const Values& p : images) {
    h += joint.conditional_entropy(p);
    joint.add(p, no_draw);
    CHECK(joint.gain(images[0]) <= before + 1e-12);
    before = joint.gain(images[0]);
  }
  CHECK(joint.exact());
  CHECK(h == Approx(joint_entropy(images, T, C)).epsilon(1e-6));  // rows of f32 add up to 1 within an ulp or two
}

TEST_CASE("sampled configurations estimate the exact conditional entropy: without bias, better with more of them") {
  Rng rng(9);
  const int64_t T = 5, C = 2;
  std::vector<Values> images;
  for (int i = 0; i < 8; ++i) images.push_back(random_rows(rng, T, C));
  const Values probe = random_rows(rng, T, C);
  JointLabels exact(T, C, 256);
  for (const Values& p : images) exact.add(p, no_draw);
  REQUIRE(exact.exact());
  // Mean and standard deviation of the error over seeds. With `most` = 20 the first four images are exact.
  const auto error = [&](int64_t most, size_t seeds) {
    std::vector<double> e;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      JointLabels sampled(T, C, most);
      Rng draw(seed);
      for (const Values& p : images) sampled.add(p, [&](int64_t) { return draw.uniform(); });
      REQUIRE_FALSE(sampled.exact());
      e.push_back(sampled.conditional_entropy(probe) - exact.conditional_entropy(probe));
    }
    double mean = 0, square = 0;
    for (const double v : e) mean += v / static_cast<double>(seeds);
    for (const double v : e) square += (v - mean) * (v - mean) / static_cast<double>(seeds);
    return std::pair(mean, std::sqrt(square));
  };
  for (const int64_t most : {5, 20, 100}) {
    const auto [mean, deviation] = error(most, 900);
    CAPTURE(most);
    CHECK(std::abs(mean) < 4 * deviation / 30);
    CHECK(deviation <= std::log(2.0) / 2 / std::sqrt(static_cast<double>(most)));  // entropies lie in [0, log 2]
  }
  CHECK(error(100, 100).second < error(20, 100).second);
}

TEST_CASE("batchbald asks for one of two copies and then for something else; bald asks for both") {
  const Strategy& s = find_strategy("batchbald");
  const Values copy{0.95f, 0.05f, 0.05f, 0.95f, 0.95f, 0.05f, 0.05f, 0.95f},
      other{0.9f, 0.1f, 0.9f, 0.1f, 0.1f, 0.9f, 0.1f, 0.9f};
  PoolView view{4, 2, {}, {}};
  for (const auto& [id, p] : {std::pair{"a", copy}, {"a2", copy}, {"b", other}})
    view.cases.push_back({id, score(s, classification_passes(id, 4, 2, p)), p, {}});
  auto two = names(view, choose(s, view, 2));
  CHECK(two[1] == "b");
  two = names(view, choose(find_strategy("bald"), view, 2));
  CHECK(std::set(two.begin(), two.end()) == std::set<std::string>{"a", "a2"});
}

TEST_CASE("the forms of stochastic batches") {
  CHECK(gumbel(std::exp(-1.0)) == Approx(0).epsilon(1e-12));
  CHECK(gumbel(0.5) == Approx(0.366513));  // -log(log 2)
  CHECK(std::isfinite(gumbel(0)));
  CHECK(power_score(std::exp(1.0), 2, 3) == Approx(2.5));
  CHECK(softmax_score(1.5, 2, 3) == Approx(3));
  CHECK(softrank_score(4, 2, 3) == Approx(1.5 - std::log(4.0)));
  CHECK(power_score(0, 1, 0) < -700);
  CHECK(std::isfinite(power_score(0, 1, 0)));
}

TEST_CASE("power_bald draws in proportion to BALD, softrank_bald to 1 / rank") {
  // BALD of p = (1/2 +- d) flipping: ratios of the two images are measured, not assumed.
  const Values strong{1, 0, 0, 1}, weak{0.8f, 0.2f, 0.2f, 0.8f};
  const Strategy& bald = find_strategy("bald");
  const double s = score(bald, classification_passes("x", 2, 2, strong)).value,
               w = score(bald, classification_passes("x", 2, 2, weak)).value;
  const auto share = [&](std::string_view name) {
    const Strategy& strategy = find_strategy(name);
    int wins = 0;
    const int n = 4000;
    for (int i = 0; i < n; ++i) {
      const ScoreOptions o{.seed = static_cast<uint64_t>(i)};
      PoolView view{2, 2, {}, {}};
      view.cases.push_back({"a", score(strategy, classification_passes("a", 2, 2, strong), o), {}, {}});
      view.cases.push_back({"b", score(strategy, classification_passes("b", 2, 2, weak), o), {}, {}});
      wins += choose(strategy, view, 1, o)[0].index == 0;
    }
    return wins / double(n);
  };
  const auto near = [](double a, double b) { return std::abs(a - b) < 4 * std::sqrt(b * (1 - b) / 4000); };
  CHECK(near(share("power_bald"), s / (s + w)));
  CHECK(near(share("softmax_bald"), std::exp(s) / (std::exp(s) + std::exp(w))));
  CHECK(near(share("softrank_bald"), 2.0 / 3));
}

TEST_CASE("k-centre greedy on a line") {
  const Points line = points(1, {1, 4, 10, 11});
  const auto picks = k_centre_greedy(line, points(1, {0}), 3);  // 11 is farthest; then 4 (4 from 0); then 1 and 10 tie
  CHECK(indices(picks) == Indices{3, 1, 0});
  CHECK(picks[0].distance == 11);
  CHECK(picks[1].distance == 4);
  CHECK(picks[2].distance == 1);
  CHECK(indices(k_centre_greedy(line, Points{}, 2)) == Indices{1, 3});  // mean 6.5: 4 is 2.5 away, 10 is 3.5
  CHECK(indices(k_centre_greedy(points(1, {5, 5, 5}), Points{}, 9)) == Indices{0, 1, 2});  // copies: each once
}

TEST_CASE("BADGE: distances of gradient embeddings without writing them out") {
  CHECK(label_residual(std::vector{0.2, 0.7, 0.1})[1] == Approx(-0.3));
  CHECK(label_residual(std::vector{0.2, 0.7, 0.1})[0] == Approx(0.2));
  Rng rng(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> h[2], r[2], g[2];
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 5; ++j) h[i].push_back(rng.normal());
      double sum = 0;
      std::vector<double> p;
      for (int c = 0; c < 3; ++c) sum += p.emplace_back(rng.uniform());
      for (double& v : p) v /= sum;
      r[i] = label_residual(p);
      for (const double a : r[i])
        for (const double b : h[i]) g[i].push_back(a * b);
    }
    CHECK(gradient_distance(r[0], h[0], r[1], h[1]) == Approx(squared_distance(g[0], g[1])));
  }
}

TEST_CASE("k-means++ draws the second centre in proportion to the squared distance") {
  const double at[4] = {0, 1, 2, 3};  // from the first: 1, 4, 9 of 14
  int count[4] = {};
  const int n = 8000;
  for (int i = 0; i < n; ++i) {
    const auto draw = [&](size_t k, int64_t step) {
      return Rng(static_cast<uint64_t>(i)).fork(k).fork(static_cast<uint64_t>(step)).uniform();
    };
    const auto taken = plus_plus(
        4, 2, 0, [&](size_t a, size_t b) { return (at[a] - at[b]) * (at[a] - at[b]); }, draw);
    ++count[taken[1].index];
  }
  CHECK(count[0] == 0);
  for (int k = 1; k < 4; ++k) {
    const double q = k * k / 14.0;
    CHECK(std::abs(count[k] / double(n) - q) < 4 * std::sqrt(q * (1 - q) / n));
  }
  const auto same = plus_plus(
      3, 3, 1, [](size_t, size_t) { return 0.0; }, [](size_t, int64_t) { return 0.3; });
  CHECK(indices(same) == Indices{1, 0, 2});
  const auto tiny = plus_plus(
      3, 3, 1, [](size_t, size_t) { return 1e-310; }, [](size_t, int64_t) { return 0.3; });
  CHECK(indices(tiny) == Indices{1, 0, 2});
}

TEST_CASE("Lloyd's iterations find two groups on a line; an empty cluster keeps its centre") {
  const Points line = points(1, {0, 1, 2, 10, 11, 12});
  CHECK(kmeans(line, points(1, {0, 1})) == std::vector<int64_t>{0, 0, 0, 1, 1, 1});
  CHECK(kmeans(line, points(1, {0, 12, 99})) == std::vector<int64_t>{0, 0, 0, 1, 1, 1});
}

TEST_CASE("information density is the mean cosine similarity") {
  const double r = std::sqrt(0.5);
  const auto d = information_density(points(2, {3, 0, 0, 2, 1, 1, 0, 0}));  // the last has no direction
  CHECK(d[0] == Approx((1 + 0 + r) / 4));
  CHECK(d[2] == Approx((r + r + 1) / 4));
  CHECK(d[3] == 0);
}

TEST_CASE("TypiClust: the most typical image of the largest cluster without a label") {
  // Cluster 0: 0 1 2 3 9 10 (six candidates) and nothing labelled; cluster 1: six candidates and one labelled; cluster
  // 2: two candidates, small.
  const Points x = points(1, {0, 1, 2, 3, 9, 10, 50, 51, 52, 53, 54, 55, 80, 81, 56});
  const std::vector<int64_t> cluster{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 1};
  const Indices all{0, 1, 2, 3, 4, 5};
  CHECK(typicality(x, all, 2)[1] == Approx(1));          // neighbours at 1 and 1
  CHECK(typicality(x, all, 2)[0] == Approx(2.0 / 3));    // at 1 and 2
  CHECK(typicality(x, all, 20)[2] == Approx(5.0 / 19));  // 2+1+1+7+8 over its five neighbours
  const auto picks = typiclust(x, 14, cluster, 4);
  CHECK(picks[0].index == 2);  // 2 and 3 are equally near the others: the first of equals
  CHECK(picks[0].cluster_size == 6);
  CHECK(picks[1].cluster_labelled == 1);
  CHECK(typicality(x, std::vector<size_t>{4}, 20)[0] == 1);
  CHECK(std::isfinite(typicality(points(1, {5, 5}), std::vector<size_t>{0, 1}, 20)[0]));
  CHECK(indices(typiclust(x, 14, cluster, 99)).size() == 14);
  const auto rest = indices(typiclust(x, 14, cluster, 99));
  CHECK(std::set(rest.begin(), rest.end()).size() == 14);
  CHECK(rest[12] >= 12);  // the small cluster comes last
}

TEST_CASE("ProbCover on a line") {
  // Radius 1.5; the last, at 20, is labelled and covers 21. Balls: 0:{0,1} 1:{0,1,2} 2:{1,2,3} 3:{2,3} 10:{10,11}
  // 11:{10,11}.
  const Points x = points(1, {0, 1, 2, 3, 10, 11, 21, 20});
  const auto picks = probcover(x, 7, 1.5, 4);
  CHECK(indices(picks) == Indices{1, 4, 2, 0});  // 3 points; then 2 at 10; then 3 alone; then nothing is left: ties
  CHECK(picks[0].newly_covered == 3);
  CHECK(picks[1].newly_covered == 2);
  CHECK(picks[2].newly_covered == 1);
  CHECK(picks[3].newly_covered == 0);
  CHECK(probcover(points(1, {0, 0}), 2, 0, 2)[0].newly_covered == 1);  // its own ball holds a point

  // Distance to the other cluster: 4 3 2 | 2 3. Four of five balls pure: the radius may reach the second smallest, 2.
  const std::vector<int64_t> cluster{0, 0, 0, 1, 1};
  const Points y = points(1, {0, 1, 2, 4, 5});
  CHECK(purity_radius(y, cluster, 1) == 2);
  CHECK(purity_radius(y, cluster, 0.8) == 2);
  CHECK(purity_radius(y, cluster, 0.6) == 3);
  CHECK(purity_radius(y, cluster, 0.2) == 4);
}

TEST_CASE("suggestive annotation: maximum cover by hand") {
  // Along x: 0 and 1 (and 5), along y: 2 and 3, between: 4. F of the first is 3 + r, of 4 it is 5 r + 1 = 4.54.
  const Points x = points(2, {1, 0, 2, 0, 0, 1, 0, 3, 1, 1, 4, 0});
  const double r = std::sqrt(0.5);
  auto picks = maximum_cover(x, Indices{0, 1, 2, 3}, 3);
  CHECK(indices(picks) == Indices{0, 2, 1});
  CHECK(picks[0].gain == Approx(3 + r));
  CHECK(picks[1].gain == Approx(2));  // the image between was as near before
  CHECK(picks[2].gain == Approx(0));
  picks = maximum_cover(x, Indices{0, 4, 2}, 2);
  CHECK(indices(picks) == Indices{4, 0});
  CHECK(picks[0].gain == Approx(5 * r + 1));
  CHECK(picks[1].gain == Approx(3 * (1 - r)));
}

TEST_CASE("suggestive annotation covers the pool from the 2 k most uncertain only") {
  PoolView view{2, 2, {}, {}};
  const auto add = [&](const char* id, double uncertainty, Values feature) {
    view.cases.push_back({id, {.value = uncertainty, .group = 0, .parts = {}}, {}, std::move(feature)});
  };
  add("sure", 0.1, {1, 0}), add("sure too", 0.1, {1, 0}), add("sure again", 0.1, {1, 0});
  add("odd", 0.9, {0, 1}), add("typical", 0.8, {2, -0.2f});
  const auto picks = choose(find_strategy("suggestive_annotation"), view, 1);
  CHECK(names(view, picks) == std::vector<std::string>{"typical"});  // a sure one would cover a little more
  CHECK(picks[0].score.value == Approx(1 + 3 * 2 / std::sqrt(4.04)));
}

TEST_CASE("adaptive: the kernel's inverse, its conditional variance and the removal of one image") {
  // Two images: K = [[1, q], [q, 1]], var(x | other) = 1 - q^2.
  const Points two = points(1, {0, 1});
  const std::vector<double> k = gaussian_kernel(two, 2);
  const double q = std::exp(-0.5), diagonal = 1 + 1e-6;
  CHECK(k == std::vector<double>{diagonal, q, q, diagonal});
  const std::vector<double> inverse = inverse_of(k, 2);
  CHECK(1 / inverse[0] == Approx(diagonal - q * q / diagonal));
  CHECK(inverse[1] == Approx(-q / (diagonal * diagonal - q * q)));
  CHECK(inverse[1] == inverse[2]);

  const Points three = points(1, {0, 1, 3});
  std::vector<double> rest = inverse_of(gaussian_kernel(three, 2), 3);
  remove_from_inverse(rest, 3, 2);
  for (const size_t i : {0u, 1u})
    for (const size_t j : {0u, 1u}) CHECK(rest[i * 3 + j] == Approx(inverse[i * 2 + j]));
  CHECK(adaptive_score(0.25, 0.5, 1) == 0.25);
  CHECK(adaptive_score(0.25, 0.36, 0.5) == Approx(0.3));
  CHECK_THROWS_WITH_AS(inverse_of({1, 2, 2, 1}, 2), doctest::Contains("not positive definite (pivot -3 of image 1)"),
                       Error);
}

TEST_CASE("adaptive: logistic regression by hand and at its minimum") {
  // One image at 1, class 1, and one at -1, class 0: w_1 = -w_0 = w, p = 1 / (1 + e^-2w), and the gradient of
  // 2 log(1 + e^-2w) + w^2 by w is zero: w = 2 (1 - p). The biases stay 0.
  LogisticRegression two{2, {}};
  two.fit(points(1, {1, -1}), std::vector<double>{0, 1, 1, 0});
  const double w = two.weights[2];
  CHECK(w == Approx(-two.weights[0]));
  CHECK(w == Approx(2 * (1 - two.probabilities(std::vector<double>{1})[1])));
  CHECK(w > 0.5);
  CHECK(std::abs(two.weights[1]) < 1e-6);
  // Without images there is nothing to know; soft targets are met in the mean, as the bias is free.
  LogisticRegression none{3, {}};
  none.fit(Points{0, 2, {}}, {});
  CHECK(none.probabilities(std::vector<double>{1, 2})[0] == Approx(1.0 / 3));
  LogisticRegression soft{2, {}};
  soft.fit(points(1, {0, 0}), std::vector<double>{0.3, 0.7, 0.1, 0.9});
  CHECK(soft.probabilities(std::vector<double>{0})[0] == Approx(0.2).epsilon(1e-5));
}

TEST_CASE("adaptive asks for doubt in a crowd, not for an equally doubtful outlier") {
  const Strategy& s = find_strategy("adaptive");
  PoolView view{1, 2, {}, {{1, 0}, {-1, 0.1f}}, {0, 1}};
  for (int i = 0; i < 12; ++i)
    view.cases.push_back({"crowd" + std::to_string(i), {.value = 0.5, .group = 0, .parts = {}}, {}, {0.1f * i, 1}});
  view.cases.push_back({"outlier", {.value = 0.55, .group = 0, .parts = {}}, {}, {0, -1}});
  const auto picks = choose(s, view, 2);
  CHECK(view.cases[picks[0].index].id.starts_with("crowd"));
  // The density of what is left after it is that of a pool without it.
  CHECK(picks[0].score.parts[2].second > 0);
  view.labelled_class.pop_back();
  CHECK_THROWS_WITH_AS(choose(s, view, 1), doctest::Contains("needs the class of each of the 2 labelled images, got 1"),
                       Error);
}

TEST_CASE("no selector depends on the order of the pool, takes one image twice or runs short") {
  CHECK(selectors().size() >= 7);
  for (const Strategy* s : selectors()) {
    CAPTURE(s->name);
    PoolView view = random_pool(40, 5, *s);
    const auto picks = choose(*s, view, 12, {.seed = 3});
    const auto asked = names(view, picks);
    CHECK(asked.size() == 12);
    CHECK(std::set(asked.begin(), asked.end()).size() == 12);
    for (const Pick& p : picks) CHECK(std::isfinite(p.score.value));
    PoolView shuffled = view;
    Rng(5).shuffle(shuffled.cases);
    CHECK(names(shuffled, choose(*s, shuffled, 12, {.seed = 3})) == asked);
    CHECK(choose(*s, view, 99).size() == 40);
    CHECK(choose(*s, view, 0).empty());
    PoolView none = view;
    none.cases.clear();
    CHECK_THROWS_WITH_AS(choose(*s, none, 1), doctest::Contains("the pool is empty"), Error);
    view.labelled.clear(), view.labelled_class.clear(), view.labelled_loss.clear();  // the first labels of all
    CHECK(choose(*s, view, 5).size() == 5);
    for (PoolCase& c : view.cases) c = {c.id, view.cases[0].score, view.cases[0].p, view.cases[0].feature};
    CHECK(choose(*s, view, 40).size() == 40);  // forty copies of one image
  }
}

TEST_CASE("bad features and probabilities are errors that name the case") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Strategy& coreset = find_strategy("coreset");
  PoolView view = random_pool(4, 2, coreset);
  view.cases[2].feature[1] = nan;
  CHECK_THROWS_WITH_AS(choose(coreset, view, 1),
                       "selection: case 'case2' has a feature of nan at index 1; the model has diverged", Error);
  view.cases[2].feature = {1, 2};
  CHECK_THROWS_WITH_AS(choose(coreset, view, 1), "selection: case 'case2' has 2 features, the first candidate has 6",
                       Error);
  view = random_pool(4, 2, coreset);
  view.labelled[1][0] = INFINITY;
  CHECK_THROWS_WITH_AS(choose(coreset, view, 1), doctest::Contains("labelled image 1 has a feature of inf"), Error);
  const Strategy& badge = find_strategy("badge");
  view = random_pool(4, 0, badge);
  view.cases[3].p[0] = nan;
  CHECK_THROWS_WITH_AS(choose(badge, view, 1), doctest::Contains("case 'case3' has a probability of nan"), Error);
  const Strategy& density = find_strategy("information_density");
  view = random_pool(4, 0, density);
  view.cases[1].score.value = nan;
  CHECK_THROWS_WITH_AS(choose(density, view, 4), doctest::Contains("gives case 'case1' a value of nan"), Error);
  view = random_pool(4, 0, badge);
  view.cases[1].id = "case0";
  CHECK_THROWS_WITH_AS(choose(badge, view, 1), "selection: case 'case0' is in the pool twice", Error);
}

TEST_CASE("the embedding is what the last layer reads") {
  Params params(Device::cpu(), 5);
  const ResNet18 resnet(params.root().sub("r"), {.in_channels = 1, .classes = 3, .width = 4, .dropout = 0.5});
  const Vgg16 vgg(params.root().sub("v"), {.in_channels = 1, .classes = 3, .width = 2, .fc = 8});
  const UNet unet(params.root().sub("u"), {.in_channels = 1, .classes = 1, .width = 2, .depth = 2});
  params.all();
  std::vector<float> pixels;
  Rng rng(1);
  for (int i = 0; i < 2 * 32 * 32; ++i) pixels.push_back(static_cast<float>(rng.normal()));
  const Tensor x = Tensor::from(std::span<const float>(pixels), {2, 32, 32, 1});
  CHECK(resnet.fc(resnet.embed(resnet.trunk(x, {}))).host() == resnet(x, {}).logits.host());
  CHECK(vgg.fc3(vgg.embed(vgg.trunk(x, {}))).host() == vgg(x, {}).logits.host());
  CHECK(unet.embed(unet.trunk(x, {})).shape() == Shape{2, 8});
}
TEST_SUITE_END();
