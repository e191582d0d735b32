// What a synthesizer learns from: a film x, the mask m' it is to get, and the film y that plain editing makes of it.
#pragma once
#include <functional>
#include <span>

#include "al/synthesis/mask_edit.h"
#include "tensor/tensor.h"

namespace querent::al {

struct FilmPair {
  Image film, mask;  // x and its mask: the base
  EditedMask edit;   // m', y, the protected region and what was done
};

// A pure function of its arguments, as edit_mask. The identity pair (m' = m, y = x) comes with the probability
// `identity`, else the boundary moves. Intensity edits and rigid motions are not for the network: the mask does not
// tell of the former, so that it could learn their average at best, and the latter move film and mask alike, which
// needs no network; gan_films (synthesizer.h) applies both to what was generated.
FilmPair training_pair(const EditBase& base, int64_t variant, uint64_t seed, double identity);
// For a generator that is told the mask alone, the real film y with its own mask m', both enlarged by up to 12 % and
// cut to size again with the probability 1 - `identity`: the jitter of pix2pix, so that films are not learnt by heart.
FilmPair jittered_pair(const EditBase& base, int64_t variant, uint64_t seed, double identity);
// The same edits of the boundary, and nothing else.
EditOptions boundary_only(EditOptions o = {});

// Images [H,W,1] of one size as f32 [N,H,W,1]: masks keep 0 and 1, films go from [0,1] to -1..1; and a film back.
Tensor mask_tensor(std::span<const Image* const> masks);
Tensor film_tensor(std::span<const Image* const> films);
Image film_image(const Tensor& films, int64_t index);

// Films and masks [N,H,W,1] -> films, in -1..1.
using FilmGenerator = std::function<Tensor(const Tensor& films, const Tensor& masks)>;

}  // namespace querent::al
