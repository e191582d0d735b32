// The methods of the comparison at work in a run folder: what is trained on the films of one side and finds the masks
// of the other, in units that are done once.
#pragma once
#include <string>
#include <vector>

#include "al/run_folder.h"
#include "al/scr2006/experiment.h"
#include "data/loader.h"

namespace querent::al {

using MaskBytes = std::vector<uint8_t>;  // [H,W] of 0 and 1

struct Stopped {};  // thrown to leave a unit half-way

struct ScrLab {
  const Scr2006Config& config;
  const RunFolder& folder;
  const Hooks& hooks;
  std::vector<data::Loader> loaders = {};  // one for each structure
  int64_t units = 0, unit = 0;

  bool has(std::string_view method) const;
  const data::Case& film(int64_t i) const { return loaders[0].dataset().cases[static_cast<size_t>(i)]; }
  MaskBytes truth(size_t structure, int64_t film) const;
  void report(Progress p) const;
  void show(const std::string& title, size_t done, size_t total) const;
};

// One fold as the test, all others to train on, and what the methods found.
struct ScrFold {
  int64_t number = 0;  // from 1
  std::string name;
  std::vector<int64_t> train, test;
  std::vector<MaskBytes> mean_shape;       // [S], of every test film
  std::vector<uint8_t> votes;              // [films, S, rows, columns], of PixelClassifier
  std::vector<std::vector<uint8_t>> unet;  // [S] of [films, H,W]
};
void segment(ScrLab& lab, ScrFold& fold);

std::vector<std::string> result_methods(const ScrLab& lab);  // the rows of the results
// The masks of test film number `film` of the fold: [M][S], in the order of result_methods.
std::vector<std::vector<MaskBytes>> found_masks(const ScrLab& lab, const ScrFold& fold, size_t film);

int64_t unit_count(const ScrLab& lab, size_t test_films);  // of a fold

}  // namespace querent::al
