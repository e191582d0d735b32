// Winograd convolutions of stride 1 with R x R filters by T points a side, for (T, R) = (4, 3), (6, 3), (6, 4), (4, 2),
// (6, 2): no dilation, one group.
//
// A 4x4 filter of stride 2 is a 2x2 filter of stride 1 over four times the channels: the four phases of the image, its
// rows and columns modulo 2, are channels of their own. Its transpose has the phases at the output. So that is a job,
// too.
#pragma once
#include <algorithm>

#include "tensor/cpu/conv_job.h"
#include "tensor/cpu/conv_plan.h"

namespace querent::cpu {

// The weight of tap (i, j), phase (p, q), from input channel c to output channel o is
// weights[o*out + c*in + i*tap_h + j*tap_w + p*phase_h + q*phase_w].
struct WinogradWeights {
  const float* weights;
  int64_t out, in, tap_h, tap_w, phase_h = 0, phase_w = 0;
};

// Output (i, j) is the sum over taps of input (i + tap, j + tap). Input (i, j) of phase (p, q) is x at (i*x_step + p -
// pad_h, ..), zero outside of the image; output (i, j) of phase (p, q) is y at (i*y_step + p - crop_h, ..), if there.
struct WinogradJob {
  const float* x;  // [N,H,W,in]
  int64_t n, h, w, in;
  float* y;  // [N,rows,cols,out]
  int64_t rows, cols, out;
  int64_t pad_h, pad_w;
  WinogradWeights weights;
  int64_t x_step = 1, y_step = 1, crop_h = 0, crop_w = 0;
  const float* filters = nullptr;  // the weights, transformed (conv_plan.h); null: that is part of the call
  const float* bias = nullptr;     // [out]
  Epilogue epilogue = {};
  int64_t x_phases() const { return x_step * x_step; }
  int64_t y_phases() const { return y_step * y_step; }
  int64_t depth() const { return x_phases() * in; }
  int64_t panels() const { return y_phases() * ((out + filter_panel - 1) / filter_panel); }  // of transformed weights
};
struct WinogradForm {
  int points, taps;  // T, R
  int tile() const { return points + 1 - taps; }
};

// Few tiles for so many weights: all transformed inputs and products are not much larger than the transformed weights.
inline bool winograd_by_panels(int64_t in, int64_t out, int64_t tiles) { return 4 * in * out > tiles * (in + out); }
// The same for the weight gradient, where sums take the place of weights: they would be larger.
inline bool winograd_few(int64_t in, int64_t out, int64_t tiles) { return in * out > tiles * (in + out); }
// Then weights are transformed in so many runs of 16 channels by 32 outputs at a time (winograd.cpp), and sums of the
// gradient are taken over a panel of channels for so many register tiles of outputs: each a third of a megabyte for 36
// products.
constexpr int64_t winograd_runs = 4, winograd_sums = 6;
// Else tiles are taken in blocks of about half a megabyte, in full register tiles whatever the SIMD target.
inline int64_t winograd_block(int64_t products, int64_t in, int64_t out) {
  constexpr int64_t register_rows = 14;
  const int64_t fit = (int64_t{1} << 19) / (products * (in + out) * 4) / register_rows;
  return std::clamp<int64_t>(fit, 1, 16) * register_rows;
}
// Those of the weight gradient: four megabytes, or as much as the sums take, which every block adds to.
inline int64_t winograd_weight_block(int64_t products, int64_t in, int64_t out, int64_t tiles) {
  const int64_t bytes = std::clamp<int64_t>(products * in * out * 4, int64_t{4} << 20, int64_t{32} << 20);
  return std::min(tiles, std::clamp<int64_t>(bytes / (products * (in + out) * 4), 16, 1024));
}

void run_winograd(WinogradForm form, const WinogradJob& job);
void transform_filters(WinogradForm form, const WinogradJob& job,
                       float* to);  // reads the weights and channels of the job

struct WinogradWeightJob {
  const float* x;  // [N,H,W,in]
  int64_t n, h, w, in;
  const float* dy;  // [N,rows,cols,out]
  int64_t rows, cols, out;
  int64_t pad_h, pad_w;
  float* dw;
  WinogradWeights to;  // where a weight's gradient goes in dw; its `in` is 1 and its `weights` null
  int64_t x_step = 1;
};
void run_winograd_weight(WinogradForm form, const WinogradWeightJob& job);

}  // namespace querent::cpu
