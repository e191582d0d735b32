// querent run and querent demo: compare strategies, write everything down, make the report.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "al/evaluation.h"
#include "al/experiment.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_verdict.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/version.h"
#include "data/phantom.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/run.h"

namespace querent::app {
namespace {

namespace fs = std::filesystem;

void print_summary(const std::string& out, uint64_t seed) {
  const nlohmann::json r = parse_json(read_file(out + "/results.json", uint64_t{256} << 20));
  const std::string metric = r.at("primary_metric");
  const double full = r.at("full_data").at(metric);
  std::printf("\nall %ld labels: %s %.4f\n", r.at("data").at("train").get<long>(), metric.c_str(), full);
  std::map<std::string, std::map<int64_t, std::vector<double>>> values;
  for (const auto& curve : r.at("curves")) {
    for (const auto& p : curve.at("points")) {
      values[curve.at("strategy")][p.at("labelled")].push_back(p.at("metrics").at(metric));
    }
  }
  for (const auto& [strategy, points] : values) {
    std::printf("  %-22s", strategy.c_str());
    for (const auto& [labelled, v] : points) {
      double sum = 0;
      for (const double x : v) sum += x;
      std::printf("  %ld: %.4f", static_cast<long>(labelled), sum / static_cast<double>(v.size()));
    }
    std::printf("\n");
  }
  const Results results = read_results(out);
  std::printf("%s\n", verdict(results, analyse(results)).headline.c_str());
  std::printf("next: querent predict IMAGE --weights %s/weights/full_s%ld.safetensors --uncertainty\n", out.c_str(),
              static_cast<long>(seed));
  std::printf("      querent advise %s    (is it worth labelling more?)\n", out.c_str());
  std::printf("report: %s/report/index.html\n", out.c_str());
}

// Runs the experiment with bars on the screen; returns the exit code.
int run_with_progress(Options o, const data::Dataset& dataset) {
  fit_batch(o, dataset);
  if (o.force) discard(o.out);
  const al::ExperimentConfig config = experiment_config(o);
  RunProgress screen(o, al::primary_metric(config.task));
  std::string strategies;
  for (const std::string& s : config.strategies) strategies += (strategies.empty() ? "" : ", ") + s;
  screen.line(describe(config, dataset));
  screen.line(text("strategies {} · {} seeds · {} to {} labels · {} steps a round", strategies, config.seeds, config.start,
                   config.budget, config.steps));
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_experiment(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  write_report(o.out);
  if (o.json) {
    std::printf("%s", read_file(o.out + "/results.json", size_t{256} << 20).c_str());
  } else if (!o.quiet) {
    print_summary(o.out, config.seed);
  }
  return 0;
}

}  // namespace

int run_experiment(const Options& options) {
  Options o = with_defaults(options);
  if (o.out.empty()) o.out = "querent-run";
  if (o.strategies.empty()) o.strategies = {"random", "bald", "kendall_gal"};
  return run_with_progress(o, open_and_split(o));
}

int demo(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-demo";
  if (o.size == 0) o.size = 64;
  o.data = o.out + "/phantom";
  const int64_t count = 260;
  if (!fs::exists(o.data + "/labels.csv")) {
    if (!o.quiet && !o.json) std::printf("drawing %ld phantom chest X-rays of %ld x %ld pixels\n", static_cast<long>(count), static_cast<long>(o.size), static_cast<long>(o.size));
    write_phantom_dataset(o.data, count, o.size, o.seed);
  }
  o.data += "/labels.csv";
  o.strategies = {"random", "bald"};
  o.seeds = 2;
  o.width = o.task == "seg" ? 8 : 16;
  o.depth = 3;
  o.start = o.task == "seg" ? 4 : 8;
  o.budget = o.task == "seg" ? 32 : 64;
  o.steps = 60;
  o.batch = 8;
  o.mc = 8;
  o.pool_limit = 96;
  o = with_defaults(o);
  o.out += "/run";
  return run_with_progress(o, open_and_split(o));
}

}  // namespace querent::app
