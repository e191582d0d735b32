#include "app/progress.h"

#include <cmath>
#include <cstdio>

#include "app/setup.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/run.h"

namespace querent::app {
namespace {

std::string fixed(double v, int digits = 4) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

}  // namespace

RunProgress::RunProgress(const Options& o, std::string metric)
    : metric_(std::move(metric)), terminal_(o.quiet || o.json, o.no_color), start_(std::chrono::steady_clock::now()) {}

std::string describe(const al::ExperimentConfig& config, const data::Dataset& dataset) {
  return text("{} · {} · {} images of {} patients · {} train, {} val, {} test (by patient) · {} threads", config.task,
              config.model, dataset.cases.size(), count_patients(dataset), data::cases_of(dataset, "train").size(),
              data::cases_of(dataset, "val").size(), data::cases_of(dataset, "test").size(), threads());
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
      terminal_.progress(p.unit, p.done, p.total, (std::isnan(p.loss) ? "" : "loss " + fixed(p.loss, 3)) + time_left(p));
      break;
    case al::Progress::scoring:
      terminal_.progress(p.unit + ", scoring", p.done, p.total, time_left(p));
      break;
    case al::Progress::unit_end: {
      if (first_unit_ < 0) break;  // finished by an earlier run
      const auto validation = p.point->val_metrics.find(metric_);
      terminal_.line(text("[{}/{}] {}: {} {}{}, {} s{}{}", p.unit_index + 1, p.units, p.unit, metric_,
                          fixed(p.point->metrics.at(metric_)),
                          validation == p.point->val_metrics.end() ? "" : text(" (validation {})", fixed(validation->second)),
                          fixed(p.point->seconds, 1), p.point->stall_share > 0 ? text(" (training: {})", stall_text(p.point->stall_share)) : "", time_left(p)));
      break;
    }
  }
}

void RunProgress::end() { terminal_.end(); }

}  // namespace querent::app
