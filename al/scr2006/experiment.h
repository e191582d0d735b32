// The comparison of van Ginneken, Stegmann and Loog, "Segmentation of anatomical structures in chest radiographs using
// supervised methods" (Medical Image Analysis 2006), with the methods that are here:
//
//   mean_shape    the mean mask of the training films, at least 0.5 (the paper: the mean of outlines through landmarks)
//   pixels        k nearest neighbours of Gaussian derivatives, posterior at least 0.5 (pixel_classifier.h)
//   pixels_clean  the same, post-processed
//   unet          one U-Net for each structure (not in the paper)
//   voting        the majority of mean_shape, pixels_clean and unet (the paper: of its three methods)
//
// Every film is segmented once, by methods that were trained on the other folds: the folds of the data (SCR's odd and
// even films, or a column `fold`), or else two, dealt out by patient.
#pragma once
#include <string>
#include <vector>

#include "al/experiment.h"
#include "al/scr2006/pixel_classifier.h"

namespace querent::al {

struct Scr2006Config {
  std::vector<std::string> methods = {"mean_shape", "pixels", "unet"};
  std::vector<std::string> structures = {};  // of lungs, heart, clavicles
  uint64_t seed = 1;
  int64_t size = 128;
  PixelOptions pixels;
  int64_t width = 16, depth = 4, steps = 450, batch = 8;  // of the U-Nets
  double lr = 3e-3, dropout = 0.1;
  bool augment = true;
  bool allow_empty_masks = false;
  std::string data;
  std::string json() const;  // what determines a unit; methods only say how far to go
};

// The fold of each film: Case::extra "fold" where every film has one and they differ; JSRT by odd ("1") and even ("2")
// numbers; else two of about the same size, by patient. Errors: a patient in two folds; synthetic films.
std::vector<std::string> folds_of(const data::Dataset& films, uint64_t seed);

// Runs or continues the comparison in folder `out`; false when hooks.stop() asked to stop. films: for each structure of
// the configuration the same films in the same order, with the masks of that structure. Writes units/, masks/,
// manifest.jsonl, and scr2006.json and films.json (results.h).
bool run_scr2006(const Scr2006Config& config, const std::vector<data::Dataset>& films, const std::string& out,
                 const Hooks& hooks);

}  // namespace querent::al
