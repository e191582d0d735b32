// update_running_stats, in place:
//   running_mean = (1-q) running_mean + q mean
//   running_var  = (1-q) running_var  + q var n/(n-1)        q = momentum, n = count
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
}

std::vector<Case> cases() {
  const auto with = [](double momentum, int64_t count) {
    return RunningStatsAttrs{.momentum = momentum, .count = count};
  };
  const auto var = [](int64_t c) { return Sample{{c}, Sample::uniform, 1.0, 0.5}; };
  return {
      {"default momentum", {{{7}}, var(7), {{7}}, var(7)}, with(0.1, 30)},
      {"two values", {{{1}}, var(1), {{1}}, var(1)}, with(0.5, 2)},
      {"many channels", {{{131}}, var(131), {{131}}, var(131)}, with(1, 1000)},
      {"C", {{{7}}, var(7), {{6}}, var(7)}, with(0.1, 30), "mean must be [C] like running_mean"},
      {"count", {{{7}}, var(7), {{7}}, var(7)}, with(0.1, 1), "at least 2 values per channel"},
      {"momentum", {{{7}}, var(7), {{7}}, var(7)}, with(1.5, 30), "momentum must be in [0,1]"},
  };
}

}  // namespace

extern constinit const Op update_running_stats_op{
    .name = "update_running_stats",
    .formula = "running = (1-momentum) running + momentum batch, with var*count/(count-1); in place",
    .inputs = {{"running_mean", "[C]", Arg::mutated},
               {"running_var", "[C]", Arg::mutated},
               {"mean", "[C]", Arg::constant},
               {"var", "[C]", Arg::constant}},
    .outputs = {},
    .infer = infer,
    .cost = cost,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::update_running_stats},
    .cases = cases};

void update_running_stats(const Tensor& running_mean, const Tensor& running_var, const Tensor& mean, const Tensor& var,
                          const RunningStatsAttrs& a) {
  run(update_running_stats_op, {running_mean, running_var, mean, var}, a);
}

}  // namespace querent
