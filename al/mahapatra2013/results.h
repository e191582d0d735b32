// What the experiment found, from the units that are finished: mahapatra2013.json.
//
//   {"command", "version", "config", "data": {"path","train","val","test"},
//    "arms": [{"arm", "points": [{"labels", "metrics": {NAME: {"n","mean","sd","low","high"}}}],
//                     "seeds": [{"seed", "points": [{"labels", "metrics": {NAME: value}, "val_dice"}]}]}],
//              random, propagation, active, context, graph_cut, and with one point full, full_cut and superpixels: the
//              labels an annotator would give, which is the best that superpixels can do
//    "differences": [{"arm","over","n","mean","sd","low","high"}]}   of the mean Dice over all rounds, paired by seed
//
// Metrics are those of al/metrics.h in pixels, means over the test films; intervals are Student's t over seeds (95 %).
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "al/mahapatra2013/experiment.h"
#include "al/run_folder.h"

namespace querent::al {

std::string mahapatra_unit(const std::string& arm, uint64_t seed, int64_t round);  // its name in units/
void write_mahapatra_results(const RunFolder& folder, const MahapatraConfig& config, const data::Dataset& dataset);

}  // namespace querent::al
