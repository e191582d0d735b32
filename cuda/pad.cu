// pad and crop, of elements of any size: bytes are moved, not values.
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
Block block_of(const Shape& x, const Shape& y, const Shape& start, int sign) {
  Block b{.rank = x.rank()};
  for (int i = 0; i < b.rank; ++i) {
    b.x[i] = x[i];
    b.y[i] = y[i];
    b.shift[i] = sign * start[i];
  }
  return b;
}

}  // namespace

// One thread for each element of y: reads it from x, or takes the border, and writes it.
template <class T>
void move_block(std::string_view op, const Call& c, const Block& b, T border) {
  const auto* x = static_cast<const T*>(c.in[0].raw());
  auto* y = static_cast<T*>(c.out[0].raw());
  for_each(op, c, c.out[0].numel(), [=] __device__(int64_t i) {
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
