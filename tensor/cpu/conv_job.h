// Geometry of one convolution on the CPU, in the form that serves all directions. Plain numbers, no SIMD.
//
// A tap is one position of the filter. Output position (i, j) reads input position (i*stride + tap.row, j*stride +
// tap.col), zero outside the image. A forward convolution is one job. The gradient in x with stride s is s*s jobs, one
// for each phase of the output grid, each with the taps that reach that phase; a transposed convolution is the same.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/op_attrs.h"
#include "tensor/tensor.h"

namespace querent::cpu {

// Floats from one row of a packed block to the next: rows whose distance is a large power of two would compete for the same
// few places of the first-level cache.
inline int64_t row_stride(int64_t floats) { return floats % 256 == 0 ? floats + 16 : floats; }

// The same for whole planes, of which one pixel is written to many: an odd number of cache lines.
inline int64_t plane_stride(int64_t floats) { return (floats + 15) / 16 * 16 | 16; }

// What is done to each output before it is stored: (y - shift[o]) factor[o] + offset[o] unless these are null, then 0 for
// what is negative if `relu`.
struct Epilogue {
  const float *shift = nullptr, *factor = nullptr, *offset = nullptr;  // [out]
  bool relu = false;
  bool any() const { return factor != nullptr || relu; }
};

struct Tap {
  int64_t row, col;
  int64_t weight;  // offset of this tap's weights in w
};

struct ConvJob {
  // Input [N,H,W,x_channels], of which channels x_first .. x_first+in are read.
  const float* x;
  int64_t n, h, w, x_channels, x_first, in;
  int64_t stride_h, stride_w;
  // Output [N,y_h,y_w,y_channels]; positions (i,j) < (rows,cols) go to row i*step_h+base_h, column j*step_w+base_w,
  // channels y_first .. y_first+out.
  float* y;
  int64_t rows, cols, y_h, y_w, y_channels, y_first, out;
  int64_t step_h = 1, step_w = 1, base_h = 0, base_w = 0;
  // The weight of tap t from input channel c to output channel o is weights[t.weight + o*w_out + c*w_in].
  const float* weights;
  int64_t w_out, w_in;
  std::vector<Tap> taps;
  const float* bias = nullptr;  // [out]
  Epilogue epilogue = {};       // one group, steps of 1
};
// Every output element is written by one thread, adding taps and channels in the same order whatever the thread count.
void run_conv(const ConvJob& job);
// The same for few positions with many channels (conv_deep.cpp); w_in or w_out is 1, and an epilogue needs w_in = 1.
void run_conv_deep(const ConvJob& job);

// Windows that lie side by side in an image (conv_tiled.cpp), which they cover in the adjoint.
struct TiledConvJob {
  bool adjoint;                                   // from positions to image
  const float* from;                              // [N,h,w,channels]; of the adjoint [N,rows,cols,outputs]
  float* to;                                      // the other one
  int64_t n, h, w, channels, rows, cols, outputs;
  int64_t kh, kw, stride_h, stride_w;
  const float* weights;                           // [outputs,kh,kw,channels]
  const float* bias = nullptr;                    // of the results
  Epilogue epilogue = {};                         // not of the adjoint
};
void run_conv_tiled(const TiledConvJob& job);
constexpr int64_t few_tiled_outputs = 4;  // these need no scratch
// Positions of a task, whose copied inputs have `depth` floats: a quarter of a megabyte, in full register tiles.
constexpr int64_t most_tiled_positions = 4 * 14;
inline int64_t tiled_positions(int64_t depth) { return std::clamp<int64_t>((1 << 16) / depth / 14, 1, 4) * 14; }

struct ConvWeightJob {
  const float *x, *dy;
  float* dw;  // [O,Kh,Kw,C/groups]
  int64_t n, h, w, c, oh, ow, o, kh, kw;
  Conv2dAttrs a;
};
void run_conv_weight(const ConvWeightJob& job);
void run_conv_weight_deep(const ConvWeightJob& job);  // one group

}  // namespace querent::cpu
