// Optimizer steps over whole arenas: one pass over memory, all in f32. Bound by memory bandwidth.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/optim.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <algorithm>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t block = 16384;

// Calls f(d, i) for each whole vector at i, and f with vectors of one lane for the rest.
template <class F>
void for_each(int64_t n, F f) {
#pragma omp parallel for schedule(static) if (n > block)
  for (int64_t first = 0; first < n; first += block) {
    const D d;
    const hn::CappedTag<float, 1> one;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), end = std::min(first + block, n);
    int64_t i = first;
    for (; i + lanes <= end; i += lanes) f(d, i);
    for (; i < end; ++i) f(one, i);
  }
}

void Sgd(const Call& c) {
  float *p = c.in[0].data<float>(), *velocity = c.in[2].data<float>();
  const float *g = c.in[1].data<float>(), *hyper = c.in[3].data<float>();
  const float lr = hyper[0], momentum = hyper[1], decay = hyper[2];
  const bool nesterov = hyper[3] != 0;
  for_each(c.in[0].numel(), [=](auto d, int64_t i) HWY_ATTR {
    const auto at = hn::LoadU(d, p + i), mu = hn::Set(d, momentum);
    const auto step = hn::MulAdd(hn::Set(d, decay), at, hn::LoadU(d, g + i));
    const auto u = hn::MulAdd(mu, hn::LoadU(d, velocity + i), step);
    hn::StoreU(u, d, velocity + i);
    hn::StoreU(hn::NegMulAdd(hn::Set(d, lr), nesterov ? hn::MulAdd(mu, u, step) : u, at), d, p + i);
  });
}

void Adam(const Call& c) {
  const bool decoupled = c.attrs.as<AdamAttrs>().decoupled;
  float *p = c.in[0].data<float>(), *m = c.in[2].data<float>(), *v = c.in[3].data<float>();
  const float *g = c.in[1].data<float>(), *hyper = c.in[4].data<float>();
  const float rest1 = hyper[1], rest2 = hyper[2], eps = hyper[3], decay = hyper[4];
  const float keep = decoupled ? 1 - hyper[0] * decay : 1, pull = decoupled ? 0 : decay;
  const float rate = hyper[0] / hyper[5], correction2 = 1 / hyper[6];
  for_each(c.in[0].numel(), [=](auto d, int64_t i) HWY_ATTR {
    const auto before = hn::LoadU(d, p + i), first = hn::LoadU(d, m + i), second = hn::LoadU(d, v + i);
    const auto step = hn::MulAdd(hn::Set(d, pull), before, hn::LoadU(d, g + i));
    const auto mean = hn::MulAdd(hn::Set(d, rest1), hn::Sub(step, first), first);
    const auto square = hn::MulAdd(hn::Set(d, rest2), hn::Sub(hn::Mul(step, step), second), second);
    hn::StoreU(mean, d, m + i);
    hn::StoreU(square, d, v + i);
    const auto size = hn::Add(hn::Sqrt(hn::Mul(square, hn::Set(d, correction2))), hn::Set(d, eps));
    hn::StoreU(hn::NegMulAdd(hn::Set(d, rate), hn::Div(mean, size), hn::Mul(before, hn::Set(d, keep))), d, p + i);
  });
}

void Accumulate(const Call& c) {
  float* into = c.in[0].data<float>();
  const float* x = c.in[1].data<float>();
  for_each(c.in[0].numel(), [=](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, into + i), hn::LoadU(d, x + i)), d, into + i);
  });
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(Sgd);
HWY_EXPORT(Adam);
HWY_EXPORT(Accumulate);
void sgd_update(const Call& c) { HWY_DYNAMIC_DISPATCH(Sgd)(c); }
void adam_update(const Call& c) { HWY_DYNAMIC_DISPATCH(Adam)(c); }
void accumulate(const Call& c) { HWY_DYNAMIC_DISPATCH(Accumulate)(c); }
}  // namespace querent::cpu
#endif
