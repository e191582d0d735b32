#include "al/scr2006/kd_tree.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr size_t leaf_size = 16;

}  // namespace

struct KdTree::Search {
  std::span<const float> query;
  size_t k;
  float shrink;                 // (1 + epsilon)^2, less what rounding may have added to the distance of a cell
  std::vector<Hit> hits = {};   // ascending
  std::vector<float> gap = {};  // along each axis from the query to the cell under way
  float worst() const { return hits.size() < k ? std::numeric_limits<float>::infinity() : hits.back().squared; }
  void add(Hit h) {
    if (hits.size() == k) {
      if (!(h < hits.back())) return;
      hits.pop_back();
    }
    hits.insert(std::upper_bound(hits.begin(), hits.end(), h), h);
  }
};

KdTree::KdTree(std::span<const float> points, int64_t dimensions)
    : dimensions_(static_cast<size_t>(dimensions)), count_(static_cast<int64_t>(points.size()) / dimensions) {
  check(dimensions > 0 && count_ > 0 && points.size() % dimensions_ == 0,
        "kd_tree: {} numbers are not points of {} dimensions", points.size(), dimensions);
  check(count_ <= std::numeric_limits<int32_t>::max(), "kd_tree: {} points are too many", count_);
  std::vector<int32_t> order(static_cast<size_t>(count_));
  std::iota(order.begin(), order.end(), 0);
  build(points, order);
}

int32_t KdTree::build(std::span<const float> points, std::span<int32_t> order) {
  const auto value = [&](int32_t i, size_t axis) { return points[static_cast<size_t>(i) * dimensions_ + axis]; };
  const auto self = static_cast<int32_t>(nodes_.size());
  nodes_.emplace_back();
  if (order.size() <= leaf_size) {
    std::sort(order.begin(), order.end());
    const auto block = members_.size() / leaf_size;
    members_.resize(members_.size() + leaf_size, -1);
    blocks_.resize(blocks_.size() + leaf_size * dimensions_, 0);
    for (size_t j = 0; j < order.size(); ++j) {
      members_[block * leaf_size + j] = order[j];
      for (size_t d = 0; d < dimensions_; ++d) blocks_[(block * dimensions_ + d) * leaf_size + j] = value(order[j], d);
    }
    nodes_.back().left = static_cast<int32_t>(block);
    return self;
  }
  size_t axis = 0;
  float widest = -1;
  for (size_t d = 0; d < dimensions_; ++d) {
    float low = value(order[0], d), high = low;
    for (const int32_t i : order) low = std::min(low, value(i, d)), high = std::max(high, value(i, d));
    if (high - low > widest) widest = high - low, axis = d;
  }
  const size_t half = order.size() / 2;
  const auto before = [&](int32_t a, int32_t b) {  // a total order, so that the halves do not depend on the library
    return value(a, axis) != value(b, axis) ? value(a, axis) < value(b, axis) : a < b;
  };
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(half), order.end(), before);
  Node node{static_cast<int32_t>(axis), value(order[half], axis)};
  node.left = build(points, order.first(half));
  node.right = build(points, order.subspan(half));
  nodes_[static_cast<size_t>(self)] = node;
  return self;
}

void KdTree::visit(int32_t at, float squared, Search& s) const {
  const Node& node = nodes_[static_cast<size_t>(at)];
  if (node.axis < 0) {
    const auto block = static_cast<size_t>(node.left);
    const float* points = blocks_.data() + block * dimensions_ * leaf_size;
    std::array<float, leaf_size> sum{};
    for (size_t d = 0; d < dimensions_; ++d)
      for (size_t j = 0; j < leaf_size; ++j) {
        const float gap = points[d * leaf_size + j] - s.query[d];
        sum[j] += gap * gap;
      }
    for (size_t j = 0; j < leaf_size; ++j)
      if (const int32_t i = members_[block * leaf_size + j]; i >= 0 && sum[j] <= s.worst()) s.add({sum[j], i});
    return;
  }
  const auto axis = static_cast<size_t>(node.axis);
  const float gap = s.query[axis] - node.cut, before = s.gap[axis];
  const bool left_first = gap < 0;
  visit(left_first ? node.left : node.right, squared, s);
  const float far = squared - before * before + gap * gap;
  if (far * s.shrink > s.worst()) return;
  s.gap[axis] = gap;
  visit(left_first ? node.right : node.left, far, s);
  s.gap[axis] = before;
}

std::vector<KdTree::Hit> KdTree::nearest(std::span<const float> query, int64_t k, double epsilon) const {
  check(query.size() == dimensions_ && k > 0 && epsilon >= 0,
        "kd_tree: a query of {} dimensions for {} neighbours (epsilon {}) in a tree of {}", query.size(), k, epsilon,
        dimensions_);
  Search s{query, static_cast<size_t>(std::min(k, count_)), static_cast<float>((1 + epsilon) * (1 + epsilon) * 0.9999)};
  s.hits.reserve(s.k);
  s.gap.assign(dimensions_, 0);
  visit(0, 0, s);
  return s.hits;
}

}  // namespace querent::al
