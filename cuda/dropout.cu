// dropout: the Philox words of tensor/rng.h, so the mask has the same bits as on the CPU.
#include <cmath>

#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/rng.h"

namespace querent::cuda {

// One thread for each block of four words, which serves four neighbouring elements of a row: reads x, writes y.
void dropout(const Call& c) {
  const auto& a = c.attrs.as<DropoutAttrs>();
  const int64_t rows = c.in[0].dim(0), each = rows ? c.in[0].numel() / rows : 0, blocks = (each + 3) / 4;
  const auto threshold = static_cast<uint64_t>(std::llround(a.p * 0x1p32));
  const auto keep = static_cast<float>(1 - a.p);
  const int64_t site = a.site;
  const Values x = values(c, 0);
  const Results y = results(c);
  const auto* streams = c.in[1].data<int64_t>();
  for_each("dropout", c, rows * blocks, [=] __device__(int64_t t) {
    const auto [row, block] = split(t, blocks);
    const PhiloxCounter words = stream_block(streams[2 * row], streams[2 * row + 1], site, block);
    const int64_t first = row * each + 4 * block, end = (row + 1) * each;
    for (int k = 0; k < 4 && first + k < end; ++k)
      y.set(first + k, words[static_cast<size_t>(k)] >= threshold ? x[first + k] / keep : 0);
  });
}

}  // namespace querent::cuda
