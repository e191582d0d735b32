// querent experiment mahapatra2013: the run, its table, the page.
#include "al/mahapatra2013/experiment.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "app/html.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/svg.h"
#include "app/version.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_json = uint64_t{64} << 20, largest_picture = uint64_t{8} << 20;

struct ArmWords {
  const char *arm, *title, *words;
};
constexpr ArmWords curve_arms[] = {
    {"random", "random forest, random queries",
     "superpixels drawn at random are labelled, a random forest learns them"},
    {"propagation", "+ label propagation", "the same labels, and what they say of superpixels like them"},
    {"active", "+ active queries", "the superpixels that the forest is least sure of are asked"},
    {"context", "+ context", "and those judged otherwise than neighbours that look alike, where many look like them"},
    {"graph_cut", "+ graph cut", "the same forest; the labels of a film by one smallest cut"}};
constexpr ArmWords ceiling_arms[] = {
    {"full", "all superpixels labelled", "a forest on every superpixel of the same films"},
    {"full_cut", "all superpixels labelled, graph cut", "the same with the cut"},
    {"superpixels", "the superpixels themselves",
     "every superpixel of the test films right: what superpixels can do at best"}};

const json& arm_of(const json& r, const std::string& arm) {
  for (const json& a : r.at("arms"))
    if (a.at("arm") == arm) return a;
  fail("report: mahapatra2013.json has no arm '{}'; run the command again", arm);
}
std::string title_of(const std::string& arm) {
  for (const ArmWords& a : curve_arms)
    if (arm == a.arm) return a.title;
  return arm;
}
const json* metric_at(const json& arm, double labels, const char* metric) {
  for (const json& p : arm.at("points"))
    if (p.at("labels") == labels) return &p.at("metrics").at(metric);
  return nullptr;
}
std::string cell(const json& m, int digits) {
  const double half = (m.at("high").get<double>() - m.at("low").get<double>()) / 2;
  return text("<td>{}<small>{}</small></td>", fixed(m.at("mean"), digits),
              m.at("n") == 1 ? "one seed" : "± " + fixed(half, digits));
}
std::string table_of(const std::string& head, const std::string& body) {
  return text("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>", head, body);
}
std::vector<double> label_counts(const json& r) {
  std::vector<double> counts;
  for (const json& p : arm_of(r, "random").at("points")) counts.push_back(p.at("labels"));
  return counts;
}

std::string chart(const json& r) {
  std::vector<ChartSeries> series;
  std::string legend = "<ul class=\"legend\">";
  for (const ArmWords& a : curve_arms) {
    const auto color = static_cast<int>(series.size());
    ChartSeries line{.name = a.title, .color = color, .points = {}};
    for (const json& p : arm_of(r, a.arm).at("points")) {
      const json& d = p.at("metrics").at("dice");
      line.points.push_back(
          {p.at("labels"), d.at("mean"), std::max(0.0, d.at("low").get<double>()),
           std::min(1.0, d.at("high").get<double>()),
           text("{}: Dice {} with {} superpixels", a.title, fixed(d.at("mean"), 3), fixed(p.at("labels"), 0))});
    }
    legend += text("<li>{}{}</li>", legend_key(color), escape(a.title));
    series.push_back(std::move(line));
  }
  ChartOptions o{.x_title = "labelled superpixels", .description = "Dice of each arm", .levels = {}};
  o.ceiling = 1, o.name_lines = false;
  const json& full = arm_of(r, "full").at("points");
  if (!full.empty()) o.levels = {{full[0].at("metrics").at("dice").at("mean"), "all superpixels labelled"}};
  return text(
      "<figure class=\"card hero\"><figcaption>Dice <span>bands: 95 % intervals over seeds</span></figcaption>{}{}"
      "</figure>",
      legend + "</ul>", line_chart(series, o));
}

constexpr const char* metrics[] = {"dice", "hausdorff95_px", "hausdorff_px"};

std::string table(const json& r, const char* metric) {
  const std::vector<double> counts = label_counts(r);
  std::string head = text("<th>{}</th>", escape(metric_title(metric))), body;
  for (const double n : counts) head += text("<th>{}</th>", fixed(n, 0));
  for (const ArmWords& a : curve_arms) {
    body += text("<tr><th>{}</th>", escape(a.title));
    for (const double n : counts) {
      const json* m = metric_at(arm_of(r, a.arm), n, metric);
      body += m ? cell(*m, metric_digits(metric)) : "<td class=\"none\">–</td>";
    }
    body += "</tr>";
  }
  return table_of(head, body);
}

std::string ceilings(const json& r) {
  std::string head = "<th></th>", body;
  for (const char* metric : metrics) head += text("<th>{}</th>", escape(metric_title(metric)));
  for (const ArmWords& a : ceiling_arms) {
    const json& points = arm_of(r, a.arm).at("points");
    if (points.empty()) continue;
    body += text("<tr><th>{}</th>", escape(a.title));
    for (const char* metric : metrics) body += cell(points[0].at("metrics").at(metric), metric_digits(metric));
    body += "</tr>";
  }
  return table_of(head, body);
}

std::string differences(const json& r) {
  std::string body;
  for (const json& d : r.at("differences"))
    body += text("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>", escape(title_of(d.at("arm"))),
                 signed_fixed(d.at("mean"), 3),
                 d.at("n") == 1 ? "–" : text("{} to {}", signed_fixed(d.at("low"), 3), signed_fixed(d.at("high"), 3)),
                 dump_json(d.at("n")));
  return table_of("<th>step</th><th>gain in Dice</th><th>95 % interval</th><th>seeds</th>", body);
}

std::string words() {
  std::string html = "<dl class=\"glossary\">";
  for (const auto& list : {std::span<const ArmWords>(curve_arms), std::span<const ArmWords>(ceiling_arms)})
    for (const ArmWords& a : list) html += text("<div><dt>{}</dt><dd>{}.</dd></div>", escape(a.title), escape(a.words));
  return html + "</dl>";
}

std::string pictures(const std::string& folder) {
  std::string html;
  for (const auto& [name, words] :
       {std::pair{"queries", "A film of the pool; asked superpixels: foreground blue, background orange"},
        {"superpixels", "The test film of median Dice and its superpixels"},
        {"probability", "What the forest says: white is foreground"},
        {"result", "After the graph cut: blue the result, yellow the reference"}}) {
    const std::string path = text("{}/gallery/{}.png", folder, name);
    if (!std::filesystem::exists(path)) continue;
    html += text("<div class=\"case\"><img class=\"picture\" alt=\"\" src=\"data:image/png;base64,{}\"><p>{}</p></div>",
                 base64(read_file(path, largest_picture)), words);
  }
  return html.empty() ? "" : "<div class=\"cases cls\">" + html + "</div>";
}

// "With 80 of 7,900 superpixels ... ": the fewest labels whose mean Dice with everything is 95 % of the ceiling's.
std::string headline(const json& r) {
  const json &full = arm_of(r, "full_cut").at("points"), &all = arm_of(r, "graph_cut").at("points");
  if (full.empty() || all.empty()) return "Not finished";
  const double ceiling = full[0].at("metrics").at("dice").at("mean");
  for (const json& p : all)
    if (p.at("metrics").at("dice").at("mean") >= 0.95 * ceiling)
      return text("{} of {} superpixels give 95\u00a0% of the Dice of labelling them all", fixed(p.at("labels"), 0),
                  thousands(static_cast<int64_t>(full[0].at("labels").get<double>())));
  return text("{} labelled superpixels do not give 95\u00a0% of the Dice of labelling them all",
              fixed(all.back().at("labels"), 0));
}

void print_table(const json& r) {
  std::printf("\n%-32s", "Dice with labelled superpixels:");
  for (const double n : label_counts(r)) std::printf(" %7.0f", n);
  std::printf("\n");
  for (const ArmWords& a : curve_arms) {
    std::printf("%-32s", a.title);
    for (const json& p : arm_of(r, a.arm).at("points"))
      std::printf(" %7.3f", p.at("metrics").at("dice").at("mean").get<double>());
    std::printf("\n");
  }
  for (const ArmWords& a : ceiling_arms)
    for (const json& p : arm_of(r, a.arm).at("points"))
      std::printf("%-36s %.3f\n", a.title, p.at("metrics").at("dice").at("mean").get<double>());
}

}  // namespace

std::string write_mahapatra2013_report(const std::string& folder) {
  const json r = parse_json(read_file(folder + "/mahapatra2013.json", largest_json));
  check(r.is_object(), "report: '{}/mahapatra2013.json' is damaged; run the command again", folder);
  std::string html = text(
      "<header><p class=\"eyebrow\">Querent report <span>Mahapatra et al. 2013 on films</span></p><h1>{}</h1></header>",
      escape(headline(r)));
  std::string tables = ceilings(r);
  for (const char* metric : metrics) tables += table(r, metric);
  html += section("curves", "What labelled superpixels buy",
                  "Each line adds one step of the method to the one before it. Means over the test films with 95 % "
                  "intervals over seeds.",
                  chart(r) + "<br>" + tables);
  html += section("steps", "What each step brings",
                  "Mean Dice over all rounds, minus that of the step before, paired by seed.", differences(r));
  const std::string strip = pictures(folder);
  if (!strip.empty())
    html += section("pictures", "How it looks", "The first seed with all steps, after the last round.", strip);
  html += section("words", "Words", "", words());
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(r.at("command").get<std::string>())));
  PageOptions o;
  o.links = {{"curves", "Curves"}, {"steps", "Steps"}, {"words", "Words"}, {"reproduction", "Reproduction"}};
  if (!strip.empty()) o.links.insert(o.links.begin() + 2, {"pictures", "Pictures"});
  make_folder(folder + "/report");
  write_atomically(folder + "/report/mahapatra2013.html", page("Mahapatra et al. 2013 – Querent report", html, o));
  return folder + "/report/mahapatra2013.html";
}

int experiment_mahapatra2013(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-mahapatra2013";
  o.task = "seg";
  const data::Dataset dataset = open_and_split(o);
  al::MahapatraConfig config = o.mahapatra;
  if (o.seeds > 0) config.seeds = o.seeds;
  if (o.size > 0) config.size = o.size;
  config.seed = o.seed;
  config.val_fraction = o.val_fraction, config.test_fraction = o.test_fraction;
  config.allow_empty_masks = o.allow_empty_masks;
  config.data = o.data, config.command = o.command_line, config.version = version;
  if (o.force) discard(o.out);
  RunProgress screen(o, "dice");
  al::Hooks hooks;
  hooks.progress = [&](const al::Progress& p) { screen.show(p); };
  hooks.stop = [&] { return should_stop(o.out); };
  const bool finished = al::run_mahapatra2013(config, dataset, o.out, hooks);
  screen.end();
  if (!finished) return stopped(o.out, o.command_line);
  const std::string page = write_mahapatra2013_report(o.out);
  return show_results(o, o.out + "/mahapatra2013.json", page, print_table);
}

}  // namespace querent::app
