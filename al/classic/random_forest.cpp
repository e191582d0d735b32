#include "al/classic/random_forest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/parallel.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

struct Grower {
  const FeatureMatrix& x;
  std::span<const uint8_t> y;
  std::span<const double> weight;
  const ForestOptions& options;
  Rng rng;  // of this tree
  Tree tree = {};
  std::vector<double> importance = std::vector<double>(static_cast<size_t>(x.d), 0.0);

  struct Choice {
    int64_t feature = -1;
    Split split;
  };

  // Features are tried in a random order until `tried` of them were; on, while none of them splits.
  Choice choose(const std::vector<int64_t>& rows, int64_t node) const {
    std::vector<int64_t> order(static_cast<size_t>(x.d));
    std::iota(order.begin(), order.end(), 0);
    rng.fork(static_cast<uint64_t>(node)).shuffle(order);
    const int64_t tried = options.features > 0 ? options.features : std::llround(std::sqrt(static_cast<double>(x.d)));
    Choice best;
    for (int64_t k = 0; k < x.d && (k < tried || best.feature < 0); ++k) {
      const int64_t feature = order[static_cast<size_t>(k)];
      std::vector<LabelledValue> samples;
      samples.reserve(rows.size());
      for (const int64_t i : rows) {
        const auto at = static_cast<size_t>(i);
        samples.push_back({x.row(i)[static_cast<size_t>(feature)], weight[at], y[at] != 0});
      }
      const Split split = best_split(std::move(samples), options.least_weight);
      if (split.gain > best.split.gain) best = {feature, split};
    }
    return best;
  }

  int64_t grow(const std::vector<int64_t>& rows, int64_t depth) {
    const auto node = static_cast<int64_t>(tree.size());
    double all = 0, positive = 0;
    for (const int64_t i : rows) {
      all += weight[static_cast<size_t>(i)];
      if (y[static_cast<size_t>(i)]) positive += weight[static_cast<size_t>(i)];
    }
    tree.push_back({.probability = positive / all});
    if (positive == 0 || positive == all || depth == options.depth) return node;
    const Choice best = choose(rows, node);
    if (best.feature < 0) return node;
    importance[static_cast<size_t>(best.feature)] += best.split.gain;
    std::vector<int64_t> low, high;
    for (const int64_t i : rows)
      (x.row(i)[static_cast<size_t>(best.feature)] <= best.split.threshold ? low : high).push_back(i);
    const int64_t left = grow(low, depth + 1), right = grow(high, depth + 1);
    TreeNode& self = tree[static_cast<size_t>(node)];
    self.feature = best.feature, self.threshold = best.split.threshold, self.left = left, self.right = right;
    return node;
  }
};

}  // namespace

double gini(double p) { return 2 * p * (1 - p); }

Split best_split(std::vector<LabelledValue> samples, double least_weight) {
  std::sort(samples.begin(), samples.end(), [](const LabelledValue& a, const LabelledValue& b) {
    if (a.value != b.value) return a.value < b.value;
    return a.positive != b.positive ? a.positive < b.positive : a.weight < b.weight;  // a sum in one order only
  });
  double all = 0, positive = 0;
  for (const LabelledValue& s : samples) all += s.weight, positive += s.positive ? s.weight : 0;
  const double before = all * gini(positive / all);
  Split best;
  double low = 0, low_positive = 0;
  for (size_t i = 0; i + 1 < samples.size(); ++i) {
    low += samples[i].weight, low_positive += samples[i].positive ? samples[i].weight : 0;
    const double high = all - low;
    if (samples[i].value == samples[i + 1].value || low < least_weight || high < least_weight) continue;
    const double gain = before - low * gini(low_positive / low) - high * gini((positive - low_positive) / high);
    if (gain > best.gain + 1e-12 * all) best = {std::midpoint(samples[i].value, samples[i + 1].value), gain};
  }
  if (best.gain > 0 && best.threshold >= samples.back().value) best = {};  // values too close to have a middle
  return best;
}

double RandomForest::probability(std::span<const double> x) const {
  double sum = 0;
  for (const Tree& tree : trees) {
    size_t at = 0;
    while (tree[at].feature >= 0) {
      const TreeNode& node = tree[at];
      at = static_cast<size_t>(x[static_cast<size_t>(node.feature)] <= node.threshold ? node.left : node.right);
    }
    sum += tree[at].probability;
  }
  return sum / static_cast<double>(trees.size());
}

RandomForest grow_forest(const FeatureMatrix& x, std::span<const uint8_t> y, std::span<const double> weight,
                         const ForestOptions& o) {
  const auto n = static_cast<size_t>(x.n);
  check(x.n > 0 && y.size() == n && weight.size() == n, "forest: {} rows, {} labels and {} weights", x.n, y.size(),
        weight.size());
  check(o.trees > 0 && o.depth >= 0 && o.features >= 0, "forest: {} trees of depth {} that try {} features a node",
        o.trees, o.depth, o.features);
  for (const double v : x.values) check(std::isfinite(v), "forest: a feature is {}", v);
  for (const double w : weight) check(std::isfinite(w) && w > 0, "forest: a weight is {}; it must be above 0", w);
  RandomForest forest;
  forest.trees.resize(static_cast<size_t>(o.trees));
  std::vector<std::vector<double>> importance(forest.trees.size());
  data::parallel_for(o.trees, [&](int64_t t) {
    Grower g{x, y, weight, o, Rng(o.seed).fork(static_cast<uint64_t>(t))};
    Rng bag = g.rng.fork("bag");
    std::vector<int64_t> rows(n);
    for (int64_t& i : rows) i = bag.below(x.n);
    g.grow(rows, 0);
    forest.trees[static_cast<size_t>(t)] = std::move(g.tree);
    importance[static_cast<size_t>(t)] = std::move(g.importance);
  });
  forest.importance.assign(static_cast<size_t>(x.d), 0);
  double total = 0;
  for (const auto& tree : importance)
    for (size_t k = 0; k < tree.size(); ++k) forest.importance[k] += tree[k], total += tree[k];
  if (total > 0)
    for (double& v : forest.importance) v /= total;
  return forest;
}

}  // namespace querent::al
