#include "data/phantom.h"

#include <algorithm>

#include "data/phantom_project.h"
#include "data/transform.h"
#include "tensor/error.h"

namespace querent {

namespace {

constexpr int64_t block = 16;  // patients never span two blocks of indices, so patient numbers need no history

void check_options(const PhantomOptions& o) {
  check(o.size >= 16 && o.size <= 2048, "phantom: size must lie in 16..2048, got {}", o.size);
  check(o.nodule_fraction >= 0 && o.opacity_fraction >= 0 && o.nodule_fraction + o.opacity_fraction <= 1,
        "phantom: nodule_fraction {} and opacity_fraction {} must be at least 0 and at most 1 together",
        o.nodule_fraction, o.opacity_fraction);
  check(o.difficulty >= 0 && o.difficulty <= 1, "phantom: difficulty must lie in [0,1], got {}", o.difficulty);
}

// A mask of the finer grid at the picture's size: a pixel is set when at least half of its cells are.
Image mask_image(const std::vector<uint8_t>& fine, int64_t n, int64_t size) {
  const int64_t k = n / size;
  Image out(size, size);
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) {
      int64_t sum = 0;
      for (int64_t j = 0; j < k; ++j)
        for (int64_t i = 0; i < k; ++i) sum += fine[static_cast<size_t>((y * k + j) * n + x * k + i)];
      out.at(y, x) = 2 * sum >= k * k ? 1.0f : 0.0f;
    }
  return out;
}

// Films are drawn at multiples of 8 from 64 to 1024; other sizes are scaled from the next larger of these.
int64_t drawn_size(int64_t size) { return std::clamp<int64_t>((size + 7) / 8 * 8, 64, 1024); }

}  // namespace

int64_t phantom_patient(const PhantomOptions& o, int64_t index) {
  Rng rng = Rng(o.seed).fork("patients").fork(static_cast<uint64_t>(index / block));
  int64_t first = index / block * block;
  for (int64_t i = first; i <= index; ++i)
    if (rng.uniform() >= o.second_image_chance || i % block == 0) first = i;
  return first;
}

Phantom render_phantom(const PhantomOptions& o, int64_t index) {
  check_options(o);
  check(index >= 0, "phantom: index must not be negative, got {}", index);
  if (drawn_size(o.size) != o.size) {
    PhantomOptions drawn = o;
    drawn.size = drawn_size(o.size);
    Phantom p = render_phantom(drawn, index);
    p.image = data::resize(p.image, o.size, o.size);
    for (Image* mask : {&p.lungs, &p.whole_lungs, &p.heart, &p.clavicles, &p.opacity})
      *mask = data::resize_mask(*mask, o.size, o.size);
    return p;
  }
  const int64_t number = phantom_patient(o, index);
  const phantom::Patient patient = phantom::sample_patient(o, number);
  const phantom::Shot shot = phantom::sample_shot(o, patient, index);
  const phantom::Anatomy anatomy = phantom::build_anatomy(patient, shot);
  // Small pictures are projected twice as fine and averaged: thin bones and vessels do not flicker.
  const phantom::View view(shot, o.size * (o.size <= 160 ? 2 : 1));
  const phantom::Projection p = phantom::project_anatomy(anatomy, patient, shot, view, o.extra_nodules);

  Phantom out;
  out.image = phantom::finish_film(p.attenuation, shot, view, o.size);
  out.lungs = mask_image(p.lungs, view.n, o.size);
  out.whole_lungs = mask_image(p.whole_lungs, view.n, o.size);
  out.heart = mask_image(p.heart, view.n, o.size);
  for (size_t i = 0; i < out.heart.pixels.size(); ++i) out.heart.pixels[i] *= 1 - out.lungs.pixels[i];  // ties
  out.clavicles = mask_image(p.clavicles, view.n, o.size);
  out.opacity = mask_image(p.opacity, view.n, o.size);
  for (const phantom::PlacedNodule& q : anatomy.nodules) {
    const auto at = view.pixels(q.x, q.y);
    const double side = static_cast<double>(view.n);
    out.nodules.push_back({at[0] / side, at[1] / side, q.r / shot.fov, q.subtlety});
  }
  out.nodules.insert(out.nodules.end(), o.extra_nodules.begin(), o.extra_nodules.end());
  out.label = !anatomy.opacity.blobs.empty() ? "opacity" : !out.nodules.empty() ? "nodule" : "normal";
  out.group = out.label == "normal" ? "normal" : "abnormal";
  out.patient_id = text("p{}", number);
  return out;
}

}  // namespace querent
