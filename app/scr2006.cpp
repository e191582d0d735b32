// querent experiment scr2006: the films with their masks, the run, the table; the page is scr2006_page.cpp.
#include "al/scr2006/experiment.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

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

struct Films {
  std::vector<std::string> structures;
  std::vector<data::Dataset> of;  // of each structure: the films that have the masks of all of them
  size_t left_out = 0;
};
Films open_films(const Options& o) {
  const std::vector<std::string> known = {"lungs", "heart", "clavicles"};
  const bool given = !o.scr2006.structures.empty();
  Films films;
  for (const std::string& name : given ? o.scr2006.structures : known) {
    data::Dataset d = open_filtered(o, name);
    const bool any = std::ranges::any_of(d.cases, [](const data::Case& c) { return !c.mask.empty(); });
    check(any || !given,
          "scr2006: no film of '{}' has a mask of the {}; a CSV names them in the columns mask, heart_mask and "
          "clavicle_mask, SCR in its folders",
          o.data, name);
    if (!any) continue;
    films.structures.push_back(name);
    films.of.push_back(std::move(d));
  }
  check(!films.of.empty(),
        "scr2006: no film of '{}' has a mask; segmentation needs masks to learn from and to compare with", o.data);
  std::vector<data::Dataset> whole = films.of;
  for (data::Dataset& d : films.of) d.cases.clear();
  for (size_t i = 0; i < whole[0].cases.size(); ++i) {
    const bool all = std::ranges::all_of(whole, [&](const data::Dataset& d) { return !d.cases[i].mask.empty(); });
    films.left_out += !all;
    for (size_t s = 0; all && s < whole.size(); ++s) films.of[s].cases.push_back(std::move(whole[s].cases[i]));
  }
  const size_t n = films.of[0].cases.size();
  check(n >= 4, "scr2006: {} films have masks of all structures; at least 4 are needed{}", n,
        films.structures.size() > 1 ? ": name fewer with --structures" : "");
  return films;
}

void print_table(const json& r) {
  const bool jsrt = r.at("jsrt");
  std::printf("\n%-14s %-10s %8s %8s %8s %8s %8s %12s   %s\n", "method", "structure", "overlap", "sd", "min", "median",
              "max", ("contour " + r.at("distance_unit").get<std::string>()).c_str(),
              jsrt ? "published overlap" : "published overlap, of other films");
  for (const json& m : r.at("methods")) {
    for (const json& s : m.at("structures")) {
      const json &d = s.at("overlap"), &p = s.at("published");
      const auto cell = [&](const char* key) { return d.at(key).get<double>(); };
      std::printf(
          "%-14s %-10s %8.3f %8.3f %8.3f %8.3f %8.3f %12.2f   %s\n", m.at("method").get<std::string>().c_str(),
          s.at("structure").get<std::string>().c_str(), cell("mean"), cell("sd"), cell("min"), cell("median"),
          cell("max"), s.at("contour_distance").at("mean").get<double>(),
          p.is_null()
              ? "-"
              : text("{} ({})", fixed(p.at("mean").get<double>(), 3), fixed(p.at("sd").get<double>(), 3)).c_str());
    }
  }
}

}  // namespace

int experiment_scr2006(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-scr2006";
  al::Scr2006Config config = o.scr2006;
  if (o.size > 0) config.size = o.size;
  config.seed = o.seed;
  config.data = o.data;
  config.augment = !o.no_augment;
  config.allow_empty_masks = o.allow_empty_masks;
  const Films films = open_films(o);
  config.structures = films.structures;
  if (o.force) discard(o.out);
  RunProgress screen(o, "overlap");
  if (films.left_out) screen.line(text("{} films without masks of all structures are left out", films.left_out));
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_scr2006(config, films.of, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_scr2006_report(o.out, o.command_line);
  return show_results(o, o.out + "/scr2006.json", page, print_table);
}

}  // namespace querent::app
