// querent experiment pathak2016: the run, its table and its page.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "al/pathak2016.h"
#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/setup.h"
#include "app/stop.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_pathak = uint64_t{64} << 20;

std::string filling_name(const std::string& method) {
  static const std::map<std::string, std::string> names = {{"mean", "mean film"},
                                                           {"border", "smooth from the border"},
                                                           {"nearest", "nearest training film"},
                                                           {"l2", "context encoder, L2"},
                                                           {"joint", "context encoder, L2 + adversarial"}};
  return names.at(method);
}

void print_fillings(const json& results) {
  std::printf("\n%-36s %8s %8s %8s   %s\n", "pixels of the hole", "L1", "L2", "PSNR",
              text("L2 - {} (95 %)", filling_name(results.at("best_baseline"))).c_str());
  for (const json& m : results.at("methods")) {
    const std::string difference = m.contains("difference")
                                       ? text("{} ({} to {})", signed_fixed(m.at("difference"), 4),
                                              signed_fixed(m.at("low"), 4), signed_fixed(m.at("high"), 4))
                                       : "";
    std::printf("%-36s %8.4f %8.4f %8.2f   %s\n", filling_name(m.at("method")).c_str(), m.at("l1").get<double>(),
                m.at("l2").get<double>(), m.at("psnr").get<double>(), difference.c_str());
  }
}

std::string filling_table(const json& results) {
  std::string body;
  for (const json& m : results.at("methods")) {
    std::string seeds;
    for (const json& s : m.at("seeds")) seeds += (seeds.empty() ? "" : ", ") + fixed(s.at("l2"), 4);
    body += text("<tr><th>{}</th><td>{}</td><td>{}<small>{}</small></td><td>{}</td><td>{}</td></tr>",
                 filling_name(m.at("method")), fixed(m.at("l1"), 4), fixed(m.at("l2"), 4),
                 m.at("seeds").size() > 1 ? seeds : "", fixed(m.at("psnr"), 2),
                 m.contains("difference") ? text("{}<small>{} to {}</small>", signed_fixed(m.at("difference"), 4),
                                                 signed_fixed(m.at("low"), 4), signed_fixed(m.at("high"), 4))
                                          : "");
  }
  return text(
      "<div class=\"scroll\"><table><thead><tr><th>hole filled by</th><th>L1</th><th>L2<small>each seed</small></th>"
      "<th>PSNR, dB</th><th>L2 − {}</th></tr></thead><tbody>{}</tbody></table></div>",
      filling_name(results.at("best_baseline")), body);
}

std::string fillings(const std::string& folder, const json& results) {
  std::string html;
  const auto strip = [&](const std::string& file, const std::string& name) {
    if (!std::filesystem::exists(folder + "/" + file)) return;  // --gallery 0
    html += text("<div class=\"case\"><img class=\"picture\" alt=\"\" src=\"data:image/png;base64,{}\"><p>{}</p></div>",
                 base64(read_file(folder + "/" + file, largest_pathak)), name);
  };
  strip("gallery/hole.png", "seen");
  for (const json& m : results.at("methods")) strip(m.at("picture"), filling_name(m.at("method")));
  strip("gallery/film.png", "the film");
  return html.empty() ? "<p class=\"missing\">None were asked for.</p>" : "<div class=\"worst\">" + html + "</div>";
}

}  // namespace

std::string write_pathak2016_report(const std::string& folder, const std::string& command) {
  const json results = parse_json(read_file(folder + "/pathak2016.json", largest_pathak));
  check(results.is_object() && results.contains("best_baseline"),
        "report: '{}/pathak2016.json' is damaged; run the command again", folder);
  std::string html =
      "<header><p class=\"eyebrow\">Querent report <span>context encoder</span></p><h1>What is missing in the middle "
      "of "
      "a film</h1></header>";
  html += section(
      "table", "Errors",
      text("In a hole of {} x {} pixels in the middle of films of {} x {}, greys from 0 to 1, mean of {} test films "
           "that nobody learnt from ({} training films). The last column is the difference to the best of the simple "
           "ways, with its 95&nbsp;% interval over patients.",
           results.at("hole").get<int64_t>(), results.at("hole").get<int64_t>(), results.at("size").get<int64_t>(),
           results.at("size").get<int64_t>(), results.at("test").get<int64_t>(), results.at("train").get<int64_t>()),
      filling_table(results));
  html += section("films", "Films", "The first test films, not chosen; networks of the first seed.",
                  fillings(folder, results));
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(command)));
  PageOptions o;
  o.links = {{"table", "Errors"}, {"films", "Films"}, {"reproduction", "Reproduction"}};
  o.made_from = "pathak2016.json and the pictures of this run";
  make_folder(folder + "/report");
  write_atomically(folder + "/report/pathak2016.html", page("Pathak et al. 2016 – Querent report", html, o));
  return folder + "/report/pathak2016.html";
}

int experiment_pathak2016(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-pathak2016";
  data::Dataset dataset = open_filtered(o);
  data::split_dataset(dataset, {.val = o.val_fraction, .test = o.test_fraction, .seed = o.seed});
  al::PathakConfig config = o.pathak;
  config.augment = !o.no_augment;
  config.val_fraction = o.val_fraction, config.test_fraction = o.test_fraction;
  if (o.seeds > 0) config.seeds = o.seeds;
  config.seed = o.seed;
  config.data = o.data;
  if (o.force) discard(o.out);
  RunProgress screen(o, "l2");
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_pathak2016(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_pathak2016_report(o.out, o.command_line);
  return show_results(o, o.out + "/pathak2016.json", page, print_fillings);
}

}  // namespace querent::app
