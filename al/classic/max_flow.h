// The largest flow through a network, and the smallest cut: push-relabel (Goldberg and Tarjan, "A New Approach to the
// Maximum-Flow Problem", J. ACM 1988), first in first out, with the gap rule.
//
//   excess   what has arrived at a node and not left it yet
//   height   at most the number of links to the sink in the residual network; flow runs one step down
//   push     along a link that goes down, as much as there is and as fits
//   relabel  a node with excess and no link down is lifted just above its lowest neighbour
//
// Capacities are doubles; the number of steps does not depend on them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace querent::al {

class FlowNetwork {
 public:
  explicit FlowNetwork(int64_t nodes) : links_(static_cast<size_t>(nodes)) {}
  // Two links, a -> b and b -> a, of these capacities (>= 0).
  void link(int64_t a, int64_t b, double forward, double backward = 0);
  // The value of the largest flow = the capacity of the smallest cut; call once.
  double solve(int64_t source, int64_t sink);
  // After solve: does the node lie on the source's side of the smallest cut (the one nearest to the sink)?
  bool source_side(int64_t node) const { return height_[static_cast<size_t>(node)] >= limit(); }

 private:
  struct Link {
    size_t to, back;  // back: its twin is links_[to][back]
    double left;      // capacity not used yet
  };
  int64_t limit() const { return static_cast<int64_t>(links_.size()); }  // nodes this high cannot reach the sink
  void measure_heights(size_t sink);

  std::vector<std::vector<Link>> links_;
  std::vector<int64_t> height_;
};

}  // namespace querent::al
