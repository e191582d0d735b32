// querent experiment tajbakhsh2016: the two tasks, the run, its table and its page.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "al/tajbakhsh2016/experiment.h"
#include "al/tajbakhsh2016/films.h"
#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_sections.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/svg.h"
#include "data/layouts.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_tajbakhsh = uint64_t{64} << 20;

// The source task: the classes asked for, or those of the same data that the target does not use.
data::Dataset open_source(const Options& o, const data::Dataset& target) {
  const al::TajbakhshConfig& c = o.tajbakhsh;
  const bool same_data = c.source.empty();
  data::Dataset d = same_data ? data::open_dataset(o.data, {.name = o.layout}) : data::open_dataset(c.source);
  data::Filters f, of_target;
  f.classes = c.source_classes;
  for (const std::string& rule : c.source_merge) data::add_merge(f, rule);
  if (same_data && f.classes.empty()) {
    for (const std::string& rule : o.merge) data::add_merge(of_target, rule);
    f.exclude = o.exclude;
    for (const std::string& name : target.classes) {
      const auto merged = of_target.merge.find(name);
      if (merged == of_target.merge.end()) f.exclude.push_back(name);
      if (merged != of_target.merge.end())
        f.exclude.insert(f.exclude.end(), merged->second.begin(), merged->second.end());
    }
    const auto left = std::ranges::count_if(
        d.classes, [&](const std::string& name) { return std::ranges::count(f.exclude, name) == 0; });
    check(left >= 2,
          "tajbakhsh2016: a source task needs two classes that the target does not use, and there are {}; name the "
          "target's with --classes, or give --source-classes, --source or --weights",
          left);
  }
  data::apply_filters(d, f);
  return d;
}

std::string depth_name(const json& arm) {
  if (arm.at("arm") == "scratch") return "from scratch";
  const auto k = arm.at("depth").get<int64_t>();
  return k == 0 ? "all layers tuned" : k == 1 ? "output layer tuned" : text("last {} layers tuned", k);
}
std::string share_title(const json& cell, const char* space) {
  return text("{}{}%", 100 * cell.at("share").get<double>(), space);
}

std::string tuning(int64_t depth) {
  return depth == 0   ? "tuning all layers"
         : depth == 1 ? "tuning the output layer"
                      : text("tuning the last {} layers", depth);
}

// One sentence for each share.
std::vector<std::string> verdict_lines(const json& results) {
  std::vector<std::string> all;
  for (const json& v : results.at("verdict")) {
    const std::string winner = v.at("winner"), how = tuning(v.at("depth"));
    const std::string said = winner == "tuned" ? how + " beats training from scratch"
                             : winner == "scratch"
                                 ? "training from scratch beats " + how
                                 : "no significant difference between " + how + " and training from scratch";
    all.push_back(text("{} of the films ({}): {}, AUC {} against {}, {} ({} to {})", share_title(v, " "),
                       v.at("films").get<int64_t>(), said, fixed(v.at("tuned"), 3), fixed(v.at("scratch"), 3),
                       signed_fixed(v.at("difference"), 3), signed_fixed(v.at("low"), 3),
                       signed_fixed(v.at("high"), 3)));
  }
  return all;
}

void print_by_depth(const json& results) {
  std::printf("\n%-22s", "AUC (- scratch)");
  for (const json& cell : results.at("arms").at(0).at("cells"))
    std::printf(" %18s", text("{}, {} films", share_title(cell, " "), cell.at("films").get<int64_t>()).c_str());
  for (const json& arm : results.at("arms")) {
    std::printf("\n%-22s", depth_name(arm).c_str());
    for (const json& cell : arm.at("cells")) {
      std::string s = fixed(cell.at("mean"), 3);
      if (cell.contains("difference")) s += text(" ({})", signed_fixed(cell.at("difference"), 3));
      std::printf(" %*s", 18 + (s.find("−") != s.npos ? 2 : 0), s.c_str());  // a minus sign has three bytes
    }
  }
  std::printf("\n\n");
  for (const std::string& line : verdict_lines(results)) std::printf("%s\n", line.c_str());
}

std::string depth_table(const json& results) {
  std::string head, body;
  for (const json& cell : results.at("arms").at(0).at("cells"))
    head += text("<th>{}<small>{} films</small></th>", share_title(cell, "&nbsp;"), cell.at("films").get<int64_t>());
  for (const json& arm : results.at("arms")) {
    body += text("<tr><th>{}</th>", depth_name(arm));
    for (const json& cell : arm.at("cells")) {
      std::string small;
      for (const json& auc : cell.at("auc")) small += (small.empty() ? "" : ", ") + fixed(auc, 3);
      if (cell.contains("difference"))
        small = text("{} ({} to {})", signed_fixed(cell.at("difference"), 3),
                     signed_fixed(cell.at("difference_low"), 3), signed_fixed(cell.at("difference_high"), 3));
      body += text("<td>{}<small>{}</small></td>", fixed(cell.at("mean"), 3), small);
    }
    body += "</tr>";
  }
  return text("<div class=\"scroll\"><table><thead><tr><th>arm</th>{}</tr></thead><tbody>{}</tbody></table></div>",
              head, body);
}

std::string share_chart(const json& results) {
  std::vector<ChartSeries> series;
  std::string legend = "<ul class=\"legend\">";
  for (const json& arm : results.at("arms")) {
    const bool scratch = arm.at("arm") == "scratch";
    const int color = scratch ? ink_color : static_cast<int>(series.size()) - 1;
    ChartSeries line{.name = depth_name(arm), .color = color, .points = {}};
    for (const json& cell : arm.at("cells")) {
      const auto values = cell.at("auc").get<std::vector<double>>();
      const auto [low, high] = std::ranges::minmax(values);
      line.points.push_back(
          {cell.at("films"), cell.at("mean"), scratch ? low : cell.at("mean").get<double>(),
           scratch ? high : cell.at("mean").get<double>(),
           text("{}: AUC {} with {} films", line.name, fixed(cell.at("mean"), 3), cell.at("films").get<int64_t>())});
    }
    legend += text("<li>{}{}</li>", legend_key(color), line.name);
    series.push_back(std::move(line));
  }
  ChartOptions o{.x_title = "films to learn from", .description = "AUC of each arm", .levels = {}};
  o.name_lines = false;
  o.ceiling = 1;
  return text(
      "<figure class=\"card hero\"><figcaption>AUC <span>band: range of the seeds from scratch</span>"
      "</figcaption>{}</ul>{}</figure>",
      legend, line_chart(series, o));
}

// AUC against the number of tuned layers, a line for each share.
std::string depth_chart(const json& results) {
  std::vector<ChartSeries> series;
  std::string legend = "<ul class=\"legend\">";
  ChartOptions o{.x_title = "layers tuned, counted from the output", .description = "AUC of each depth", .levels = {}};
  o.name_lines = false, o.linear_x = true, o.ceiling = 1;
  const json& arms = results.at("arms");
  for (size_t i = 0; i < arms.size(); ++i) {
    const auto k = arms[i].at("depth").get<int64_t>();
    o.x_ticks.emplace_back(static_cast<double>(i), arms[i].at("arm") == "scratch" ? "scratch"
                                                   : k == 0                       ? "all"
                                                                                  : text("{}", k));
  }
  for (size_t s = 0; s < arms.at(0).at("cells").size(); ++s) {
    ChartSeries line{.name = share_title(arms.at(0).at("cells")[s], " "), .color = static_cast<int>(s), .points = {}};
    for (size_t i = 0; i < arms.size(); ++i) {
      const json& cell = arms[i].at("cells")[s];
      const double mean = cell.at("mean");
      line.points.push_back({static_cast<double>(i), mean, mean, mean,
                             text("{}, {}: AUC {}", depth_name(arms[i]), line.name, fixed(mean, 3))});
    }
    legend += text("<li>{}{}</li>", legend_key(line.color), line.name);
    series.push_back(std::move(line));
  }
  return text(
      "<figure class=\"card hero\"><figcaption>AUC by depth <span>a line for each share of the films</span>"
      "</figcaption>{}</ul>{}</figure>",
      legend, line_chart(series, o));
}

std::string class_list(const json& classes) {
  std::string list;
  for (const json& name : classes) list += (list.empty() ? "" : ", ") + name.get<std::string>();
  return list;
}

std::string source_text(const json& results) {
  const json& source = results.at("source");
  if (source.is_null()) return "The networks begin from a weight file.";
  std::string aucs;
  for (const json& auc : source.at("auc")) aucs += (aucs.empty() ? "" : ", ") + fixed(auc, 3);
  return text("The source networks told apart {} with AUC {} after {} films of other patients.",
              escape(class_list(source.at("classes"))), aucs, source.at("films").get<int64_t>());
}

}  // namespace

std::string write_tajbakhsh2016_report(const std::string& folder, const std::string& command) {
  const json results = parse_json(read_file(folder + "/tajbakhsh2016.json", largest_tajbakhsh));
  check(results.is_object() && results.contains("verdict"),
        "report: '{}/tajbakhsh2016.json' is damaged; run the command again", folder);
  std::string verdict;
  for (const std::string& line : verdict_lines(results)) verdict += text("<li>{}</li>", escape(line));
  std::string html =
      "<header><p class=\"eyebrow\">Querent report <span>transfer</span></p><h1>Training from scratch or fine-tuning?"
      "</h1></header>";
  html += section("verdict", "Verdict",
                  text("For each share the depth that validation prefers, against training from scratch; in brackets "
                       "a bootstrap interval over patients, 95&nbsp;% for all shares together. {}",
                       source_text(results)),
                  text("<ul>{}</ul>", verdict));
  html += section("table", "Every depth",
                  text("AUC on {} test films, mean of {} seeds; below it each seed, or the difference to training from "
                       "scratch with its 95&nbsp;% interval over patients, for this cell alone.",
                       results.at("test").get<int64_t>(), results.at("seeds").size()),
                  depth_table(results));
  html += section("curves", "Curves", "", share_chart(results) + depth_chart(results));
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(command)));
  PageOptions o;
  o.links = {{"verdict", "Verdict"}, {"table", "Table"}, {"curves", "Curves"}, {"reproduction", "Reproduction"}};
  o.made_from = "tajbakhsh2016.json of this run";
  make_folder(folder + "/report");
  write_atomically(folder + "/report/tajbakhsh2016.html", page("Tajbakhsh et al. 2016 – Querent report", html, o));
  return folder + "/report/tajbakhsh2016.html";
}

int experiment_tajbakhsh2016(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-tajbakhsh2016";
  o.task = "cls";
  al::TajbakhshConfig config = o.tajbakhsh;
  config.augment = !o.no_augment;
  config.val_fraction = o.val_fraction, config.test_fraction = o.test_fraction;
  if (o.seeds > 0) config.seeds = o.seeds;
  config.seed = o.seed;
  config.data = o.data;
  data::Dataset target = open_and_split(o), source;
  if (config.weights.empty()) {
    source = open_source(o, target);
    al::deal_patients(target, source, config.source_share, o.seed);
    data::split_dataset(source, {.val = 0, .test = o.test_fraction, .seed = o.seed});
  }
  if (o.force) discard(o.out);
  RunProgress screen(o, "auc");
  screen.line(text("{}: {} train, {} val, {} test films of {} patients · source: {}", class_list(target.classes),
                   data::cases_of(target, "train").size(), data::cases_of(target, "val").size(),
                   data::cases_of(target, "test").size(), count_patients(target),
                   config.weights.empty() ? text("{}, {} films of {} other patients", class_list(source.classes),
                                                 source.cases.size(), count_patients(source))
                                          : config.weights));
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_tajbakhsh2016(config, target, source, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_tajbakhsh2016_report(o.out, o.command_line);
  return show_results(o, o.out + "/tajbakhsh2016.json", page, print_by_depth);
}

}  // namespace querent::app
