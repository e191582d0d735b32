// Flags and help texts of querent synth.
#include <CLI/CLI.hpp>

#include "app/cli_flags.h"

namespace querent::app {
namespace {

void network_flags(CLI::App* v, al::SynthesisOptions& s) {
  v->add_option("--gan", s.gan,
                "paper: residual generator told by a code z of the mask (Mahapatra et al. 2018); pix2pix: U-Net that "
                "sees the mask itself (Isola et al. 2017), a quicker step at the same width")
      ->check(CLI::IsMember({"paper", "pix2pix"}))
      ->capture_default_str();
  v->add_option("--condition", s.condition,
                "What the networks see: film+mask, to change a film; mask (pix2pix), to make films of nobody, from masks "
                "and dropout alone")
      ->check(CLI::IsMember({"film+mask", "mask"}))
      ->capture_default_str();
  v->add_option("--size", s.size, "Films are SIZE x SIZE pixels: a multiple of 16")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  v->add_option("--width", s.width, "Channels of the first convolution of both networks")->capture_default_str();
  v->add_option("--blocks", s.blocks, "paper: residual blocks (SRGAN has 16)")->capture_default_str();
  v->add_option("--latent", s.latent, "paper: numbers in z")->capture_default_str();
  v->add_option("--injection", s.injection,
                "paper: how the generator is told z: decoded, as the mask that it stands for; concat, as a small map; "
                "film, as a gain and shift of every channel")
      ->check(CLI::IsMember({"decoded", "concat", "film"}))
      ->capture_default_str();
  v->add_option("--norm", s.norm, "batch | instance (for --batch 1)")
      ->check(CLI::IsMember({"batch", "instance"}))
      ->capture_default_str();
}

void training_flags(CLI::App* v, al::SynthesisOptions& s) {
  v->add_option("--steps", s.steps, "Steps of both networks")->capture_default_str();
  v->add_option("--batch", s.batch, "Films per step")->capture_default_str();
  v->add_option("--autoencoder-steps", s.autoencoder_steps, "paper: steps of 16 masks before")->capture_default_str();
  v->add_option("--lr", s.lr, "Learning rate of Adam; falls to 0 over the second half")->capture_default_str();
  v->add_option("--identity", s.identity, "Share of training pairs that change nothing")->capture_default_str();
  v->add_option("--loss", s.loss, "logistic | lsgan (least squares)")
      ->check(CLI::IsMember({"logistic", "lsgan"}))
      ->capture_default_str();
  v->add_option("--lambda", s.lambda, "Weight of the content loss (0: paper 10, pix2pix 100)")->capture_default_str();
  v->add_option("--nmi", s.nmi, "paper: weight of 1 - normalised mutual information")->capture_default_str();
  v->add_option("--vgg", s.vgg, "paper: weight of the distance of VGG16 features; needs --vgg-weights")
      ->capture_default_str();
  v->add_option("--mse", s.mse, "paper: weight of the squared difference")->capture_default_str();
  v->add_option("--saliency", s.saliency, "paper: weight of the squared difference where the film is salient")
      ->capture_default_str();
  v->add_option(
      "--vgg-weights", s.vgg_weights,
      "torchvision's vgg16 as safetensors, or what 'querent train --model vgg16' wrote (without: no VGG term)");
}

void check_flags(CLI::App* v, Options& o) {
  common_flags(v, o), data_flags(v, o), split_flags(v, o);
  v->add_option("--samples", o.samples, "The synthetic films: a folder with images/, masks/ and labels.csv")->required();
  v->add_option("--weights", o.judges,
                "Networks that judge, from 'train' or 'run': a segmenter, a classifier or both, separated by commas; the "
                "first one's features are compared (none: plain statistics)")
      ->delimiter(',');
  v->add_option("--size", o.size, "Side of the films without --weights (default: 128)")->check(CLI::Range(16, 2048));
  v->add_flag("--strict", o.strict, "Exit with 3 when a check fails: copied training films, masks not shown, leaks");
  out_flag(v, o, "Folder to write check.json and index.html", "querent-synth-check");
  v->footer("Give the --seed, --val and --test of the training, so that the held-out films are the same.");
}

}  // namespace

void add_synth_verbs(CLI::App& app, Options& o) {
  auto* synth = app.add_subcommand("synth", "Films by a conditional GAN: train it, sample from it, check the films");
  synth->require_subcommand(1);

  auto* train = synth->add_subcommand(
      "train",
      "Learn to redraw a film so that its lungs follow an altered mask, from the training films and their masks");
  common_flags(train, o), data_flags(train, o), split_flags(train, o);
  network_flags(train, o.synth), training_flags(train, o.synth);
  train->add_option("--cases", o.case_list, "Train on these films only: a text file with one case id a line");
  out_flag(train, o, "Folder to write", "querent-synth");
  train->add_flag("--resume", o.resume,
                  "Continue a stopped training (also what a second 'synth train' into the same folder does)");
  train->add_flag("--force", o.force, "Start again, discarding what is in the folder");
  train->footer(
      "Watch samples/epoch_*.png: base film | altered mask | wanted | generated | difference x 4.\n"
      "Example:\n  querent synth train --data labels.csv --size 64 --width 16 --steps 1500 --out gan");

  auto* sample = synth->add_subcommand("sample", "Write synthetic films with masks and labels, and a contact sheet");
  common_flags(sample, o), data_flags(sample, o);
  sample->add_option("--gan-dir,--weights", o.gan_dir, "The folder given to 'synth train' as --out")->required();
  sample->add_option("--count", o.count, "How many films, dealt out over the base films")
      ->required()
      ->check(CLI::Range(1, 1000000));
  sample->add_option(
      "--cases", o.case_list,
      "The films to alter: a text file with one case id a line (default: those the GAN has learnt from; of another data "
      "set all, for a GAN of --condition mask, which needs their masks alone)");
  out_flag(sample, o, "Folder to write", "querent-films");
  sample->add_flag("--force", o.force, "Write over films that are there");
  sample->footer("Example:\n  querent synth sample --gan-dir gan --data labels.csv --count 32 --out films");

  check_flags(synth->add_subcommand("check", "Are synthetic films real enough, no copies, and what they claim?"), o);
}

}  // namespace querent::app
