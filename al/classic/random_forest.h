// A random forest for two classes (Breiman, "Random Forests", Machine Learning 2001).
//
//   each tree   is grown on n rows drawn with replacement of the n there are (bagging)
//   each node   tries `features` features drawn anew and splits at the threshold that lowers the Gini impurity most
//   each leaf   keeps the share of class 1 among its rows; the forest's probability is the mean over its trees
//
// Tree t draws from (seed, t), node k of it from (seed, t, k): the same forest for any number of threads.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/realism/feature_matrix.h"

namespace querent::al {

struct ForestOptions {
  int64_t trees = 50;
  int64_t features = 0;     // tried at each node; 0: the root of their number
  int64_t depth = 20;       // splits above a leaf, at most
  double least_weight = 1;  // of each side of a split
  uint64_t seed = 1;
};

struct TreeNode {
  int64_t feature = -1;           // -1: a leaf
  double threshold = 0;           // to `left` when x[feature] <= threshold
  int64_t left = -1, right = -1;  // nodes of the same tree
  double probability = 0;         // of class 1, among the rows that came here
};
using Tree = std::vector<TreeNode>;  // [0] is the root

struct RandomForest {
  std::vector<Tree> trees;
  std::vector<double> importance;  // [features]: what each lowered the impurity in all trees, adding up to 1 (or all 0)
  double probability(std::span<const double> x) const;
};
// y [n] of 0 and 1; weight [n] > 0 counts in impurities and leaves, not in the drawing of rows. Errors: sizes, no rows,
// a weight or a feature that is no number.
RandomForest grow_forest(const FeatureMatrix& x, std::span<const uint8_t> y, std::span<const double> weight,
                         const ForestOptions& options);

// 2 p (1 - p): how often two draws from the node differ.
double gini(double p);

struct Split {
  double threshold = 0, gain = 0;  // gain: weighted impurity before minus after; 0: no split lowers it
};
struct LabelledValue {
  double value = 0, weight = 0;
  bool positive = false;
};
// The best threshold on one feature, halfway between two neighbouring values; the lowest of equals.
Split best_split(std::vector<LabelledValue> samples, double least_weight);

}  // namespace querent::al
