// querent experiment goodfellow2014: the run, its table and its page.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "al/goodfellow2014.h"
#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/svg.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_json = uint64_t{64} << 20, largest_picture = uint64_t{8} << 20;
constexpr const char* published = "225 ± 2";  // of MNIST, table 1 of the paper

// "GAN, seed 1", log-likelihood, width of the window, value at the end.
struct Row {
  std::string name, likelihood, width, value;
};
std::vector<Row> rows_of(const json& results) {
  const auto row = [](const std::string& name, const json& j) {
    return Row{name, text("{} ± {}", fixed(j.at("log_likelihood"), 1), fixed(j.at("error"), 1)),
               fixed(j.at("width"), 3), j.contains("value") ? fixed(j.at("value").back().at("value"), 3) : "–"};
  };
  std::vector<Row> rows;
  for (const json& s : results.at("seeds")) rows.push_back(row(text("GAN, seed {}", s.at("seed").get<uint64_t>()), s));
  rows.push_back(row("training images", results.at("training_window")));
  if (results.at("mnist") == true) rows.push_back({"published GAN", published, "–", "–"});
  return rows;
}

void print_table(const json& results) {
  std::printf("\n%-18s  log-likelihood (nats)  width  value at the end (-log 4 = -1.386)\n", "Parzen window");
  for (const Row& r : rows_of(results))
    std::printf("%-18s  %-22s %s  %s\n", r.name.c_str(), r.likelihood.c_str(), r.width.c_str(), r.value.c_str());
}

std::string table(const json& results) {
  std::string body;
  for (const Row& r : rows_of(results))
    body += text("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>", r.name, r.likelihood, r.width, r.value);
  return text(
      "<div class=\"scroll\"><table><thead><tr><th>window on</th><th>log-likelihood, nats</th><th>width</th><th>value"
      "<small>at the end</small></th></tr></thead><tbody>{}</tbody></table></div>",
      body);
}

std::string chart(const json& results) {
  std::vector<ChartSeries> series;
  std::string legend = "<ul class=\"legend\">";
  double first = 1, last = 1;
  for (const json& s : results.at("seeds")) {
    const auto color = static_cast<int>(series.size());
    ChartSeries line{.name = text("seed {}", s.at("seed").get<uint64_t>()), .color = color, .points = {}};
    line.marks = false;
    for (const json& p : s.at("value")) {
      const double v = p.at("value");
      line.points.push_back({p.at("step"), v, v, v, ""});
    }
    first = s.at("value").front().at("step"), last = s.at("value").back().at("step");
    legend += text("<li>{}{}</li>", legend_key(color), line.name);
    series.push_back(std::move(line));
  }
  ChartOptions o{.x_title = "steps", .description = "value of the game", .levels = {{-std::log(4.0), "−log 4"}}};
  o.name_lines = false, o.linear_x = true;
  for (const double t : nice_ticks(first, last, 6)) o.x_ticks.emplace_back(t, fixed(t, 0));
  return text(
      "<figure class=\"card hero\"><figcaption>Value <span>mean log D(x) + mean log(1 − D(G(z)))</span>"
      "</figcaption>{}</ul>{}</figure>",
      legend, line_chart(series, o));
}

std::string samples(const std::string& folder, const json& results) {
  const auto picture = [&](const std::string& file, const std::string& title) {
    return text("<div class=\"case\"><img class=\"picture\" alt=\"\" src=\"data:image/png;base64,{}\"><p>{}</p></div>",
                base64(read_file(folder + "/" + file, largest_picture)), title);
  };
  std::string html = picture("gallery/real.png", "training images");
  for (const json& s : results.at("seeds"))
    html += picture(s.at("grid"), text("seed {}", s.at("seed").get<uint64_t>()));
  return "<div class=\"worst\">" + html + "</div>";
}

}  // namespace

std::string write_goodfellow2014_report(const std::string& folder, const std::string& command) {
  const json results = parse_json(read_file(folder + "/goodfellow2014.json", largest_json));
  check(results.is_object() && results.contains("training_window"),
        "report: '{}/goodfellow2014.json' is damaged; run the command again", folder);
  std::string html =
      "<header><p class=\"eyebrow\">Querent report <span>generative adversarial nets</span></p><h1>Images from noise, "
      "judged by a Parzen window</h1></header>";
  html += section(
      "table", "Log-likelihood",
      text("Of {} test images under a Gaussian on each of many generated ones, mean ± standard error in nats; the "
           "width is that which makes {} validation images most likely. The window on training images says what is to "
           "be had.",
           thousands(results.at("test").get<int64_t>()), thousands(results.at("validation").get<int64_t>())),
      table(results));
  html += section("value", "Value", "Where the discriminator cannot tell images from generated ones it is −log 4.",
                  chart(results));
  html += section("samples", "Samples", "The first hundred of each, not chosen.", samples(folder, results));
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(command)));
  PageOptions o;
  o.links = {{"table", "Log-likelihood"}, {"value", "Value"}, {"samples", "Samples"}, {"reproduction", "Reproduction"}};
  o.made_from = "goodfellow2014.json and the pictures of this run";
  make_folder(folder + "/report");
  write_atomically(folder + "/report/goodfellow2014.html", page("Goodfellow et al. 2014 – Querent report", html, o));
  return folder + "/report/goodfellow2014.html";
}

int experiment_goodfellow2014(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-goodfellow2014";
  data::Dataset dataset = open_filtered(o);
  data::split_dataset(dataset, {.val = o.val_fraction, .test = o.test_fraction, .seed = o.seed});
  al::GoodfellowConfig config = o.goodfellow;
  if (o.seeds > 0) config.seeds = o.seeds;
  config.seed = o.seed;
  config.data = o.data;
  if (o.force) discard(o.out);
  RunProgress screen(o, "log-likelihood");
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_goodfellow2014(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_goodfellow2014_report(o.out, o.command_line);
  return show_results(o, o.out + "/goodfellow2014.json", page, print_table);
}

}  // namespace querent::app
