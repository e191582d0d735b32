// What a film shows and where, as the data set says it.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "al/localization.h"
#include "data/manifest.h"
#include "data/phantom.h"

namespace querent::al {

// From the column "finding", or else the label; several are joined with '|'. None for "normal", "No Finding",
// "non_nodule".
std::vector<std::string> findings_of(const data::Case& c);
std::vector<std::string> all_findings(const data::Dataset& d);  // that occur, sorted

// Column "nodules" ("x y radius subtlety;...", fractions of the side), and JSRT's nodule_x, nodule_y (of 2048),
// size_mm.
std::vector<Nodule> nodules_of(const data::Case& c);
Image opacity_mask(const data::Dataset& d, const data::Case& c);  // column "opacity_mask", 0 or 1; empty without one

// True boxes of each of `cases`, by finding: "nodule" from nodules_of(), "opacity" round each region of the opacity
// mask, and NIH's BBox_List_2017.csv (of 1024 pixels a side) where that lies in the data set's folder.
using FindingBoxes = std::map<std::string, std::vector<Box>>;
std::vector<FindingBoxes> true_boxes(const data::Dataset& d, std::span<const int64_t> cases);

}  // namespace querent::al
