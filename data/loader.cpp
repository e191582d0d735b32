#include "data/loader.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/decode.h"
#include "data/masks.h"
#include "data/parallel.h"
#include "tensor/error.h"

namespace querent::data {

// Pixels in 65536 levels: half the memory of floats, and the same bits whether a case was kept or is read again.
struct Loader::Item {
  std::vector<uint16_t> image;
  std::vector<uint8_t> mask;
  uint64_t bytes() const { return image.size() * 2 + mask.size() + 64; }
};

Tensor Batch::mask_labels() const {
  check(bool{mask}, "loader: the batch has no masks; set LoaderOptions::masks");
  Tensor labels = Tensor::empty({mask.dim(0), mask.dim(1), mask.dim(2)}, DType::i64);
  const float* from = mask.data<float>();
  std::transform(from, from + mask.numel(), labels.data<int64_t>(), [](float v) { return int64_t{v >= 0.5f}; });
  return labels;
}

Loader::Loader(Dataset dataset, LoaderOptions options) : dataset_(std::move(dataset)), options_(options) {
  check(options_.size > 0 && options_.size <= 4096, "loader: size {} is not between 1 and 4096", options_.size);
  check(options_.channels == 1 || options_.channels == 3, "loader: channels must be 1 or 3, not {}", options_.channels);
  check(options_.normalization.std > 0, "loader: the standard deviation {} must be positive",
        options_.normalization.std);
  check(!dataset_.cases.empty(), "loader: the data set has no cases");
  cache_->items.resize(dataset_.cases.size());
}

int64_t Loader::append(Case c) {
  dataset_.cases.push_back(std::move(c));
  cache_->items.emplace_back();
  return count() - 1;
}

void Loader::truncate(int64_t kept) {
  check(kept > 0 && kept <= count(), "loader: cannot keep {} of {} cases", kept, count());
  dataset_.cases.resize(static_cast<size_t>(kept));
  Items& items = cache_->items;
  for (auto i = static_cast<size_t>(kept); i < items.size(); ++i) cache_->bytes -= items[i] ? items[i]->bytes() : 0;
  items.resize(static_cast<size_t>(kept));
}

std::shared_ptr<const Loader::Item> Loader::read(int64_t index) const {
  const Case& c = dataset_.cases[static_cast<size_t>(index)];
  const Image whole = to_grey(decode_image(c.image));
  check(std::min(whole.height, whole.width) >= options_.smallest_side,
        "{}: {}x{} pixels are too few for the network; use images of at least {} a side, or leave the case out", c.image,
        whole.width, whole.height, options_.smallest_side);
  const Image image = resize(whole, options_.size, options_.size);
  auto item = std::make_shared<Item>();
  item->image.reserve(image.pixels.size());
  for (const float v : image.pixels)
    item->image.push_back(static_cast<uint16_t>(std::clamp(v, 0.0f, 1.0f) * 65535.0f + 0.5f));
  if (!options_.masks) return item;
  check(!c.mask.empty(), "{}: case {} has no mask; segmentation needs one for every case", c.image, c.id);
  const Mask mask = load_mask(c.mask);
  check(sizes_match({whole.height, whole.width}, mask.info.height, mask.info.width),
        "{}: {}x{} pixels, but its image {} has {}x{}; both must show the same field", c.mask, mask.info.width,
        mask.info.height, c.image, whole.width, whole.height);
  check(options_.allow_empty_masks || mask.info.kind != MaskKind::empty,
        "{}: the mask is empty; draw the structure, leave the case out, or pass --allow-empty-masks", c.mask);
  const Image small = resize_mask(mask.image, options_.size, options_.size);
  for (const float v : small.pixels) item->mask.push_back(v >= 0.5f);
  return item;
}

Loader::Items Loader::items(std::span<const int64_t> cases) const {
  std::map<int64_t, std::shared_ptr<const Item>> found;
  {
    const std::lock_guard lock(cache_->mutex);
    for (const int64_t i : cases) {
      check(i >= 0 && i < count(), "loader: case {} of {} does not exist", i, count());
      found[i] = cache_->items[static_cast<size_t>(i)];
    }
  }
  std::vector<int64_t> missing;
  for (const auto& [i, item] : found)
    if (!item) missing.push_back(i);
  Items read_now(missing.size());
  parallel_for(static_cast<int64_t>(missing.size()),
               [&](int64_t k) { read_now[static_cast<size_t>(k)] = read(missing[static_cast<size_t>(k)]); });
  const std::lock_guard lock(cache_->mutex);
  for (size_t k = 0; k < missing.size(); ++k) {
    const std::shared_ptr<const Item>& item = found[missing[k]] = read_now[k];
    std::shared_ptr<const Item>& kept = cache_->items[static_cast<size_t>(missing[k])];
    if (kept || cache_->bytes + item->bytes() > options_.cache_bytes) continue;
    cache_->bytes += item->bytes();
    kept = item;
  }
  Items out;
  for (const int64_t i : cases) out.push_back(found[i]);
  return out;
}

Image Loader::image_of(const Item& item) const {
  Image image(options_.size, options_.size);
  for (size_t i = 0; i < item.image.size(); ++i) image.pixels[i] = static_cast<float>(item.image[i]) / 65535.0f;
  return image;
}
Image Loader::mask_of(const Item& item) const {
  Image mask(options_.size, options_.size);
  for (size_t i = 0; i < item.mask.size(); ++i) mask.pixels[i] = item.mask[i];
  return mask;
}

Image Loader::image(int64_t index) const { return image_of(*items({&index, 1})[0]); }
Image Loader::mask(int64_t index) const {
  check(options_.masks, "loader: masks are not read; set LoaderOptions::masks");
  return mask_of(*items({&index, 1})[0]);
}

std::pair<Image, Image> Loader::augmented(int64_t index, int64_t epoch) const {
  const Items item = items({&index, 1});
  Image image = image_of(*item[0]), mask = options_.masks ? mask_of(*item[0]) : Image();
  const Rng rng =
      Rng(options_.seed).fork("augment").fork(static_cast<uint64_t>(epoch)).fork(static_cast<uint64_t>(index));
  augment(image, options_.masks ? &mask : nullptr, sample(options_.augmentation, rng));
  return {std::move(image), std::move(mask)};
}

Batch Loader::assemble(const std::vector<Draw>& draws, bool augmented) const {
  const auto n = static_cast<int64_t>(draws.size());
  const int64_t s = options_.size, channels = options_.channels, pixels = s * s;
  check(n > 0, "loader: an empty list of cases makes no batch");
  Batch b;
  for (const Draw& d : draws) b.index.push_back(d.index);
  const Items kept = items(b.index);
  b.x = Tensor::empty({n, s, s, channels});
  if (options_.masks) b.mask = Tensor::empty({n, s, s, 1});
  b.label = Tensor::empty({n}, DType::i64);
  float* x = b.x.data<float>();
  float* masks = options_.masks ? b.mask.data<float>() : nullptr;
  const Normalization norm = options_.normalization;
  const float factor = 1.0f / norm.std;
  const Rng streams = Rng(options_.seed).fork("augment");
  parallel_for(n, [&](int64_t i) {
    const Draw& d = draws[static_cast<size_t>(i)];
    Image image = image_of(*kept[static_cast<size_t>(i)]);
    Image mask = masks ? mask_of(*kept[static_cast<size_t>(i)]) : Image();
    if (augmented && options_.augmentation.any()) {
      const Rng rng = streams.fork(static_cast<uint64_t>(d.epoch)).fork(static_cast<uint64_t>(d.index));
      augment(image, masks ? &mask : nullptr, sample(options_.augmentation, rng));
    }
    for (int64_t p = 0; p < pixels; ++p) {
      const float v = (image.pixels[static_cast<size_t>(p)] - norm.mean) * factor;
      for (int64_t c = 0; c < channels; ++c) x[(i * pixels + p) * channels + c] = v;
    }
    if (masks) std::copy(mask.pixels.begin(), mask.pixels.end(), masks + i * pixels);
  });
  for (int64_t i = 0; i < n; ++i) {
    b.label.data<int64_t>()[i] =
        class_index(dataset_, dataset_.cases[static_cast<size_t>(b.index[static_cast<size_t>(i)])]);
  }
  return b;
}

Batch Loader::batch(std::span<const int64_t> cases) const {
  std::vector<Draw> draws;
  for (const int64_t i : cases) draws.push_back({i, 0});
  return assemble(draws, false);
}

std::vector<Draw> Loader::draws(std::span<const int64_t> cases, int64_t step, int64_t batch_size) const {
  check(!cases.empty(), "loader: an empty list of cases makes no batch");
  check(step >= 0 && batch_size > 0, "loader: step {} and batch size {} must not be negative", step, batch_size);
  std::vector<int64_t> sorted(cases.begin(), cases.end()), order;
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<int64_t>(sorted.size());
  int64_t epoch = -1;
  std::vector<Draw> out;
  for (int64_t k = step * batch_size; k < (step + 1) * batch_size; ++k) {
    if (k / n != epoch) {
      epoch = k / n;
      order = sorted;
      Rng rng = Rng(options_.seed).fork("order").fork(static_cast<uint64_t>(epoch));
      rng.shuffle(order);
    }
    out.push_back({order[static_cast<size_t>(k % n)], epoch});
  }
  return out;
}

Batch Loader::train_batch(std::span<const int64_t> cases, int64_t step, int64_t batch_size) const {
  return assemble(draws(cases, step, batch_size), true);
}

size_t Loader::batch_bytes(int64_t batch_size) const {
  const int64_t values = options_.size * options_.size * (options_.channels + options_.masks);
  return static_cast<size_t>(batch_size) * (static_cast<size_t>(values) * sizeof(float) + sizeof(int64_t));
}

Normalization Loader::measure(std::span<const int64_t> cases) const {
  check(!cases.empty(), "loader: an empty list of cases has no mean");
  double sum = 0, squares = 0, n = 0;
  constexpr size_t portion = 256;
  for (size_t first = 0; first < cases.size(); first += portion) {
    for (const auto& item : items(cases.subspan(first, std::min(portion, cases.size() - first)))) {
      for (const uint16_t level : item->image) {
        const double v = level / 65535.0;
        sum += v;
        squares += v * v;
      }
      n += static_cast<double>(item->image.size());
    }
  }
  const double mean = sum / n;
  const double variance = std::max(squares / n - mean * mean, 0.0);
  return {static_cast<float>(mean), static_cast<float>(std::max(std::sqrt(variance), 1e-3))};
}

void Loader::preload(std::span<const int64_t> cases, const std::function<void(int64_t, int64_t)>& progress) const {
  constexpr size_t portion = 64;
  for (size_t first = 0; first < cases.size(); first += portion) {
    const size_t count = std::min(portion, cases.size() - first);
    items(cases.subspan(first, count));
    if (progress) progress(static_cast<int64_t>(first + count), static_cast<int64_t>(cases.size()));
  }
}

}  // namespace querent::data
