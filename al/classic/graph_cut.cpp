#include "al/classic/graph_cut.h"

#include <algorithm>

#include "al/classic/max_flow.h"

namespace querent::al {

double energy(std::span<const LabelCost> costs, std::span<const Smoothness> pairs, std::span<const uint8_t> labels) {
  double e = 0;
  for (size_t i = 0; i < costs.size(); ++i) e += costs[i][labels[i]];
  for (const Smoothness& p : pairs)
    if (labels[static_cast<size_t>(p.a)] != labels[static_cast<size_t>(p.b)]) e += p.weight;
  return e;
}

std::vector<uint8_t> minimum_energy_labels(std::span<const LabelCost> costs, std::span<const Smoothness> pairs) {
  const auto n = static_cast<int64_t>(costs.size()), source = n, sink = n + 1;
  FlowNetwork network(n + 2);
  for (int64_t i = 0; i < n; ++i) {
    const auto& [zero, one] = costs[static_cast<size_t>(i)];
    const double base = std::min(zero, one);  // paid in any case; capacities are not negative
    network.link(source, i, zero - base);
    network.link(i, sink, one - base);
  }
  for (const Smoothness& p : pairs) network.link(p.a, p.b, p.weight, p.weight);
  network.solve(source, sink);
  std::vector<uint8_t> labels;
  for (int64_t i = 0; i < n; ++i) labels.push_back(network.source_side(i));
  return labels;
}

}  // namespace querent::al
