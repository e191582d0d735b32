// Attributes of the gradients of pooling and upsampling, shared by the rows and their kernels.
#pragma once
#include "tensor/op_attrs.h"

namespace querent {

struct PoolGradAttrs {
  Pool2dAttrs pool;
  Shape x;  // of the pooled image
  void fields(FieldVisitor& v) const { pool.fields(v), v.field("x", x); }
};

struct BilinearGradAttrs {
  SizeAttrs up;
  Pair x = 0;  // H, W of x
  void fields(FieldVisitor& v) const { up.fields(v), v.field("x", x); }
};

}  // namespace querent
