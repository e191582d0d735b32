// The convolutions, by cuDNN. Each problem gets a plan at first use; after that a call is a look-up and an execution.
#include <algorithm>
#include <array>
#include <map>

#include "cuda/cudnn_device.h"
#include "cuda/plans.h"
#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/kernels.h"

namespace querent::cuda {
namespace {

using Key = std::array<int64_t, 26>;
Key key_of(const ConvProblem& p) {
  const PlanPolicy policy = plan_policy();
  Key key{static_cast<int64_t>(p.kind),
          static_cast<int64_t>(p.dtype),
          p.bias,
          p.alignment,
          policy.deterministic,
          policy.tf32,
          policy.tune};
  auto* next = key.data() + 7;
  for (const Shape& s : {p.x, p.w, p.y}) next = std::copy(s.begin(), s.end(), next);
  for (const Pair& v : {p.conv.stride, p.conv.padding, p.conv.dilation}) *next++ = v.h, *next++ = v.w;
  *next = p.conv.groups;
  return key;
}

// What a device keeps for convolutions.
struct ConvPlans {
  std::map<Key, std::optional<Plan>> plans;
  std::mutex mutex;
};

PlanChoice choose_conv(Device device, const ConvProblem& p, const OperationGraph& graph) {
  const Tensor x = random_operand(p.x, p.dtype, device), w = random_operand(p.w, p.dtype, device),
               y = random_operand(p.y, p.dtype, device), b = random_operand({p.y[3]}, p.dtype, device);
  std::vector<Pointer> pointers{{conv_x, x.raw()}, {conv_w, w.raw()}, {conv_y, y.raw()}};
  if (p.bias) pointers.push_back({conv_bias, b.raw()});
  std::vector<Trial> trials;
  for (const Engine& e : proposed_engines(graph)) {
    if (!is_allowed(e, p.dtype, plan_policy()) || e.workspace > largest_workspace) continue;
    trials.push_back({e.name, [&, plan = std::optional<Plan>(), e]() mutable {
                        if (!plan) plan = make_plan(graph, e);
                        if (plan) run_plan(device, *plan, pointers);
                        return plan.has_value();
                      }});
  }
  const Tensor& result = p.kind == ConvKind::forward ? y : p.kind == ConvKind::grad_input ? x : w;
  return choose(cudnn(device).machine, p.text(), trials, {&result, 1});
}

// None only where cuDNN cannot add the bias in the same graph.
const std::optional<Plan>& plan_for(Device device, const ConvProblem& p) {
  auto& [plans, mutex] = per_device<ConvPlans>(device);
  const Key key = key_of(p);
  const std::lock_guard lock(mutex);
  const auto known = plans.find(key);
  if (known != plans.end()) return known->second;
  const OperationGraph graph = conv_graph(p, cudnn(device).handle);
  const std::optional<PlanChoice> kept = known_choice(cudnn(device).machine, p.text());
  const PlanChoice choice = kept ? *kept : choose_conv(device, p, graph);
  std::optional<Plan> plan;
  if (choice.engine != "none") plan = chosen_plan(graph, choice.engine, p.text());
  check(plan || p.bias, "cudnn: no engine computes '{}' under the policy '{}'", p.text(), plan_policy().text());
  return plans.emplace(key, std::move(plan)).first->second;
}

// Computes the operand that `kind` says, of x, w, y; then adds b to it where it is given.
void convolve(std::string_view op, ConvKind kind, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& b,
              const Conv2dAttrs& conv) {
  const Tensor& result = kind == ConvKind::forward ? y : kind == ConvKind::grad_input ? x : w;
  check(result.dtype() == DType::f32 || result.dtype() == DType::bf16,
        "{}: the GPU computes in f32 or bf16, not {}; x={} w={}", op, result.dtype(), x, w);
  const Device device = result.device();
  if (x.numel() == 0 || w.numel() == 0 || y.numel() == 0) {  // cuDNN takes no empty tensors; a sum of nothing is 0
    fill_bytes(result.raw(), 0, result.bytes(), device);
    if (b) bias_add({std::array{result, b}, std::array{result}, {}});
    return;
  }
  ConvProblem p{kind, x.shape(), w.shape(), y.shape(), conv, result.dtype(), static_cast<bool>(b), 16};
  p.alignment = alignment_of({&x, &w, &y, &b});
  // Of the three kinds cuDNN 9 knows only the forward convolution with a bias.
  if (p.bias && kind == ConvKind::forward) {
    if (const std::optional<Plan>& plan = plan_for(device, p)) {
      run_plan(device, *plan,
               std::array<Pointer, 4>{{{conv_x, x.raw()}, {conv_w, w.raw()}, {conv_y, y.raw()}, {conv_bias, b.raw()}}});
      return;
    }
  }
  p.bias = false;
  run_plan(device, *plan_for(device, p),
           std::array<Pointer, 3>{{{conv_x, x.raw()}, {conv_w, w.raw()}, {conv_y, y.raw()}}});
  if (b) bias_add({std::array{result, b}, std::array{result}, {}});
}

}  // namespace

void conv2d(const Call& c) {
  convolve("conv2d", ConvKind::forward, c.in[0], c.in[1], c.out[0], c.in[2], c.attrs.as<Conv2dAttrs>());
}
void conv2d_grad_input(const Call& c) {
  convolve("conv2d_grad_input", ConvKind::grad_input, c.out[0], c.in[1], c.in[0], {},
           c.attrs.as<Conv2dGradInputAttrs>().conv);
}
void conv2d_grad_weight(const Call& c) {
  convolve("conv2d_grad_weight", ConvKind::grad_weight, c.in[0], c.out[0], c.in[1], {},
           c.attrs.as<Conv2dGradWeightAttrs>().conv);
}

// The gradient in the input of a convolution from the result (O channels) to x (C channels). With an output padding of
// a stride or more that convolution has more windows than x has pixels: x goes on in zeros.
void conv_transpose2d(const Call& c) {
  const auto& a = c.attrs.as<ConvTranspose2dAttrs>();
  const Tensor &y = c.out[0], &w = c.in[1];
  const int64_t rows = a.output_padding.h / a.stride.h, columns = a.output_padding.w / a.stride.w;
  Tensor x = c.in[0];
  if (rows > 0 || columns > 0) {
    const Shape& s = c.in[0].shape();
    x = Tensor::empty({s[0], s[1] + rows, s[2] + columns, s[3]}, x.dtype(), x.device());
    const PadAttrs padding{.before = {0, 0, 0, 0}, .after = {0, rows, columns, 0}};
    pad({c.in.first(1), std::array{x}, padding});
  }
  convolve("conv_transpose2d", ConvKind::grad_input, y, w, x, c.in[2], {a.stride, a.padding, a.dilation, a.groups});
}

}  // namespace querent::cuda
