// Convolutions whose windows lie side by side and within the image: 1x1, and 2x2 of stride 2, which double a U-Net's
// maps, with their adjoints; and heads of few outputs. Each is a matrix product of positions and the whole filter.
//
// The image holds `parts` runs of floats for a position, one for each row of its window; the other side holds one run,
// its channels. A task copies the runs of some positions side by side, so that rows lie well apart for the first-level
// cache, and multiplies them with panels of 32 columns of the filter, which were packed before; a panel's results start
// from the bias and go to their places. Cost: 2*O*Kh*Kw*C FLOP for each position at 80-90 % of the FMA peak, both sides
// moved once. Every sum has the order of taps and channels, like those of conv_rows.cpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/conv_tiled.cpp"
#include <algorithm>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/epilogue-inl.h"
#include "tensor/cpu/product-inl.h"
#include "tensor/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

struct Side {
  int64_t parts, size, apart;  // runs of a position, floats of a run, floats from one run to the next
  int64_t depth() const { return parts * size; }
};

// The filter as [part of the results][panel][depth][width] and behind it the bias as [part][panel][width].
template <int NV>
struct PackedFilter {
  PackedFilter(const TiledConvJob& j, const Side& in, const Side& out)
      : width(NV * lanes()),
        panels((out.size + width - 1) / width),
        size(in.depth() * width),
        memory(out.parts * panels * (size + width)),
        bias(memory.data() + out.parts * panels * size) {
    const hn::RebindToSigned<D> di;
    const int64_t depth = in.depth(), column = j.adjoint ? 1 : depth, row = j.adjoint ? out.depth() : 1;
    const auto places = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(column)));
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < out.parts * panels; ++k) {
      const int64_t first = k % panels * width, count = std::min(width, out.size - first);
      const float* from = j.weights + k / panels * out.size + first * column;
      float* to = memory.data() + k * size;
      for (int64_t i = 0; i < width; ++i)
        bias[k * width + i] = j.bias && i < count ? j.bias[(first + i) % (j.adjoint ? j.channels : out.size)] : 0;
      for (int64_t d = 0; d < depth; ++d, from += row, to += width) {
        if (count < width) {
          for (int64_t i = 0; i < width; ++i) to[i] = i < count ? from[i * column] : 0;
          continue;
        }
        for (int64_t i = 0; i < width; i += lanes())
          hn::StoreU(j.adjoint ? hn::LoadU(D(), from + i) : hn::GatherIndex(D(), from + i * column, places), D(),
                     to + i);
      }
    }
  }
  int64_t width, panels, size;
  Scratch memory;
  float* bias;
};

template <int NV>
void tiled(const TiledConvJob& j) {
  const Side image{j.kh, j.kw * j.channels, j.w * j.channels}, dense{1, j.outputs, 0};
  const Side &in = j.adjoint ? dense : image, &out = j.adjoint ? image : dense;
  const PackedFilter<NV> filter(j, in, out);
  const int64_t width = filter.width, positions = j.n * j.rows * j.cols, ld = row_stride(in.depth());
  const int64_t some = tiled_positions(ld), blocks = (positions + some - 1) / some;
  constexpr int64_t group = 8;  // panels of a task
  const int64_t panels = out.parts * filter.panels, groups = (panels + group - 1) / group;
  const auto offset = [&](const Side& side, int64_t position) {
    if (&side == &dense) return position * dense.size;
    const int64_t col = position % j.cols, row = position / j.cols % j.rows, n = position / j.cols / j.rows;
    return ((n * j.h + row * j.stride_h) * j.w + col * j.stride_w) * j.channels;
  };
  const Scratch own = Scratch::per_thread(some * (ld + width));
#pragma omp parallel
  {
    float *const a = own.mine(), *const results = a + some * ld;
    int64_t to[most_tiled_positions];
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = b * some, count = std::min(some, positions - first);
        for (int64_t k = 0; k < count; ++k) {
          const float* const from = j.from + offset(in, first + k);
          for (int64_t part = 0; part < in.parts; ++part)
            std::copy_n(from + part * in.apart, in.size, a + k * ld + part * in.size);
          to[k] = offset(out, first + k);
        }
        for (int64_t p = g * group; p < std::min((g + 1) * group, panels); ++p) {
          const int64_t column = p % filter.panels * width, columns = std::min(width, out.size - column);
          for (int v = 0; v < NV; ++v) {
            const V bias = hn::LoadU(D(), filter.bias + p * width + v * lanes());
            for (int64_t k = 0; k < count; ++k) hn::StoreU(bias, D(), results + k * width + v * lanes());
          }
          product<NV>({a, ld, 1, filter.memory.data() + p * filter.size, width, results, width, in.depth(), true},
                      count);
          for (int64_t v = 0; v < columns; v += lanes()) {
            const Finish finish(j.epilogue, column + v, columns - v);
            float* const corner = j.to + p / filter.panels * out.apart + column + v;
            for (int64_t k = 0; k < count; ++k)
              store_some(finish(hn::LoadU(D(), results + k * width + v)), corner + to[k], columns - v);
          }
        }
      }
    }
  }
}

// Few outputs, as of a head: sums along vectors of the window's floats.
void few_outputs(const TiledConvJob& j) {
  const int64_t part = j.kw * j.channels;
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t n = 0; n < j.n; ++n) {
    for (int64_t row = 0; row < j.rows; ++row) {
      for (int64_t col = 0; col < j.cols; ++col) {
        const float* const window = j.from + ((n * j.h + row * j.stride_h) * j.w + col * j.stride_w) * j.channels;
        float* const to = j.to + ((n * j.rows + row) * j.cols + col) * j.outputs;
        for (int64_t o = 0; o < j.outputs; ++o) {
          V sum = hn::Zero(D());
          for (int64_t u = 0; u < j.kh; ++u) {
            const float *x = window + u * j.w * j.channels, *w = j.weights + (o * j.kh + u) * part;
            int64_t k = 0;
            for (; k + lanes() <= part; k += lanes())
              sum = hn::MulAdd(hn::LoadU(D(), x + k), hn::LoadU(D(), w + k), sum);
            if (k < part) sum = hn::MulAdd(load_some(x + k, part - k), load_some(w + k, part - k), sum);
          }
          to[o] = hn::GetLane(hn::SumOfLanes(D(), sum)) + (j.bias ? j.bias[o] : 0);
        }
        for (int64_t o = 0; j.epilogue.any() && o < j.outputs; o += lanes())
          store_some(Finish(j.epilogue, o, j.outputs - o)(load_some(to + o, j.outputs - o)), to + o, j.outputs - o);
      }
    }
  }
}

void RunConvTiled(const TiledConvJob& j) {
  if (!j.adjoint && j.outputs <= few_tiled_outputs) return few_outputs(j);
  if ((j.adjoint ? j.kw * j.channels : j.outputs) <= lanes())
    tiled<1>(j);
  else
    tiled<2>(j);
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(RunConvTiled);
void run_conv_tiled(const TiledConvJob& job) { HWY_DYNAMIC_DISPATCH(RunConvTiled)(job); }
}  // namespace querent::cpu
#endif
