#include "app/progress.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "al/evaluation.h"
#include "app/setup.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/run.h"

namespace querent::app {
namespace {

std::string fixed(double v, int digits = 4) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

}  // namespace

RunProgress::RunProgress(const Options& o, const al::ExperimentConfig& config, const data::Dataset& dataset)
    : config_(config), terminal_(o.quiet || o.json, o.no_color), start_(std::chrono::steady_clock::now()) {
  std::string strategies;
  for (const std::string& s : config.strategies) strategies += (strategies.empty() ? "" : ", ") + s;
  terminal_.line(text("{} · {} · {} images of {} patients · {} train, {} val, {} test (by patient) · {} threads", config.task,
                      config.model, dataset.cases.size(), count_patients(dataset), data::cases_of(dataset, "train").size(),
                      data::cases_of(dataset, "val").size(), data::cases_of(dataset, "test").size(), threads()));
  terminal_.line(text("strategies {} · {} seeds · {} to {} labels · {} steps a round", strategies, config.seeds, config.start,
                      config.budget, config.steps));
}

std::string RunProgress::time_left(const al::Progress& p) const {
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const auto done = static_cast<double>(p.unit_index - first_unit_);
  if (done < 1) return "";
  return "  " + clock_text(spent / done * static_cast<double>(p.units - p.unit_index)) + " left in all";
}

void RunProgress::show(const al::Progress& p) {
  switch (p.what) {
    case al::Progress::unit_begin:
      if (first_unit_ < 0) {
        first_unit_ = p.unit_index;
        if (p.unit_index > 0) terminal_.line(text("continuing: {} of {} units were done before", p.unit_index, p.units));
        start_ = std::chrono::steady_clock::now();
      }
      break;
    case al::Progress::step:
      terminal_.progress(p.unit, p.done, p.total, "loss " + fixed(p.loss, 3) + time_left(p));
      break;
    case al::Progress::scoring:
      terminal_.progress(p.unit + ", scoring", p.done, p.total, time_left(p));
      break;
    case al::Progress::unit_end: {
      if (first_unit_ < 0) break;  // finished by an earlier run
      const std::string metric = al::primary_metric(config_.task);
      terminal_.line(text("[{}/{}] {}: {} {} (validation {}), {} s{}", p.unit_index + 1, p.units, p.unit, metric,
                          fixed(p.point->metrics.at(metric)), fixed(p.point->val_metrics.at(metric)),
                          fixed(p.point->seconds, 1), time_left(p)));
      break;
    }
  }
}

void RunProgress::end() { terminal_.end(); }

void RunProgress::summary(const std::string& out) const {
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
  std::printf("next: querent predict IMAGE --weights %s/weights/full_s%ld.safetensors --uncertainty\n", out.c_str(),
              static_cast<long>(config_.seed));
  std::printf("report: %s/report/index.html\n", out.c_str());
}

}  // namespace querent::app
