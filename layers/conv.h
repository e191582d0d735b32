// Convolution and transposed convolution with their parameters 'weight' and 'bias'.
#pragma once
#include "layers/params.h"
#include "layers/precision.h"
#include "tensor/ops.h"

namespace querent {

struct ConvOptions {
  int64_t kernel = 3, stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
  Init init = Init::torch_default();
  bool zero_bias = false;  // else U(+-1/sqrt(fan_in)) as PyTorch draws it
};

// x [N,H,W,cin] -> [N,H',W',cout]
struct Conv2d {
  Tensor weight, bias;  // [cout,K,K,cin/groups], [cout] or none
  Conv2dAttrs attrs;
  Conv2d(const Scope& scope, int64_t cin, int64_t cout, const ConvOptions& o = {})
      : attrs{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
    const int64_t fan_in = cin / o.groups * o.kernel * o.kernel;
    weight = scope.parameter("weight", {cout, o.kernel, o.kernel, cin / o.groups}, o.init, {FileLayout::conv});
    if (o.bias) bias = scope.parameter("bias", {cout}, bias_init(o, fan_in));
  }
  Tensor operator()(const Tensor& x) const { return conv2d(x, weight_for(x, weight), weight_for(x, bias), attrs); }
  static Init bias_init(const ConvOptions& o, int64_t fan_in) {
    return o.zero_bias ? Init::zeros() : Init::flat(1 / std::sqrt(static_cast<double>(fan_in)));
  }
};

// x [N,H,W,cin] -> [N,(H-1)*stride-2*padding+kernel, ..., cout]
struct ConvTranspose2d {
  Tensor weight, bias;  // [cin,K,K,cout], [cout]
  ConvTranspose2dAttrs attrs;
  ConvTranspose2d(const Scope& scope, int64_t cin, int64_t cout, const ConvOptions& o)
      : attrs{.stride = o.stride, .padding = o.padding, .dilation = o.dilation} {
    weight = scope.parameter("weight", {cin, o.kernel, o.kernel, cout}, o.init, {FileLayout::conv});
    if (o.bias) bias = scope.parameter("bias", {cout}, Conv2d::bias_init(o, cout * o.kernel * o.kernel));
  }
  Tensor operator()(const Tensor& x) const {
    return conv_transpose2d(x, weight_for(x, weight), weight_for(x, bias), attrs);
  }
};

}  // namespace querent
