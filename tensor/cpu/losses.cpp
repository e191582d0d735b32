// Binary cross-entropy from logits, in vectors of f32; the sum in f64 over fixed blocks, one after another inside a
// block and block by block at the end. About 40 operations an element, of which exp and log1p are most.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/losses.cpp"
#include <algorithm>
#include <vector>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
#include "tensor/cpu/product-inl.h"
#include "tensor/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

constexpr int64_t block = 4096;

// to[i - first] = f(logit, target) weight for the elements of a block.
template <class F>
void map_block(const Call& c, int64_t first, float* to, F f) {
  const float *z = c.in[0].data<float>(), *t = c.in[1].data<float>(), *w = c.in[2] ? c.in[2].data<float>() : nullptr;
  const int64_t end = std::min(first + block, c.in[0].numel());
  for (int64_t i = first; i < end; i += lanes()) {
    const V y = f(load_some(z + i, end - i), load_some(t + i, end - i));
    store_some(w ? hn::Mul(y, load_some(w + i, end - i)) : y, to + i - first, end - i);
  }
}

void BceWithLogits(const Call& c) {
  const int64_t n = c.in[0].numel(), blocks = (n + block - 1) / block;
  std::vector<double> sums(static_cast<size_t>(blocks), 0.0);
#pragma omp parallel for schedule(static) if (n > block)
  for (int64_t b = 0; b < blocks; ++b) {
    float losses[block];
    map_block(c, b * block, losses, [](V z, V t) HWY_ATTR {
      const V e = hn::Exp(D(), hn::Neg(hn::Abs(z)));
      return hn::Add(hn::NegMulAdd(z, t, hn::Max(z, hn::Zero(D()))), hn::Log1p(D(), e));
    });
    for (int64_t i = 0; i < std::min(block, n - b * block); ++i)
      sums[static_cast<size_t>(b)] += static_cast<double>(losses[i]);
  }
  double sum = 0;
  for (const double s : sums) sum += s;
  *c.out[0].data<float>() = static_cast<float>(sum / static_cast<double>(n));
}

void BceWithLogitsGrad(const Call& c) {
  const int64_t n = c.in[0].numel(), blocks = (n + block - 1) / block;
  const float factor = static_cast<float>(static_cast<double>(*c.in[3].data<float>()) / static_cast<double>(n));
#pragma omp parallel for schedule(static) if (n > block)
  for (int64_t b = 0; b < blocks; ++b) {
    map_block(c, b * block, c.out[0].data<float>() + b * block, [=](V z, V t) HWY_ATTR {
      const V one = hn::Set(D(), 1.0f), e = hn::Exp(D(), hn::Neg(hn::Abs(z)));
      const V p = hn::Div(hn::IfThenElse(hn::Lt(z, hn::Zero(D())), e, one), hn::Add(one, e));
      return hn::Mul(hn::Set(D(), factor), hn::Sub(hn::IfThenElse(hn::IsNaN(z), z, p), t));
    });
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(BceWithLogits);
HWY_EXPORT(BceWithLogitsGrad);
void bce_with_logits(const Call& c) { HWY_DYNAMIC_DISPATCH(BceWithLogits)(c); }
void bce_with_logits_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(BceWithLogitsGrad)(c); }
}  // namespace querent::cpu
#endif
