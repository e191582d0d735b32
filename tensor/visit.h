// From a run-time element type to a compile-time one.
#pragma once
#include "tensor/dtype.h"
#include "tensor/error.h"

namespace querent {

template <class To, class From>
constexpr To element_cast(From v) {
  if constexpr (std::is_same_v<From, bf16>) {
    return element_cast<To>(static_cast<float>(v));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return bf16(static_cast<float>(v));
  } else {
    return static_cast<To>(v);
  }
}

// Calls f.template operator()<T>() with the C++ type of `dtype`.
template <class F>
void visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::bf16:
      return f.template operator()<bf16>();
    case DType::f64:
      return f.template operator()<double>();
    case DType::i32:
      return f.template operator()<int32_t>();
    case DType::i64:
      return f.template operator()<int64_t>();
    case DType::u8:
      return f.template operator()<uint8_t>();
  }
}

// The same for the types that reference kernels compute in.
template <class F>
void visit_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f64:
      return f.template operator()<double>();
    default:
      fail("kernel: element type {} does not compute; cast to f32 first", dtype);
  }
}

}  // namespace querent
