// The one permutation between PyTorch's axis order and ours: [A,B,S] in the file is [A,S,B] in the engine.
#pragma once
#include <cstdint>
#include <vector>

#include "layers/params.h"

namespace querent {

// The shape a tensor of the engine's `shape` has in the file.
inline Shape file_shape(const Shape& shape, FileLayout layout) {
  if (layout.kind != FileLayout::conv) return shape;
  internal_check(shape.rank() == 4, "params: a filter has four axes, not {}", shape);
  return {shape[0], shape[3], shape[1], shape[2]};
}

// A, B, S of the permutation; B*S = 1*1 when there is none.
struct Permutation {
  int64_t a = 1, b = 1, s = 1;
};
inline Permutation permutation(const Shape& shape, FileLayout layout) {
  if (layout.kind == FileLayout::conv) return {shape[0], shape[3], shape[1] * shape[2]};
  if (layout.kind == FileLayout::flattened) return {shape[0], shape[1] / layout.area, layout.area};
  return {1, 1, shape.numel()};
}

// `count` of the A parts, [B,S] each in the file.
template <class T>
void file_to_engine(const T* in, T* out, Permutation p, int64_t count) {
  for (int64_t a = 0; a < count; ++a, out += p.b * p.s)
    for (int64_t b = 0; b < p.b; ++b)
      for (int64_t s = 0; s < p.s; ++s) out[s * p.b + b] = *in++;
}
template <class T>
void engine_to_file(const T* in, T* out, Permutation p, int64_t count) {
  file_to_engine(in, out, Permutation{p.a, p.s, p.b}, count);
}
template <class T>
std::vector<T> file_to_engine(const std::vector<T>& in, Permutation p) {
  std::vector<T> out(in.size());
  file_to_engine(in.data(), out.data(), p, p.a);
  return out;
}
template <class T>
std::vector<T> engine_to_file(const std::vector<T>& in, Permutation p) {
  return file_to_engine(in, Permutation{p.a, p.s, p.b});
}

}  // namespace querent
