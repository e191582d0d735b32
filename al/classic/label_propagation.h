// From a few labels to a guess for everything that is like them: Zhou et al., "Learning with Local and Global
// Consistency", NIPS 2003.
//
//   F <- alpha S F + (1 - alpha) Y,   S = D^-1/2 W D^-1/2,   D_ii = sum_j W_ij
//
// W says how alike two nodes are; column c of Y is 1 at nodes labelled c. Every pass hands a share alpha of each node's
// belief to its neighbours. S has no eigenvalue beyond 1, so the error shrinks at least by alpha a pass, whatever the
// graph. (The harmonic function of Zhu et al. 2003, which holds labels fixed, may need thousands of passes, and is not
// defined where no label can be reached.)
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/realism/feature_matrix.h"

namespace querent::al {

// Undirected, without loops: the neighbours of node i are to[from[i]] ... to[from[i + 1] - 1].
struct Graph {
  std::vector<size_t> from = {0};  // [n + 1]
  std::vector<int64_t> to;
  std::vector<double> weight;
  int64_t nodes() const { return static_cast<int64_t>(from.size()) - 1; }
};
struct Link {
  int64_t a = 0, b = 0;
  double weight = 0;
};
// A pair that is named several times has the largest of its weights. Errors: a loop, a node that does not exist.
Graph make_graph(int64_t nodes, std::vector<Link> links);

// The k nearest other rows of each row by Euclidean distance d, exact; nearest first, then by number. [n, k]
struct Near {
  int64_t row = 0;
  double squared_distance = 0;
};
std::vector<std::vector<Near>> nearest_rows(const FeatureMatrix& points, int64_t k);

struct PropagationOptions {
  double alpha = 0.99;      // that of the paper
  double tolerance = 1e-7;  // of the largest change of a pass
};
// label [n]: 0, 1, or -1 for none. The probability of class 1, F1 / (F0 + F1); 0.5 where no label comes.
std::vector<double> propagate_labels(const Graph& graph, std::span<const int8_t> label,
                                     const PropagationOptions& options = {});

}  // namespace querent::al
