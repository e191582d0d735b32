// add, sub, mul, div: y = a (+-*/) b, shapes broadcast from the right as in NumPy: axes must be equal or 1.
// scale: y = factor*x + shift.   bias_add: y[*,c] = x[*,c] + b[c].
#include <array>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

std::vector<TensorSpec> infer_binary(Inputs in, const Attrs&) {
  const Shape &a = in[0].shape(), &b = in[1].shape();
  const int rank = std::max(a.rank(), b.rank());
  Shape y;
  for (int i = rank; i >= 1; --i) {
    const int64_t sa = i <= a.rank() ? a[-i] : 1, sb = i <= b.rank() ? b[-i] : 1;
    check(sa == sb || sa == 1 || sb == 1,
          "arithmetic: shapes do not broadcast: each axis, from the right, must be equal or 1; a={} b={}", in[0],
          in[1]);
    y.push_back(sa == 1 ? sb : sa);
  }
  return {{y, in[0].dtype()}};
}
Cost cost_binary(Inputs in, const Attrs& attrs) {
  const double n = static_cast<double>(infer_binary(in, attrs)[0].shape.numel());
  return {n, n * dtype_size(in[0].dtype()) + static_cast<double>(in[0].bytes() + in[1].bytes())};
}

// Element strides of `x` along the axes of `y`; 0 where x is repeated.
std::array<int64_t, Shape::max_rank> strides_over(const Shape& x, const Shape& y) {
  std::array<int64_t, Shape::max_rank> stride{};
  int64_t size = 1;
  for (int i = 1; i <= x.rank(); ++i) {
    stride[static_cast<size_t>(y.rank() - i)] = x[-i] == 1 ? 0 : size;
    size *= x[-i];
  }
  return stride;
}

template <class F>
void ref_binary(const Call& c) {
  const Shape& shape = c.out[0].shape();
  const auto sa = strides_over(c.in[0].shape(), shape), sb = strides_over(c.in[1].shape(), shape);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>();
    T* y = c.out[0].data<T>();
    std::array<int64_t, Shape::max_rank> at{};
    int64_t ia = 0, ib = 0;
    for (int64_t i = 0; i < shape.numel(); ++i) {
      y[i] = F::apply(a[ia], b[ib]);
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        const auto k = static_cast<size_t>(axis);
        ia += sa[k];
        ib += sb[k];
        if (++at[k] < shape[axis]) break;
        ia -= sa[k] * shape[axis];
        ib -= sb[k] * shape[axis];
        at[k] = 0;
      }
    }
  });
}

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T apply(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static T apply(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static T apply(T a, T b) {
    return a / b;
  }
};

// Adds up `dy` over the axes along which an input of `shape` was repeated.
Tensor sum_to(const Tensor& dy, const Shape& shape) {
  if (dy.shape() == shape) return dy;
  Shape axes;
  for (int i = 0; i < dy.rank(); ++i) {
    const int k = i - (dy.rank() - shape.rank());
    if (k < 0 || (shape[k] == 1 && dy.dim(i) != 1)) axes.push_back(i);
  }
  return reshape(axes.rank() == 0 ? dy : sum(dy, axes), shape);
}

Tensors grad_add(const GradCall& g) {
  return {g.need[0] ? sum_to(g.dy[0], g.in[0].shape()) : Tensor{},
          g.need[1] ? sum_to(g.dy[0], g.in[1].shape()) : Tensor{}};
}
Tensors grad_sub(const GradCall& g) {
  return {g.need[0] ? sum_to(g.dy[0], g.in[0].shape()) : Tensor{},
          g.need[1] ? scale(sum_to(g.dy[0], g.in[1].shape()), -1) : Tensor{}};
}
Tensors grad_mul(const GradCall& g) {
  return {g.need[0] ? sum_to(mul(g.dy[0], g.in[1]), g.in[0].shape()) : Tensor{},
          g.need[1] ? sum_to(mul(g.dy[0], g.in[0]), g.in[1].shape()) : Tensor{}};
}
// d(a/b) = da/b - (a/b) db/b
Tensors grad_div(const GradCall& g) {
  const Tensor da = div(g.dy[0], g.in[1]);
  return {g.need[0] ? sum_to(da, g.in[0].shape()) : Tensor{},
          g.need[1] ? scale(sum_to(mul(da, g.out[0]), g.in[1].shape()), -1) : Tensor{}};
}

std::vector<TensorSpec> infer_bias(Inputs in, const Attrs&) {
  check(in[1].rank() == 1 && in[0].rank() >= 1 && in[0].dim(-1) == in[1].dim(0),
        "bias_add: b must be [C] with C the last axis of x; x={} b={}", in[0], in[1]);
  return {{in[0].shape(), in[0].dtype()}};
}
Tensors grad_bias(const GradCall& g) { return {g.dy[0], g.need[1] ? sum_to(g.dy[0], g.in[1].shape()) : Tensor{}}; }

Cost cost_scale(Inputs in, const Attrs&) {
  return {2.0 * static_cast<double>(in[0].numel()), 2.0 * static_cast<double>(in[0].bytes())};
}
void ref_scale(const Call& c) {
  const auto& a = c.attrs.as<ScaleAttrs>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    T* y = c.out[0].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i) y[i] = static_cast<T>(a.factor * static_cast<double>(x[i]) + a.shift);
  });
}
Tensors grad_scale(const GradCall& g) { return {scale(g.dy[0], g.attrs.as<ScaleAttrs>().factor)}; }

std::vector<Case> cases_binary() {
  const auto b = [](Shape s) { return Sample{s, Sample::uniform, 1.0, 0.5}; };  // away from 0, for div
  return {
      {"same shape", {{{3, 5}}, b({3, 5})}, {}},
      {"row", {{{2, 3, 5, 7}}, b({7})}, {}},
      {"column", {{{3, 1}}, b({3, 5})}, {}},
      {"scalar", {{{3, 5}}, b(Shape{})}, {}},
      {"both repeat", {{{3, 1, 5}}, b({4, 1})}, {}},
      {"per image", {{{2, 3, 5, 7}}, b({2, 1, 1, 7})}, {}},
      {"long", {{{67, 129}}, b({67, 129})}, {}},
      {"do not broadcast", {{{3, 5}}, b({4, 5})}, {}, "shapes do not broadcast"},
  };
}
std::vector<Case> cases_bias() {
  return {
      {"image", {{{2, 3, 5, 7}}, {{7}}}, {}},
      {"rows", {{{3, 5}}, {{5}}}, {}},
      {"many channels", {{{3, 67}}, {{67}}}, {}},
      {"wrong C", {{{3, 5}}, {{4}}}, {}, "b must be [C]"},
  };
}
std::vector<Case> cases_scale() {
  return {
      {"factor", {{{3, 5}}}, ScaleAttrs{.factor = -2.5}},
      {"shift", {{{3, 5}}}, ScaleAttrs{.factor = 0.5, .shift = 3}},
      {"long", {{{1031}}}, ScaleAttrs{.factor = 3}},
      {"type", {{{3, 5}, Sample::index, 9}}, ScaleAttrs{.factor = 3}, "does not compute"},
  };
}

}  // namespace

extern constinit const Op add_op{.name = "add",
                                 .formula = "y = a + b",
                                 .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                 .outputs = {{"y", "[*]"}},
                                 .infer = infer_binary,
                                 .cost = cost_binary,
                                 .grad = grad_add,
                                 .keep = {},
                                 .kernel = {.ref = ref_binary<Add>, .cpu = cpu::add, .cuda = cuda::add},
                                 .cases = cases_binary};
extern constinit const Op sub_op{.name = "sub",
                                 .formula = "y = a - b",
                                 .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                 .outputs = {{"y", "[*]"}},
                                 .infer = infer_binary,
                                 .cost = cost_binary,
                                 .grad = grad_sub,
                                 .keep = {},
                                 .kernel = {.ref = ref_binary<Sub>, .cpu = cpu::sub, .cuda = cuda::sub},
                                 .cases = cases_binary};
extern constinit const Op mul_op{.name = "mul",
                                 .formula = "y = a b",
                                 .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                 .outputs = {{"y", "[*]"}},
                                 .infer = infer_binary,
                                 .cost = cost_binary,
                                 .grad = grad_mul,
                                 .keep = {"a", "b"},
                                 .kernel = {.ref = ref_binary<Mul>, .cpu = cpu::mul, .cuda = cuda::mul},
                                 .cases = cases_binary};
extern constinit const Op div_op{.name = "div",
                                 .formula = "y = a / b",
                                 .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                 .outputs = {{"y", "[*]"}},
                                 .infer = infer_binary,
                                 .cost = cost_binary,
                                 .grad = grad_div,
                                 .keep = {"b", "y"},
                                 .kernel = {.ref = ref_binary<Div>, .cpu = nullptr, .cuda = cuda::div},
                                 .cases = cases_binary};
extern constinit const Op bias_add_op{.name = "bias_add",
                                      .formula = "y[*,c] = x[*,c] + b[c]",
                                      .inputs = {{"x", "[*,C]"}, {"b", "[C]"}},
                                      .outputs = {{"y", "[*,C]"}},
                                      .infer = infer_bias,
                                      .cost = cost_binary,
                                      .grad = grad_bias,
                                      .keep = {},
                                      .kernel = {.ref = ref_binary<Add>, .cpu = cpu::bias_add, .cuda = cuda::bias_add},
                                      .cases = cases_bias};
extern constinit const Op scale_op{.name = "scale",
                                   .formula = "y = factor x + shift",
                                   .inputs = {{"x", "[*]"}},
                                   .outputs = {{"y", "[*]"}},
                                   .infer = like_first,
                                   .cost = cost_scale,
                                   .grad = grad_scale,
                                   .keep = {},
                                   .kernel = {.ref = ref_scale, .cpu = cpu::scale, .cuda = cuda::scale},
                                   .cases = cases_scale};

Tensor add(const Tensor& a, const Tensor& b) { return run(add_op, {a, b})[0]; }
Tensor sub(const Tensor& a, const Tensor& b) { return run(sub_op, {a, b})[0]; }
Tensor mul(const Tensor& a, const Tensor& b) { return run(mul_op, {a, b})[0]; }
Tensor div(const Tensor& a, const Tensor& b) { return run(div_op, {a, b})[0]; }
Tensor scale(const Tensor& x, double factor, double shift) {
  return run(scale_op, {x}, ScaleAttrs{.factor = factor, .shift = shift})[0];
}
Tensor bias_add(const Tensor& x, const Tensor& b) { return run(bias_add_op, {x, b})[0]; }

}  // namespace querent
