// What the user asked for: one struct for all verbs, filled by app/cli.cpp from flags and an optional TOML file.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "al/chestxray8.h"
#include "al/cost.h"
#include "al/gal2017.h"
#include "al/goodfellow2014.h"
#include "al/mahapatra2013/experiment.h"
#include "al/paper/config.h"
#include "al/pathak2016.h"
#include "al/scr2006/experiment.h"
#include "al/synthesis/options.h"
#include "al/tajbakhsh2016/experiment.h"

namespace querent::app {

constexpr int64_t automatic_batch = -1;

struct Options {
  std::string verb;  // "run", "data check", ...
  std::string command_line;
  // every verb
  uint64_t seed = 1;
  int threads = 0;  // 0: all cores
  std::string device = "cpu";
  std::string conv = "auto";  // how 3x3 and 4x4 convolutions are computed
  std::string out;
  bool json = false, quiet = false, no_color = false;
  // data
  std::string data;  // a CSV, a folder or an idx file
  std::string layout = "auto";
  std::string task = "seg";          // seg | cls; experiments of published(): or both
  std::vector<std::string> classes;  // keep these, in this order
  std::vector<std::string> merge;    // new=old1+old2
  std::vector<std::string> exclude;  // drop these labels
  int64_t size = 128;
  double val_fraction = 0.1, test_fraction = 0.2;
  bool allow_empty_masks = false;
  int64_t limit = 0;  // use at most so many images (0: all)
  // model
  std::string model;  // unet | vgg16 | vgg16_bn | resnet18; empty: by task
  int64_t width = 0;  // channels of the first stage; 0: the preset's
  int64_t depth = 4;
  double dropout = -1;  // < 0: the preset's
  std::string weights;
  // training
  int64_t steps = 0;       // optimizer steps a round; 0: the preset's
  int64_t full_steps = 0;  // run: optimizer steps of the full-data model; 0: the preset's
  int64_t batch = 0;       // automatic_batch: what fits (setup.h)
  int64_t recompute = 0;   // U-Net: so many outermost levels are computed again in backward
  double lr = 0;
  double weight_decay = 1e-4;
  bool no_augment = false, keep_weights = false;  // keep_weights: continue from the last round instead of from scratch
  bool resume = false, force = false;
  // active learning
  std::vector<std::string> strategies;
  int64_t seeds = 0;              // 0: the preset's
  int64_t start = 0, budget = 0;  // labels at the start and at the end; 0: the preset's
  double growth = 2;              // each round multiplies the labels by this
  int64_t mc = 0;                 // MC-dropout passes T
  int64_t pool_limit = 0;         // score at most so many pool images a round
  std::string cold_start = "random";
  int64_t ensemble = 0;                        // networks trained apart whose predictions are the passes; 0: MC-dropout
  double pseudo_labels = 0, pseudo_decay = 0;  // CEAL: train on what the network is sure about; 0: never
  int64_t patience = 0;                        // stop after so many rounds without improvement on validation; 0: never
  std::string reduction = "mean";              // seg: how pixel scores become an image score
  al::PaperConfig paper;                       // experiment paper; `run` is filled from the above
  al::Rates rates;                             // what a label costs
  // advise
  double target = 0;  // the metric to reach; 0: `share` of the full-data figure
  double share = 0.99;
  int64_t more = 0;  // labels whose gain is told; 0: as many as the last round added
  double min_gain = 0.002;
  double worth = 0;                 // money that 0.01 of the metric is worth; 0: unknown
  al::GalConfig gal;                // experiment gal2017; seeds, seed, data are filled from the above
  al::MahapatraConfig mahapatra;    // experiment mahapatra2013; the same, and size and the shares of the splits
  al::Scr2006Config scr2006;        // experiment scr2006; seed, size, data are filled from the above
  al::ChestXray8Config chestxray8;  // experiment chestxray8; seed, splits, data are filled from the above
  al::TajbakhshConfig tajbakhsh;    // experiment tajbakhsh2016; the same, and seeds
  al::GoodfellowConfig goodfellow;  // experiment goodfellow2014; seeds, seed, data are filled from the above
  al::PathakConfig pathak;          // experiment pathak2016; the same, and the shares of the splits
  // predict, eval
  bool uncertainty = false;
  // synth check
  std::string samples;              // folder with labels.csv, images/, masks/
  std::vector<std::string> judges;  // weight files: at most one segmenter and one classifier
  bool strict = false;
  // data phantom, synth sample
  int64_t count = 0;
  // synth
  al::SynthesisOptions synth;  // its seed is `seed`
  std::string case_list;       // a file of case ids, one a line; empty: the training films
  std::string gan_dir;         // what `synth train` wrote
  // explain
  std::string subject;
};

// Parses argv. Returns an exit code in `exit_code` and false when there is nothing to run (--help, bad usage).
bool parse_command_line(int argc, char** argv, Options& options, int& exit_code);

// The verbs; each returns a process exit code (0 done, 1 failed, 2 bad input, 3 data problems, 130 stopped).
int demo(const Options& options);
int run_experiment(const Options& options);
// Comparisons of strategies that are `run` with settings of their own (app/published.cpp), and all of them.
struct Published {
  const char *name, *help;
  std::vector<std::string> seg, cls;  // strategies of each task; none: the task is not part of it
};
const std::vector<Published>& published();
int experiment_published(const Options& options);
int experiment_paper(const Options& options);
int experiment_chestxray8(const Options& options);
int experiment_gal2017(const Options& options);
int experiment_goodfellow2014(const Options& options);
int experiment_mahapatra2013(const Options& options);
int experiment_pathak2016(const Options& options);
int experiment_scr2006(const Options& options);
int experiment_tajbakhsh2016(const Options& options);
int train(const Options& options);
int eval(const Options& options);
int predict(const Options& options);
int report(const Options& options);
int advise(const Options& options);
int doctor(const Options& options);
int explain(const Options& options);
int data_check(const Options& options);
int data_phantom(const Options& options);
int synth_train(const Options& options);
int synth_sample(const Options& options);
int synth_check(const Options& options);

}  // namespace querent::app
