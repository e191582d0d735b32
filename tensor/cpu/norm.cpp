// Batch normalisation in two passes over memory each way. Channels are the last axis, so vectors run over channels.
//
// Sums over the M = N*H*W rows are taken in f64 over at most 64 fixed blocks of rows, one after another inside a block
// and block by block at the end: the same bits for any number of threads. Forward reads x twice and writes y once;
// backward reads x and dy twice and writes dx once. Bound by memory: 0.2 ms for 8 MB in the L3 cache. A ReLU behind the
// norm costs nothing here: forward it is applied before y is stored, after what a residual block adds; backward dy
// counts only where y > 0.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/norm.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using D64 = hn::ScalableTag<double>;
using Half = hn::Rebind<float, D64>;

constexpr int64_t most_blocks = 64;

struct Rows {
  int64_t rows, channels;
  int64_t blocks() const { return std::min(most_blocks, (rows + 63) / 64); }
  int64_t first(int64_t block) const { return rows * block / blocks(); }
};

// What passes the ReLU with results y.
struct Passed {
  const float* y;  // null: there is none
  template <class H>
  HWY_INLINE hn::Vec<H> operator()(H d, hn::Vec<H> dy, int64_t i) const {
    return y ? hn::IfThenElseZero(hn::Gt(hn::LoadU(d, y + i), hn::Zero(d)), dy) : dy;
  }
  HWY_INLINE float operator()(float dy, int64_t i) const { return y && !(y[i] > 0) ? 0.0f : dy; }
};

// sums[0][c] += sum_r a(r,c), sums[1][c] += sum_r a(r,c) b(r,c) over all rows, where a = x - shift.  With dy: a = dy
// and b = x - shift.
template <bool with_dy>
std::vector<double> two_sums(const Rows& s, const float* x, const float* dy, const float* shift, Passed passed = {}) {
  const int64_t C = s.channels, blocks = s.blocks();
  std::vector<double> partial(static_cast<size_t>(blocks * 2 * C), 0.0);
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; ++b) {
    const D64 d;
    const Half h;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    double* sum = partial.data() + b * 2 * C;
    double* product = sum + C;
    for (int64_t r = s.first(b); r < s.first(b + 1); ++r) {
      const float* px = x + r * C;
      const float* pd = with_dy ? dy + r * C : nullptr;
      int64_t c = 0;
      for (; c + lanes <= C; c += lanes) {
        const auto e = hn::PromoteTo(d, hn::Sub(hn::LoadU(h, px + c), hn::LoadU(h, shift + c)));
        const auto a = with_dy ? hn::PromoteTo(d, passed(h, hn::LoadU(h, (with_dy ? pd : px) + c), r * C + c)) : e;
        hn::StoreU(hn::Add(hn::LoadU(d, sum + c), a), d, sum + c);
        hn::StoreU(hn::MulAdd(a, e, hn::LoadU(d, product + c)), d, product + c);
      }
      for (; c < C; ++c) {
        const double e = static_cast<double>(px[c] - shift[c]), a = with_dy ? static_cast<double>(passed(pd[c], r * C + c)) : e;
        sum[c] += a;
        product[c] += a * e;
      }
    }
  }
  std::vector<double> total(static_cast<size_t>(2 * C), 0.0);
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t k = 0; k < 2 * C; ++k) total[static_cast<size_t>(k)] += partial[static_cast<size_t>(b * 2 * C + k)];
  return total;
}

// y[r,c] = (x[r,c] - shift[c]) * factor[c] + offset[c] (+ residual[r,c]), or 0 where that is negative
template <bool relu>
void affine(const Rows& s, const float* x, const float* shift, const float* factor, const float* offset, float* y,
            const float* residual = nullptr) {
  const int64_t C = s.channels, blocks = s.blocks();
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; ++b) {
    const D d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    const auto finish = [&](hn::Vec<D> v) HWY_ATTR {
      return relu ? hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Zero(d), v) : v;
    };
    for (int64_t r = s.first(b); r < s.first(b + 1); ++r) {
      const float* px = x + r * C;
      const float* pr = residual ? residual + r * C : nullptr;
      float* py = y + r * C;
      int64_t c = 0;
      for (; c + lanes <= C; c += lanes) {
        const auto e = hn::Sub(hn::LoadU(d, px + c), hn::LoadU(d, shift + c));
        const auto v = hn::MulAdd(e, hn::LoadU(d, factor + c), hn::LoadU(d, offset + c));
        hn::StoreU(finish(pr ? hn::Add(v, hn::LoadU(d, pr + c)) : v), d, py + c);
      }
      if (c < C) {  // with vectors too: a fused convolution does the same to its last channels
        const auto some = hn::FirstN(d, static_cast<size_t>(C - c));
        const auto load = [&](const float* from) HWY_ATTR { return hn::MaskedLoad(some, d, from + c); };
        const auto v = hn::MulAdd(hn::Sub(load(px), load(shift)), load(factor), load(offset));
        hn::BlendedStore(finish(pr ? hn::Add(v, load(pr)) : v), some, d, py + c);
      }
    }
  }
}

// dx[r,c] = factor[c] (dy[r,c] - mean_dy[c] - (x[r,c] - mean[c]) slope[c])
void affine_grad(const Rows& s, const float* x, const float* dy, const float* mean, const float* factor,
                 const float* mean_dy, const float* slope, Passed passed, float* dx) {
  const int64_t C = s.channels, blocks = s.blocks();
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; ++b) {
    const D d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t r = s.first(b); r < s.first(b + 1); ++r) {
      const float *px = x + r * C, *pd = dy + r * C;
      float* out = dx + r * C;
      int64_t c = 0;
      for (; c + lanes <= C; c += lanes) {
        const auto e = hn::Sub(hn::LoadU(d, px + c), hn::LoadU(d, mean + c));
        const auto g = hn::Sub(passed(d, hn::LoadU(d, pd + c), r * C + c), hn::LoadU(d, mean_dy + c));
        hn::StoreU(hn::Mul(hn::LoadU(d, factor + c), hn::NegMulAdd(e, hn::LoadU(d, slope + c), g)), d, out + c);
      }
      for (; c < C; ++c) out[c] = factor[c] * (passed(pd[c], r * C + c) - mean_dy[c] - (px[c] - mean[c]) * slope[c]);
    }
  }
}

Rows rows_of(const Tensor& x) { return {x.numel() / x.dim(-1), x.dim(-1)}; }

template <bool relu>
void norm_train(const Call& c) {
  const double eps = c.attrs.as<NormAttrs>().eps;
  const Rows s = rows_of(c.in[0]);
  const float* x = c.in[0].data<float>();
  // Sums of x - x[0]: the variance keeps its digits however far the channel is from zero.
  const std::vector<float> shift(x, x + s.channels);
  const std::vector<double> sums = two_sums<false>(s, x, nullptr, shift.data());
  std::vector<float> factor(shift.size());
  float *mean = c.out[1].data<float>(), *var = c.out[2].data<float>();
  const double m = static_cast<double>(s.rows);
  for (size_t k = 0; k < factor.size(); ++k) {
    const double e = sums[k] / m, v = std::max(sums[k + factor.size()] / m - e * e, 0.0);  // NaN stays
    mean[k] = static_cast<float>(static_cast<double>(shift[k]) + e);
    var[k] = static_cast<float>(v);
    factor[k] = static_cast<float>(static_cast<double>(c.in[1].data<float>()[k]) / std::sqrt(v + eps));
  }
  const float* residual = relu && c.in[3] ? c.in[3].data<float>() : nullptr;
  affine<relu>(s, x, mean, factor.data(), c.in[2].data<float>(), c.out[0].data<float>(), residual);
}
void BatchNormTrain(const Call& c) { norm_train<false>(c); }
void BatchNormRelu(const Call& c) { norm_train<true>(c); }

void BatchNormEval(const Call& c) {  // x gamma beta mean var
  const double eps = c.attrs.as<NormAttrs>().eps;
  const Rows s = rows_of(c.in[0]);
  std::vector<float> factor(static_cast<size_t>(s.channels));
  for (size_t k = 0; k < factor.size(); ++k) {
    factor[k] = static_cast<float>(static_cast<double>(c.in[1].data<float>()[k]) /
                                   std::sqrt(static_cast<double>(c.in[4].data<float>()[k]) + eps));
  }
  affine<false>(s, c.in[0].data<float>(), c.in[3].data<float>(), factor.data(), c.in[2].data<float>(), c.out[0].data<float>());
}

void BatchNormGrad(const Call& c) {  // x gamma dy mean var [y] -> dx dgamma dbeta
  const double eps = c.attrs.as<NormAttrs>().eps;
  const Rows s = rows_of(c.in[0]);
  const float *x = c.in[0].data<float>(), *gamma = c.in[1].data<float>(), *dy = c.in[2].data<float>();
  const float *mean = c.in[3].data<float>(), *var = c.in[4].data<float>();
  const Passed passed{c.in[5] ? c.in[5].data<float>() : nullptr};
  const std::vector<double> sums = two_sums<true>(s, x, dy, mean, passed);
  const size_t C = static_cast<size_t>(s.channels);
  std::vector<float> factor(C), mean_dy(C), slope(C);
  const double m = static_cast<double>(s.rows);
  for (size_t k = 0; k < C; ++k) {
    const double rstd = 1 / std::sqrt(static_cast<double>(var[k]) + eps), dgamma = sums[k + C] * rstd;
    c.out[1].data<float>()[k] = static_cast<float>(dgamma);
    c.out[2].data<float>()[k] = static_cast<float>(sums[k]);
    factor[k] = static_cast<float>(static_cast<double>(gamma[k]) * rstd);
    mean_dy[k] = static_cast<float>(sums[k] / m);
    slope[k] = static_cast<float>(rstd * dgamma / m);
  }
  affine_grad(s, x, dy, mean, factor.data(), mean_dy.data(), slope.data(), passed, c.out[0].data<float>());
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(BatchNormTrain);
HWY_EXPORT(BatchNormRelu);
HWY_EXPORT(BatchNormEval);
HWY_EXPORT(BatchNormGrad);
void batch_norm_train(const Call& c) { HWY_DYNAMIC_DISPATCH(BatchNormTrain)(c); }
void batch_norm_relu(const Call& c) { HWY_DYNAMIC_DISPATCH(BatchNormRelu)(c); }
void batch_norm_eval(const Call& c) { HWY_DYNAMIC_DISPATCH(BatchNormEval)(c); }
void batch_norm_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(BatchNormGrad)(c); }
}  // namespace querent::cpu
#endif
