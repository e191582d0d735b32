#include "models/bcnn.h"

#include "layers/resample.h"

namespace querent {
namespace {

// Keras draws all weights by Glorot and Bengio and starts biases at 0.
ConvOptions conv() { return {.kernel = 4, .init = Init::xavier(), .zero_bias = true}; }
LinearOptions dense(int64_t area = 1) { return {.init = Init::xavier(), .zero_bias = true, .area = area}; }

}  // namespace

Bcnn::Bcnn(const Scope& s, const BcnnOptions& o)
    : options(o),
      conv1(s.sub("conv1"), o.in_channels, o.width, conv()),
      conv2(s.sub("conv2"), o.width, o.width, conv()),
      fc1(s.sub("fc1"), o.width * pooled_size * pooled_size, o.fc, dense(pooled_size * pooled_size)),
      fc2(s.sub("fc2"), o.fc, o.classes, dense()),
      drop1(s.sub("drop1"), o.dropout / 2),
      drop2(s.sub("drop2"), o.dropout) {
  if (o.log_var) log_var.emplace(s.sub("log_var"), o.fc, o.classes, dense());
}

Tensors Bcnn::stages(const Tensor& x, const Pass&) const {
  check(x.rank() == 4 && x.dim(3) == options.in_channels, "bcnn: x must be [N,H,W,{}], got {}", options.in_channels, x);
  check(x.dim(1) >= 28 && x.dim(2) >= 28, "bcnn: images must be at least 28x28, got {}; use a larger --size", x);
  const Tensor first = relu(conv1(x));
  return {first, relu(conv2(first))};
}

Tensors Bcnn::trunk(const Tensor& x, const Pass& pass) const {
  const Tensor y = halve(stages(x, pass).back());
  const bool fits = y.dim(1) == pooled_size && y.dim(2) == pooled_size;
  return {flatten(fits ? y : adaptive_avg_pool2d(y, pooled_size))};
}

Output Bcnn::head(const Tensors& pooled, const Pass& pass) const {
  const Tensor y = drop2(relu(fc1(drop1(pooled[0], pass))), pass);
  return {fc2(y), log_var ? (*log_var)(y) : Tensor{}};
}

Tensor Bcnn::embed(const Tensors& pooled) const { return relu(fc1(pooled[0])); }

}  // namespace querent
