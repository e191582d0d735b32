#include "al/classic/max_flow.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "tensor/error.h"

namespace querent::al {

void FlowNetwork::link(int64_t a, int64_t b, double forward, double backward) {
  check(a != b && std::min(a, b) >= 0 && std::max(a, b) < limit(), "max flow: {} and {} cannot be linked", a, b);
  check(std::isfinite(forward) && std::isfinite(backward) && forward >= 0 && backward >= 0,
        "max flow: capacities {} and {} must be at least 0", forward, backward);
  const auto i = static_cast<size_t>(a), j = static_cast<size_t>(b);
  links_[i].push_back({j, links_[j].size(), forward});
  links_[j].push_back({i, links_[i].size() - 1, backward});
}

// Links to the sink along which more can flow, by breadth-first search backwards; limit() where there is no way.
void FlowNetwork::measure_heights(size_t sink) {
  height_.assign(links_.size(), limit());
  height_[sink] = 0;
  std::vector<size_t> reached = {sink};
  for (size_t k = 0; k < reached.size(); ++k)
    for (const Link& l : links_[reached[k]])
      if (height_[l.to] == limit() && links_[l.to][l.back].left > 0) {
        height_[l.to] = height_[reached[k]] + 1;
        reached.push_back(l.to);
      }
}

double FlowNetwork::solve(int64_t from, int64_t to) {
  const auto source = static_cast<size_t>(from), sink = static_cast<size_t>(to);
  check(from != to, "max flow: source and sink are both {}", from);
  measure_heights(sink);
  height_[source] = limit();
  std::vector<int64_t> at_height(links_.size() + 1, 0);
  for (const int64_t h : height_) ++at_height[static_cast<size_t>(h)];
  std::vector<double> excess(links_.size(), 0);
  std::deque<size_t> active;
  const auto push = [&](size_t node, Link& l, double amount) {
    l.left -= amount;
    links_[l.to][l.back].left += amount;
    excess[node] -= amount;
    if (excess[l.to] == 0 && l.to != source && l.to != sink) active.push_back(l.to);
    excess[l.to] += amount;
  };
  for (Link& l : links_[source])
    if (l.left > 0) push(source, l, l.left);

  // Excess of nodes that cannot reach the sink any more would run back to the source; it changes neither flow nor cut.
  while (!active.empty()) {
    const size_t node = active.front();
    active.pop_front();
    while (excess[node] > 0 && height_[node] < limit()) {
      int64_t lowest = limit();
      for (Link& l : links_[node]) {
        if (l.left <= 0) continue;
        if (height_[node] == height_[l.to] + 1) push(node, l, std::min(excess[node], l.left));
        if (l.left > 0) lowest = std::min(lowest, height_[l.to] + 1);
        if (excess[node] == 0) break;
      }
      if (excess[node] == 0) break;
      const int64_t old = height_[node];
      --at_height[static_cast<size_t>(old)];
      height_[node] = lowest;
      ++at_height[static_cast<size_t>(lowest)];
      if (at_height[static_cast<size_t>(old)] > 0) continue;
      for (int64_t& h : height_)  // the gap rule: nothing can step down through an empty height
        if (h > old && h < limit()) --at_height[static_cast<size_t>(h)], h = limit(), ++at_height.back();
    }
  }
  measure_heights(sink);
  return excess[sink];
}

}  // namespace querent::al
