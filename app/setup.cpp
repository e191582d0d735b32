#include "app/setup.h"

#include <algorithm>

#include "app/version.h"
#include "data/split.h"
#include "tensor/error.h"

namespace querent::app {

Options with_defaults(Options o) {
  const bool seg = o.task == "seg";
  if (o.size == 0) o.size = 128;
  if (o.model.empty()) o.model = seg ? "unet" : "resnet18";
  check((o.model == "unet") == seg, "run: --model {} does not do --task {}; use {}", o.model, o.task,
        seg ? "unet" : "resnet18, vgg16 or vgg16_bn");
  if (o.width == 0) o.width = o.model == "resnet18" ? 32 : 16;
  if (o.dropout < 0) o.dropout = 0.2;
  if (o.batch == 0) o.batch = seg ? 8 : 16;
  if (o.lr == 0) o.lr = 1e-3;
  if (o.start == 0) o.start = seg ? 4 : 16;
  if (o.budget == 0) o.budget = seg ? 64 : 256;
  if (o.steps == 0) o.steps = seg ? 150 : 200;
  if (o.mc == 0) o.mc = 10;
  if (o.pool_limit == 0) o.pool_limit = 384;
  return o;
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
  c.full_steps = o.full_steps > 0 ? o.full_steps : 3 * o.steps;
  c.batch = o.batch;
  c.lr = o.lr;
  c.weight_decay = o.weight_decay;
  c.augment = !o.no_augment;
  c.from_scratch = !o.keep_weights;
  c.mc = o.mc;
  c.pool_limit = o.pool_limit;
  c.patience = o.patience;
  c.reduction = o.reduction;
  c.val_fraction = o.val_fraction;
  c.test_fraction = o.test_fraction;
  c.data = o.data;
  c.command = o.command_line;
  c.version = version;
  return c;
}

}  // namespace querent::app
