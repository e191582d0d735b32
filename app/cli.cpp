// Flags, help texts and the TOML file. Only this file and cli_*.cpp include CLI11.
#include <CLI/CLI.hpp>
#include <iostream>

#include "app/cli_flags.h"
#include "app/options.h"
#include "app/version.h"
#include "tensor/backend.h"
#include "tensor/plans.h"

namespace querent::app {

void common_flags(CLI::App* v, Options& o) {
  v->add_option("--seed", o.seed, "Random seed: the same seed gives the same bits for any thread count")
      ->capture_default_str();
  v->add_option("--threads", o.threads, "Threads (0: all cores)")->capture_default_str();
  v->add_option("--device", o.device, "Where networks compute: cpu | cuda | cuda:N | auto (a GPU where there is one)")
      ->capture_default_str();
  const auto policy = [v](const char* flag, bool PlanPolicy::*wanted, const char* help) {
    const auto set = [wanted] {
      PlanPolicy p = plan_policy();
      p.*wanted = true;
      set_plan_policy(p);
    };
    v->add_flag_callback(flag, set, help);
  };
  policy("--tf32", &PlanPolicy::tf32, "GPU: products may round their factors to 10 bits, on tensor cores");
  v->add_flag_callback(
      "--bf16", [] { set_compute_dtype(DType::bf16); },
      "Networks compute in bf16, with weights, losses and the optimizer in f32: for GPUs; a CPU gets slower");
  policy("--tune", &PlanPolicy::tune, "GPU: choose kernels by measuring them first");
  v->add_flag("--json", o.json, "Print one JSON object on standard output instead of text");
  v->add_flag("--quiet,-q", o.quiet, "Print errors only");
  v->add_flag("--no-color", o.no_color, "No colours");
}
void data_flags(CLI::App* v, Options& o, bool required) {
  auto* data = v->add_option("--data", o.data,
                             "Images: a CSV with columns image[,mask][,label][,patient_id][,split], a folder with one "
                             "sub-folder per class, images/ + masks/, JSRT/SCR, NIH ChestX-ray14, or MNIST idx files");
  if (required) data->required();
  v->add_option("--layout", o.layout, "auto | csv | folders | pairs | jsrt | nih | mnist")->capture_default_str();
  v->add_option("--classes", o.classes, "Keep these classes, in this order")->delimiter(',');
  v->add_option("--merge", o.merge, "Make one class of several: pneumonia=bacterial_pneumonia+viral_pneumonia");
  v->add_option("--exclude", o.exclude, "Leave out images with these labels")->delimiter(',');
  v->add_flag("--allow-empty-masks", o.allow_empty_masks,
              "A mask without foreground means: the structure is absent here (default: an error)");
  v->add_option("--limit", o.limit, "Use at most this many images (0: all)")->capture_default_str();
}
void split_flags(CLI::App* v, Options& o) {
  v->add_option("--val", o.val_fraction, "Share of patients held out for validation")->capture_default_str();
  v->add_option("--test", o.test_fraction, "Share of patients held out for the test")->capture_default_str();
}
void task_flags(CLI::App* v, Options& o) {
  v->add_option("--task", o.task, "seg: outline the lungs; cls: name the finding")
      ->check(CLI::IsMember({"seg", "cls"}))
      ->capture_default_str();
  v->add_option("--size", o.size, "Images are resized to SIZE x SIZE pixels")
      ->check(CLI::Range(16, 2048))
      ->capture_default_str();
}
void model_flags(CLI::App* v, Options& o) {
  v->add_option("--model", o.model, "unet | resnet18 | vgg16 | vgg16_bn | bcnn (default: unet for seg, resnet18 for cls)")
      ->check(CLI::IsMember({"unet", "resnet18", "vgg16", "vgg16_bn", "bcnn"}));
  v->add_option("--width", o.width, "Channels of the first stage (0: unet 16, resnet18 32, vgg16 16, bcnn 32)")
      ->capture_default_str();
  v->add_option("--depth", o.depth, "U-Net: how often the image is halved")
      ->check(CLI::Range(1, 6))
      ->capture_default_str();
  v->add_option("--dropout", o.dropout, "Dropout probability (default: seg 0.1, cls 0.2; it is also what MC-dropout samples)");
  v->add_option("--batch", o.batch, "Images per step (0: seg 8, cls 16; auto: the largest batch that fits, at most 32)")
      ->transform(CLI::Transformer(std::map<std::string, int64_t>{{"auto", automatic_batch}}).description(""))
      ->capture_default_str();
  v->add_option("--lr", o.lr, "Peak learning rate of AdamW (0: seg 3e-3, cls 1e-3, vgg16 1e-4)")->capture_default_str();
  v->add_option("--weight-decay", o.weight_decay, "AdamW weight decay")->capture_default_str();
  v->add_option("--conv", o.conv,
                "3x3 and 4x4 convolutions: auto (a table of shapes) | direct | winograd2 | winograd4; results differ by "
                "rounding")
      ->check(CLI::IsMember({"auto", "direct", "winograd2", "winograd4"}))
      ->capture_default_str();
  v->add_flag("--no-augment", o.no_augment, "Train on the images as they are");
}
void memory_flags(CLI::App* v, Options& o) {
  v->add_option("--recompute-levels", o.recompute,
                "U-Net: keep little of the N outermost levels for backward and compute it again (gradient checkpointing); "
                "the same results to the last bit. At 64 channels and 512 pixels, one image a step, 1.8 GB become 1.2 GB "
                "with 1 for 6 % more time, 0.9 GB with 4 for 28 % (0: keep all)")
      ->check(CLI::Range(0, 6))
      ->capture_default_str();
}
void out_flag(CLI::App* v, Options& o, const char* help, const char* fallback) {
  o.out = o.out.empty() ? "" : o.out;
  auto* opt = v->add_option("--out,-o", o.out, help);
  if (fallback) opt->description(std::string(help) + " (default: " + fallback + ")");
}
void resume_flags(CLI::App* v, Options& o) {
  v->add_flag("--resume", o.resume, "Continue a stopped run (also what the same command into the same folder does)");
  v->add_flag("--force", o.force, "Start again, discarding what is in the folder");
}

void learning_flags(CLI::App* v, Options& o) {
  v->add_option("--strategy", o.strategies,
                "What to ask next, several separated by commas; 'querent explain strategies' lists them")
      ->delimiter(',');
  v->add_option("--seeds", o.seeds, "Repeat with so many seeds (default: 3)")->check(CLI::Range(1, 100));
  v->add_option("--start", o.start, "Labels to begin with (0: seg 4, cls 16)")->capture_default_str();
  v->add_option("--budget", o.budget, "Labels to end with (0: seg 64, cls 250)")->capture_default_str();
  v->add_option("--growth", o.growth, "Labels after a round = GROWTH x labels before it")
      ->check(CLI::Range(1.01, 100.0))
      ->capture_default_str();
  v->add_option("--steps", o.steps,
                "Optimizer steps a round (0: seg 450, cls 200)")
      ->capture_default_str();
  v->add_option("--full-steps", o.full_steps, "Optimizer steps of the full-data model (0: 3 x steps; without --steps: seg 900, cls 600)")
      ->capture_default_str();
  v->add_option("--mc", o.mc, "MC-dropout passes T when scoring (0: seg 10, cls 20)")->capture_default_str();
  v->add_option("--pool-limit", o.pool_limit, "Score at most so many pool images a round (-1: all; 0: seg 384, cls all)")
      ->capture_default_str();
  v->add_option("--reduction", o.reduction, "seg: image score from pixel scores: mean | top_percent | max_patch | boundary_excluded |"
                " foreground")
      ->capture_default_str();
  v->add_option("--cold-start", o.cold_start,
                "Who chooses the first labels: random (cls: equally from each class) | coreset | typiclust | probcover")
      ->capture_default_str();
  v->add_option("--ensemble", o.ensemble,
                "Score with so many networks trained apart instead of --mc passes, as many times the work (0: MC-dropout; "
                "suggestive_annotation 4)")
      ->capture_default_str();
  v->add_option("--pseudo-labels", o.pseudo_labels,
                "cls: also train on unlabelled images of a lower entropy than this (nats), with the network's own answer for "
                "the label, for one round only (0: ceal 0.005, others never)")
      ->capture_default_str();
  v->add_option("--pseudo-decay", o.pseudo_decay, "What that entropy falls by each round")->capture_default_str();
  v->add_option("--patience", o.patience, "Stop a curve after so many rounds without validation gain (0: never)")
      ->capture_default_str();
  v->add_flag("--continue-weights", o.keep_weights,
              "Continue training from the last round's weights (default: from scratch)");
}

bool parse_command_line(int argc, char** argv, Options& o, int& exit_code) {
  CLI::App app{
      "Querent: active learning on chest X-rays, on a neural-network engine of its own.\n"
      "Research software; not a medical device.\n"};
  app.name("querent");
  app.set_version_flag("--version", std::string("querent ") + version);
  app.set_config("-c,--config", "", "Read flags from a TOML file; flags on the command line win");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Start with:  querent demo\nHelp of a verb:  querent run --help");
  app.get_formatter()->column_width(28);

  auto* demo =
      app.add_subcommand("demo", "The whole loop on built-in phantom X-rays, in under three minutes, with a report");
  common_flags(demo, o), task_flags(demo, o);
  out_flag(demo, o, "Folder to write", "querent-demo");

  auto* run =
      app.add_subcommand("run", "Active learning: compare strategies on your labelled data (a simulated annotator)");
  common_flags(run, o), data_flags(run, o), task_flags(run, o), split_flags(run, o), model_flags(run, o);
  memory_flags(run, o), learning_flags(run, o), cost_flags(run, o);
  out_flag(run, o, "Folder to write", "querent-run");
  resume_flags(run, o);
  run->footer(
      "Example:\n  querent run --data labels.csv --task seg --size 128 --strategy random,bald,kendall_gal --seeds 3");

  auto* train = app.add_subcommand("train", "Train one model on all training labels");
  common_flags(train, o), data_flags(train, o), task_flags(train, o), split_flags(train, o), model_flags(train, o);
  memory_flags(train, o);
  train->add_option("--steps", o.steps, "Optimizer steps (0: seg 900, cls 1200)")->capture_default_str();
  train->add_option("--weights", o.weights, "Start from these safetensors weights");
  out_flag(train, o, "Folder to write", "querent-train");
  resume_flags(train, o);

  add_experiment_verbs(app, o);

  auto* eval = app.add_subcommand("eval", "Measure a trained model on any data set");
  common_flags(eval, o), data_flags(eval, o);
  eval->add_option("--weights", o.weights, "A safetensors file written by 'train' or 'run'")->required();
  out_flag(eval, o, "Also write metrics.json and per-case results.csv here", nullptr);

  auto* predict = app.add_subcommand("predict", "Masks, probabilities and uncertainty maps for new images");
  common_flags(predict, o);
  predict->add_option("--data,input", o.data, "An image, or a data set as in 'run --data'")->required();
  predict->add_option("--weights", o.weights, "A safetensors file written by 'train' or 'run'")->required();
  predict->add_flag("--uncertainty", o.uncertainty, "Also epistemic and aleatoric maps by MC-dropout");
  predict->add_option("--mc", o.mc, "MC-dropout passes T (0: 20)")->capture_default_str();
  out_flag(predict, o, "Folder to write", "querent-predict");

  auto* report = app.add_subcommand("report", "Write the HTML report of a run or an experiment again");
  common_flags(report, o);
  report->add_option("run,--out,-o", o.out, "The folder given to 'run' or 'experiment' as --out")->required();

  add_advise_verb(app, o);

  auto* doctor = app.add_subcommand("doctor", "What this machine offers, and whether every op computes right on it");
  common_flags(doctor, o);

  auto* explain =
      app.add_subcommand("explain", "Teach: a model layer by layer, a strategy or a metric with its formula");
  common_flags(explain, o), model_flags(explain, o);
  explain->add_option("subject", o.subject, "unet | resnet18 | vgg16 | vgg16_bn | strategies | STRATEGY | metrics")
      ->required();
  explain->add_option("--size", o.size, "Image size (default: 224 for classifiers, 256 for unet)");

  auto* data = app.add_subcommand("data", "Check a data set, or make one");
  data->require_subcommand(1);
  auto* check =
      data->add_subcommand("check", "Find what would spoil a training: leaks, duplicates, broken files, odd masks");
  common_flags(check, o), data_flags(check, o), task_flags(check, o), split_flags(check, o);
  auto* phantom = data->add_subcommand("phantom", "Write a data set of simulated chest X-rays with masks");
  common_flags(phantom, o);
  phantom->add_option("--count", o.count, "How many images")->required()->check(CLI::Range(1, 1000000));
  phantom->add_option("--size", o.size, "Side in pixels")->check(CLI::Range(16, 2048))->capture_default_str();
  phantom->add_flag("--force", o.force, "Write over a data set that is there");
  out_flag(phantom, o, "Folder to write", "phantom");

  add_synth_verbs(app, o);

  if (argc <= 1) {
    std::cout << app.help();
    exit_code = 0;
    return false;
  }
  o.size = o.paper.variants = 0;  // 0 until given, so that verbs can tell
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exit_code = app.exit(e) == 0 ? 0 : 2;
    return false;
  }
  for (const CLI::App* v = app.get_subcommands().at(0); v;
       v = v->get_subcommands().empty() ? nullptr : v->get_subcommands().at(0)) {
    o.verb += (o.verb.empty() ? "" : " ") + v->get_name();
  }
  for (int i = 0; i < argc; ++i) o.command_line += (i ? " " : "") + std::string(i ? argv[i] : "querent");
  return true;
}

}  // namespace querent::app
