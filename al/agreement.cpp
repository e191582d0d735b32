#include "al/agreement.h"

#include <vector>

#include "tensor/error.h"

namespace querent::al {

Agreement bland_altman(std::span<const double> measured, std::span<const double> reference) {
  check(measured.size() == reference.size() && measured.size() >= 2,
        "agreement: {} measured and {} reference values; at least two pairs are needed", measured.size(),
        reference.size());
  std::vector<double> differences;
  for (size_t i = 0; i < measured.size(); ++i) differences.push_back(measured[i] - reference[i]);
  const Summary d = summarize(differences);
  return {d, {d.mean - 1.96 * d.sd, d.mean + 1.96 * d.sd}};
}

}  // namespace querent::al
