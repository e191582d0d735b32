// What the batch selectors share: their rows of the strategy table, and their formulas as functions of plain arrays.
// Indices count the candidates in the order they are given; the first of equals wins.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "al/batch.h"

namespace querent::al {

extern const Strategy batchbald_strategy, power_bald_strategy, softmax_bald_strategy, softrank_bald_strategy;
extern const Strategy badge_strategy, coreset_strategy, information_density_strategy;
extern const Strategy typiclust_strategy, probcover_strategy;
extern const Strategy suggestive_annotation_strategy, adaptive_strategy, learning_loss_strategy;

constexpr size_t worth_threads = 256;  // candidates; with fewer, waiting for the other threads costs more than it saves

// n points of d values, row by row.
struct Points {
  int64_t n = 0, d = 0;
  std::vector<double> x;
  std::span<const double> row(int64_t i) const {
    return std::span(x).subspan(static_cast<size_t>(i * d), static_cast<size_t>(d));
  }
};
Points candidate_points(const PoolView&);
Points labelled_points(const PoolView&);
double squared_distance(std::span<const double> a, std::span<const double> b);
Points unit_length(Points);  // each point divided by its norm; a point at the origin stays there
Points joined(const Points& a, const Points& b);
Points clustering_points(const PoolView&);  // candidates, then labelled images, at unit length

// A number in [0,1) for candidate i, or labelled image i - N, at a step: from (seed, name, case id, step) alone.
using Draw = std::function<double(size_t i, int64_t step)>;
Draw draws_of(const PoolView&, const ScoreOptions&, std::string_view name);
std::vector<size_t> descending(std::span<const double> values);  // indices, largest first

// --- batchbald.cpp -----------------------------------------------------------------------------------------------
// Label configurations of the images taken so far, each with its probability and what it says about the passes: all
// C^n of them while they are at most `most`, afterwards a sample of that many. `most` is rounded up to a multiple of T,
// so that every pass gives equally many.
class JointLabels {
 public:
  JointLabels(int64_t passes, int64_t classes, int64_t most)
      : T_(passes), C_(classes), most_((most + passes - 1) / passes * passes) {}
  // Adds an image, p [T,C]; uniform(m) is a draw in [0,1) for configuration m, used when it is sampled.
  void add(std::span<const float> p, const std::function<double(int64_t m)>& uniform);
  // H(y | labels so far), mean over configurations: what is still open about the label of another image, p [T,C].
  double conditional_entropy(std::span<const float> p) const;
  // H(y | labels so far) - H(y | weights) >= 0: mutual information of the label and the passes, given the batch.
  double gain(std::span<const float> p) const;
  bool exact() const { return exact_; }

 private:
  int64_t T_, C_, most_;
  bool exact_ = true;
  std::vector<double> weight_ = {1};  // [M], adds up to 1
  std::vector<double> posterior_;     // [M,T], each row adds up to 1; empty: 1/T
  std::vector<double> likelihood_;    // [M,T] p(configuration | pass), while exact
};

// --- stochastic.cpp ----------------------------------------------------------------------------------------------
double gumbel(double u);                                         // -log(-log u), u in [0,1)
double power_score(double score, double beta, double noise);     // log score + noise / beta
double softmax_score(double score, double beta, double noise);   // score + noise / beta
double softrank_score(int64_t rank, double beta, double noise);  // -log rank + noise / beta, rank = 1, 2, ...

// --- kmeans.cpp --------------------------------------------------------------------------------------------------
struct Seeding {
  size_t index = 0;
  double squared_distance = 0;  // to the nearest one taken before; of the first: 0
};
// k-means++: after `first`, each next one is drawn with probability proportional to D^2, the squared distance to the
// nearest taken; without any D^2 > 0, the first that is left. Never one twice.
std::vector<Seeding> plus_plus(size_t n, int64_t k, size_t first,
                               const std::function<double(size_t, size_t)>& squared_distance, const Draw& draw);
// Lloyd's iterations from the given centres until nothing moves: the cluster of each point. An empty cluster keeps its
// centre.
std::vector<int64_t> kmeans(const Points& points, Points centres, int64_t iterations = 100);
// Both: `count` clusters of the points, the first centre at the largest draw of step 0.
std::vector<int64_t> seeded_clusters(const Points& points, int64_t count, const Draw& draw);

// --- badge.cpp ---------------------------------------------------------------------------------------------------
// Gradient embeddings g = (p - onehot(argmax p)) x feature, [C*D], never written out: their squared distance from the
// two factors. residual [C], feature [D].
std::vector<double> label_residual(std::span<const double> p);  // p - onehot(argmax p)
double gradient_distance(std::span<const double> residual_a, std::span<const double> feature_a,
                         std::span<const double> residual_b, std::span<const double> feature_b);

// --- coreset.cpp, density.cpp ------------------------------------------------------------------------------------
struct Centre {
  size_t index = 0;
  double distance = 0;  // to the nearest labelled or earlier one
};
std::vector<Centre> k_centre_greedy(const Points& candidates, const Points& labelled, int64_t k);
// Mean cosine similarity of each point to all of them, itself included; at least 0.
std::vector<double> information_density(const Points& points);

// --- typiclust.cpp, probcover.cpp --------------------------------------------------------------------------------
// 1 / mean distance to the `neighbours` nearest other members, for each of `members`.
std::vector<double> typicality(const Points& points, std::span<const size_t> members, int64_t neighbours);
struct Typical {
  size_t index = 0;
  double typicality = 0;
  int64_t cluster_size = 0, cluster_labelled = 0;
};
// `points` are the candidates and after them the labelled images; `cluster` holds the cluster of each.
std::vector<Typical> typiclust(const Points& points, int64_t candidates, std::span<const int64_t> cluster, int64_t k);
// The largest radius at which a share `purity` of the balls around the points holds points of one cluster only.
double purity_radius(const Points& points, std::span<const int64_t> cluster, double purity);
struct Cover {
  size_t index = 0;
  int64_t newly_covered = 0;  // points
};
std::vector<Cover> probcover(const Points& points, int64_t candidates, double radius, int64_t k);

// --- suggestive.cpp ----------------------------------------------------------------------------------------------
struct Representative {
  size_t index = 0;
  double gain = 0;  // in sum_j max_{i taken} cos(i, j)
};
// k of the candidates (indices of points) that stand for all points, by greedy maximum cover.
std::vector<Representative> maximum_cover(const Points& points, std::span<const size_t> candidates, int64_t k);

// --- learning_loss.cpp -------------------------------------------------------------------------------------------
// What a loss prediction module (models/loss_prediction.h), trained to rank the losses of the labelled points, says of
// the candidates. `stages` splits a point into the averages of each stage. Fewer than two labelled points: all 0.
std::vector<double> predicted_losses(const Points& candidates, const Points& labelled, std::span<const double> losses,
                                     std::span<const int64_t> stages, uint64_t seed);

// --- logistic.cpp, adaptive.cpp ----------------------------------------------------------------------------------
struct LogisticRegression {
  int64_t classes = 0;
  std::vector<double> weights;  // [C,D+1], the bias last
  std::vector<double> probabilities(std::span<const double> x) const;  // x [D] -> [C]
  // The minimum of sum_i cross-entropy(targets_i, p_i) + |weights without bias|^2 / 2, from the present weights on.
  // Points of at most unit length; targets [n,C], each row adds up to 1.
  void fit(const Points& x, std::span<const double> targets);
};
double adaptive_score(double uncertainty, double density, double beta);  // f^beta d^(1-beta), both in [0,1]
// exp(-|x-y|^2 / width2), [n,n], with 1e-6 more on the diagonal.
std::vector<double> gaussian_kernel(const Points& points, double width2);
// Of a symmetric positive definite matrix [n,n].
std::vector<double> inverse_of(std::vector<double> matrix, int64_t n);
// From K^-1 to the inverse without row and column i, in place; those become 0.
void remove_from_inverse(std::vector<double>& inverse, int64_t n, size_t i);

}  // namespace querent::al
