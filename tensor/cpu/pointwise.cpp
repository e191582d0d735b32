// Elementwise kernels: one pass over memory, vectors of the widest kind, fixed blocks over threads. A function of one
// or two inputs is a lambda on vectors; the loop is written once. Bound by memory bandwidth beyond the caches.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/pointwise.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t block = 16384;

// y[i] = f(a[i], b[i], c[i]); the last elements go through padded buffers, so f sees whole vectors only. y may be one
// of the inputs.
template <class F>
void map3(const float* a, const float* b, const float* c, float* y, int64_t n, F f) {
#pragma omp parallel for schedule(static) if (n > block)
  for (int64_t first = 0; first < n; first += block) {
    const D d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), end = std::min(first + block, n);
    int64_t i = first;
    for (; i + lanes <= end; i += lanes)
      hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i), hn::LoadU(d, c + i)), d, y + i);
    if (i < end) {
      HWY_ALIGN float ta[hn::MaxLanes(d)] = {}, tb[hn::MaxLanes(d)] = {}, tc[hn::MaxLanes(d)] = {};
      std::copy(a + i, a + end, ta);
      std::copy(b + i, b + end, tb);
      std::copy(c + i, c + end, tc);
      hn::Store(f(d, hn::Load(d, ta), hn::Load(d, tb), hn::Load(d, tc)), d, ta);
      std::copy(ta, ta + (end - i), y + i);
    }
  }
}
template <class F>
void map2(const float* a, const float* b, float* y, int64_t n, F f) {
  map3(a, b, b, y, n, [&](D d, V u, V v, V) HWY_ATTR { return f(d, u, v); });
}
template <class F>
void map1(const Call& c, F f) {
  const float* x = c.in[0].data<float>();
  map2(x, x, c.out[0].data<float>(), c.out[0].numel(), [&](D d, V a, V) HWY_ATTR { return f(d, a); });
}
template <class F>
void map_pair(const Call& c, F f) {
  map2(c.in[0].data<float>(), c.in[1].data<float>(), c.out[0].data<float>(), c.out[0].numel(), f);
}

// a (op) b with b repeated along the leading axes: rows of b's size.
template <class F>
void map_rows(const Call& c, F f) {
  const float *a = c.in[0].data<float>(), *b = c.in[1].data<float>();
  float* y = c.out[0].data<float>();
  const int64_t width = c.in[1].numel(), rows = c.in[0].numel() / width;
#pragma omp parallel for schedule(static) if (rows * width > block)
  for (int64_t r = 0; r < rows; ++r) {
    const D d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes)
      hn::StoreU(f(d, hn::LoadU(d, a + r * width + i), hn::LoadU(d, b + i)), d, y + r * width + i);
    for (; i < width; ++i) y[r * width + i] = hn::GetLane(f(d, hn::Set(d, a[r * width + i]), hn::Set(d, b[i])));
  }
}

// Does b repeat along the leading axes of a only?
bool is_row(const Tensor& a, const Tensor& b) {
  if (b.rank() > a.rank() || b.numel() == 0) return false;
  for (int i = 1; i <= b.rank(); ++i) {
    if (b.dim(-i) != a.dim(-i)) return false;
  }
  return true;
}
template <class F>
void binary(const Call& c, Kernel* reference, F f) {
  if (c.in[0].shape() == c.in[1].shape())
    map_pair(c, f);
  else if (is_row(c.in[0], c.in[1]))
    map_rows(c, f);
  else
    reference(c);
}

void Add(const Call& c, Kernel* ref) {
  binary(c, ref, [](D, V a, V b) HWY_ATTR { return hn::Add(a, b); });
}
void Sub(const Call& c, Kernel* ref) {
  binary(c, ref, [](D, V a, V b) HWY_ATTR { return hn::Sub(a, b); });
}
void Mul(const Call& c, Kernel* ref) {
  binary(c, ref, [](D, V a, V b) HWY_ATTR { return hn::Mul(a, b); });
}
void Scale(const Call& c) {
  const auto& a = c.attrs.as<ScaleAttrs>();
  const float k = static_cast<float>(a.factor), s = static_cast<float>(a.shift);
  map1(c, [=](D d, V x) HWY_ATTR { return hn::MulAdd(x, hn::Set(d, k), hn::Set(d, s)); });
}

// NaN stays NaN: a comparison with it is false, and the else branch keeps x.
void Relu(const Call& c) {
  map1(c, [](D d, V x) HWY_ATTR { return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x); });
}
void ReluGrad(const Call& c) {  // y, dy
  map_pair(c, [](D d, V y, V dy) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(y, hn::Zero(d)), dy); });
}
void AddRelu(const Call& c) {
  map_pair(c, [](D d, V a, V b) HWY_ATTR {
    const V y = hn::Add(a, b);
    return hn::IfThenElse(hn::Lt(y, hn::Zero(d)), hn::Zero(d), y);
  });
}
void AddReluGrad(const Call& c) {  // y, dy1, dy2
  map3(c.in[0].data<float>(), c.in[1].data<float>(), c.in[2].data<float>(), c.out[0].data<float>(), c.out[0].numel(),
       [](D d, V y, V dy1, V dy2) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(y, hn::Zero(d)), hn::Add(dy1, dy2)); });
}
void LeakyRelu(const Call& c) {
  const float k = static_cast<float>(c.attrs.as<SlopeAttrs>().slope);
  map1(c, [=](D d, V x) HWY_ATTR { return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(hn::Set(d, k), x), x); });
}
void LeakyReluGrad(const Call& c) {  // x, dy
  const float k = static_cast<float>(c.attrs.as<SlopeAttrs>().slope);
  map_pair(c, [=](D d, V x, V dy)
                  HWY_ATTR { return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), dy, hn::Mul(hn::Set(d, k), dy)); });
}
// e = exp(-|x|) never overflows; y = 1/(1+e) or e/(1+e).
void Sigmoid(const Call& c) {
  map1(c, [](D d, V x) HWY_ATTR {
    const V one = hn::Set(d, 1.0f), e = hn::Exp(d, hn::Neg(hn::Abs(x)));
    const V y = hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
    return hn::IfThenElse(hn::Ne(x, x), x, y);
  });
}
void SigmoidGrad(const Call& c) {  // y, dy
  map_pair(c, [](D d, V y, V dy) HWY_ATTR { return hn::Mul(dy, hn::Mul(y, hn::Sub(hn::Set(d, 1.0f), y))); });
}
void TanhGrad(const Call& c) {  // y, dy
  map_pair(c, [](D d, V y, V dy) HWY_ATTR { return hn::Mul(dy, hn::NegMulAdd(y, y, hn::Set(d, 1.0f))); });
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent {
extern const Op add_op, sub_op, mul_op;
}
namespace querent::cpu {
HWY_EXPORT(Add);
HWY_EXPORT(Sub);
HWY_EXPORT(Mul);
HWY_EXPORT(Scale);
HWY_EXPORT(Relu);
HWY_EXPORT(ReluGrad);
HWY_EXPORT(AddRelu);
HWY_EXPORT(AddReluGrad);
HWY_EXPORT(LeakyRelu);
HWY_EXPORT(LeakyReluGrad);
HWY_EXPORT(Sigmoid);
HWY_EXPORT(SigmoidGrad);
HWY_EXPORT(TanhGrad);
void add(const Call& c) { HWY_DYNAMIC_DISPATCH(Add)(c, add_op.kernel.ref); }
void bias_add(const Call& c) { HWY_DYNAMIC_DISPATCH(Add)(c, add_op.kernel.ref); }
void sub(const Call& c) { HWY_DYNAMIC_DISPATCH(Sub)(c, sub_op.kernel.ref); }
void mul(const Call& c) { HWY_DYNAMIC_DISPATCH(Mul)(c, mul_op.kernel.ref); }
void scale(const Call& c) { HWY_DYNAMIC_DISPATCH(Scale)(c); }
void relu(const Call& c) { HWY_DYNAMIC_DISPATCH(Relu)(c); }
void relu_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(ReluGrad)(c); }
void add_relu(const Call& c) { HWY_DYNAMIC_DISPATCH(AddRelu)(c); }
void add_relu_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(AddReluGrad)(c); }
void leaky_relu(const Call& c) { HWY_DYNAMIC_DISPATCH(LeakyRelu)(c); }
void leaky_relu_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(LeakyReluGrad)(c); }
void sigmoid(const Call& c) { HWY_DYNAMIC_DISPATCH(Sigmoid)(c); }
void sigmoid_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(SigmoidGrad)(c); }
void tanh_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(TanhGrad)(c); }
}  // namespace querent::cpu
#endif
