// Attributes of the ops that only Programs use, shared by their rows, kernels and rules.
#pragma once
#include "tensor/op_attrs.h"

namespace querent {

struct Conv2dEpilogueAttrs {
  Conv2dAttrs conv;
  double eps = 1e-5;
  bool relu = true;
  void fields(FieldVisitor& v) const { conv.fields(v), v.field("eps", eps), v.field("relu", relu); }
};

struct WinogradAttrs {
  int64_t tile = 4;  // outputs a side
  void fields(FieldVisitor& v) const { v.field("tile", tile); }
};

struct MatmulUpdateAttrs {
  MatmulAttrs product;
  bool decoupled = false;  // true: AdamW
  void fields(FieldVisitor& v) const { product.fields(v), v.field("decoupled", decoupled); }
};

}  // namespace querent
