#include "al/synthesis/autoencoder_training.h"

#include <chrono>
#include <cmath>
#include <filesystem>

#include "data/parallel.h"
#include "layers/checkpoint.h"
#include "layers/optim.h"
#include "layers/rank_gradients.h"
#include "layers/schedule.h"
#include "tensor/collective.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr int64_t masks_per_step = 16;
constexpr double rate = 2e-3;
constexpr const char *phase = "autoencoder", *prefix = "autoencoder.";

EditBase mask_only(const data::Loader& loader, int64_t index) {
  return {loader.dataset().cases.at(static_cast<size_t>(index)).id, {}, loader.mask(index), {}, {}};
}

}  // namespace

int64_t share_of_masks() {
  const int64_t ranks = collective().size;
  check(masks_per_step % ranks == 0,
        "synth train: the mask autoencoder learns from {} masks a step, which {} ranks cannot share; use 2, 4, 8 or 16 "
        "ranks, or --gan pix2pix, which needs no autoencoder",
        masks_per_step, ranks);
  return masks_per_step / ranks;
}

Tensor mask_batch(const data::Loader& loader, std::span<const int64_t> cases, const SynthesisOptions& o, int64_t step,
                  int64_t count) {
  std::vector<EditBase> bases;
  for (const data::Draw& d : loader.draws(cases, step, count)) bases.push_back(mask_only(loader, d.index));
  std::vector<Image> masks(bases.size());
  data::parallel_for(count, [&](int64_t i) {
    const auto k = static_cast<size_t>(i);
    const uint64_t key = mix_key(o.seed, hash_name("autoencoder"));
    masks[k] = training_pair(bases[k], step * count + i, key, o.identity).edit.mask;
  });
  std::vector<const Image*> pointers;
  for (const Image& m : masks) pointers.push_back(&m);
  return mask_tensor(pointers);
}

bool train_mask_autoencoder(Synthesizer& s, const data::Loader& loader, std::span<const int64_t> cases,
                            const SynthesisOptions& o, const std::string& checkpoint, const std::string& identity,
                            const SynthesisHooks& hooks) {
  const Params& params = s.autoencoder_params();
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adam, .lr = rate});
  const Schedule schedule({.kind = ScheduleOptions::cosine,
                           .lr = rate,
                           .min_lr = rate * 0.01,
                           .warmup = o.autoencoder_steps / 20,
                           .total = o.autoencoder_steps});
  if (std::filesystem::exists(checkpoint)) {
    const TensorFile file = read_tensors(checkpoint);
    if (file.metadata.contains("phase") && file.metadata.at("phase") == phase &&
        file.metadata.at("identity") == identity) {
      read_from_checkpoint(file, params, prefix);
      optimizer.load_state(file);
    }
  }
  const int64_t rank = collective().rank, ranks = collective().size, share = share_of_masks();
  data::Prefetcher<Tensor> batches(
      optimizer.steps(), o.autoencoder_steps,
      [&](int64_t step) { return mask_batch(loader, cases, o, step * ranks + rank, share); },
      data::prefetching(static_cast<size_t>(share * o.size * o.size) * sizeof(float)));
  using Clock = std::chrono::steady_clock;
  auto saved = Clock::now();
  while (optimizer.steps() < o.autoencoder_steps) {
    const bool stop = hooks.stop();
    const bool due = std::chrono::duration<double>(Clock::now() - saved).count() > hooks.checkpoint_every;
    if (stop || any_rank(due)) {
      Tensors all = optimizer.state();
      add_to_checkpoint(all, params, prefix);
      write_tensors(checkpoint, all, {{"phase", phase}, {"identity", identity}});
      saved = Clock::now();
    }
    if (stop) return false;
    const Tensor masks = batches.next().to(params.device());
    optimizer.set_lr(schedule.rate(optimizer.steps()));
    Tape tape;
    const Pass pass{Pass::train, {}};
    const Tensor loss = reconstruction_loss(s.autoencoder()->decode(s.autoencoder()->encode(masks, pass), pass), masks);
    const double value = rank_mean(loss).item();
    check(std::isfinite(value), "mask autoencoder: the loss is {}; check the masks", value);
    optimizer.step(backward_of_ranks(tape, loss, params.all()));
    hooks.step(phase, optimizer.steps(), o.autoencoder_steps, value);
  }
  hooks.trained(phase, batches.time());
  return true;
}

}  // namespace querent::al
