// y = x W^T + b.  x [N,cin], weight [cout,cin], bias [cout], y [N,cout]
#pragma once
#include "layers/params.h"
#include "layers/precision.h"
#include "tensor/ops.h"

namespace querent {

struct LinearOptions {
  Init init = Init::torch_default();
  bool zero_bias = false;
  int64_t area = 1;  // H*W when x is a flattened [N,H,W,C]: files hold such weights in C,H,W order
};

struct Linear {
  Tensor weight, bias;
  Linear(const Scope& scope, int64_t cin, int64_t cout, const LinearOptions& o = {}) {
    const FileLayout layout = o.area > 1 ? FileLayout{FileLayout::flattened, o.area} : FileLayout{};
    weight = scope.parameter("weight", {cout, cin}, o.init, layout);
    bias = scope.parameter("bias", {cout},
                           o.zero_bias ? Init::zeros() : Init::flat(1 / std::sqrt(static_cast<double>(cin))));
  }
  Tensor operator()(const Tensor& x) const {
    return matmul(x, weight_for(x, weight), weight_for(x, bias), {.transpose_b = true});
  }
};

}  // namespace querent
