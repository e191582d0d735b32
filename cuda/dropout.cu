// dropout: the Philox words of tensor/rng.h, so the mask has the same bits as on the CPU.
#include <cmath>

#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/rng.h"

namespace querent::cuda {

// One thread for each block of four words, which serves four neighbouring elements of a row, as one pack where they are
// whole and aligned: reads x, writes y.
template <class T>
void dropout_as(const Call& c) {
  const auto& a = c.attrs.as<DropoutAttrs>();
  const int64_t rows = c.in[0].dim(0), each = rows ? c.in[0].numel() / rows : 0, blocks = (each + 3) / 4;
  const auto threshold = static_cast<uint64_t>(std::llround(a.p * 0x1p32));
  const auto keep = static_cast<float>(1 - a.p);
  const int64_t site = a.site;
  const T* x = c.in[0].data<T>();
  T* const y = c.out[0].data<T>();
  const bool packs = each % 4 == 0 && is_aligned<4>(x) && is_aligned<4>(y);
  const auto* streams = c.in[1].data<int64_t>();
  for_each("dropout", c, rows * blocks, [=] __device__(int64_t t) {
    const auto [row, block] = split(t, blocks);
    const PhiloxCounter words = stream_block(streams[2 * row], streams[2 * row + 1], site, block);
    const int64_t first = row * each + 4 * block, end = (row + 1) * each;
    const auto dropped = [&](int k, float v) { return words[static_cast<size_t>(k)] >= threshold ? v / keep : 0; };
    if (packs) {
      Pack<float, 4> p = load<4>(x, first);
      for (int k = 0; k < 4; ++k) p.v[k] = dropped(k, p.v[k]);
      store<4>(y, first, p);
    } else {
      for (int k = 0; k < 4 && first + k < end; ++k) y[first + k] = T(dropped(k, static_cast<float>(x[first + k])));
    }
  });
}
void dropout(const Call& c) { is_half(c.in[0]) ? dropout_as<bf16>(c) : dropout_as<float>(c); }

}  // namespace querent::cuda
