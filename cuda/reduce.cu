// sum and mean over any axes, and broadcast_to.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

struct Axes {  // of x: sizes and element strides of some of them, the innermost last
  int rank = 0;
  int64_t size[Shape::max_rank] = {}, stride[Shape::max_rank] = {};
  void push(int64_t n, int64_t s) {
    size[rank] = n;
    stride[rank++] = s;
  }
  // Index into x of element `at` of these axes.
  __host__ __device__ int64_t offset(int64_t at) const {
    int64_t sum = 0;
    for (int axis = rank - 1; axis >= 0; --axis) {
      const Split s = split(at, size[axis]);
      sum += s.rest * stride[axis];
      at = s.quotient;
    }
    return sum;
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= size[i];
    return n;
  }
};

struct Plan {
  Axes kept, reduced;
  bool in_place = false;  // reduced axes are neighbours: x is [groups, rows, channels]
  Columns columns{};
};
Plan plan(const Shape& x, const Shape& axes) {
  bool reduced[Shape::max_rank] = {};
  for (const int64_t a : axes) reduced[a < 0 ? a + x.rank() : a] = true;
  if (axes.rank() == 0) std::fill(std::begin(reduced), std::end(reduced), true);
  Plan p;
  int64_t stride = x.numel();
  for (int i = 0; i < x.rank(); ++i) {
    stride = x[i] ? stride / x[i] : 0;
    (reduced[i] ? p.reduced : p.kept).push(x[i], stride);
  }
  int first = 0, last = x.rank();
  while (first < x.rank() && !reduced[first]) ++first;
  while (last > first && !reduced[last - 1]) --last;
  p.in_place = std::all_of(reduced + first, reduced + last, [](bool r) { return r; });
  p.columns = {1, p.reduced.numel(), 1};
  for (int i = 0; i < first; ++i) p.columns.groups *= x[i];
  for (int i = last; i < x.rank(); ++i) p.columns.channels *= x[i];
  return p;
}

}  // namespace

void reduce_axes(std::string_view op, const Call& c, bool take_mean) {
  const Plan p = plan(c.in[0].shape(), c.attrs.as<ReduceAttrs>().axes);
  const Values x = values(c, 0);
  const Results y = results(c);
  const double factor = take_mean ? static_cast<double>(c.out[0].numel()) / static_cast<double>(c.in[0].numel()) : 1.0;
  const auto finish = [=] __device__(int64_t column, const double* sum) {
    y.set(column, static_cast<float>(*sum * factor));
  };
  if (p.in_place) {
    reduce<1>(
        op, c, p.columns, [=] __device__(int64_t, int64_t, int64_t, double* sum, float v) { *sum += v; }, finish, x);
  } else {
    const Axes kept = p.kept, reduced = p.reduced;
    const auto add = [=] __device__(int64_t, int64_t column, int64_t row, double* sum) {
      *sum += x[kept.offset(column) + reduced.offset(row)];
    };
    reduce<1>(op, c, {kept.numel(), reduced.numel(), 1}, add, finish);
  }
}
void sum(const Call& c) { reduce_axes("sum", c, false); }
void mean(const Call& c) { reduce_axes("mean", c, true); }

// Reads x from the cache, writes y.
void broadcast_to(const Call& c) {
  const Shape &x = c.in[0].shape(), &y = c.out[0].shape();
  Axes axes;
  for (int i = 0; i < y.rank(); ++i) axes.push(y[i], 0);
  int64_t size = 1;
  for (int i = 1; i <= x.rank(); ++i) {
    axes.stride[y.rank() - i] = x[-i] == 1 ? 0 : size;
    size *= x[-i];
  }
  const Values from = values(c, 0);
  elementwise(
      "broadcast_to", c, y.numel(), [=] __device__(int64_t i, float& to) { to = from[axes.offset(i)]; }, results(c));
}

}  // namespace querent::cuda
