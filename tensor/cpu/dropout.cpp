// Dropout: one Philox block serves four neighbouring elements; rows are cut into fixed pieces over threads.
#include <algorithm>
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/rng.h"

namespace querent::cpu {

void dropout(const Call& c) {
  const auto& a = c.attrs.as<DropoutAttrs>();
  const int64_t rows = c.in[0].dim(0), each = rows ? c.in[0].numel() / rows : 0;
  const auto threshold = static_cast<uint64_t>(std::llround(a.p * 0x1p32));
  const float* x = c.in[0].data<float>();
  float* y = c.out[0].data<float>();
  const int64_t* streams = c.in[1].data<int64_t>();
  constexpr int64_t piece = 4096;
  const int64_t pieces = (each + piece - 1) / piece;
#pragma omp parallel for schedule(static) collapse(2) if (rows * each > piece)
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t p = 0; p < pieces; ++p) {
      const int64_t end = std::min((p + 1) * piece, each);
      for (int64_t e = p * piece; e < end; e += 4) {
        const PhiloxCounter words = stream_block(streams[2 * n], streams[2 * n + 1], a.site, e / 4);
        for (int64_t k = 0; k < std::min<int64_t>(4, end - e); ++k) {
          const int64_t i = n * each + e + k;
          y[i] = words[static_cast<size_t>(k)] >= threshold ? static_cast<float>(static_cast<double>(x[i]) / (1 - a.p))
                                                            : 0.0f;
        }
      }
    }
  }
}

}  // namespace querent::cpu
