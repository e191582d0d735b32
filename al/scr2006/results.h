// What the comparison found, as published and for the page: two files in the run folder.
//
//   scr2006.json  {"films","size","folds":[{"fold","films"}],"jsrt","distance_unit":"mm"|"px","published_source",
//     "human_observer":[{"structure","mean","sd"}],
//     "measure":{"name":"cardiothoracic_ratio"|"thoracic_width","unit":""|"mm"|"px"} or null,
//     "methods":[{"method","structures":[{"structure","overlap":D,"contour_distance":D,"published":{"mean","sd"}|null}],
//       "agreement":{"n","missing","bias","bias_low","bias_high","sd","lower","upper"}|null}]}
//                 with D = {"mean","sd","min","q1","median","q3","max"} over the films
//   films.json    {"methods","structures","films":[{"id","fold","reference","measured":[M],"overlap":[M][S],
//                 "contour_distance":[M][S]}]}; a measure of an empty mask is null
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "al/run_folder.h"

namespace querent::al {

struct FilmResult {
  std::string id, fold;
  double reference = 0;                                        // the measure of the reference masks
  std::vector<double> measured;                                // [M], of the masks found
  std::vector<std::vector<double>> overlap, contour_distance;  // [M][S]
};

struct Scr2006Results {
  std::vector<std::string> methods, structures;
  std::string measure, measure_unit;  // "" : none
  std::string distance_unit;
  int64_t size = 0;
  bool jsrt = false;  // the films are those of the publication
  std::vector<FilmResult> films;
};
void write_scr2006_results(const RunFolder& folder, const Scr2006Results& results);

// Overlap in the paper's table, of our methods' counterparts and of "human_observer". None: not in the paper.
struct PublishedOverlap {
  double mean = 0, sd = 0;
};
std::optional<PublishedOverlap> scr2006_published(const std::string& method, const std::string& structure);

}  // namespace querent::al
