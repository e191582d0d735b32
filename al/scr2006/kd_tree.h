// The k nearest of many points, in a k-d tree (Arya, Mount et al., "An Optimal Algorithm for Approximate Nearest
// Neighbor Searching", JACM 1998).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

class KdTree {
 public:
  struct Hit {
    float squared = 0;  // Euclidean distance
    int32_t index = -1;
    bool operator<(const Hit& o) const { return squared != o.squared ? squared < o.squared : index < o.index; }
    bool operator==(const Hit&) const = default;
  };

  // points [n, dimensions], finite, n >= 1.
  KdTree(std::span<const float> points, int64_t dimensions);
  int64_t count() const { return count_; }

  // min(k, n) points, nearest first; equally far ones by index. epsilon = 0 is exact; otherwise the j-th hit is at most
  // 1 + epsilon times as far as the true j-th neighbour. A function of points and query alone; several threads may ask.
  std::vector<Hit> nearest(std::span<const float> query, int64_t k, double epsilon = 0) const;

 private:
  struct Node {
    int32_t axis = -1;            // -1: a leaf
    float cut = 0;                // left: no larger along the axis
    int32_t left = 0, right = 0;  // nodes; of a leaf `left` is its block
  };
  struct Search;
  int32_t build(std::span<const float> points, std::span<int32_t> order);
  void visit(int32_t node, float squared, Search& s) const;

  size_t dimensions_;
  int64_t count_;
  std::vector<Node> nodes_;
  std::vector<float> blocks_;     // per leaf [dimensions, leaf_size]: points side by side, for SIMD
  std::vector<int32_t> members_;  // per leaf [leaf_size], -1 where there is no point
};

}  // namespace querent::al
