// How a network is run: the mode is an argument, never a state of the layers.
#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace querent {

struct ParamSet;

// train: dropout on, batch norm by batch statistics, running statistics updated.
// eval: dropout off, batch norm by running statistics.
// mc_dropout: dropout on, batch norm by running statistics: one sample from the approximate posterior (Gal and
// Ghahramani 2016). A Bayesian network is this argument, not another network.
struct Pass {
  enum Mode { train, eval, mc_dropout };
  Mode mode = eval;
  Tensor streams = {};  // i64 [N,2]: the random stream of each row of the batch; not needed in eval
  const ParamSet* trained = nullptr;  // train: the parameters that are trained; null: all
  int64_t recompute = 0;  // train: so many of a U-Net's outermost levels backward computes again (models/unet.h)
  bool drops() const { return mode != eval; }
  // Whether the batch norm with this weight goes by batch statistics: in train, unless its weight is frozen.
  bool batch_statistics(const Tensor& weight) const;
};

// Streams (key, counter) for rows that stand for the samples `ids`: the masks of a sample depend on (seed, its id,
// draw) and on nothing else, so neither its place in the batch nor the batch size changes them. `draw` is the training
// step or the number of the Monte-Carlo pass.
Tensor make_streams(uint64_t seed, std::span<const int64_t> ids, int64_t draw);

}  // namespace querent
