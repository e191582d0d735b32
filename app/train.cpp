// querent train: one model on all training labels.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/evaluation.h"
#include "al/learner.h"
#include "al/run_folder.h"
#include "app/model_file.h"
#include "app/options.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/terminal.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/rng.h"

namespace querent::app {
namespace fs = std::filesystem;

int train(const Options& options) {
  Options o = with_defaults(options);
  if (options.steps == 0) o.steps = o.task == "seg" ? 900 : 1200;
  if (o.out.empty()) o.out = "querent-train";
  const std::string best = o.out + "/weights/best.safetensors", checkpoint = o.out + "/checkpoint.safetensors";
  if (o.force) discard(o.out);
  check(!fs::exists(best), "train: '{}' is already trained; use --force to start again or another --out", o.out);
  const data::Dataset dataset = open_and_split(o);
  fit_batch(o, dataset);
  const std::vector<int64_t> train_cases = data::cases_of(dataset, "train"), val = data::cases_of(dataset, "val"),
                             test = data::cases_of(dataset, "test");
  const al::ExperimentConfig config = experiment_config(o);
  data::Loader loader(dataset, al::loader_options(config));
  for (const auto* part : {&train_cases, &val, &test}) loader.preload(*part);
  loader.set_normalization(loader.measure(train_cases));
  al::Learner learner(model_options(o, dataset), mix_key(o.seed, hash_name("weights")));
  if (!o.weights.empty()) load_weights(learner.model(), learner.params(), o.weights, true);
  make_folder(o.out + "/weights");
  const FolderLock lock(o.out);
  al::keep_plans(o.out);

  Terminal terminal(o.quiet || o.json, o.no_color);
  terminal.line(text("{} on {} images of {} patients, {} steps of {}", o.model, train_cases.size(),
                     count_patients(dataset), o.steps, o.batch));
  al::TrainOptions t{.steps = o.steps, .batch = o.batch, .lr = o.lr, .weight_decay = o.weight_decay};
  t.key = mix_key(o.seed, hash_name("full"));
  t.checkpoint = checkpoint;
  t.recompute = o.recompute;
  t.identity = config.json() + o.weights;
  al::TrainHooks hooks;
  const auto epoch_length = static_cast<int64_t>(train_cases.size());
  double sum = 0;
  int64_t summed = 0;
  hooks.step = [&](int64_t step, double loss) {
    terminal.progress("training", step, o.steps, text("loss {}", loss));
    sum += loss, ++summed;
    if (step * o.batch / epoch_length == (step - 1) * o.batch / epoch_length && step < o.steps) return;
    if (!terminal.moving())
      terminal.line(text("epoch {}, step {} of {}: mean loss {}", step * o.batch / epoch_length, step, o.steps, sum / static_cast<double>(summed)));
    sum = 0, summed = 0;
  };
  hooks.stop = [&] { return should_stop(o.out); };
  if (!learner.train(loader, train_cases, t, hooks)) {
    terminal.end();
    std::fprintf(stderr, "stopped; the same command continues from %s\n", checkpoint.c_str());
    return 130;
  }
  terminal.end();
  const data::LoopTime& time = learner.training_time();
  terminal.line(text("trained in {}, {}", clock_text(time.seconds), stall_text(time.stall_share())));
  learner.save(best, model_metadata(o, dataset, loader, static_cast<int64_t>(train_cases.size())));
  discard(checkpoint);

  nlohmann::json result = {{"weights", best}, {"labelled", train_cases.size()}};
  result["seconds"] = time.seconds, result["stall_share"] = time.stall_share();
  if (!val.empty()) result["val_metrics"] = al::evaluate(learner, loader, val);
  const al::Metrics metrics = test.empty() ? al::Metrics{} : al::evaluate(learner, loader, test);
  if (!test.empty()) result["metrics"] = metrics;
  al::add_process_and_plans(result);
  write_atomically(o.out + "/results.json", dump_json(result, 2) + "\n");
  if (o.json) {
    std::printf("%s\n", dump_json(result, 2).c_str());
  } else if (!o.quiet) {
    for (const auto& [name, value] : metrics) std::printf("  %-16s %.4f\n", name.c_str(), value);
    std::printf("next: querent predict IMAGE --weights %s --uncertainty\n", best.c_str());
  }
  return 0;
}

}  // namespace querent::app
