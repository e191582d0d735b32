// Gradients of ranks that compute one training together (tensor/collective.h).
#pragma once
#include "tensor/tape.h"

namespace querent {

// tape.backward(), then the mean over ranks: of pieces of at least `bucket` elements of the flat buffer, from the last
// layers to the first, each as soon as its gradients are complete (Li et al., "PyTorch Distributed", VLDB 2020). The
// same bits for any size of bucket. One rank: tape.backward() itself.
Gradients backward_of_ranks(Tape& tape, const Tensor& loss, const ParamSet& wanted, int64_t bucket = int64_t{1} << 20);

}  // namespace querent
