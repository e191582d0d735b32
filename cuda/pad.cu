// pad and crop, of elements of any size: bytes are moved, not values, in units of 16 bytes where runs and places allow it.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/visit.h"

namespace querent::cuda {
namespace {

struct Block {  // y[i] is x[i + shift] where that lies inside x
  int rank = 0;
  int64_t x[Shape::max_rank] = {}, y[Shape::max_rank] = {}, shift[Shape::max_rank] = {};
};
// An axis that is taken whole belongs to the one before it: few divisions for each element.
Block block_of(const Shape& x, const Shape& y, const Shape& start, int sign) {
  Block b;
  for (int i = 0; i < x.rank(); ++i) {
    const bool whole = x[i] == y[i] && b.rank > 0;
    if (!whole) ++b.rank;
    int64_t *into_x = &b.x[b.rank - 1], *into_y = &b.y[b.rank - 1], *shift = &b.shift[b.rank - 1];
    *into_x = whole ? *into_x * x[i] : x[i];
    *into_y = whole ? *into_y * y[i] : y[i];
    *shift = whole ? *shift * x[i] : sign * start[i];
  }
  return b;
}

}  // namespace

// One thread for each unit of y: reads it from x, or takes the border, and writes it.
template <class Unit>
void move_units(std::string_view op, const Call& c, const Block& b, Unit border) {
  const auto* x = static_cast<const Unit*>(c.in[0].raw());
  auto* y = static_cast<Unit*>(c.out[0].raw());
  int64_t units = 1;
  for (int axis = 0; axis < b.rank; ++axis) units *= b.y[axis];
  for_each(op, c, units, [=] __device__(int64_t i) {
    int64_t rest = i, at = 0, stride = 1;
    bool inside = true;
    for (int axis = b.rank - 1; axis >= 0; --axis) {
      const Split s = split(rest, b.y[axis]);
      const int64_t k = s.rest + b.shift[axis];
      inside = inside && k >= 0 && k < b.x[axis];
      at += k * stride;
      stride *= b.x[axis];
      rest = s.quotient;
    }
    y[i] = inside ? x[at] : border;
  });
}
template <class T>
void move_block(std::string_view op, const Call& c, Block b, T border) {
  using Unit = Pack<T, 16 / sizeof(T)>;
  constexpr int64_t size = 16 / sizeof(T);
  const int last = b.rank - 1;
  const bool packs = last >= 0 && (b.x[last] | b.y[last] | b.shift[last]) % size == 0 &&
                     is_aligned<size>(static_cast<const T*>(c.in[0].raw())) &&
                     is_aligned<size>(static_cast<const T*>(c.out[0].raw()));
  if (!packs) return move_units<T>(op, c, b, border);
  b.x[last] /= size, b.y[last] /= size, b.shift[last] /= size;
  Unit borders;
  for (T& each : borders.v) each = border;
  move_units<Unit>(op, c, b, borders);
}
void pad(const Call& c) {
  const auto& a = c.attrs.as<PadAttrs>();
  const Block b = block_of(c.in[0].shape(), c.out[0].shape(), a.before, -1);
  visit_dtype(c.out[0].dtype(), [&]<class T>() { move_block<T>("pad", c, b, element_cast<T>(a.value)); });
}
void crop(const Call& c) {
  const Block b = block_of(c.in[0].shape(), c.out[0].shape(), c.attrs.as<CropAttrs>().start, 1);
  visit_dtype(c.out[0].dtype(), [&]<class T>() { move_block<T>("crop", c, b, T{}); });
}

}  // namespace querent::cuda
