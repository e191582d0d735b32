// What a Program and the ledger ask of the convolution kernels.
#pragma once
#include <string>

#include "tensor/op.h"
#include "tensor/op_attrs.h"

namespace querent::cpu {

// What a kernel takes for the time of a call (scratch.h): an upper bound, close for AVX-512, from the shapes and the number
// of threads; 0 for ops that need none or next to none.
int64_t scratch_floats(const Op& op, const Call& call);

// How a convolution or a gradient of one is computed: "winograd F(4,3)", "direct", "deep", ...; "" for other ops.
std::string algorithm(const Op& op, const Call& call);

// The side of Winograd's tile, 2 or 4, for a convolution with filters w [O,Kh,Kw,C] and rows x cols outputs; 0: direct.
int64_t winograd_tile(const Conv2dAttrs& a, const Shape& w, int64_t rows, int64_t cols);

// Transformed filters are [T*T, panels of 32 outputs, C, 32], T = tile + 2, zero beyond the last output.
constexpr int64_t filter_panel = 32;
inline Shape filters_shape(int64_t tile, const Shape& w) {
  return {(tile + 2) * (tile + 2), (w[0] + filter_panel - 1) / filter_panel, w[3], filter_panel};
}

}  // namespace querent::cpu
