// relu, leaky_relu, sigmoid, tanh, exp, log, softplus, square, sqrt: y[i] = f(x[i]), and a *_grad row for each:
// dx[i] = dy[i] f'(x[i]), which reads y instead of x where that is as good, so that x need not be kept.
// The functions themselves are in pointwise.h. x, y [*]
#include "tensor/ops/pointwise.h"

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op relu_grad_op, leaky_relu_grad_op, sigmoid_grad_op, tanh_grad_op, exp_grad_op, log_grad_op,
    softplus_grad_op, square_grad_op, sqrt_grad_op;

namespace {
using namespace pointwise;

template <class F>
F functor(const Attrs& attrs) {
  if constexpr (std::is_same_v<F, LeakyRelu>) {
    return {.slope = attrs.as<SlopeAttrs>().slope};
  } else {
    return {};
  }
}

// ---- y = f(x)

template <class F>
std::vector<TensorSpec> infer(Inputs in, const Attrs&) {
  check(is_floating(in[0].dtype()), "pointwise: x must hold floating-point numbers; x={}; cast it first", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}

template <class F>
Cost cost(Inputs in, const Attrs&) {
  return {F::flops * static_cast<double>(in[0].numel()), 2.0 * static_cast<double>(in[0].bytes())};
}

template <class F>
void ref(const Call& c) {
  const F fn = functor<F>(c.attrs);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    T* y = c.out[0].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i) y[i] = static_cast<T>(fn.f(static_cast<double>(x[i])));
  });
}

template <class F, const Op& grad_op>
Tensors grad(const GradCall& g) {
  return run(grad_op, {F::reads_y ? g.out[0] : g.in[0], g.dy[0]}, g.attrs);
}

template <class F>
std::vector<Case> cases() {
  constexpr bool positive = std::is_same_v<F, Log> || std::is_same_v<F, Sqrt>;
  constexpr bool kink = std::is_same_v<F, Relu> || std::is_same_v<F, LeakyRelu>;
  const auto x = [](Shape s) {
    if (positive) return Sample{s, Sample::uniform, 4.0, 0.5};
    return Sample{s, kink ? Sample::away_from_zero : Sample::normal};
  };
  const Attrs attrs = std::is_same_v<F, LeakyRelu> ? Attrs(SlopeAttrs{.slope = 0.2}) : Attrs();
  return {
      {"image", {x({2, 3, 5, 7})}, attrs},
      {"scalar", {x(Shape{})}, attrs},
      {"long", {x({3, 343})}, attrs},
      {"integers", {{{3, 5}, Sample::index, 9}}, attrs, "must hold floating-point numbers"},
  };
}

template <class F, const Op& grad_op>
constexpr Op forward_row(std::string_view name, std::string_view formula, Kernel* cpu, Kernel* cuda) {
  return {.name = name,
          .formula = formula,
          .inputs = {{"x", "[*]"}},
          .outputs = {{"y", "[*]"}},
          .infer = infer<F>,
          .cost = cost<F>,
          .grad = grad<F, grad_op>,
          .keep = {F::reads_y ? "y" : "x"},
          .kernel = {.ref = ref<F>, .cpu = cpu, .cuda = cuda},
          .cases = cases<F>};
}

// ---- dx = df(x or y, dy)

template <class F>
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs&) {
  check(is_floating(in[0].dtype()), "pointwise: {} must hold floating-point numbers; {}", F::reads_y ? "y" : "x",
        in[0]);
  check_same_shape("pointwise", "dy", in[1], F::reads_y ? "y" : "x", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}

template <class F>
Cost cost_grad(Inputs in, const Attrs&) {
  return {(F::flops + 2) * static_cast<double>(in[0].numel()), 3.0 * static_cast<double>(in[0].bytes())};
}

template <class F>
void ref_grad(const Call& c) {
  const F fn = functor<F>(c.attrs);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *s = c.in[0].data<T>(), *dy = c.in[1].data<T>();
    T* dx = c.out[0].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i)
      dx[i] = static_cast<T>(fn.df(static_cast<double>(s[i]), static_cast<double>(dy[i])));
  });
}

template <class F>
std::vector<Case> cases_grad() {
  std::vector<Case> all;
  for (Case c : cases<F>()) {
    if (!c.throws.empty()) continue;
    c.in[0] = {c.in[0].shape, Sample::uniform, 0.8, 0.1};  // a value that every f takes
    if (!F::reads_y) c.in[0].shift = -0.45;
    if (std::is_same_v<F, Log>) c.in[0].shift = 0.5;
    c.in.push_back({c.in[0].shape});
    all.push_back(c);
  }
  all.push_back({"shapes differ", {{{3, 5}}, {{5, 3}}}, all[0].attrs, "dy must have the shape of"});
  return all;
}

template <class F>
constexpr Op grad_row(std::string_view name, std::string_view formula, Kernel* cpu, Kernel* cuda) {
  return {.name = name,
          .formula = formula,
          .inputs = {{F::reads_y ? "y" : "x", "[*]"}, {"dy", "[*]"}},
          .outputs = {{"dx", "[*]"}},
          .infer = infer_grad<F>,
          .cost = cost_grad<F>,
          .grad = no_gradient,
          .keep = {},
          .kernel = {.ref = ref_grad<F>, .cpu = cpu, .cuda = cuda},
          .cases = cases_grad<F>};
}

}  // namespace

extern constinit const Op relu_op = forward_row<Relu, relu_grad_op>("relu", "y = max(x, 0)", cpu::relu, cuda::relu);
extern constinit const Op leaky_relu_op =
    forward_row<LeakyRelu, leaky_relu_grad_op>("leaky_relu", "y = x < 0 ? slope x : x", cpu::leaky_relu, cuda::leaky_relu);
extern constinit const Op sigmoid_op =
    forward_row<Sigmoid, sigmoid_grad_op>("sigmoid", "y = 1 / (1 + e^-x)", cpu::sigmoid, cuda::sigmoid);
extern constinit const Op tanh_op = forward_row<Tanh, tanh_grad_op>("tanh", "y = tanh x", nullptr, cuda::tanh);
extern constinit const Op exp_op = forward_row<Exp, exp_grad_op>("exp", "y = e^x", nullptr, cuda::exp);
extern constinit const Op log_op = forward_row<Log, log_grad_op>("log", "y = ln x", nullptr, cuda::log);
extern constinit const Op softplus_op =
    forward_row<Softplus, softplus_grad_op>("softplus", "y = ln(1 + e^x)", nullptr, cuda::softplus);
extern constinit const Op square_op = forward_row<Square, square_grad_op>("square", "y = x^2", nullptr, cuda::square);
extern constinit const Op sqrt_op = forward_row<Sqrt, sqrt_grad_op>("sqrt", "y = sqrt x", nullptr, cuda::sqrt);

extern constinit const Op relu_grad_op = grad_row<Relu>("relu_grad", "dx = y > 0 ? dy : 0", cpu::relu_grad, cuda::relu_grad);
extern constinit const Op leaky_relu_grad_op =
    grad_row<LeakyRelu>("leaky_relu_grad", "dx = x > 0 ? dy : slope dy", cpu::leaky_relu_grad, cuda::leaky_relu_grad);
extern constinit const Op sigmoid_grad_op =
    grad_row<Sigmoid>("sigmoid_grad", "dx = dy y (1 - y)", cpu::sigmoid_grad, cuda::sigmoid_grad);
extern constinit const Op tanh_grad_op = grad_row<Tanh>("tanh_grad", "dx = dy (1 - y^2)", cpu::tanh_grad, cuda::tanh_grad);
extern constinit const Op exp_grad_op = grad_row<Exp>("exp_grad", "dx = dy y", nullptr, cuda::exp_grad);
extern constinit const Op log_grad_op = grad_row<Log>("log_grad", "dx = dy / x", nullptr, cuda::log_grad);
extern constinit const Op softplus_grad_op =
    grad_row<Softplus>("softplus_grad", "dx = dy / (1 + e^-x)", nullptr, cuda::softplus_grad);
extern constinit const Op square_grad_op = grad_row<Square>("square_grad", "dx = 2 x dy", nullptr, cuda::square_grad);
extern constinit const Op sqrt_grad_op = grad_row<Sqrt>("sqrt_grad", "dx = dy / (2 y)", nullptr, cuda::sqrt_grad);

Tensor relu(const Tensor& x) { return run(relu_op, {x})[0]; }
Tensor leaky_relu(const Tensor& x, double slope) { return run(leaky_relu_op, {x}, SlopeAttrs{.slope = slope})[0]; }
Tensor sigmoid(const Tensor& x) { return run(sigmoid_op, {x})[0]; }
Tensor tanh(const Tensor& x) { return run(tanh_op, {x})[0]; }
Tensor exp(const Tensor& x) { return run(exp_op, {x})[0]; }
Tensor log(const Tensor& x) { return run(log_op, {x})[0]; }
Tensor softplus(const Tensor& x) { return run(softplus_op, {x})[0]; }
Tensor square(const Tensor& x) { return run(square_op, {x})[0]; }
Tensor sqrt(const Tensor& x) { return run(sqrt_op, {x})[0]; }

}  // namespace querent
