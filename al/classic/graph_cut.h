// The best labels of a picture's regions in one go: the minimum of
//
//   E(y) = sum_i cost_i(y_i) + sum_ij weight_ij [y_i != y_j],   y_i in {0, 1}, weights >= 0
//
// is a smallest cut (Greig, Porteous and Seheult 1989; Boykov, Veksler and Zabih, IEEE TPAMI 2001): a node ends on the
// source's side for label 1, the link to the sink that is cut then carries its cost of being 1, and the link between
// two nodes with different labels their weight.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

using LabelCost = std::array<double, 2>;  // of label 0 and of label 1; finite
struct Smoothness {
  int64_t a = 0, b = 0;
  double weight = 0;
};
double energy(std::span<const LabelCost> costs, std::span<const Smoothness> pairs, std::span<const uint8_t> labels);
std::vector<uint8_t> minimum_energy_labels(std::span<const LabelCost> costs, std::span<const Smoothness> pairs);

}  // namespace querent::al
