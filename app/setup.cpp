#include "app/setup.h"

#include <algorithm>
#include <set>

#include "app/machine.h"
#include "app/model_file.h"
#include "app/version.h"
#include "data/check.h"
#include "data/layouts.h"
#include "data/prefetch.h"
#include "data/split.h"
#include "models/train.h"
#include "tensor/backend.h"
#include "tensor/collective.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::app {

Options with_defaults(Options o) {
  const bool seg = o.task == "seg";
  if (o.size == 0) o.size = 128;
  if (o.model.empty()) o.model = seg ? "unet" : "resnet18";
  check((o.model == "unet") == seg, "run: --model {} does not do --task {}; use {}", o.model, o.task,
        seg ? "unet" : "resnet18, vgg16, vgg16_bn or bcnn");
  const int64_t stride = int64_t{1} << o.depth;
  check(o.model != "unet" || o.size % stride == 0, "run: a U-Net of depth {} halves the image {} times: --size {} must be a multiple of {}; use {}",
        o.depth, o.depth, o.size, stride, (o.size + stride - 1) / stride * stride);
  check(o.recompute == 0 || (o.model == "unet" && o.recompute <= o.depth),
        "run: --recompute-levels {} is for the levels of a U-Net, of which --model {} --depth {} has {}; use 0 for none",
        o.recompute, o.model, o.depth, o.model == "unet" ? o.depth : 0);
  if (o.width == 0) o.width = o.model == "resnet18" || o.model == "bcnn" ? 32 : 16;
  if (o.dropout < 0) o.dropout = seg ? 0.1 : 0.2;
  if (o.batch == 0) o.batch = seg ? 8 : 16;
  if (o.lr == 0) o.lr = seg ? 3e-3 : o.model == "vgg16" ? 1e-4 : 1e-3;  // VGG16 has no norms: at 1e-3 it stays at chance
  if (o.seeds == 0) o.seeds = 3;
  if (o.start == 0) o.start = seg ? 4 : 16;
  if (o.budget == 0) o.budget = seg ? 64 : 250;
  if (o.full_steps == 0) o.full_steps = o.steps > 0 ? 3 * o.steps : seg ? 900 : 600;
  if (o.steps == 0) o.steps = seg ? 450 : 200;
  if (o.mc == 0) o.mc = seg ? 10 : 20;
  if (o.pool_limit == 0) o.pool_limit = seg ? 384 : -1;
  return o;
}

data::Dataset open_filtered(const Options& o, const std::string& organ) {
  data::Dataset d = data::open_dataset(o.data, {.name = o.layout, .organ = organ});
  data::Filters f;
  f.classes = o.classes;
  f.exclude = o.exclude;
  for (const std::string& rule : o.merge) data::add_merge(f, rule);
  data::apply_filters(d, f);
  if (o.limit > 0 && static_cast<int64_t>(d.cases.size()) > o.limit) {
    Rng rng = Rng(o.seed).fork("limit");
    rng.shuffle(d.cases);
    d.cases.resize(static_cast<size_t>(o.limit));
  }
  return d;
}

data::Dataset open_and_split(const Options& o) {
  data::Dataset d = open_filtered(o);
  data::split_dataset(d, {.val = o.val_fraction, .test = o.test_fraction, .seed = o.seed});
  data::require_usable(d, o.task == "seg" ? data::Task::segmentation : data::Task::classification);
  return d;
}

int64_t count_patients(const data::Dataset& d) {
  std::set<std::string> patients;
  for (const data::Case& c : d.cases) patients.insert(data::patient_key(c));
  return static_cast<int64_t>(patients.size());
}

void fit_batch(Options& o, const data::Dataset& dataset) {
  constexpr int64_t most = 32;  // more images a step are no longer better for what is learnt
  const ModelOptions model = model_options(o, dataset);
  const MachineMemory memory = memory_of(compute_device());
  const TrainingPlace place{compute_device(), [](size_t bytes) { return data::prefetching(bytes).ahead; }};
  const auto largest = [&](size_t bytes, int64_t limit) {
    return largest_batch(model, o.size, bytes, limit, {}, o.recompute, place);
  };
  // Ranks share the memory of their machine, and each has a GPU of its own.
  const int64_t ranks = collective().size;
  const size_t sharers = compute_device() == Device::cpu() ? static_cast<size_t>(ranks) : 1;
  const bool automatic = o.batch == automatic_batch;
  if (automatic) o.batch = ranks * std::max<int64_t>(1, largest(memory.total / 2 / sharers, most / ranks));
  check(o.batch >= 1, "train: --batch must be at least 1, or auto, got {}", o.batch);
  const int64_t share = share_of_batch(o.batch);
  const size_t needed = sharers * plan_training(model, o.size, share, {}, o.recompute, place).total();
  if (memory.available == 0 || needed <= memory.available) return;
  const int64_t fits = ranks * largest(memory.available / sharers, share);
  check(false, "train: a batch of {} at {} pixels needs {} MiB and {} MiB are free; {}", o.batch, o.size, needed >> 20,
        memory.available >> 20,
        fits > 0 ? text("--batch {} would fit", fits)
                 : text("not even one image fits: use a smaller --size or --width{}",
                        o.model == "unet" && o.recompute < o.depth ? text(", or --recompute-levels {}", o.depth) : ""));
}

al::ExperimentConfig experiment_config(const Options& o) {
  al::ExperimentConfig c;
  c.task = o.task;
  c.model = o.model;
  c.size = o.size;
  c.width = o.width;
  c.depth = o.depth;
  c.dropout = o.dropout;
  c.strategies = o.strategies;
  c.seeds = o.seeds;
  c.seed = o.seed;
  c.start = o.start;
  c.budget = o.budget;
  c.growth = o.growth;
  c.steps = o.steps;
  c.full_steps = o.full_steps;
  c.batch = o.batch;
  c.recompute = o.recompute;
  c.lr = o.lr;
  c.weight_decay = o.weight_decay;
  c.augment = !o.no_augment;
  c.conv = o.conv;
  c.from_scratch = !o.keep_weights;
  c.mc = o.mc;
  c.pool_limit = o.pool_limit;
  c.cold_start = o.cold_start;
  c.ensemble = o.ensemble;
  c.pseudo_labels = o.pseudo_labels;
  c.pseudo_decay = o.pseudo_decay;
  c.patience = o.patience;
  c.reduction = o.reduction;
  c.val_fraction = o.val_fraction;
  c.test_fraction = o.test_fraction;
  c.allow_empty_masks = o.allow_empty_masks;
  c.data = o.data;
  c.command = o.command_line;
  c.rates = o.rates;
  al::check_rates(c.rates);
  c.version = version;
  return c;
}

}  // namespace querent::app
