// Flags and help of querent experiment.
#include <CLI/CLI.hpp>

#include "app/cli_flags.h"
#include "tensor/error.h"

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
                "With --films gan: refuse films below this percentile of what its discriminator finds real (0: none)")
      ->capture_default_str();
  v->add_option("--budget-share", p.budget, "Loop: largest share of the training films")->capture_default_str();
  v->add_option("--patience", p.patience, "Loop: stop after so many rounds without validation gain (0: never)")
      ->capture_default_str();
  v->add_option("--tolerance", p.tolerance, "Loop: a gain is more than this")->capture_default_str();
  v->add_flag("--paper-stop", p.paper_stop, "Loop: stop by the test split, as the paper does; its figures then leak");
  v->add_flag("--strict-masks", p.strict_masks,
              "Vary only films already paid for; each round first buys real films by the same score");
  v->add_option("--films-per-label", p.films_per_label,
                "With --strict-masks: so many synthetic films for each label of a round; they cost nothing")
      ->capture_default_str();
  v->add_option(
       "--ablation", p.ablations,
       "The method with one thing changed, at the largest fraction: no_uncertainty, no_boundary, no_intensity, "
       "only_rigid, epistemic, aleatoric; with films of a network also no_gan, no_nmi, no_vgg, no_mse; or all")
      ->delimiter(',');
  v->add_option("--tune-depth", p.tune_depth, "Train only the last K layers (1: the output layer; 0: all)")
      ->capture_default_str();
  v->add_option("--weights", p.weights, "Begin from these safetensors weights (default: random)");
  v->add_flag("--from-scratch", p.run.from_scratch, "Train a new network each round (default: continue)");
}

void gal2017_flags(CLI::App* v, Options& o) {
  al::GalConfig& g = o.gal;
  v->add_option("--strategy", g.methods, "Methods, separated by commas")->delimiter(',')->capture_default_str();
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (0: 3, as published)")->check(CLI::Range(0, 100));
  v->add_option("--rounds", g.rounds, "Rounds of 10 labels; 98 end at 1,000 labels")->capture_default_str();
  v->add_option("--random-query", g.random_query,
                "Labels a round of a method that needs no network, which may be trained and tested less often")
      ->capture_default_str();
  v->add_option("--stop-error", g.stop_error, "End a curve at this share of test errors, e.g. 0.05 (0: never)")
      ->capture_default_str();
  v->add_option("--pool-subset", g.pool_subset, "Images scored a round, drawn from the pool (0: all)")
      ->capture_default_str();
  v->add_option("--mc", g.passes, "MC-dropout passes T")->capture_default_str();
  v->add_option("--epochs", g.epochs, "Epochs of a training")->capture_default_str();
  v->add_option("--least-steps", g.least_steps, "Optimizer steps of a training at least")->capture_default_str();
  v->add_option("--batch", g.batch, "Images per step")->capture_default_str();
  v->add_option("--lr", g.lr, "Peak learning rate of Adam")->capture_default_str();
  v->add_option("--weight-decay", g.decay,
                "c of c/N, the weight of the hidden layer's squares in the loss; of several, validation chooses")
      ->delimiter(',')
      ->capture_default_str();
}

void mahapatra2013_flags(CLI::App* v, Options& o) {
  al::MahapatraConfig& m = o.mahapatra;
  v->add_option("--size", o.size, "Films are resized to SIZE x SIZE pixels (0: 128)")->check(CLI::Range(0, 2048));
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (0: 3)")->check(CLI::Range(0, 100));
  v->add_option("--films", m.films, "Training films in the pool of a seed")->capture_default_str();
  v->add_option("--superpixels", m.superpixels, "Superpixels of a film, about")->capture_default_str();
  v->add_option("--start", m.start, "Labelled superpixels to begin with, half of them of each class")
      ->capture_default_str();
  v->add_option("--budget", m.budget, "Labelled superpixels to end with")->capture_default_str();
  v->add_option("--growth", m.growth, "Labels after a round = GROWTH x labels before it")
      ->check(CLI::Range(1.01, 100.0))
      ->capture_default_str();
  v->add_option("--trees", m.trees, "Trees of the random forest")->capture_default_str();
  v->add_option("--neighbours", m.neighbours, "Superpixels most like one, to which its label spreads")
      ->capture_default_str();
  v->add_option("--alpha", m.alpha, "Share of its belief that a superpixel hands on when labels spread")
      ->capture_default_str();
  v->add_option("--confidence", m.confidence, "Learn from spread labels that are at least as probable")
      ->capture_default_str();
  v->add_option("--pseudo-weight", m.pseudo_weight, "Weight of a spread label beside 1 of an asked one")
      ->capture_default_str();
  v->add_option("--context", m.context, "Query: weight of the disagreement with neighbours that look alike")
      ->capture_default_str();
  v->add_option("--beta", m.beta, "Query: exponent of the information density")->capture_default_str();
  v->add_option("--smoothness", m.smoothness, "Graph cut: price of a border between labels (0: no cut)")
      ->capture_default_str();
}

void scr2006_flags(CLI::App* v, Options& o) {
  al::Scr2006Config& c = o.scr2006;
  v->add_option(
       "--methods", c.methods,
       "Of mean_shape, pixels (nearest neighbours of Gaussian derivatives), unet; with all three also their vote")
      ->delimiter(',')
      ->capture_default_str();
  v->add_option("--structures", c.structures, "Of lungs, heart, clavicles (default: all that have masks)")
      ->delimiter(',');
  v->add_option("--size", o.size, "Films are resized to SIZE x SIZE pixels (0: 128; the paper: 256)")
      ->check(CLI::Range(0, 2048))
      ->capture_default_str();
  v->add_option("--neighbours", c.pixels.neighbours, "pixels: k of the nearest neighbours")->capture_default_str();
  v->add_option("--samples", c.pixels.samples, "pixels: training pixels, an equal number from each film")
      ->capture_default_str();
  v->add_option("--stride", c.pixels.stride, "pixels: classify every so many-th row and column, interpolate the others")
      ->capture_default_str();
  v->add_option("--epsilon", c.pixels.epsilon,
                "pixels: a neighbour may be so much farther than the true one, as a share of its distance (0: exact)")
      ->capture_default_str();
  v->add_option("--steps", c.steps, "unet: optimizer steps for each structure and fold")->capture_default_str();
  v->add_option("--width", c.width, "unet: channels of the first stage")->capture_default_str();
  v->add_option("--batch", c.batch, "unet: images per step")->capture_default_str();
  v->add_option("--lr", c.lr, "unet: peak learning rate of AdamW")->capture_default_str();
  v->add_flag("--no-augment", o.no_augment, "unet: train on the films as they are");
}

void chestxray8_flags(CLI::App* v, Options& o) {
  al::ChestXray8Config& c = o.chestxray8;
  v->add_option("--findings", c.findings, "Findings to learn, separated by commas (default: all that occur)")
      ->delimiter(',');
  v->add_option("--pooling", c.poolings, "Kinds of pooling to compare: lse, average, max")
      ->delimiter(',')
      ->check(CLI::IsMember({"lse", "average", "max"}))
      ->capture_default_str();
  v->add_option("--r", c.r, "r of lse, log-sum-exp: small is near the average, large near the maximum")
      ->capture_default_str();
  v->add_option("--size", c.size, "Images are resized to SIZE x SIZE pixels")
      ->check(CLI::Range(32, 2048))
      ->capture_default_str();
  v->add_option("--width", c.width, "Channels of the first stage; ResNet18 has 64")->capture_default_str();
  v->add_option("--steps", c.steps, "Optimizer steps of each network")->capture_default_str();
  v->add_option("--batch", c.batch, "Images per step")->capture_default_str();
  v->add_option("--lr", c.lr, "Peak learning rate of AdamW")->capture_default_str();
  v->add_option("--weight-decay", c.weight_decay, "AdamW weight decay")->capture_default_str();
  v->add_flag("--no-augment", o.no_augment, "Train on the images as they are");
  v->add_option("--gallery", c.gallery, "Films shown of each finding")->capture_default_str();
}

void tajbakhsh2016_flags(CLI::App* v, Options& o) {
  al::TajbakhshConfig& c = o.tajbakhsh;
  v->add_option("--source", c.source, "Data of the source task (default: --data)");
  v->add_option("--source-classes", c.source_classes,
                "Classes of the source task (default: those of the same data that --classes leaves)")
      ->delimiter(',');
  v->add_option("--source-merge", c.source_merge, "As --merge, for the source task");
  v->add_option("--source-share", c.source_share,
                "Share of the patients of both tasks, but for those held out, that the source task gets")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  v->add_option("--source-steps", c.source_steps, "Optimizer steps of a source network")->capture_default_str();
  v->add_option("--weights", c.weights, "Begin from these safetensors weights instead of a source task")
      ->check(CLI::ExistingFile);
  v->add_option("--depths", c.depths, "Last layers to tune, e.g. 1 2 4 8 all")
      ->delimiter(',')
      ->transform(CLI::Transformer(std::map<std::string, int64_t>{{"all", 0}}).description(""))
      ->default_str("1 2 4 8 all");
  v->add_option("--shares", c.shares, "Shares of the training films to learn from")
      ->delimiter(',')
      ->default_str("0.25 0.5 0.75 1");
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (0: 3)")->check(CLI::Range(0, 100));
  v->add_option("--model", c.model, "resnet18 | vgg16 | vgg16_bn")
      ->check(CLI::IsMember({"resnet18", "vgg16", "vgg16_bn"}))
      ->capture_default_str();
  v->add_option("--size", c.size, "Images are resized to SIZE x SIZE pixels")
      ->check(CLI::Range(32, 2048))
      ->capture_default_str();
  v->add_option("--width", c.width, "Channels of the first stage; published networks have 64")->capture_default_str();
  v->add_option("--steps", c.steps, "Optimizer steps of every other network")->capture_default_str();
  v->add_option("--batch", c.batch, "Images per step")->capture_default_str();
  v->add_option("--lr", c.lr, "Peak learning rate of AdamW, the same for every layer that is tuned")
      ->capture_default_str();
  v->add_option("--weight-decay", c.weight_decay, "AdamW weight decay")->capture_default_str();
  v->add_flag("--no-augment", o.no_augment, "Train on the images as they are");
}

void goodfellow2014_flags(CLI::App* v, Options& o) {
  al::GoodfellowConfig& c = o.goodfellow;
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (0: 3)")->check(CLI::Range(0, 100));
  v->add_option("--size", c.size, "Images are resized to SIZE x SIZE pixels")
      ->check(CLI::Range(8, 128))
      ->capture_default_str();
  v->add_option("--latent", c.latent, "Numbers of the noise z")->capture_default_str();
  v->add_option("--hidden", c.hidden, "Units of each hidden layer")->capture_default_str();
  v->add_option("--steps", c.steps, "Steps of both networks in turn")->capture_default_str();
  v->add_option("--batch", c.batch, "Images per step")->capture_default_str();
  v->add_option("--lr", c.lr, "Learning rate of Adam")->capture_default_str();
  v->add_option("--samples", c.samples, "Generated images of the Parzen window; 10000 as in the paper")
      ->capture_default_str();
  v->add_option("--validation", c.validation, "Validation images that choose the width of the window")
      ->capture_default_str();
}

void pathak2016_flags(CLI::App* v, Options& o) {
  al::PathakConfig& c = o.pathak;
  v->add_option("--losses", c.losses, "Losses to compare: l2, joint (with the adversarial loss)")
      ->delimiter(',')
      ->check(CLI::IsMember({"l2", "joint"}))
      ->capture_default_str();
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (0: 3)")->check(CLI::Range(0, 100));
  v->add_option("--size", c.size, "Films are resized to SIZE x SIZE pixels, a multiple of 16 (the paper: 128)")
      ->check(CLI::Range(16, 512))
      ->capture_default_str();
  v->add_option("--width", c.width, "Channels of the first convolution (the paper: 64)")->capture_default_str();
  v->add_option("--overlap", c.overlap, "Width of the band round the hole that is seen and predicted (the paper: 7)")
      ->capture_default_str();
  v->add_option("--band-weight", c.band_weight, "Weight of the squares in that band")->capture_default_str();
  v->add_option("--adversarial", c.adversarial, "joint: weight of the adversarial loss; the squares have the rest")
      ->capture_default_str();
  v->add_option("--steps", c.steps, "Optimizer steps of each network")->capture_default_str();
  v->add_option("--batch", c.batch, "Films per step")->capture_default_str();
  v->add_option("--lr", c.lr, "Peak learning rate of Adam; the discriminator has a tenth of it")->capture_default_str();
  v->add_flag("--no-augment", o.no_augment, "Train on the films as they are");
  v->add_option("--gallery", c.gallery, "Films shown")->capture_default_str();
}

// `run` for one task or both.
void published_verb(CLI::App* experiment, const Published& p, Options& o) {
  auto* v = experiment->add_subcommand(p.name, p.help);
  common_flags(v, o), data_flags(v, o);
  const bool both = !p.seg.empty() && !p.cls.empty();
  const std::vector<std::string> tasks = both ? std::vector<std::string>{"seg", "cls", "both"}
                                              : std::vector<std::string>{p.seg.empty() ? "cls" : "seg"};
  v->add_option("--task", o.task, both ? "seg | cls | both (default: both)" : "The one it is for")
      ->check(CLI::IsMember(tasks));
  v->add_option("--size", o.size, "Images are resized to SIZE x SIZE pixels (0: 128)")->check(CLI::Range(0, 2048));
  v->preparse_callback([&o, tasks](size_t) { o.task = tasks.back(), o.seeds = 5; });
  split_flags(v, o), model_flags(v, o), learning_flags(v, o), cost_flags(v, o);
  out_flag(v, o, "Folder to write", ("querent-" + std::string(p.name)).c_str());
  resume_flags(v, o);
  std::string names;
  for (const auto* task : {&p.seg, &p.cls}) {
    if (task->empty()) continue;
    names += task == &p.seg ? "Outlining:  " : "Naming the finding:  ";
    for (const std::string& s : *task) names += s + (s == task->back() ? "\n" : ", ");
  }
  v->footer(text("Five seeds unless --seeds says otherwise. Each task has a folder and a report of its own.\n{}\n"
                 "Example:\n  querent experiment {} --data labels.csv --size 64 --out {}",
                 names, p.name, p.name));
}

}  // namespace

void add_experiment_verbs(CLI::App& app, Options& o) {
  auto* experiment = app.add_subcommand("experiment", "Repeat a published experiment");
  experiment->require_subcommand(1);
  for (const Published& p : published()) published_verb(experiment, p, o);
  auto* paper = experiment->add_subcommand(
      "paper",
      "Mahapatra et al. (MICCAI 2018): synthetic films chosen by Bayesian variance, against real films chosen alike, "
      "random films and full supervision");
  common_flags(paper, o), data_flags(paper, o), task_flags(paper, o), split_flags(paper, o), model_flags(paper, o);
  memory_flags(paper, o), paper_flags(paper, o);
  out_flag(paper, o, "Folder to write", "querent-paper");
  resume_flags(paper, o);
  paper->footer(
      "What a label is: a distinct real film whose label or mask was used, also when only a variant of it was chosen.\n"
      "As in the paper, films nobody has paid for are varied through their masks and ranked within their labels "
      "before\n"
      "one is chosen; --strict-masks does without. --task cls also needs masks of the training films for that.\n\n"
      "Time, estimated from the step (ResNet18 of width 32, batch 16, 128 pixels: 0.12 s on one core): 1,000 films, 3\n"
      "seeds, 30 trainings of 400 steps a seed = 72 minutes, with scoring and measuring about 90.\n\n"
      "Examples:\n  querent experiment paper --data labels.csv --task cls --profile cpu --out paper\n"
      "  querent train --data other.csv --task cls --model vgg16 --out source        # then tune its last layer:\n"
      "  querent experiment paper --data labels.csv --task cls --model vgg16 --weights source/weights/best.safetensors \\\n"
      "    --tune-depth 1 --lr 1e-3 --out tuned");
  auto* gal = experiment->add_subcommand(
      "gal2017",
      "Gal, Islam and Ghahramani (ICML 2017): labels of MNIST that five acquisition functions need for 10 % and 5 % "
      "test error");
  common_flags(gal, o), data_flags(gal, o), gal2017_flags(gal, o);
  out_flag(gal, o, "Folder to write", "querent-gal2017");
  resume_flags(gal, o);
  gal->footer(
      "Example:\n  querent experiment gal2017 --data mnist --stop-error 0.05 --random-query 50 --out gal2017\n"
      "Time: a round takes about 13 s on one core (train 3 s, score 2,000 images with 100 passes 7 s, test 3 s).");
  auto* mahapatra = experiment->add_subcommand(
      "mahapatra2013",
      "Mahapatra et al. (MICCAI 2013) on films: superpixels, random forest, label propagation, active queries with "
      "context, graph cut");
  common_flags(mahapatra, o), data_flags(mahapatra, o), split_flags(mahapatra, o), mahapatra2013_flags(mahapatra, o);
  out_flag(mahapatra, o, "Folder to write", "querent-mahapatra2013");
  resume_flags(mahapatra, o);
  mahapatra->footer(
      "The budget counts superpixels: an annotator who is shown one says whether most of it is foreground.\n"
      "Example:\n  querent data phantom --count 120 --out phantom\n"
      "  querent experiment mahapatra2013 --data phantom --out mahapatra2013\n"
      "Time: about 1 s of one core for each of 29 units a seed with 50 films to test, 2 s with 450.");
  auto* scr = experiment->add_subcommand(
      "scr2006",
      "van Ginneken, Stegmann and Loog (Medical Image Analysis 2006): lungs, heart and clavicles by mean shape, pixel "
      "classification and, new, a U-Net");
  common_flags(scr, o), data_flags(scr, o), scr2006_flags(scr, o);
  out_flag(scr, o, "Folder to write", "querent-scr2006");
  resume_flags(scr, o);
  scr->footer(
      "Films need masks: JSRT with SCR's, a CSV with the columns mask, heart_mask and clavicle_mask, or any layout "
      "with\n"
      "masks of the lungs. Folds are SCR's (or a column 'fold'); where there are none, two, dealt out by patient.\n\n"
      "Example:\n  querent experiment scr2006 --data JSRT --out scr2006\n"
      "docs/results has figures on 1,496 films, with the time they took.");
  auto* chest = experiment->add_subcommand(
      "chestxray8",
      "Wang et al. (CVPR 2017): findings from labels of whole films, boxes from heat maps; log-sum-exp, average and "
      "maximum pooling compared");
  common_flags(chest, o), data_flags(chest, o), split_flags(chest, o), chestxray8_flags(chest, o);
  out_flag(chest, o, "Folder to write", "querent-chestxray8");
  resume_flags(chest, o);
  chest->footer(
      "True boxes are read from the column 'nodules', from the masks in the column 'opacity_mask', and from NIH's\n"
      "BBox_List_2017.csv where it lies beside Data_Entry_2017.csv. They are used for judging only.\n\n"
      "Example:\n  querent data phantom --count 300 --out phantom\n"
      "  querent experiment chestxray8 --data phantom/labels.csv --out chestxray8");
  auto* tajbakhsh = experiment->add_subcommand(
      "tajbakhsh2016",
      "Tajbakhsh et al. (IEEE TMI 2016): training from scratch against fine-tuning the last layers of a network that "
      "learnt another task, at several shares of the training films");
  common_flags(tajbakhsh, o), data_flags(tajbakhsh, o), split_flags(tajbakhsh, o), tajbakhsh2016_flags(tajbakhsh, o);
  out_flag(tajbakhsh, o, "Folder to write", "querent-tajbakhsh2016");
  resume_flags(tajbakhsh, o);
  tajbakhsh->footer(
      "What is tuned is counted from the output: 1 is the output layer, which is new; what is not tuned keeps the\n"
      "source network's weights. A patient belongs to one task only. Validation chooses the depth that the verdict is\n"
      "about, so --val must leave films of every class.\n\n"
      "Example: learn to find pneumonia, then to tell its kinds apart with few films:\n"
      "  querent experiment tajbakhsh2016 --data labels.csv --classes bacterial_pneumonia,viral_pneumonia \\\n"
      "    --source-classes normal,pneumonia --source-merge pneumonia=bacterial_pneumonia+viral_pneumonia \\\n"
      "    --shares 0.05,0.25,0.5,1 --out tajbakhsh2016\n"
      "docs/results has figures, with the time they took.");
  auto* goodfellow = experiment->add_subcommand(
      "goodfellow2014",
      "Goodfellow et al. (NeurIPS 2014): a generative adversarial network on small images, judged by the "
      "log-likelihood of test images under a Parzen window");
  common_flags(goodfellow, o), data_flags(goodfellow, o), goodfellow2014_flags(goodfellow, o);
  out_flag(goodfellow, o, "Folder to write", "querent-goodfellow2014");
  resume_flags(goodfellow, o);
  goodfellow->footer(
      "The value of the game is log 1/4 where the discriminator is helpless; below it is a generator that is caught.\n"
      "A Parzen window says little in many dimensions: compare it with that on training images, which is listed "
      "too.\n\n"
      "Example:\n  querent experiment goodfellow2014 --data mnist --out goodfellow2014");
  auto* pathak = experiment->add_subcommand(
      "pathak2016",
      "Pathak et al. (CVPR 2016): a context encoder fills a hole in the middle of films, with and without an "
      "adversarial loss, beside simple ways to fill it");
  common_flags(pathak, o), data_flags(pathak, o), split_flags(pathak, o), pathak2016_flags(pathak, o);
  out_flag(pathak, o, "Folder to write", "querent-pathak2016");
  resume_flags(pathak, o);
  pathak->footer(
      "Neither labels nor masks are needed. Errors are of the hole alone, without the band round it.\n\n"
      "Example:\n  querent data phantom --count 300 --size 64 --out phantom\n"
      "  querent experiment pathak2016 --data phantom --out pathak2016");
}

}  // namespace querent::app
