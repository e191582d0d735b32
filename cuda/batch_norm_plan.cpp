// Batch norms in training: by our own kernels (batch_norm.cu), or by cuDNN where tuning found that faster. Both compute
// the same but for rounding, and read and write the same tensors, so that either may do the gradient of the other.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>

#include "cuda/batch_norm.h"
#include "cuda/cudnn_device.h"
#include "cuda/plans.h"
#include "cuda/runtime.h"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

constexpr const char* own_name = "own";  // our kernel's name in a file of plans

bool is_backward(NormKind kind) { return kind == NormKind::backward || kind == NormKind::backward_relu; }
Kernel* own_kernel(NormKind kind) {
  if (is_backward(kind)) return own_norm_grad;
  return kind == NormKind::forward ? own_norm_train : own_norm_relu;
}
// The input in whose place the result may lie: dy, or what is added.
size_t replaced_input(NormKind kind) { return is_backward(kind) ? 2 : 3; }

NormProblem problem_of(NormKind kind, const Call& c) {
  const Tensor& x = c.in[0];
  const Shape rows{x.numel() / x.dim(-1), 1, 1, x.dim(-1)};
  const size_t k = replaced_input(kind);
  const bool in_place = k < c.in.size() && c.in[k] && c.in[k].raw() == c.out[0].raw();
  return {kind, x.rank() == 4 ? x.shape() : rows, x.dtype(), in_place};
}

using Key = std::array<int64_t, 10>;
Key key_of(const NormProblem& p) {
  const PlanPolicy policy = plan_policy();
  return {static_cast<int64_t>(p.kind),
          static_cast<int64_t>(p.dtype),
          p.in_place,
          policy.deterministic,
          policy.tf32,
          policy.tune,
          p.x[0],
          p.x[1],
          p.x[2],
          p.x[3]};
}

void run_norm(const Plan& plan, NormKind kind, const Call& c) {
  const Device device = c.out[0].device();
  const auto eps = static_cast<float>(c.attrs.as<NormAttrs>().eps);
  std::vector<Pointer> pointers{{norm_x, c.in[0].raw()}, {norm_gamma, c.in[1].raw()}};
  if (!is_backward(kind)) {
    const Tensor& var = c.out[2];
    pointers.insert(pointers.end(), {{norm_beta, c.in[2].raw()},
                                     {norm_eps, &eps},
                                     {norm_y, c.out[0].raw()},
                                     {norm_mean, c.out[1].raw()},
                                     {norm_inv_std, var.raw()}});
    if (kind == NormKind::forward_add_relu) pointers.push_back({norm_z, c.in[3].raw()});
    run_plan(device, plan, pointers);
    variance_of(c, var, var);
    return;
  }
  const Tensor inv_std = Tensor::empty(c.in[4].shape(), DType::f32, device);
  inverse_std_of(c, c.in[4], inv_std);
  pointers.insert(pointers.end(), {{norm_dy, c.in[2].raw()},
                                   {norm_mean, c.in[3].raw()},
                                   {norm_inv_std, inv_std.raw()},
                                   {norm_dx, c.out[0].raw()},
                                   {norm_dgamma, c.out[1].raw()},
                                   {norm_dbeta, c.out[2].raw()}});
  Tensor bits;
  if (kind == NormKind::backward_relu) {
    bits = Tensor::empty({(c.in[5].numel() + 7) / 8}, DType::u8, device);
    positive_bits(c, c.in[5], bits);
    pointers.push_back({norm_mask, bits.raw()});
  }
  run_plan(device, plan, pointers);
}

// ---- choosing

// Random arguments of the problem, and places for its results.
struct SampleCall {
  Tensors in, out;
  Attrs attrs = NormAttrs{};
  Call call() const { return {in, out, attrs}; }
};
SampleCall sample_call(const NormProblem& p, Device device) {
  const auto image = [&] { return random_operand(p.x, p.dtype, device); };
  const auto channels = [&] { return random_operand({p.x[3]}, DType::f32, device); };
  SampleCall s{{image(), channels(), channels()}, {image(), channels(), channels()}};
  if (p.kind == NormKind::forward_relu) s.in.emplace_back();
  if (p.kind == NormKind::forward_add_relu) s.in.push_back(image());
  if (is_backward(p.kind)) {
    own_norm_train(s.call());  // for a mean and a variance
    s.in = {s.in[0], s.in[1], image(), s.out[1].clone(), s.out[2].clone(), Tensor{}};
    if (p.kind == NormKind::backward_relu) s.in[5] = s.out[0].clone();
  }
  if (p.in_place) s.out[0] = s.in[replaced_input(p.kind)];
  return s;
}

// The same but for rounding: within 0.1 % of the largest value, 2 % where it is stored in bf16. It is there lest a
// library mean something else by a graph than we do.
bool agree(const Tensors& results, const std::vector<std::vector<float>>& expected) {
  for (size_t i = 0; i < results.size(); ++i) {
    const std::vector<float> here = results[i].host();
    float largest = 1, error = 0;
    for (size_t k = 0; k < here.size(); ++k) {
      const float difference = std::abs(here[k] - expected[i][k]);
      if (std::isnan(difference)) return false;
      largest = std::max(largest, std::abs(expected[i][k]));
      error = std::max(error, difference);
    }
    if (error > (results[i].dtype() == DType::bf16 ? 0.02f : 0.001f) * largest) return false;
  }
  return true;
}

// Measures our kernel and the engines that cuDNN proposes.
PlanChoice choose_norm(Device device, const NormProblem& p, const OperationGraph& graph) {
  Kernel* const own = own_kernel(p.kind);
  const SampleCall sample = sample_call(p, device);
  const Call call = sample.call();
  // A result in the place of an input leaves none for the next time: both sides are measured with a copy before.
  const Tensor replaced = p.in_place ? sample.out[0].clone() : Tensor{};
  const auto renew = [&] {
    if (replaced) sample.out[0].copy_from(replaced);
  };
  renew();
  own(call);
  std::vector<std::vector<float>> expected;
  for (const Tensor& t : sample.out) expected.push_back(t.host());
  std::vector<Trial> trials{{own_name, [&] {
                               renew();
                               own(call);
                               return true;
                             }}};
  for (const Engine& e : proposed_engines(graph)) {
    if (!is_allowed(e, p.dtype, plan_policy()) || e.workspace > largest_workspace) continue;
    trials.push_back({e.name, [&, plan = std::optional<Plan>(), e]() mutable {
                        const bool is_first = !plan;
                        if (is_first) plan = make_plan(graph, e);
                        if (!plan) return false;
                        renew();
                        run_norm(*plan, p.kind, call);
                        return !is_first || agree(sample.out, expected);
                      }});
  }
  return choose(cudnn(device).machine, p.text(), trials, sample.out);
}

struct NormPlans {
  std::map<Key, std::optional<Plan>> plans;  // none: our own kernel
  std::mutex mutex;
};
const std::optional<Plan>& plan_for(Device device, const NormProblem& p) {
  auto& [plans, mutex] = per_device<NormPlans>(device);
  const Key key = key_of(p);
  const std::lock_guard lock(mutex);
  const auto known = plans.find(key);
  if (known != plans.end()) return known->second;
  const std::optional<PlanChoice> kept = known_choice(cudnn(device).machine, p.text());
  std::optional<Plan> plan;
  if (kept ? kept->engine != own_name : plan_policy().tune) {
    const OperationGraph graph = norm_graph(p, cudnn(device).handle);
    const PlanChoice choice = kept ? *kept : choose_norm(device, p, graph);
    if (choice.engine != own_name) plan = chosen_plan(graph, choice.engine, p.text());
  }
  return plans.emplace(key, std::move(plan)).first->second;
}

// Computes the call by what was chosen for it: our own kernel unless tuning chose, or a file says, otherwise.
void compute_norm(NormKind kind, const Call& c) {
  const Tensor& x = c.in[0];
  const size_t k = replaced_input(kind);
  const bool aligned = alignment_of({&x, &c.out[0], k < c.in.size() ? &c.in[k] : &x}) == 16;
  if (!aligned || (x.dtype() != DType::f32 && x.dtype() != DType::bf16)) return own_kernel(kind)(c);
  const std::optional<Plan>& plan = plan_for(x.device(), problem_of(kind, c));
  plan ? run_norm(*plan, kind, c) : own_kernel(kind)(c);
}

}  // namespace

void batch_norm_train(const Call& c) { compute_norm(NormKind::forward, c); }
void batch_norm_relu(const Call& c) { compute_norm(c.in[3] ? NormKind::forward_add_relu : NormKind::forward_relu, c); }
void batch_norm_grad(const Call& c) {
  compute_norm(c.in.size() > 5 && c.in[5] ? NormKind::backward_relu : NormKind::backward, c);
}

}  // namespace querent::cuda
