// Flags and help of querent experiment.
#include <CLI/CLI.hpp>

#include "app/cli_flags.h"

namespace querent::app {
namespace {

void paper_flags(CLI::App* v, Options& o) {
  al::PaperConfig& p = o.paper;
  p.run.from_scratch = false;
  v->add_option(
       "--profile", p.profile,
       "cpu: 128 pixels, slim networks, 4 variants of each film; paper: 512 pixels, full width, 200 variants of "
       "every film, 20 seeds (a GPU cluster's work)")
      ->check(CLI::IsMember({"cpu", "paper"}))
      ->capture_default_str();
  v->add_option(
       "--films", p.films,
       "Where synthetic films come from: edits (mask and intensity edits, no network) | gan (the network in --gan-dir)")
      ->check(CLI::IsMember({"edits", "gan"}))
      ->capture_default_str();
  v->add_option(
      "--gan-dir", p.gan_dir,
      "The folder given to 'synth train' as --out; trained with the same --data, --seed, --val and --test. The "
      "ablations of its loss use DIR-no_nmi, DIR-no_vgg and DIR-no_mse");
  v->add_flag("--edits-as-printed", p.edits_as_printed, "Edit with the ranges as printed instead of plausible ones");
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (default: cpu 3, paper 20)")->check(CLI::Range(1, 100));
  v->add_option("--steps", o.steps, "Optimizer steps a round; full supervision gets twice as many (0: the profile's)")
      ->capture_default_str();
  v->add_option("--mc", o.mc, "MC-dropout passes T of the variance (0: the profile's)")->capture_default_str();
  v->add_option("--fractions", p.fractions, "Shares of the training films to compare the arms at")
      ->delimiter(',')
      ->capture_default_str();
  v->add_option("--variants", p.variants, "Variants made of each film a round (0: the profile's)")
      ->capture_default_str();
  v->add_option("--pool-limit", o.pool_limit,
                "Films varied a round, at least three times the batch (-1: all; 0: the profile's)")
      ->capture_default_str();
  v->add_option("--per-class", p.per_class, "Loop: films chosen of each class a round, and to begin with")
      ->capture_default_str();
  v->add_option("--per-base", p.per_base, "At most so many variants of one film a round (0: no limit, as printed)")
      ->capture_default_str();
  v->add_option("--realism", p.realism_percentile,
                "Refuse films below this percentile of realism, where the source of films can tell")
      ->capture_default_str();
  v->add_option("--budget-share", p.budget, "Loop: largest share of the training films")->capture_default_str();
  v->add_option("--patience", p.patience, "Loop: stop after so many rounds without validation gain (0: never)")
      ->capture_default_str();
  v->add_option("--tolerance", p.tolerance, "Loop: a gain is more than this")->capture_default_str();
  v->add_flag("--paper-stop", p.paper_stop, "Loop: stop by the test split, as the paper does; its figures then leak");
  v->add_flag("--strict-masks", p.strict_masks,
              "Vary only films already paid for; each round first buys real films by the same score");
  v->add_option(
       "--ablation", p.ablations,
       "The method with one thing changed, at the largest fraction: no_uncertainty, no_boundary, no_intensity, "
       "epistemic, aleatoric; with films of a network also no_gan, no_nmi, no_vgg, no_mse; or all")
      ->delimiter(',');
  v->add_option("--tune-depth", p.tune_depth, "Train only the last K layers (1: the output layer; 0: all)")
      ->capture_default_str();
  v->add_option("--weights", p.weights, "Begin from these safetensors weights (default: random)");
  v->add_flag("--from-scratch", p.run.from_scratch, "Train a new network each round (default: continue)");
}

}  // namespace

void add_experiment_verbs(CLI::App& app, Options& o) {
  auto* experiment = app.add_subcommand("experiment", "Repeat a published experiment");
  experiment->require_subcommand(1);
  auto* paper = experiment->add_subcommand(
      "paper",
      "Mahapatra et al. (MICCAI 2018): synthetic films chosen by Bayesian variance, against real films chosen alike, "
      "random films and full supervision");
  common_flags(paper, o), data_flags(paper, o), task_flags(paper, o), split_flags(paper, o), model_flags(paper, o);
  paper_flags(paper, o);
  out_flag(paper, o, "Folder to write", "querent-paper");
  resume_flags(paper, o);
  paper->footer(
      "What a label is: a distinct real film whose label or mask was used, also when only a variant of it was chosen.\n"
      "As in the paper, films nobody has paid for are varied through their masks and ranked within their labels "
      "before\n"
      "one is chosen; --strict-masks does without. --task cls also needs masks of the training films for that.\n\n"
      "Time, estimated from the step (ResNet18 of width 32, batch 16, 128 pixels: 0.12 s on one core): 1,000 films, 3\n"
      "seeds, 30 trainings of 400 steps a seed = 72 minutes, with scoring and measuring about 90.\n\n"
      "Example:\n  querent experiment paper --data labels.csv --task cls --profile cpu --out paper");
}

}  // namespace querent::app
