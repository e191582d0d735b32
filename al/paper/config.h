// The experiment of Mahapatra, Bozorgtabar, Thiran and Reyes, "Efficient Active Learning for Image Classification and
// Segmentation Using a Sample Selection and Conditional Generative Adversarial Network" (MICCAI 2018): what of it may
// be chosen. Where the paper is silent or ambiguous the choice is ours and is named here.
//
// An *arm* is one way to spend labels. All arms see the same splits, seeds, augmentation and optimizer steps:
//
//   full       every training film, 2 x steps
//   method     synthetic films, chosen per class by the Bayesian variance of the network trained so far
//   selection  real films, chosen in the same way; no synthesis
//   random     real films, as many of each class, at random
//   loop       the method from 16 films a class, 16 more a class in each round, until the validation metric has not
//              risen by `tolerance` for `patience` rounds or the budget is spent
//   ablations  the method with one thing changed (arms.h), at the largest fraction
//
// Fractions (10, 15, 25, 30 and 35 % of the training films): half of the share are initial labels, the same for all
// arms, drawn at random, as even over the classes as can be; after `steps` steps an arm chooses the other half at once
// and trains for `steps` more. So the batch equals the initial set, as in the paper.
//
// Cost, the x axis of everything: the number of distinct real films whose label or mask was used. A pool film whose
// variant is chosen is paid for at that moment and joins the training set with it; but, as in the paper, variants of
// films that nobody has paid for are made from their masks and ranked within their labels. With `strict_masks` only
// films that are paid for are varied: each round first buys real films by the same score, so that the method is
// `selection` and, for nothing, `films_per_label` synthetic films for each label bought.
#pragma once
#include <string>
#include <vector>

#include "al/experiment.h"
#include "models/model.h"

namespace querent::al {

struct PaperConfig {
  // Task, network, training, seeds; mc: passes T of the score; pool_limit: films looked at in a round, at least three
  // times the batch (< 0: all); from_scratch: the paper continues. What concerns strategies is not read.
  ExperimentConfig run;
  std::string profile = "cpu";           // cpu | paper: where defaults came from, for the record
  std::string films = "edits";           // where films come from (arms.h)
  std::string gan_dir;                   // films = "gan": a folder of `querent synth train`
  bool edits_as_printed = false;         // paper_edits() instead of the plausible ones (al/synthesis/mask_edit.h)
  int64_t variants = 4;                  // made of each base film in a round
  int64_t per_class = 16, per_base = 1;  // as in FilmSelection
  double realism_percentile = 0;         // as in FilmSelection
  double budget = 0.35;                  // of the loop: share of the training films
  int64_t patience = 2;                  // of the loop: rounds without gain; 0: to the end of the budget
  double tolerance = 0.002;              // a gain is more than this
  bool strict_masks = false;
  int64_t films_per_label = 1;  // with strict_masks; per_base is meant for each of them
  bool paper_stop = false;      // the loop stops by the test split, as the paper does: a leak
  int64_t tune_depth = 0;       // train only the last so many layers (models/train.h); 0: all
  std::string weights;          // a checkpoint to begin from; empty: random initial weights
  std::vector<double> fractions = {0.10, 0.15, 0.25, 0.30, 0.35};
  std::vector<std::string> ablations;  // names (arms.h)

  ModelOptions model_options(int64_t classes) const;
  std::string json() const;  // what determines a unit; fractions, ablations and the number of seeds only extend a run
};

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. Writes units/, synthetic/,
// weights/ and paper.json. Errors: options out of range, a folder that holds another run, no training film with a mask.
bool run_paper(const PaperConfig& config, const data::Dataset& dataset, const std::string& out, const Hooks& hooks);

}  // namespace querent::al
