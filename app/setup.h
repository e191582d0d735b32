// From flags to what the engine needs: presets, the data set with its filters and split, the experiment.
#pragma once
#include <string>

#include "al/experiment.h"
#include "app/options.h"
#include "data/manifest.h"

namespace querent::app {

// Fills in every 0 with the default of the task: seg U-Net of width 16, cls ResNet18 of width 32, sized for two CPU cores.
Options with_defaults(Options o);

// Opens options.data and applies --classes, --merge, --exclude and --limit. Masks are of `organ` (data/layouts.h).
data::Dataset open_filtered(const Options& o, const std::string& organ = "lungs");
// The same, split by patient and checked: no leaks, labels or masks for every case, at least two classes for cls.
data::Dataset open_and_split(const Options& o);
int64_t count_patients(const data::Dataset& d);

// --batch auto becomes the largest batch whose training fits in half of the machine's memory, at most 32, so that the same
// machine always chooses the same. Error: a training that does not fit in the memory that is free now, with what would.
void fit_batch(Options& o, const data::Dataset& dataset);

al::ExperimentConfig experiment_config(const Options& o);

}  // namespace querent::app
