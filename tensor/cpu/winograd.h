// Winograd convolutions F(m x m, 3x3), m = 2 or 4: 3x3 filters, stride 1, no dilation, one group.
#pragma once
#include "tensor/cpu/conv_job.h"

namespace querent::cpu {

struct WinogradJob {
  const float* x;  // [N,H,W,in]
  int64_t n, h, w, in;
  float* y;  // [N,rows,cols,out]
  int64_t rows, cols, out;
  int64_t pad_h, pad_w;
  // The weight of tap t = 0..8 from input channel c to output channel o is weights[o*w_out + c*w_in + t*w_tap].
  const float* weights;
  int64_t w_out, w_in, w_tap;
  const float* filters = nullptr;  // the weights, transformed (conv_plan.h); null: that is part of the call
  const float* bias = nullptr;  // [out]
  Epilogue epilogue = {};
};
void run_winograd(int m, const WinogradJob& job);
void transform_filters(int m, const WinogradJob& job, float* to);  // reads the weights and channels of the job

struct WinogradWeightJob {
  const float* x;  // [N,H,W,in]
  int64_t n, h, w, in;
  const float* dy;  // [N,rows,cols,out]
  int64_t rows, cols, out;
  int64_t pad_h, pad_w;
  float* dw;  // [out,3,3,in]
};
void run_winograd_weight(int m, const WinogradWeightJob& job);

}  // namespace querent::cpu
