// A 2-D analogue of Mahapatra, Schueffler, Tielbeek, Vos and Buhmann, "Semi-Supervised and Active Learning for
// Automatic Segmentation of Crohn's Disease" (MICCAI 2013): how good is a segmentation when only a few superpixels of a
// few films were labelled? Each step of the method is an arm, added to the one before it:
//
//   random       a random forest on the labelled superpixels, which are drawn at random (al/classic/random_forest.h)
//   propagation  also on what the labels say of superpixels like them (al/classic/label_propagation.h)
//   active       superpixels are asked by the forest's uncertainty
//   context      and by disagreement with neighbours that look alike, weighted by information density (query.h)
//   graph_cut    the same forest; labels of a film by one smallest cut (al/classic/graph_cut.h)
//   full, full_cut    the ceiling: a forest on all superpixels of the same films, without and with the cut
//
// The budget counts superpixels. The first labels of a seed are the same for all arms, random and propagation have the
// same ones throughout. Seeds differ in the films of the pool, the first labels and the forests; films to test are the
// same. The defaults of alpha, confidence, context, beta and smoothness did best on validation films of 80 phantoms.
#pragma once
#include <string>
#include <vector>

#include "al/experiment.h"

namespace querent::al {

struct MahapatraConfig {
  int64_t seeds = 3;
  uint64_t seed = 1;                 // the first of them
  int64_t size = 128;                // pixels a side
  int64_t films = 40;                // in the pool, drawn from the training films
  int64_t superpixels = 200;         // of a film, about
  int64_t start = 10, budget = 320;  // labelled superpixels, half of the first ones of each class
  double growth = 2;
  int64_t trees = 50;
  int64_t neighbours = 8;            // in features, over which labels spread
  double alpha = 0.5;                // of the propagation
  double confidence = 0.8;           // propagated labels are learnt from where they are at least as probable
  double pseudo_weight = 0.2;        // of one of them, beside 1 of an asked one
  double context = 0.3, beta = 0.5;  // of the query
  double smoothness = 0.2;           // of the cut
  double val_fraction = 0.1, test_fraction = 0.2;
  bool allow_empty_masks = false;
  std::string data, command, version;  // where the films are; the others for the record

  std::vector<int64_t> rounds() const;  // labels at which a forest is grown
  std::string json() const;             // what determines a unit; the number of seeds only says how far to go
};

inline const std::vector<std::string> mahapatra_arms = {"random", "propagation", "active", "context"};  // with units

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. Writes units/, gallery/ and
// mahapatra2013.json (results.h). Errors: options out of range; no test films; fewer training films than asked; a pool
// whose superpixels are all of one class.
bool run_mahapatra2013(const MahapatraConfig& config, const data::Dataset& dataset, const std::string& out,
                       const Hooks& hooks);

}  // namespace querent::al
