// Learning without a neural network, each part against values computed by hand or by brute force.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <set>

#include "al/classic/graph_cut.h"
#include "al/classic/label_propagation.h"
#include "al/classic/max_flow.h"
#include "al/classic/random_forest.h"
#include "al/classic/superpixel_features.h"
#include "al/classic/superpixels.h"
#include "tensor/error.h"
#include "tensor/rng.h"
#include "tensor/run.h"

TEST_SUITE_BEGIN("al_classic_test");
using namespace querent;
using namespace querent::al;

namespace {

Image picture(int64_t h, int64_t w, const std::function<double(int64_t, int64_t)>& value) {
  Image image(h, w);
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x) image.at(y, x) = static_cast<float>(value(y, x));
  return image;
}
FeatureMatrix column(const std::vector<double>& values) { return {static_cast<int64_t>(values.size()), 1, values}; }

}  // namespace

TEST_CASE("superpixels: a flat picture becomes a grid, an edge is followed, every region is connected") {
  const Superpixels flat = slic(picture(16, 16, [](int64_t, int64_t) { return 0.5; }), {.count = 4});
  REQUIRE(flat.count == 4);
  std::vector<int64_t> size(4, 0);
  for (const int32_t k : flat.label) ++size[static_cast<size_t>(k)];
  for (const int64_t n : size) CHECK(n >= 49);  // 7 x 7 at least: pixels half-way go to the first centre

  // A bright half that begins at column 9, beside the grid's border at 8: no region may lie on both sides.
  const Image step = picture(16, 16, [](int64_t, int64_t x) { return x >= 9 ? 1.0 : 0.0; });
  const Superpixels s = slic(step, {.count = 4});
  std::set<int32_t> dark, bright;
  for (int64_t i = 0; i < 256; ++i) (i % 16 >= 9 ? bright : dark).insert(s.label[static_cast<size_t>(i)]);
  for (const int32_t k : dark) CHECK_FALSE(bright.contains(k));
  CHECK_THROWS_WITH_AS(slic(step, {.count = 257}), doctest::Contains("between 1 and 256"), Error);
}

TEST_CASE("superpixels: compactness weighs distance against grey value") {
  // Two centres of S = 4 apart, moved to the flattest pixels round columns 2 and 6: to 1 and, because of column 4,
  // to 6. Column 3 is as bright as the right one: m^2 (2/4)^2 + 100^2 to the left, m^2 (3/4)^2 to the right, equal at m
  // = 178.9.
  const Image image = picture(4, 8, [](int64_t, int64_t x) { return x == 4 ? 0.9 : x >= 3 ? 1.0 : 0.0; });
  const auto third = [&](double m) { return slic(image, {.count = 2, .compactness = m, .iterations = 1}).label[3]; };
  CHECK(third(170) == 1);
  CHECK(third(190) == 0);
}

TEST_CASE("superpixels: small pieces and stray pixels join the region before them, others become their own") {
  const std::vector<int32_t> label = {0, 0,  1, 1,  //
                                      0, -1, 1, 1,  //
                                      1, 1,  2, 0,  //
                                      1, 1,  0, 0};
  const Superpixels s = connected(label, 4, 4, 2);
  CHECK(s.label == std::vector<int32_t>{0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 2, 3, 3});
  CHECK(s.count == 4);
  CHECK(borders(s) == std::vector<Border>{{0, 1, 2}, {0, 2, 2}, {1, 2, 1}, {1, 3, 1}, {2, 3, 3}});
  std::vector<uint8_t> mask(16, 0);
  for (const size_t i : {0, 1, 2, 3, 6, 8, 9, 10}) mask[i] = 1;  // 2 of 4, 3 of 4, 3 of 5, 0 of 3
  CHECK(majority(s, mask) == std::vector<uint8_t>{0, 1, 1, 0});
  mask[8] = 0, mask[3] = 0;  // 2 of 4, 2 of 4, 2 of 5: a half is not more than half
  CHECK(majority(s, mask) == std::vector<uint8_t>{0, 0, 0, 0});
  CHECK(paint(s, std::vector<uint8_t>{0, 1, 0, 1}) ==
        std::vector<uint8_t>{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1});
}

TEST_CASE("features: moments, texture, curvature and asymmetry by hand") {
  // 0, 0, 0, 4: mean 1, deviations -1 -1 -1 3: m2 = 3, m3 = 6, m4 = 21.
  const Moments m = moments(std::vector<double>{0, 0, 0, 4});
  CHECK(m.mean == 1);
  CHECK(m.sd == doctest::Approx(std::sqrt(3.0)));
  CHECK(m.skewness == doctest::Approx(6 / std::pow(3, 1.5)));
  CHECK(m.kurtosis == doctest::Approx(21.0 / 9 - 3));
  CHECK(moments(std::vector<double>{2, 2}).skewness == 0);

  // One gradient along x: energies cos^2 of 0, 22.5 ... degrees, which add up to 4; two gradients at right angles: all
  // 1/2.
  double entropy = 0;
  for (int k = 0; k < 8; ++k) {
    const double share = std::pow(std::cos(std::numbers::pi * k / 8), 2) / 4;
    if (share > 1e-12) entropy -= share * std::log(share) / std::log(8);
  }
  const Texture one = texture(std::vector<double>{3}, std::vector<double>{0});
  CHECK(one.energy == doctest::Approx(36));
  CHECK(one.entropy == doctest::Approx(entropy));
  CHECK(texture(std::vector<double>{1, 0}, std::vector<double>{0, 1}).entropy == doctest::Approx(1));
  CHECK(texture(std::vector<double>{0}, std::vector<double>{0}).entropy == 1);

  // I = x^2 + y^2 at (3, 4): lines of equal intensity are circles of radius 5 round a dark middle.
  CHECK(curvature(6, 8, 2, 0, 2) == doctest::Approx(1.0 / 5));
  // I = x y at (2, 1): (-2 * 1 * 2 * 1) / 5^(3/2).
  CHECK(curvature(1, 2, 0, 1, 0) == doctest::Approx(-4 / std::pow(5, 1.5)));
  CHECK(curvature(0, 0, 2, 0, 2) == 0);
  CHECK(asymmetry(std::vector<double>{0.5, 0.25, -0.25}) == doctest::Approx(0.5));
}

TEST_CASE("features of four quarters: own, position, around, context") {
  // Quarters of grey 0, 0, 0 and 1: mean 1/4, sd sqrt(3)/4, so -1/sqrt(3) and sqrt(3).
  const Image film = picture(16, 16, [](int64_t y, int64_t x) { return y >= 8 && x >= 8 ? 1.0 : 0.0; });
  Superpixels s{16, 16, 4, {}};
  for (int32_t i = 0; i < 256; ++i) s.label.push_back(i / 16 / 8 * 2 + i % 16 / 8);
  const FeatureMatrix f = superpixel_features(film, s);
  const auto& names = superpixel_feature_names();
  REQUIRE(f.n == 4);
  REQUIRE(f.d == static_cast<int64_t>(names.size()));
  const auto at = [&](int64_t row, const std::string& name) {
    return f.row(row)[static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
  };
  const double dark = -1 / std::sqrt(3.0), light = std::sqrt(3.0);
  CHECK(at(0, "mean") == doctest::Approx(dark));
  CHECK(at(3, "mean") == doctest::Approx(light));
  CHECK(at(1, "x") == doctest::Approx(0.75));
  CHECK(at(1, "y") == doctest::Approx(0.25));
  CHECK(at(1, "mean around") == doctest::Approx((dark + light) / 2));  // of 0 and 3; 2 does not touch 1
  CHECK(at(3, "mean around") == doctest::Approx(dark));
  // 4 pixels from the middle of a quarter, 3.5 + 4 = 7.5, are counted as 8: just inside the next quarter. 45
  // degrees: 2.8.
  const std::string away = "mean 0.25 of the side away at ";
  CHECK(at(2, away + "0 degrees") == doctest::Approx(light));
  CHECK(at(1, away + "270 degrees") == doctest::Approx(light));
  CHECK(at(1, away + "90 degrees") == doctest::Approx(dark));
  CHECK(at(0, away + "315 degrees") == doctest::Approx(dark));
  CHECK(at(3, away + "0 degrees") == doctest::Approx(light));  // beyond the border: the last one inside
}

TEST_CASE("forest: impurity and the best split by hand") {
  CHECK(gini(0.25) == doctest::Approx(0.375));
  // 1- 2- 3+ 5+: between 2 and 3 both sides are pure; impurity before 4 * 2 * 1/2 * 1/2.
  const std::vector<LabelledValue> samples = {{3, 1, true}, {1, 1, false}, {5, 1, true}, {2, 1, false}};
  const Split best = best_split(samples, 1);
  CHECK(best.threshold == 2.5);
  CHECK(best.gain == doctest::Approx(2));
  // Weight 3 on 1+: 1+(3) 2-(1) 3+(1): splitting off 1 leaves 2 * 2/4 = 1, before 5 * 2 * 4/5 * 1/5 = 1.6.
  const Split weighted = best_split({{1, 3, true}, {2, 1, false}, {3, 1, true}}, 1);
  CHECK(weighted.threshold == 1.5);
  CHECK(weighted.gain == doctest::Approx(0.6));
  CHECK(best_split({{1, 1, false}, {2, 1, true}}, 1.5).gain == 0);  // a side would be too light
  CHECK(best_split({{1, 1, false}, {1, 1, true}}, 1).gain == 0);
}

TEST_CASE("forest: the probability is the mean of the leaves; importance; bagging and threads") {
  RandomForest two;
  two.trees = {{{0, 0.5, 1, 2, 0.5}, {-1, 0, -1, -1, 0.2}, {-1, 0, -1, -1, 1.0}}, {{-1, 0, -1, -1, 0.4}}};
  CHECK(two.probability(std::vector<double>{0.5}) == doctest::Approx(0.3));
  CHECK(two.probability(std::vector<double>{0.6}) == doctest::Approx(0.7));

  // Feature 1 decides alone whether y is 1; feature 0 is noise.
  FeatureMatrix x;
  std::vector<uint8_t> y;
  Rng rng(3);
  for (int i = 0; i < 60; ++i) {
    const double v = rng.uniform();
    x.append(std::vector<double>{rng.uniform(), v});
    y.push_back(v > 0.5);
  }
  const std::vector<double> weight(60, 1);
  const ForestOptions o{.trees = 30, .features = 1, .seed = 7};
  const RandomForest forest = grow_forest(x, y, weight, o);
  CHECK(forest.probability(std::vector<double>{0.5, 0.9}) > 0.9);
  CHECK(forest.probability(std::vector<double>{0.5, 0.1}) < 0.1);
  CHECK(forest.importance[0] + forest.importance[1] == doctest::Approx(1));
  CHECK(forest.importance[1] > 0.6);
  std::set<double> roots;  // rows drawn anew: the share of class 1 in the root varies from tree to tree
  for (const Tree& t : forest.trees) roots.insert(t[0].probability);
  CHECK(roots.size() > 5);
  std::set<int64_t> first;  // one feature tried: either may come first
  for (const Tree& t : forest.trees) first.insert(t[0].feature);
  CHECK(first == std::set<int64_t>{0, 1});

  const int before = threads();
  set_threads(3);
  const RandomForest again = grow_forest(x, y, weight, o);
  set_threads(before);
  CHECK(again.importance == forest.importance);
  for (int64_t i = 0; i < x.n; ++i) CHECK(again.probability(x.row(i)) == forest.probability(x.row(i)));
  CHECK_THROWS_WITH_AS(grow_forest(x, y, std::vector<double>(60, 0), o), doctest::Contains("a weight is 0"), Error);
}

TEST_CASE("propagation: nearest rows, a graph without duplicates") {
  const auto near = nearest_rows(column({0, 1, 3, 7}), 2);
  CHECK(near[1][0].row == 0);
  CHECK(near[1][1].row == 2);
  CHECK(near[1][1].squared_distance == 4);
  CHECK(near[3][1].row == 1);
  const Graph g = make_graph(3, {{0, 1, 0.5}, {1, 0, 0.7}, {2, 1, 0.1}});
  CHECK(g.from == std::vector<size_t>{0, 1, 3, 4});
  CHECK(g.to == std::vector<int64_t>{1, 0, 2, 1});
  CHECK(g.weight == std::vector<double>{0.7, 0.7, 0.1, 0.1});
  CHECK_THROWS_WITH_AS(make_graph(2, {{1, 1, 1}}), doctest::Contains("cannot be linked"), Error);
}

TEST_CASE("propagation solves (I - alpha S) F = (1 - alpha) Y") {
  // A path 0 - 1 - 2 of weights 1 with labels 0 and 1 at its ends, and a node apart. S01 = S12 = 1/sqrt(2). By hand,
  // with a = alpha / sqrt(2), c = 1 - alpha: for the class labelled at node 0, F1 = a (F0 + F2), F0 = c + a F1, F2 = a
  // F1, so F1 = a c / (1 - 2 a^2), F0 = c + a F1, F2 = a F1.
  const double alpha = 0.8, a = alpha / std::sqrt(2.0), c = 1 - alpha;
  const double middle = a * c / (1 - 2 * a * a), near = c + a * middle, far = a * middle;
  const Graph path = make_graph(4, {{0, 1, 1}, {1, 2, 1}});
  const std::vector<double> p =
      propagate_labels(path, std::vector<int8_t>{0, -1, 1, -1}, {.alpha = alpha, .tolerance = 1e-12});
  CHECK(p[0] == doctest::Approx(far / (near + far)).epsilon(1e-9));
  CHECK(p[1] == doctest::Approx(0.5).epsilon(1e-9));
  CHECK(p[2] == doctest::Approx(near / (near + far)).epsilon(1e-9));
  CHECK(p[3] == 0.5);
  // Unequal weights: node 1 follows the neighbour it is more like. D = 3, 4, 1, so S01 = 3/sqrt(12), S12 = 1/2; the
  // beliefs in node 1 that come from either end are a S01 c and a S12 c over the same denominator.
  const Graph uneven = make_graph(3, {{0, 1, 3}, {1, 2, 1}});
  const std::vector<double> q =
      propagate_labels(uneven, std::vector<int8_t>{0, -1, 1}, {.alpha = alpha, .tolerance = 1e-12});
  const double s01 = 3 / std::sqrt(12.0), s12 = 0.5;
  CHECK(q[1] == doctest::Approx(s12 / (s01 + s12)).epsilon(1e-9));
}

TEST_CASE("max flow equals the smallest cut found by trying them all") {
  // The textbook network of Cormen et al.: 23.
  FlowNetwork known(6);
  for (const auto& [a, b, c] : {std::tuple{0, 1, 16},
                                {0, 2, 13},
                                {1, 3, 12},
                                {2, 1, 4},
                                {2, 4, 14},
                                {3, 2, 9},
                                {3, 5, 20},
                                {4, 3, 7},
                                {4, 5, 4}})
    known.link(a, b, c);
  CHECK(known.solve(0, 5) == 23);
  // Node 1 pushes 2 to node 2, of which 1 does not fit on and must come back to go by node 3.
  FlowNetwork detour(5);
  for (const auto& [a, b, c] : {std::tuple{0, 1, 2}, {1, 2, 2}, {2, 4, 1}, {1, 3, 1}, {3, 4, 1}}) detour.link(a, b, c);
  CHECK(detour.solve(0, 4) == 2);

  Rng rng(11);
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t n = 2 + rng.below(6);
    std::vector<double> capacity(static_cast<size_t>(n * n), 0);
    FlowNetwork network(n);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i + 1; j < n; ++j) {
        if (rng.uniform() < 0.3) continue;
        auto &there = capacity[static_cast<size_t>(i * n + j)], &back = capacity[static_cast<size_t>(j * n + i)];
        there = static_cast<double>(rng.below(9)), back = static_cast<double>(rng.below(9));  // whole: sums are exact
        network.link(i, j, there, back);
      }
    const auto cut = [&](const std::function<bool(int64_t)>& source_side) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          if (source_side(i) && !source_side(j)) sum += capacity[static_cast<size_t>(i * n + j)];
      return sum;
    };
    double smallest = 1e9;  // node 0 is the source, n - 1 the sink
    for (int64_t set = 0; set < int64_t{1} << n; ++set)
      if ((set & 1) && !(set >> (n - 1) & 1))
        smallest = std::min(smallest, cut([&](int64_t i) { return set >> i & 1; }));
    CHECK(network.solve(0, n - 1) == smallest);
    CHECK(network.source_side(0));
    CHECK_FALSE(network.source_side(n - 1));
    CHECK(cut([&](int64_t i) { return network.source_side(i); }) == smallest);
  }
  FlowNetwork bad(2);
  CHECK_THROWS_WITH_AS(bad.link(0, 1, -1), doctest::Contains("must be at least 0"), Error);
}

TEST_CASE("graph cut finds the least energy of all labellings") {
  // By hand: costs (0.2, 1) and (1.3, 0.5) differ by 0.8 each; a border of 1 is dearer than that, one of 0.5 is not.
  const std::vector<LabelCost> two = {{0.2, 1.0}, {1.3, 0.5}};
  CHECK(minimum_energy_labels(two, std::vector<Smoothness>{{0, 1, 0.5}}) == std::vector<uint8_t>{0, 1});
  const std::vector<Smoothness> dear = {{0, 1, 1.0}};
  CHECK(energy(two, dear, std::vector<uint8_t>{0, 1}) == doctest::Approx(1.7));
  const std::vector<uint8_t> same = minimum_energy_labels(two, dear);
  CHECK(same[0] == same[1]);

  Rng rng(5);
  for (int trial = 0; trial < 40; ++trial) {  // grids of 3 x 3, costs in 1/16: sums are exact
    std::vector<LabelCost> costs;
    std::vector<Smoothness> pairs;
    for (int i = 0; i < 9; ++i)
      costs.push_back({static_cast<double>(rng.below(64) - 16) / 16, static_cast<double>(rng.below(64) - 16) / 16});
    for (int64_t i = 0; i < 9; ++i) {
      if (i % 3 < 2) pairs.push_back({i, i + 1, static_cast<double>(rng.below(32)) / 16});
      if (i < 6) pairs.push_back({i, i + 3, static_cast<double>(rng.below(32)) / 16});
    }
    double least = 1e9;
    for (int set = 0; set < 512; ++set) {
      std::vector<uint8_t> labels;
      for (int i = 0; i < 9; ++i) labels.push_back(set >> i & 1);
      least = std::min(least, energy(costs, pairs, labels));
    }
    CHECK(energy(costs, pairs, minimum_energy_labels(costs, pairs)) == least);
  }
}
TEST_SUITE_END();
