#include "al/classic/label_propagation.h"

#include <algorithm>
#include <cmath>

#include "data/parallel.h"
#include "tensor/error.h"

namespace querent::al {

Graph make_graph(int64_t nodes, std::vector<Link> links) {
  for (size_t i = links.size(); i-- > 0;) {
    const Link l = links[i];
    check(l.a != l.b && std::min(l.a, l.b) >= 0 && std::max(l.a, l.b) < nodes, "graph: {} and {} cannot be linked", l.a,
          l.b);
    links.push_back({l.b, l.a, l.weight});
  }
  std::sort(links.begin(), links.end(), [](const Link& l, const Link& r) {
    return l.a != r.a ? l.a < r.a : l.b != r.b ? l.b < r.b : l.weight > r.weight;
  });
  Graph g;
  g.from.assign(static_cast<size_t>(nodes) + 1, 0);
  for (size_t i = 0; i < links.size(); ++i) {
    if (i > 0 && links[i].a == links[i - 1].a && links[i].b == links[i - 1].b) continue;
    g.to.push_back(links[i].b);
    g.weight.push_back(links[i].weight);
    ++g.from[static_cast<size_t>(links[i].a) + 1];
  }
  for (size_t i = 1; i < g.from.size(); ++i) g.from[i] += g.from[i - 1];
  return g;
}

std::vector<std::vector<Near>> nearest_rows(const FeatureMatrix& points, int64_t k) {
  std::vector<std::vector<Near>> all(static_cast<size_t>(points.n));
  const auto closer = [](const Near& l, const Near& r) {
    return l.squared_distance != r.squared_distance ? l.squared_distance < r.squared_distance : l.row < r.row;
  };
  data::parallel_for(points.n, [&](int64_t i) {
    std::vector<Near>& heap = all[static_cast<size_t>(i)];  // the farthest of the nearest so far on top
    const auto a = points.row(i);
    for (int64_t j = 0; j < points.n; ++j) {
      if (j == i) continue;
      const bool full = static_cast<int64_t>(heap.size()) == k;
      const auto b = points.row(j);
      double d = 0;
      for (size_t c = 0; c < a.size(); ++c) d += (a[c] - b[c]) * (a[c] - b[c]);
      if (full && !closer({j, d}, heap.front())) continue;
      if (full) std::pop_heap(heap.begin(), heap.end(), closer), heap.pop_back();
      heap.push_back({j, d});
      std::push_heap(heap.begin(), heap.end(), closer);
    }
    std::sort_heap(heap.begin(), heap.end(), closer);
  });
  return all;
}

std::vector<double> propagate_labels(const Graph& g, std::span<const int8_t> label, const PropagationOptions& o) {
  const auto n = static_cast<size_t>(g.nodes());
  check(label.size() == n, "propagation: {} labels for {} nodes", label.size(), n);
  check(o.alpha > 0 && o.alpha < 1 && o.tolerance > 0, "propagation: alpha {} must lie between 0 and 1", o.alpha);
  std::vector<double> root(n, 0), spread(g.weight.size());
  for (size_t i = 0; i < n; ++i) {
    for (size_t e = g.from[i]; e < g.from[i + 1]; ++e) root[i] += g.weight[e];
    root[i] = std::sqrt(root[i]);
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t e = g.from[i]; e < g.from[i + 1]; ++e) {
      const double both = root[i] * root[static_cast<size_t>(g.to[e])];
      spread[e] = both > 0 ? o.alpha * g.weight[e] / both : 0;
    }
  struct Belief {
    double zero = 0, one = 0;
  };
  std::vector<Belief> f(n), next(n);
  for (double change = 1; change > o.tolerance;) {
    change = 0;
    for (size_t i = 0; i < n; ++i) {
      Belief b{label[i] == 0 ? 1 - o.alpha : 0, label[i] == 1 ? 1 - o.alpha : 0};
      for (size_t e = g.from[i]; e < g.from[i + 1]; ++e) {
        const Belief& there = f[static_cast<size_t>(g.to[e])];
        b.zero += spread[e] * there.zero, b.one += spread[e] * there.one;
      }
      change = std::max({change, std::abs(b.zero - f[i].zero), std::abs(b.one - f[i].one)});
      next[i] = b;
    }
    f.swap(next);
  }
  std::vector<double> p;
  for (const Belief& b : f) p.push_back(b.zero + b.one > 0 ? b.one / (b.zero + b.one) : 0.5);
  return p;
}

}  // namespace querent::al
