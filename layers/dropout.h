// Dropout: y = x * keep / (1-p) in training and in Monte-Carlo passes, y = x in evaluation.
#pragma once
#include "layers/params.h"
#include "layers/pass.h"
#include "tensor/ops.h"

namespace querent {

// The mask of a row depends on its stream, on this site (the scope's name) and on the element alone.
struct Dropout {
  DropoutAttrs attrs;
  Dropout(const Scope& scope, double p) : attrs{.p = p, .site = scope.site()} {
    check(p >= 0 && p < 1, "dropout: p must be in [0,1), got {}", p);
  }
  Tensor operator()(const Tensor& x, const Pass& pass) const {
    if (!pass.drops() || attrs.p == 0) return x;
    check(bool{pass.streams} && pass.streams.dim(0) == x.dim(0),
          "dropout: needs one random stream per row, x={} streams={}; see make_streams()", x, pass.streams);
    return dropout(x, pass.streams, attrs);
  }
};

}  // namespace querent
