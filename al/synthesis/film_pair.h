// What a synthesizer learns from and is asked for: a film x, the mask m' it is to get, and the film y that plain
// editing makes of it.
#pragma once
#include <functional>
#include <span>

#include "al/synthesis/mask_edit.h"
#include "tensor/tensor.h"

namespace querent::al {

// z tells of the mask alone. What the mask does not show, the network must be given or it can only learn its average:
// a rigid motion is therefore done to x as well, and training pairs take no intensity edits.
struct FilmPair {
  Image film, mask;  // x and its mask: the base, moved where the edit moved the whole film (a base without film: as is)
  EditedMask edit;   // m', y, the protected region and what was done
};

// Pure functions of their arguments, as edit_mask. The identity pair (m' = m, y = x) comes with the probability
// `identity`; else the boundary moves and half of the films are turned and shifted besides.
FilmPair edited_pair(const EditBase& base, int64_t variant, uint64_t seed, const EditOptions& o);
FilmPair training_pair(const EditBase& base, int64_t variant, uint64_t seed, double identity);
EditOptions training_edits();

// Images [H,W,1] of one size as f32 [N,H,W,1]: masks keep 0 and 1, films go from [0,1] to -1..1; and a film back.
Tensor mask_tensor(std::span<const Image* const> masks);
Tensor film_tensor(std::span<const Image* const> films);
Image film_image(const Tensor& films, int64_t index);

// Films and masks [N,H,W,1] -> films, in -1..1.
using FilmGenerator = std::function<Tensor(const Tensor& films, const Tensor& masks)>;

}  // namespace querent::al
