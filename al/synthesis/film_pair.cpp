#include "al/synthesis/film_pair.h"

#include <algorithm>

#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double most_jitter = 1.12;  // 286 pixels cut to 256
constexpr double jitter_room = 0.98;  // of the rim that is cut off: what is outside of the film stays outside

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

Rng identity_draw(const EditBase& base, int64_t variant, uint64_t seed) {
  return Rng(mix_key(seed, hash_name(base.id))).fork("identity").fork(static_cast<uint64_t>(variant));
}

FilmPair identity_pair(const EditBase& base, int64_t variant) {
  FilmPair same{base.image, base.mask, {base.image, base.mask, base.protected_region, {}}};
  same.edit.record.base = base.id, same.edit.record.variant = variant;
  return same;
}

}  // namespace

EditOptions boundary_only(EditOptions o) {
  o.boundary_share = 1;
  o.intensity_share = o.rigid_share = 0;
  return o;
}

FilmPair training_pair(const EditBase& base, int64_t variant, uint64_t seed, double identity) {
  Rng draw = identity_draw(base, variant, seed);
  if (draw.uniform() < identity) return identity_pair(base, variant);
  return {base.image, base.mask, edit_mask(base, variant, seed, boundary_only())};
}

FilmPair jittered_pair(const EditBase& base, int64_t variant, uint64_t seed, double identity) {
  Rng draw = identity_draw(base, variant, seed);
  FilmPair pair = identity_pair(base, variant);
  if (draw.uniform() < identity) return pair;
  data::AugmentParams p;
  p.zoom = draw.uniform(1, most_jitter);
  const double room = jitter_room * (p.zoom - 1) / 2;
  p.dx = draw.uniform(-room, room), p.dy = draw.uniform(-room, room);
  data::augment(pair.edit.image, &pair.edit.mask, p);
  pair.edit.protected_region = {};
  pair.edit.record.rigid = p;
  return pair;
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
