// From flags to what the engine needs: presets, the data set with its filters and split, the experiment.
#pragma once
#include <string>

#include "al/experiment.h"
#include "app/options.h"
#include "data/manifest.h"

namespace querent::app {

// Fills in every 0 with the default of the task: seg U-Net of width 16, cls ResNet18 of width 32, sized for two CPU cores.
Options with_defaults(Options o);

// Opens options.data, applies --classes, --merge, --exclude, --limit, splits by patient and checks for leaks. For cls
// every case must have a label and there must be two classes; for seg every case must have a mask.
Dataset open_and_split(const Options& o);

al::ExperimentConfig experiment_config(const Options& o);

}  // namespace querent::app
