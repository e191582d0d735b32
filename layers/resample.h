// Changes of resolution without parameters, under the names networks use.
#pragma once
#include "tensor/ops.h"

namespace querent {

// [N,H,W,C] -> [N,H/2,W/2,C]
inline Tensor halve(const Tensor& x) { return max_pool2d(x, {.kernel = 2, .stride = 2}); }
// [N,H,W,C] -> [N,2H,2W,C], linear between pixel centres
inline Tensor double_size(const Tensor& x) { return upsample_bilinear(x, {2 * x.dim(1), 2 * x.dim(2)}); }
// [N,H,W,C] -> [N,H*W*C]
inline Tensor flatten(const Tensor& x) { return reshape(x, {x.dim(0), x.numel() / std::max<int64_t>(x.dim(0), 1)}); }

}  // namespace querent
