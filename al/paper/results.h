// What the experiment found, from the units that are finished: paper.json.
//
//   {"task","profile","films","model","metrics":[...],"primary_metric", ... how it was made ...
//    "notes":["what a reader must know", ...],
//    "arms":[{"arm","fraction","seed","round","labels","synthetic","pixels","metrics":{},"stop"}],
//              one entry a unit; arm "first" is what a fraction's arms begin with, half of its share
//    "table":[{"metric","cells":[{"column","arm","fraction","n","mean","sd","low","high"}]}],   as the paper's table 1
//    "by_arm":[{"arm","cells":[{"fraction","labels","synthetic", mean ... of the primary metric}]}],
//    "saving":{"target","fraction","films","pixels"},
//    "comparisons":[{"fraction","a","b","n","difference","low","high","p","p_holm","wins","ties","losses"}]}
//
// Means over seeds with the Student t interval (95 %). Comparisons: Wilcoxon's signed-rank test on the primary metric,
// paired by seed, Holm's correction over all of them. Saving: 1 - the share of films (and, for segmentation, of mask
// pixels) paid for at the smallest fraction whose mean primary metric reaches 99 % of the full supervision's.
#pragma once
#include <string>
#include <vector>

#include "al/paper/config.h"
#include "al/run_folder.h"

namespace querent::al {

std::vector<std::string> paper_metrics(const std::string& task);  // the rows of its table
void write_paper_results(const RunFolder& folder, const PaperConfig& config, const data::Dataset& dataset,
                         const std::vector<std::string>& unit_names);

}  // namespace querent::al
