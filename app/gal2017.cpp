// querent experiment gal2017: the run, the table beside the published numbers, the page.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "al/gal2017.h"
#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/svg.h"
#include "models/train.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_json = uint64_t{64} << 20;

std::string labels(const json& v) { return v.is_null() ? "–" : fixed(v.get<double>(), 0); }
std::string of_seeds(const json& row, const char* key) {
  std::string list;
  for (const json& s : row.at("seeds")) list += (list.empty() ? "" : ", ") + labels(s.at(key));
  return list;
}
std::string published(const json& row, const char* key) {
  return row.at("published").is_null() ? "–" : labels(row.at("published").at(key));
}

void print_table(const json& results) {
  std::printf("\n%-20s %28s %28s\n", "labels needed for", "10 % error (published)", "5 % error (published)");
  for (const json& row : results) {
    const auto cell = [&](const char* key) {
      return text("{} ({})", row.at(key).is_null() ? "-" : labels(row.at(key)), published(row, key));
    };
    std::printf("%-20s %28s %28s\n", row.at("method").get<std::string>().c_str(), cell("to_10_percent").c_str(),
                cell("to_5_percent").c_str());
  }
}

std::string table(const json& results) {
  std::string body;
  for (const json& row : results) {
    body += text("<tr><th>{}</th>", escape(row.at("method").get<std::string>()));
    for (const char* key : {"to_10_percent", "to_5_percent"})
      body += text("<td>{}<small>{}</small></td><td>{}</td>", labels(row.at(key)), of_seeds(row, key),
                   published(row, key));
    body += "</tr>";
  }
  return text(
      "<div class=\"scroll\"><table><thead><tr><th>method</th><th>10 % error</th><th>published</th><th>5 % error</th>"
      "<th>published</th></tr></thead><tbody>{}</tbody></table></div>",
      body);
}

// Means of the seeds at every label count that all of them have, with their range.
std::string chart(const json& results) {
  std::vector<ChartSeries> series;
  std::string legend = "<ul class=\"legend\">";
  for (const json& row : results) {
    std::map<int64_t, std::vector<double>> at;
    for (const json& s : row.at("seeds"))
      for (const json& p : s.at("points")) at[p.at("labels")].push_back(100 * p.at("error").get<double>());
    const auto color = static_cast<int>(series.size());
    ChartSeries line{.name = row.at("method"), .color = color, .points = {}};
    for (const auto& [count, errors] : at) {
      if (errors.size() != row.at("seeds").size()) continue;
      double sum = 0;
      for (const double e : errors) sum += e;
      const double mean = sum / static_cast<double>(errors.size());
      line.points.push_back({static_cast<double>(count), mean, *std::min_element(errors.begin(), errors.end()),
                             *std::max_element(errors.begin(), errors.end()),
                             text("{}: {} % error with {} labels", line.name, fixed(mean, 2), count)});
    }
    legend += text("<li>{}{}</li>", legend_key(color), escape(line.name));
    series.push_back(std::move(line));
  }
  ChartOptions o{.x_title = "labels", .description = "test error of each method", .levels = {{5, "5 %"}, {10, "10 %"}}};
  o.name_lines = false;
  return text("<figure class=\"card hero\"><figcaption>Test error (%) <span>bands: range of the seeds</span>"
              "</figcaption>{}{}</figure>",
              legend + "</ul>", line_chart(series, o));
}

}  // namespace

std::string write_gal2017_report(const std::string& folder, const std::string& command) {
  const json results = parse_json(read_file(folder + "/gal2017.json", largest_json));
  check(results.is_array(), "report: '{}/gal2017.json' is damaged; run the command again", folder);
  std::string html =
      "<header><p class=\"eyebrow\">Querent report <span>MNIST</span></p><h1>Labels to reach 10 % and 5 % test error"
      "</h1></header>";
  html += section("table", "Beside the published numbers",
                  "First measured label count whose test error is no larger; mean of the seeds and each seed. Published: "
                  "Gal, Islam and Ghahramani (ICML 2017), table 1.",
                  table(results));
  html += section("curves", "Curves", "Test error against labels.", chart(results));
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(command)));
  PageOptions o;
  o.links = {{"table", "Table"}, {"curves", "Curves"}, {"reproduction", "Reproduction"}};
  make_folder(folder + "/report");
  write_atomically(folder + "/report/gal2017.html", page("Gal et al. 2017 – Querent report", html, o));
  return folder + "/report/gal2017.html";
}

int experiment_gal2017(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-gal2017";
  const data::Dataset dataset = open_filtered(o);
  al::GalConfig config = o.gal;
  if (o.seeds > 0) config.seeds = o.seeds;
  config.seed = o.seed;
  config.data = o.data;
  share_of_batch(config.batch);  // while there is nothing to undo
  if (o.force) discard(o.out);
  RunProgress screen(o, "error");
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_gal2017(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_gal2017_report(o.out, o.command_line);
  return show_results(o, o.out + "/gal2017.json", page, print_table);
}

}  // namespace querent::app
