// The attribute structs of the ops in ops.h.
#pragma once
#include <limits>

#include "tensor/attrs.h"

namespace querent {

struct Conv2dAttrs {
  Pair stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
  void fields(FieldVisitor& v) const {
    v.field("stride", stride), v.field("padding", padding), v.field("dilation", dilation), v.field("groups", groups);
  }
};
struct Conv2dGradInputAttrs {
  Conv2dAttrs conv;
  Pair size = 0;  // H, W of x
  void fields(FieldVisitor& v) const { conv.fields(v), v.field("size", size); }
};
struct Conv2dGradWeightAttrs {
  Conv2dAttrs conv;
  Pair kernel = 0;  // Kh, Kw
  void fields(FieldVisitor& v) const { conv.fields(v), v.field("kernel", kernel); }
};
struct ConvTranspose2dAttrs {
  Pair stride = 1, padding = 0, output_padding = 0, dilation = 1;
  int64_t groups = 1;
  void fields(FieldVisitor& v) const {
    v.field("stride", stride), v.field("padding", padding), v.field("output_padding", output_padding);
    v.field("dilation", dilation), v.field("groups", groups);
  }
};
struct MatmulAttrs {
  bool transpose_a = false, transpose_b = false;
  void fields(FieldVisitor& v) const { v.field("transpose_a", transpose_a), v.field("transpose_b", transpose_b); }
};
struct Pool2dAttrs {
  Pair kernel = 2, stride = 2, padding = 0;
  bool count_padding = true;  // average pool: divide by the whole window, not by the part inside x
  void fields(FieldVisitor& v) const {
    v.field("kernel", kernel), v.field("stride", stride), v.field("padding", padding);
    v.field("count_padding", count_padding);
  }
};
struct SizeAttrs {  // an image size or factor
  Pair size = 0;
  bool align_corners = false;
  void fields(FieldVisitor& v) const { v.field("size", size), v.field("align_corners", align_corners); }
};
struct PadAttrs {
  Shape before, after;  // one entry per axis
  double value = 0;
  void fields(FieldVisitor& v) const { v.field("before", before), v.field("after", after), v.field("value", value); }
};
struct CropAttrs {
  Shape start, size;  // one entry per axis
  void fields(FieldVisitor& v) const { v.field("start", start), v.field("size", size); }
};
struct AxisAttrs {
  int64_t axis = -1;
  void fields(FieldVisitor& v) const { v.field("axis", axis); }
};
struct ShapeAttrs {
  Shape shape;
  void fields(FieldVisitor& v) const { v.field("shape", shape); }
};
struct CastAttrs {
  int64_t dtype = 0;  // static_cast<int64_t>(DType)
  void fields(FieldVisitor& v) const { v.field("dtype", dtype); }
};
struct NormAttrs {
  double eps = 1e-5;
  void fields(FieldVisitor& v) const { v.field("eps", eps); }
};
struct RunningStatsAttrs {
  double momentum = 0.1;
  int64_t count = 0;  // elements per channel in the batch: N*H*W
  void fields(FieldVisitor& v) const { v.field("momentum", momentum), v.field("count", count); }
};
struct DropoutAttrs {
  double p = 0.5;    // probability of zero
  int64_t site = 0;  // which dropout layer: a hash of its name
  void fields(FieldVisitor& v) const { v.field("p", p), v.field("site", site); }
};
struct SlopeAttrs {
  double slope = 0.01;
  void fields(FieldVisitor& v) const { v.field("slope", slope); }
};
struct ScaleAttrs {
  double factor = 1, shift = 0;
  void fields(FieldVisitor& v) const { v.field("factor", factor), v.field("shift", shift); }
};
struct ReduceAttrs {
  Shape axes;  // empty: all
  bool keep_axes = false;
  void fields(FieldVisitor& v) const { v.field("axes", axes), v.field("keep_axes", keep_axes); }
};
struct DiceAttrs {
  double smooth = 1;
  void fields(FieldVisitor& v) const { v.field("smooth", smooth); }
};
struct NmiAttrs {
  int64_t bins = 32;
  double low = 0, high = 1;  // the range that the bins divide; values outside count in the bins at its ends
  double sigma = 1;          // of the Gaussian window, in bins
  void fields(FieldVisitor& v) const {
    v.field("bins", bins), v.field("low", low), v.field("high", high), v.field("sigma", sigma);
  }
};
struct SampledLogitsAttrs {
  int64_t samples = 20;  // T
  int64_t site = 0;
  void fields(FieldVisitor& v) const { v.field("samples", samples), v.field("site", site); }
};
struct AdamAttrs {
  bool decoupled = false;  // true: AdamW
  void fields(FieldVisitor& v) const { v.field("decoupled", decoupled); }
};

}  // namespace querent
