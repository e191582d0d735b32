// From cases to batches of tensors. A loader has no position: every batch is a pure function of (seed, list of cases,
// step), so a run that stops and resumes in the middle of an epoch sees the same bits as one that never stopped.
// Several threads may ask for cases and batches at once (data/prefetch.h), but not while one changes the loader.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "data/manifest.h"
#include "data/transform.h"
#include "tensor/tensor.h"

namespace querent::data {

struct LoaderOptions {
  int64_t size = 128;    // images and masks are scaled to size x size
  int64_t channels = 1;  // 1, or 3 equal channels for networks made for colour
  bool masks = false;    // read masks too; a case without one is then an Error when it is asked for
  Normalization normalization = {};
  Augmentation augmentation = {};  // of training batches
  int64_t smallest_side = 16;      // an image with a shorter side is an Error
  bool allow_empty_masks = false;  // otherwise a mask without foreground is an Error
  uint64_t seed = 0;
  uint64_t cache_bytes = uint64_t{2} << 30;  // decoded, resized cases kept in memory; beyond it they are read again
};

struct Batch {
  Tensor x;                    // f32 [N,H,W,C], normalised
  Tensor mask;                 // f32 [N,H,W,1] of 0 and 1; none unless LoaderOptions::masks
  Tensor label;                // i64 [N]: index in Dataset::classes, -1 for a case without label
  std::vector<int64_t> index;  // the cases
  Tensor mask_labels() const;  // i64 [N,H,W]: the mask as the classes that segmentation losses take
};

struct Draw {
  int64_t index = 0, epoch = 0;
  bool operator==(const Draw&) const = default;
};

class Loader {
 public:
  Loader(Dataset dataset, LoaderOptions options);
  const Dataset& dataset() const { return dataset_; }
  const LoaderOptions& options() const { return options_; }
  int64_t count() const { return static_cast<int64_t>(dataset_.cases.size()); }
  // Cases that come up while training (synthetic films): the new case's index, and back to the first `count` cases.
  int64_t append(Case c);
  void truncate(int64_t count);

  // The cases in the order given, without augmentation: for scoring and evaluation.
  Batch batch(std::span<const int64_t> cases) const;
  // Training batch number `step` (0, 1, ...) over these cases, augmented. Always batch_size rows: the cases are passed
  // through again and again, each epoch in an order of its own. The order in which `cases` lists them has no influence.
  Batch train_batch(std::span<const int64_t> cases, int64_t step, int64_t batch_size) const;
  std::vector<Draw> draws(std::span<const int64_t> cases, int64_t step, int64_t batch_size) const;
  size_t batch_bytes(int64_t batch_size) const;  // of the tensors of such a batch
  // One case as train_batch would augment it in `epoch`, not normalised: {image, mask}; for looking at.
  std::pair<Image, Image> augmented(int64_t index, int64_t epoch) const;

  Image image(int64_t index) const;  // [size,size,1] in [0,1], not normalised
  Image mask(int64_t index) const;   // [size,size,1] of 0 and 1; needs LoaderOptions::masks

  // Mean and standard deviation of the pixels of these cases; labels are not looked at.
  Normalization measure(std::span<const int64_t> cases) const;
  void set_normalization(Normalization n) { options_.normalization = n; }
  void set_seed(uint64_t seed) { options_.seed = seed; }  // of order and augmentation; decoded cases stay in memory
  // Reads the cases into memory, in parallel, in portions; `progress(done, total)` may be empty.
  void preload(std::span<const int64_t> cases, const std::function<void(int64_t, int64_t)>& progress = {}) const;

 private:
  struct Item;
  using Items = std::vector<std::shared_ptr<const Item>>;
  std::shared_ptr<const Item> read(int64_t index) const;
  Items items(std::span<const int64_t> cases) const;
  Batch assemble(const std::vector<Draw>& draws, bool augmented) const;
  Image image_of(const Item& item) const;
  Image mask_of(const Item& item) const;

  struct Cache {
    std::mutex mutex;
    Items items;  // by case
    uint64_t bytes = 0;
  };
  Dataset dataset_;
  LoaderOptions options_;
  std::unique_ptr<Cache> cache_ = std::make_unique<Cache>();
};

}  // namespace querent::data
