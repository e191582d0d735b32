// querent experiment paper: the profile's defaults, the run, the tables.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/evaluation.h"
#include "al/paper/arms.h"
#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/setup.h"
#include "app/stop.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

// What the flags leave open: "cpu" is sized so that 1,000 films and 3 seeds take about 90 minutes of one core (cls);
// "paper" is the paper as recalled, with T = 50 and 20 seeds.
Options with_profile(Options o) {
  const bool seg = o.task == "seg", full = o.paper.profile == "paper";
  if (o.size == 0) o.size = full ? 512 : 128;
  if (o.seeds == 0) o.seeds = full ? 20 : 3;
  if (o.width == 0 && full) o.width = 64;
  if (o.dropout < 0 && o.model.starts_with("vgg")) o.dropout = 0.5;
  if (o.steps == 0) o.steps = full ? 2000 : 400;
  if (o.mc == 0) o.mc = full ? 50 : seg ? 10 : 20;
  if (o.pool_limit == 0) o.pool_limit = full ? -1 : seg ? 48 : 128;
  if (o.paper.variants == 0) o.paper.variants = full ? 200 : 4;
  return with_defaults(o);
}

al::PaperConfig paper_config(const Options& o) {
  al::PaperConfig c = o.paper;
  c.run = experiment_config(o);
  c.run.from_scratch = o.paper.run.from_scratch;
  return c;
}

// Pads by characters as a terminal counts them: "±" and "–" are one.
std::string padded(const std::string& s, size_t width) {
  const auto columns =
      static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  return s + std::string(columns < width ? width - columns : 0, ' ');
}
std::string interval(const json& cell, int digits) {
  if (cell.at("n") == 0) return "";
  return text("({}–{})", fixed(cell.at("low").get<double>(), digits), fixed(cell.at("high").get<double>(), digits));
}
std::string mean(const json& cell, int digits) {
  return cell.at("n") == 0 ? "–" : fixed(cell.at("mean").get<double>(), digits);
}

void print_tables(const json& r) {
  constexpr size_t first = 24, wide = 17;
  const auto line = [](const std::string& label, const std::vector<std::string>& cells) {
    std::string all = padded(label, first);
    for (const std::string& c : cells) all += padded(c, wide);
    std::printf("%s\n", all.substr(0, all.find_last_not_of(' ') + 1).c_str());
  };
  std::vector<std::string> columns;
  for (const json& c : r.at("table").at(0).at("cells")) columns.push_back(c.at("column"));
  std::printf("\nmean of %zu seeds (95 %% interval); the first columns are the method\n", r.at("seeds").size());
  line("", columns);
  for (const json& row : r.at("table")) {
    const int digits = metric_digits(row.at("metric").get<std::string>());
    std::vector<std::string> means, intervals;
    for (const json& c : row.at("cells")) means.push_back(mean(c, digits)), intervals.push_back(interval(c, digits));
    line(metric_title(row.at("metric").get<std::string>()), means);
    line("", intervals);
  }
  const int digits = metric_digits(r.at("primary_metric").get<std::string>());
  std::printf("\n%s by arm\n", metric_title(r.at("primary_metric").get<std::string>()).c_str());
  for (const json& row : r.at("by_arm")) {
    std::vector<std::string> cells;
    for (const json& c : row.at("cells"))
      cells.push_back(text("{} %: {}", 100 * c.at("fraction").get<double>(), mean(c, digits)));
    line("  " + row.at("arm").get<std::string>(), cells);
  }
  for (const json& c : r.at("comparisons")) {
    std::printf("  %g %%: %s - %s = %s (%s to %s), p %s, Holm %s\n", 100 * c.at("fraction").get<double>(),
                c.at("a").get<std::string>().c_str(), c.at("b").get<std::string>().c_str(),
                signed_fixed(c.at("difference"), digits).c_str(), signed_fixed(c.at("low"), digits).c_str(),
                signed_fixed(c.at("high"), digits).c_str(), fixed(c.at("p"), 3).c_str(),
                fixed(c.at("p_holm"), 3).c_str());
  }
  for (const std::string& sentence : paper_summary(r)) std::printf("%s\n", sentence.c_str());
  for (const json& n : r.at("notes")) std::printf("note: %s\n", n.get<std::string>().c_str());
}

}  // namespace

int experiment_paper(const Options& options) {
  Options o = with_profile(options);
  if (o.out.empty()) o.out = "querent-paper";
  const data::Dataset dataset = open_and_split(o);
  fit_batch(o, dataset);
  const al::PaperConfig config = paper_config(o);
  if (o.force) discard(o.out);
  RunProgress screen(o, al::primary_metric(config.run.task));
  screen.line(describe(config.run, dataset));
  screen.line(text("profile {} · films by {}, {} variants · {} seeds · {} steps a round", config.profile, config.films,
                   config.variants, config.run.seeds, config.run.steps));
  for (const al::Ablation& a : al::ablations()) {
    if (a.of_network && config.films != "gan" && std::ranges::count(config.ablations, "all") > 0)
      screen.line(text("ablation {} is left out: it changes the network that makes films, and there is none", a.name));
  }
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_paper(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_paper_report(o.out);
  return show_results(o, o.out + "/paper.json", page, print_tables);
}

}  // namespace querent::app
