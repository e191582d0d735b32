// Training a synthesizer: first the mask autoencoder (where the generator takes a latent vector), which is then frozen,
// then the two networks of the GAN in alternation. What it leaves in a folder, every file replaced atomically:
//
//   config.json              the options; a training with others may not go on in the same folder
//   films.txt                the ids of the cases it learns from, one a line
//   weights/*.safetensors    generator (the running average of its weights), autoencoder, discriminator
//   losses.jsonl             a line for each epoch (gan_watch.h)
//   samples/epoch_003.png    a grid of films at the end of each
//   checkpoint.safetensors   while it trains
//
// Every batch is a function of (seed, step), so a training that was stopped or killed continues to the same bytes, with
// any number of threads. Ranks (tensor/collective.h) each take an equal share of every batch of films and of masks, and
// average losses and gradients; docs/parallel.md says how far their bits are those of one rank. All hold the same
// weights, draw the same grids and call the same hooks with the same losses; the first writes.
#pragma once
#include <functional>
#include <span>
#include <string>

#include "al/synthesis/gan_watch.h"
#include "al/synthesis/options.h"
#include "data/loader.h"
#include "data/prefetch.h"

namespace querent::al {

struct SynthesisHooks {
  // `phase`: "autoencoder" or "gan"; step counts from 1.
  std::function<void(const std::string& phase, int64_t step, int64_t steps, double loss)> step =
      [](const std::string&, int64_t, int64_t, double) {};
  std::function<void(const EpochLog&)> epoch = [](const EpochLog&) {};
  std::function<void(const std::string& phase, const data::LoopTime&)> trained =
      [](const std::string&, const data::LoopTime&) {};  // at the end of a phase
  std::function<bool()> stop = [] { return false; };
  double checkpoint_every = 60;  // seconds
};

// An epoch is one pass over the films, or several where a pass would make more than 50 epochs.
int64_t steps_of_epoch(int64_t films, const SynthesisOptions& o);

// Error: ranks cannot take equal shares of these batches.
void check_ranks_share(const SynthesisOptions& o);

// Trains on these cases and no others; the loader must read masks at options.size and is given the seed. False when
// hooks.stop(), which must answer the same in all ranks, asked to stop; the checkpoint is then written. Errors: the
// folder holds a training with other options, films or number of ranks; shares that are not equal.
bool train_synthesizer(const std::string& folder, data::Loader& loader, std::span<const int64_t> cases,
                       const SynthesisOptions& options, const SynthesisHooks& hooks = {});

}  // namespace querent::al
