// The page of `querent synth check`: verdict, figures, distances to the nearest training film, films side by side.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "al/realism/report.h"
#include "data/image.h"

namespace querent::app {

struct FilmPanel {
  std::string caption, id;
  Image film, mask;  // [H,W,1]; mask empty: no outline
};
struct FilmExample {
  std::string id, note;
  std::vector<FilmPanel> panels;  // sample, base, nearest training film
};
struct SynthCheckPage {
  std::string name, features, command;
  int64_t real = 0, train = 0, held_out = 0, samples = 0, bases = 0;
  std::vector<std::string> notes;
  std::vector<FilmExample> nearest, worst_masks;
};
std::string synth_check_page(const SynthCheckPage& p, const al::RealismReport& r);

}  // namespace querent::app
