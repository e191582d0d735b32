// The first part of a synthesizer's training: the mask autoencoder, on the masks of the cases and deformations of them,
// a fresh one each time a mask comes up.
#pragma once
#include <span>
#include <string>

#include "al/synthesis/gan_session.h"
#include "al/synthesis/synthesizer.h"

namespace querent::al {

// Continues from `checkpoint` when that file holds a training of an autoencoder; `identity` as in TrainOptions. False
// when hooks.stop() asked to stop.
bool train_mask_autoencoder(Synthesizer& synthesizer, const data::Loader& loader, std::span<const int64_t> cases,
                            const SynthesisOptions& options, const std::string& checkpoint, const std::string& identity,
                            const SynthesisHooks& hooks);

// How many of the masks of a step each rank takes. Error: they cannot take equal shares.
int64_t share_of_masks();

// [count,size,size,1]: batch number `step`, a function of (options.seed, step).
Tensor mask_batch(const data::Loader& loader, std::span<const int64_t> cases, const SynthesisOptions& options,
                  int64_t step, int64_t count);

}  // namespace querent::al
