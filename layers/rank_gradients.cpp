#include "layers/rank_gradients.h"

#include "tensor/collective.h"
#include "tensor/ops.h"

namespace querent {

Gradients backward_of_ranks(Tape& tape, const Tensor& loss, const ParamSet& wanted, int64_t bucket) {
  if (collective().size == 1) return tape.backward(loss, wanted);
  struct Bucket {
    int64_t first, end;  // in the flat buffer
    int64_t missing = 0;
  };
  std::vector<Bucket> buckets;
  std::vector<size_t> bucket_of(wanted.tensors.size());
  int64_t end = wanted.total;
  for (size_t i = wanted.tensors.size(); i-- > 0; end = wanted.offsets[i]) {
    if (buckets.empty() || buckets.back().end - end >= bucket) buckets.push_back({end, end});
    buckets.back().first = wanted.offsets[i];
    ++buckets.back().missing;
    bucket_of[i] = buckets.size() - 1;
  }
  const Gradients g = tape.backward(loss, wanted, [&](const Tensor& flat, size_t parameter) {
    Bucket& b = buckets[bucket_of[parameter]];
    if (--b.missing == 0) begin_rank_mean(flat.batch(b.first, b.end - b.first));
  });
  end_rank_mean(g.flat);
  return g;
}

}  // namespace querent
