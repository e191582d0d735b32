// Checks and small helpers that several op files share.
#pragma once
#include "tensor/op.h"

namespace querent {

// Throws unless `t` has the shape of `like`.
inline void check_same_shape(std::string_view op, std::string_view name, const Tensor& t, std::string_view like_name,
                             const Tensor& like) {
  check(t.shape() == like.shape(), "{}: {} must have the shape of {}; {}={} {}={}", op, name, like_name, name, t,
        like_name, like);
}

// Throws unless `t`, if given, is [C] for the last axis C of `x`.
inline void check_channels(std::string_view op, std::string_view name, const Tensor& t, const Tensor& x) {
  check(!t || (t.rank() == 1 && t.dim(0) == x.dim(-1)), "{}: {} must be [C] with C={}, the last axis of x; x={} {}={}",
        op, name, x.dim(-1), x, name, t);
}

// Throws unless `dy` is the upstream gradient of a loss: a scalar.
inline void check_scalar(std::string_view op, std::string_view name, const Tensor& t) {
  check(t.rank() == 0, "{}: {} must be a scalar []; {}={}", op, name, name, t);
}

// Throws unless streams is i64 [N,2] for the rows of x.
inline void check_streams(std::string_view op, const Tensor& streams, const Tensor& x) {
  check(x.rank() >= 1 && streams.dtype() == DType::i64 && streams.shape() == Shape{x.dim(0), 2},
        "{}: streams must be i64 [N,2], one (key, counter) per row of axis 0; x={} streams={}; see make_streams()", op,
        x, streams);
}

// Throws unless each label is in {0..classes-1} or -1, "ignored". Returns how many are not ignored. Kernels call it:
// labels are data, which infer does not see.
inline int64_t check_labels(std::string_view op, const Tensor& labels, int64_t classes) {
  const int64_t* label = labels.data<int64_t>();
  int64_t counted = 0;
  for (int64_t i = 0; i < labels.numel(); ++i) {
    check(label[i] >= -1 && label[i] < classes, "{}: label {} at position {} is not in 0..{}, nor -1 for 'ignored'", op,
          label[i], i, classes - 1);
    counted += label[i] >= 0;
  }
  return counted;
}

// What it takes to read and write all of these once.
inline double traffic(Inputs tensors) {
  double bytes = 0;
  for (const Tensor& t : tensors) bytes += t ? static_cast<double>(t.bytes()) : 0;
  return bytes;
}

}  // namespace querent
