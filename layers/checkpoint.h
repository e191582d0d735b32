// Params inside a checkpoint: the raw bytes under a prefix, exact, beside optimizer state and whatever else a training
// needs to continue. (Weight files, with PyTorch's names and axes, are Params::save.)
#pragma once
#include <string>

#include "layers/params.h"
#include "layers/tensor_file.h"

namespace querent {

void add_to_checkpoint(Tensors& checkpoint, const Params& params, const std::string& prefix);
// Errors: not there, another shape.
void read_from_checkpoint(const TensorFile& checkpoint, const Params& params, const std::string& prefix);

}  // namespace querent
