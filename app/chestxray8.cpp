// querent experiment chestxray8: the run and its table.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "al/chestxray8.h"
#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/setup.h"
#include "app/stop.h"
#include "data/split.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

std::string figure(const json& v, int digits) { return v.is_null() ? "-" : fixed(v.get<double>(), digits); }

void print_table(const json& results) {
  std::printf("\n%-24s", "AUC");
  for (const json& f : results.at("findings")) std::printf(" %16s", f.get<std::string>().c_str());
  std::printf(" %16s\n", "mean");
  for (const json& p : results.at("poolings")) {
    std::printf("  %-22s", p.at("pooling").get<std::string>().c_str());
    for (const json& f : results.at("findings"))
      std::printf(" %16s", figure(p.at("auc").at(f.get<std::string>()), 3).c_str());
    std::printf(" %16s\n", figure(p.at("mean_auc"), 3).c_str());
  }
  std::printf("\nshare of true boxes hit (by the boxes of another film), false boxes a film\n");
  for (const json& p : results.at("poolings")) {
    for (const char* criterion : {"iobb", "iou"}) {
      std::string line;
      for (const json& row : p.at("boxes"))
        if (row.at("finding") == "all" && row.at("criterion") == criterion)
          line += text("  {}: {} ({}), {}", row.at("threshold").get<double>(), figure(row.at("accuracy"), 2),
                       figure(row.at("chance"), 2), figure(row.at("false_boxes"), 1));
      if (!line.empty())
        std::printf("  %-8s %-4s%s\n", p.at("pooling").get<std::string>().c_str(), criterion, line.c_str());
    }
  }
}

}  // namespace

int experiment_chestxray8(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-chestxray8";
  o.task = "cls";
  const data::Dataset dataset = open_and_split(o);
  al::ChestXray8Config config = o.chestxray8;
  config.augment = !o.no_augment;
  config.val_fraction = o.val_fraction, config.test_fraction = o.test_fraction;
  config.seed = o.seed;
  config.data = o.data;
  if (o.force) discard(o.out);
  RunProgress screen(o, "auc");
  screen.line(text("{} films of {} patients · {} train, {} val, {} test (by patient) · {} pixels, {} steps",
                   dataset.cases.size(), count_patients(dataset), data::cases_of(dataset, "train").size(),
                   data::cases_of(dataset, "val").size(), data::cases_of(dataset, "test").size(), config.size,
                   config.steps));
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_chestxray8(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_chestxray8_report(o.out, o.command_line);
  return show_results(o, o.out + "/chestxray8.json", page, print_table);
}

}  // namespace querent::app
