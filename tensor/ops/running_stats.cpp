// update_running_stats, in place:
//   running_mean = (1-q) running_mean + q mean
//   running_var  = (1-q) running_var  + q var n/(n-1)        q = momentum, n = count
//   batches += 1, the count of batches that PyTorch keeps beside them (optional)
// All [C]. The batch variance comes in biased and goes into the average unbiased, as PyTorch does it: an estimate for
// the population, not for the batch.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<RunningStatsAttrs>();
  constexpr const char* names[] = {"running_mean", "running_var", "mean", "var"};
  for (size_t i = 0; i < 4; ++i) {
    check(in[i].rank() == 1 && in[i].dim(0) == in[0].dim(0),
          "update_running_stats: {} must be [C] like running_mean; running_mean={} {}={}", names[i], in[0], names[i],
          in[i]);
  }
  check(!in[4] || (in[4].dtype() == DType::i64 && in[4].rank() == 0),
        "update_running_stats: batches must be one i64, got {}", in[4]);
  check(a.count >= 2, "update_running_stats: the unbiased variance needs at least 2 values per channel, count={}",
        a.count);
  check(a.momentum >= 0 && a.momentum <= 1, "update_running_stats: momentum must be in [0,1], got {}", a.momentum);
  return {};
}

Cost cost(Inputs in, const Attrs&) {
  return {7.0 * static_cast<double>(in[0].numel()), 6.0 * static_cast<double>(in[0].bytes())};
}

void ref(const Call& c) {
  const auto& a = c.attrs.as<RunningStatsAttrs>();
  const double unbias = static_cast<double>(a.count) / static_cast<double>(a.count - 1);
  visit_float(c.in[0].dtype(), [&]<class T>() {
    T *running_mean = c.in[0].data<T>(), *running_var = c.in[1].data<T>();
    const T *mean = c.in[2].data<T>(), *var = c.in[3].data<T>();
    const auto blend = [&](T& running, double now) {
      running = static_cast<T>((1 - a.momentum) * static_cast<double>(running) + a.momentum * now);
    };
    for (int64_t k = 0; k < c.in[0].numel(); ++k) {
      blend(running_mean[k], static_cast<double>(mean[k]));
      blend(running_var[k], static_cast<double>(var[k]) * unbias);
    }
  });
  if (c.in[4]) ++*c.in[4].data<int64_t>();
}

std::vector<Case> cases() {
  const auto with = [](double momentum, int64_t count) {
    return RunningStatsAttrs{.momentum = momentum, .count = count};
  };
  const auto var = [](int64_t c) { return Sample{{c}, Sample::uniform, 1.0, 0.5}; };
  const Sample none{{}, Sample::none}, batches{{}, Sample::index, 9};
  return {
      {"default momentum", {{{7}}, var(7), {{7}}, var(7), none}, with(0.1, 30)},
      {"two values", {{{1}}, var(1), {{1}}, var(1), batches}, with(0.5, 2)},
      {"many channels", {{{131}}, var(131), {{131}}, var(131), batches}, with(1, 1000)},
      {"C", {{{7}}, var(7), {{6}}, var(7), none}, with(0.1, 30), "mean must be [C] like running_mean"},
      {"count", {{{7}}, var(7), {{7}}, var(7), none}, with(0.1, 1), "at least 2 values per channel"},
      {"momentum", {{{7}}, var(7), {{7}}, var(7), none}, with(1.5, 30), "momentum must be in [0,1]"},
      {"batches", {{{7}}, var(7), {{7}}, var(7), {{2}, Sample::index, 9}}, with(0.1, 30), "batches must be one i64"},
  };
}

}  // namespace

extern constinit const Op update_running_stats_op{
    .name = "update_running_stats",
    .formula = "running = (1-momentum) running + momentum batch, with var*count/(count-1); in place",
    .inputs = {{"running_mean", "[C]", Arg::mutated},
               {"running_var", "[C]", Arg::mutated},
               {"mean", "[C]", Arg::constant},
               {"var", "[C]", Arg::constant},
               {"batches", "[]", Arg::mutated | Arg::optional}},
    .outputs = {},
    .infer = infer,
    .cost = cost,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::update_running_stats},
    .cases = cases};

void update_running_stats(const Tensor& running_mean, const Tensor& running_var, const Tensor& mean, const Tensor& var,
                          const RunningStatsAttrs& a, const Tensor& batches) {
  run(update_running_stats_op, {running_mean, running_var, mean, var, batches}, a);
}

}  // namespace querent
