#include "al/mahapatra2013/query.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "al/selection.h"

namespace querent::al {

double entropy_bits(double p) {
  double h = 0;
  for (const double q : {p, 1 - p})
    if (q > 0) h -= q * std::log2(q);
  return h;
}

std::vector<double> context_disagreement(std::span<const double> p, std::span<const Border> borders,
                                         std::span<const double> weight) {
  std::vector<double> sum(p.size(), 0), all(p.size(), 0);
  for (size_t k = 0; k < borders.size(); ++k) {
    const auto a = static_cast<size_t>(borders[k].first), b = static_cast<size_t>(borders[k].second);
    for (const size_t i : {a, b}) sum[i] += weight[k] * std::abs(p[a] - p[b]), all[i] += weight[k];
  }
  for (size_t i = 0; i < p.size(); ++i) sum[i] = all[i] > 0 ? sum[i] / all[i] : 0;
  return sum;
}

std::vector<double> informativeness(std::span<const double> p, std::span<const double> disagreement,
                                    std::span<const double> density, const QueryWeights& w) {
  std::vector<double> score;
  for (size_t i = 0; i < p.size(); ++i)
    score.push_back((entropy_bits(p[i]) + w.context * disagreement[i]) * std::pow(density[i], w.beta));
  return score;
}

std::vector<int64_t> choose_superpixels(std::span<const double> score, std::span<const uint8_t> labelled,
                                        std::span<const Border> borders, int64_t count, uint64_t seed) {
  std::vector<Candidate> candidates;
  std::vector<int64_t> node;
  for (size_t i = 0; i < score.size(); ++i)
    if (!labelled[i]) candidates.push_back({std::to_string(i), score[i]}), node.push_back(static_cast<int64_t>(i));
  std::vector<std::vector<size_t>> touching(score.size());
  for (const Border& b : borders) {
    touching[static_cast<size_t>(b.first)].push_back(static_cast<size_t>(b.second));
    touching[static_cast<size_t>(b.second)].push_back(static_cast<size_t>(b.first));
  }
  std::vector<int64_t> chosen, passed;
  std::vector<uint8_t> near(score.size(), 0);
  for (const size_t k : top_k(candidates, static_cast<int64_t>(candidates.size()), seed)) {
    const auto i = static_cast<size_t>(node[k]);
    if (static_cast<int64_t>(chosen.size()) == count) break;
    (near[i] ? passed : chosen).push_back(node[k]);
    if (near[i]) continue;
    for (const size_t j : touching[i]) near[j] = 1;
  }
  for (size_t k = 0; k < passed.size() && static_cast<int64_t>(chosen.size()) < count; ++k) chosen.push_back(passed[k]);
  return chosen;
}

}  // namespace querent::al
