#include "al/synthesis/film_pair.h"

#include <algorithm>

#include "tensor/error.h"

namespace querent::al {
namespace {

Tensor stack(std::span<const Image* const> images, float factor, float shift) {
  internal_check(!images.empty(), "film pair: no image");
  const int64_t height = images[0]->height, width = images[0]->width;
  Tensor out = Tensor::empty({static_cast<int64_t>(images.size()), height, width, 1});
  float* to = out.data<float>();
  for (const Image* image : images) {
    internal_check(image->height == height && image->width == width && image->channels == 1,
                   "film pair: images of different sizes");
    to = std::transform(image->pixels.begin(), image->pixels.end(), to, [&](float v) { return factor * v + shift; });
  }
  return out;
}

}  // namespace

EditOptions boundary_only(EditOptions o) {
  o.boundary_share = 1;
  o.intensity_share = o.rigid_share = 0;
  return o;
}

FilmPair training_pair(const EditBase& base, int64_t variant, uint64_t seed, double identity) {
  Rng draw = Rng(mix_key(seed, hash_name(base.id))).fork("identity").fork(static_cast<uint64_t>(variant));
  if (draw.uniform() >= identity) return {base.image, base.mask, edit_mask(base, variant, seed, boundary_only())};
  FilmPair same{base.image, base.mask, {base.image, base.mask, base.protected_region, {}}};
  same.edit.record.base = base.id, same.edit.record.variant = variant;
  return same;
}

Tensor mask_tensor(std::span<const Image* const> masks) { return stack(masks, 1, 0); }
Tensor film_tensor(std::span<const Image* const> films) { return stack(films, 2, -1); }

Image film_image(const Tensor& films, int64_t index) {
  const std::vector<float> v = films.batch(index, 1).host();
  Image image(films.dim(1), films.dim(2));
  std::transform(v.begin(), v.end(), image.pixels.begin(), [](float f) { return std::clamp((f + 1) / 2, 0.0f, 1.0f); });
  return image;
}

}  // namespace querent::al
