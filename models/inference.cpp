#include "models/inference.h"

#include <algorithm>

#include "tensor/ops.h"
#include "tensor/tape.h"

namespace querent {
namespace {

// Rows of one batch of passes: small layers fill their kernels, while maps of full size stay within a batch's memory.
constexpr int64_t rows_of_maps = 8, rows_of_vectors = 256;

Tensor repeated(const Tensor& x, int64_t times) {
  return times == 1 ? x : concat(Tensors(static_cast<size_t>(times), x), 0);
}

// Streams of the passes first .. first+count-1, one pass after another: [count*N,2].
Tensor streams_of(uint64_t seed, std::span<const int64_t> ids, int64_t first, int64_t count) {
  std::vector<int64_t> all;
  for (int64_t t = first; t < first + count; ++t) {
    const Tensor one = make_streams(seed, ids, t);
    all.insert(all.end(), one.data<int64_t>(), one.data<int64_t>() + one.numel());
  }
  return Tensor::from(std::span<const int64_t>(all), {count * static_cast<int64_t>(ids.size()), 2});
}

}  // namespace

Tensor probability_of(const Tensor& logits) { return logits.dim(-1) == 1 ? sigmoid(logits) : softmax(logits); }

// Without streams an evaluation; with streams for `k` times the rows of x, k stochastic passes.
Tensors Inference::answer(const Tensor& x, const Tensor& streams) const {
  const Pass::Mode mode = streams ? Pass::mc_dropout : Pass::eval;
  Tensors trunk = model_.trunk(x, {mode, {}});
  const Tensor embedding = embeds_ ? model_.embed(trunk) : Tensor{};
  for (Tensor& t : trunk) t = repeated(t, streams ? streams.dim(0) / x.dim(0) : 1);
  const Output out = model_.head(trunk, {mode, streams});
  return {probability_of(out.logits), out.logits, out.log_var, embedding};
}

const Tensors& Inference::start(Captured& c, int64_t together, Tensors inputs,
                                const std::function<Tensors(Inputs)>& step) const {
  if (c.program && c.x == inputs[0].shape() && c.together == together) return (*c.program)(inputs);
  for (Tensor& t : inputs) t = t.to(model_.device);
  c.program.reset();  // its memory first
  c.x = inputs[0].shape(), c.together = together;
  c.program = Program::capture(step, inputs, inputs.size() > 1 ? std::optional<size_t>(1) : std::nullopt);
  return c.program->results();
}

Inference::Answer Inference::operator()(const Tensor& x) {
  const NoTape no_tape;
  const Tensors& r = start(evaluation_, 1, {x}, [this](Inputs in) { return answer(in[0], {}); });
  return {r[0], {r[1], r[2]}, r[3]};
}

Tensor Inference::features(const Tensor& x) {
  const NoTape no_tape;
  return start(embedding_, 1, {x}, [this](Inputs in) { return Tensors{model_.embed(model_.trunk(in[0], {}))}; })[0];
}

const Tensors& Inference::stage_averages(const Tensor& x) {
  const NoTape no_tape;
  return start(stages_, 1, {x}, [this](Inputs in) {
    Tensors all = model_.stages(in[0], {});
    for (Tensor& t : all) t = global_avg_pool(t);
    return all;
  });
}

void Inference::sample(const Tensor& x, std::span<const int64_t> ids, int64_t passes, uint64_t seed,
                       const std::function<void(int64_t, const Answer&)>& use) {
  check(passes >= 1, "inference: passes must be at least 1, got {}", passes);
  check(x.rank() == 4 && x.dim(0) > 0 && static_cast<int64_t>(ids.size()) == x.dim(0),
        "inference: needs one id per image, x={} ids={}", x, ids.size());
  const NoTape no_tape;
  const int64_t n = x.dim(0), rows = model_.segments ? rows_of_maps : rows_of_vectors;
  const int64_t together = std::clamp<int64_t>(rows / n, 1, passes);
  for (int64_t first = 0; first < passes; first += together) {
    const Tensor streams = streams_of(seed, ids, first, together);  // those beyond the last pass are drawn for nothing
    const Tensors& r =
        first == 0 ? start(sampling_, together, {x, streams}, [this](Inputs in) { return answer(in[0], in[1]); })
                   : sampling_.program->again({streams});
    for (int64_t t = first; t < std::min(first + together, passes); ++t) {
      const auto part = [&](const Tensor& all) { return all ? all.batch((t - first) * n, n) : all; };
      use(t, {part(r[0]), {part(r[1]), part(r[2])}, r[3]});
    }
  }
}

size_t Inference::arena_bytes() const {
  size_t bytes = 0;
  for (const Captured* c : {&evaluation_, &sampling_, &embedding_, &stages_})
    bytes += c->program ? c->program->arena_bytes() : 0;
  return bytes;
}

}  // namespace querent
