// add, sub, mul, div with broadcasting; bias_add; scale.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

// How the axes of y walk through a and b: element strides, 0 where an input is repeated.
struct Broadcast {
  int rank = 0;
  int64_t size[Shape::max_rank] = {}, a[Shape::max_rank] = {}, b[Shape::max_rank] = {};
};
void strides_over(const Shape& x, const Shape& y, int64_t* stride) {
  int64_t size = 1;
  for (int i = 1; i <= x.rank(); ++i) {
    stride[y.rank() - i] = x[-i] == 1 ? 0 : size;
    size *= x[-i];
  }
}

// Is b repeated along the leading axes of a only?
bool is_row(const Shape& a, const Shape& b) {
  if (b.rank() > a.rank() || b.numel() == 0) return false;
  for (int i = 1; i <= b.rank(); ++i) {
    if (b[-i] != a[-i]) return false;
  }
  return true;
}

}  // namespace

// Reads a and b (rows and other repeated values from the cache), writes y.
template <class F>
void binary(std::string_view op, const Call& c, F fn) {
  const Shape &sa = c.in[0].shape(), &sb = c.in[1].shape(), &shape = c.out[0].shape();
  const Values a = values(c, 0), b = values(c, 1);
  const int64_t n = shape.numel();
  if (sa == sb) {
    elementwise(
        op, c, n, [=] __device__(int64_t, float& y, float p, float q) { y = fn(p, q); }, results(c), a, b);
  } else if (sb.numel() == 1 && is_row(sa, sb)) {
    elementwise(
        op, c, n, [=] __device__(int64_t, float& y, float p) { y = fn(p, b[0]); }, results(c), a);
  } else if (is_row(sa, sb)) {
    channelwise<float>(
        op, c, {1, n / sb.numel(), sb.numel()}, [=] __device__(int64_t k, float& q) { q = b[k]; },
        [=] __device__(float q, int64_t, float& y, float p) { y = fn(p, q); }, results(c), a);
  } else {
    Broadcast s{.rank = shape.rank()};
    for (int i = 0; i < s.rank; ++i) s.size[i] = shape[i];
    strides_over(sa, shape, s.a);
    strides_over(sb, shape, s.b);
    elementwise(
        op, c, n,
        [=] __device__(int64_t i, float& y) {
          int64_t ia = 0, ib = 0;
          for (int axis = s.rank - 1; axis >= 0; --axis) {
            const Split at = split(i, s.size[axis]);
            ia += at.rest * s.a[axis];
            ib += at.rest * s.b[axis];
            i = at.quotient;
          }
          y = fn(a[ia], b[ib]);
        },
        results(c));
  }
}

struct Add {
  __host__ __device__ float operator()(float a, float b) const { return a + b; }
};
struct Sub {
  __host__ __device__ float operator()(float a, float b) const { return a - b; }
};
struct Mul {
  __host__ __device__ float operator()(float a, float b) const { return a * b; }
};
struct Div {
  __host__ __device__ float operator()(float a, float b) const { return a / b; }
};

void add(const Call& c) { binary("add", c, Add{}); }
void sub(const Call& c) { binary("sub", c, Sub{}); }
void mul(const Call& c) { binary("mul", c, Mul{}); }
void div(const Call& c) { binary("div", c, Div{}); }
void bias_add(const Call& c) { binary("bias_add", c, Add{}); }

void scale(const Call& c) {
  const auto& a = c.attrs.as<ScaleAttrs>();
  const float factor = static_cast<float>(a.factor), shift = static_cast<float>(a.shift);
  elementwise(
      "scale", c, c.out[0].numel(), [=] __device__(int64_t, float& y, float x) { y = factor * x + shift; }, results(c),
      values(c, 0));
}

}  // namespace querent::cuda
