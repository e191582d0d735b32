#include "layers/pass.h"

#include <algorithm>
#include <vector>

#include "tensor/rng.h"
#include "tensor/tape.h"

namespace querent {

bool Pass::batch_statistics(const Tensor& weight) const {
  if (mode != train || !trained) return mode == train;
  return std::any_of(trained->tensors.begin(), trained->tensors.end(),
                     [&](const Tensor& t) { return t.id() == weight.id(); });
}

Tensor make_streams(uint64_t seed, std::span<const int64_t> ids, int64_t draw) {
  std::vector<int64_t> rows;
  rows.reserve(2 * ids.size());
  for (const int64_t id : ids) {
    rows.push_back(static_cast<int64_t>(mix_key(seed, static_cast<uint64_t>(id))));
    rows.push_back(draw);
  }
  return Tensor::from(std::span<const int64_t>(rows), {static_cast<int64_t>(ids.size()), 2});
}

}  // namespace querent
