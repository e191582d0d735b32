// Batch norm and instance norm with their parameters 'weight' (gamma) and 'bias' (beta).
#pragma once
#include <optional>

#include "layers/params.h"
#include "layers/pass.h"
#include "tensor/ops.h"

namespace querent {

// Ioffe and Szegedy 2015. By batch statistics in Pass::train, unless its weight is frozen (and only then are the running
// statistics updated), by running statistics otherwise. x [N,H,W,C] or [N,C]. Several ranks share the statistics of
// their batches, with the bits of ops instead of a kernel (docs/parallel.md).
struct BatchNorm2d {
  Tensor weight, bias, running_mean, running_var, batches;
  double momentum = 0.1;
  BatchNorm2d(const Scope& scope, int64_t channels);
  Tensor operator()(const Tensor& x, const Pass& pass) const;
};

// Ulyanov et al. 2016: each channel of each image by its own statistics, in every mode.
struct InstanceNorm2d {
  Tensor weight, bias;  // none unless affine
  InstanceNorm2d(const Scope& scope, int64_t channels, bool affine = false) {
    if (!affine) return;
    weight = scope.parameter("weight", {channels}, Init::ones());
    bias = scope.parameter("bias", {channels}, Init::zeros());
  }
  Tensor operator()(const Tensor& x) const { return instance_norm(x, weight, bias).y; }
};

// One of the two, for networks that are published with both. Instance norm has no parameters here, so a convolution
// before it keeps the bias that PyTorch's implementations give it.
enum class NormKind { batch, instance };
struct Norm2d {
  std::optional<BatchNorm2d> batch;  // none: instance norm
  Norm2d(const Scope& scope, int64_t channels, NormKind kind) {
    if (kind == NormKind::batch) batch.emplace(scope, channels);
  }
  Tensor operator()(const Tensor& x, const Pass& pass) const {
    return batch ? (*batch)(x, pass) : instance_norm(x, {}, {}).y;
  }
};

}  // namespace querent
