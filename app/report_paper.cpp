// The page of querent experiment paper: the paper's table, curves of the arms, tests, a few of the chosen films.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/html.h"
#include "app/report.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_json = uint64_t{256} << 20, largest_picture = uint64_t{1} << 20;
constexpr size_t shown_films = 6;

std::string name(const json& j, const char* key) { return j.at(key).get<std::string>(); }
std::string share(const json& fraction) { return percent(fraction.get<double>()); }
std::string cell(const json& c, int digits) {
  if (c.at("n") == 0) return "<td class=\"none\">–</td>";
  const std::string spread = c.at("n") == 1 ? "one seed"
                                            : text("{}–{}", fixed(c.at("low").get<double>(), digits),
                                                   fixed(c.at("high").get<double>(), digits));
  return text("<td>{}<small>{}</small></td>", fixed(c.at("mean").get<double>(), digits), spread);
}
std::string table(const std::string& head, const std::string& body) {
  return text("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>", head, body);
}

std::string paper_table(const json& r) {
  std::string head = "<th></th>", body;
  for (const json& c : r.at("table").at(0).at("cells")) {
    const std::string column = escape(name(c, "column"));
    head += c.at("arm") == "method" ? text("<th>method<small>{}</small></th>", column) : text("<th>{}</th>", column);
  }
  for (const json& row : r.at("table")) {
    body += text("<tr><th>{}</th>", escape(metric_title(name(row, "metric"))));
    for (const json& c : row.at("cells")) body += cell(c, metric_digits(name(row, "metric")));
    body += "</tr>";
  }
  return table(head, body);
}

std::string arm_chart(const json& r) {
  const std::string metric = name(r, "primary_metric");
  const int digits = metric_digits(metric);
  std::vector<ChartSeries> series;
  std::string legend = "<ul class=\"legend\">";
  for (const auto& [arm, color] : {std::pair{"method", 2}, {"selection", 1}, {"random", 0}}) {
    ChartSeries s{.name = arm, .color = color, .points = {}};
    for (const json& row : r.at("by_arm")) {
      if (row.at("arm") != arm) continue;
      for (const json& c : row.at("cells")) {
        if (c.at("n") == 0) continue;
        s.points.push_back({c.at("labels"), c.at("mean"), c.at("low"), c.at("high"),
                            text("{}: {} {} with {} labels", arm, metric_title(metric), fixed(c.at("mean"), digits),
                                 fixed(c.at("labels"), 0))});
      }
    }
    legend += text("<li>{}{}</li>", legend_key(color), arm);
    series.push_back(std::move(s));
  }
  ChartOptions o{.all_labels = r.at("data").at("train"),
                 .x_title = "labels",
                 .description = metric_title(metric) + " of the arms",
                 .levels = {}};
  if (metric == "auc" || metric == "dice") o.ceiling = 1;
  for (const json& row : r.at("table")) {
    for (const json& c : row.at("cells")) {
      if (row.at("metric") == metric && c.at("arm") == "full" && c.at("n") > 0)
        o.levels = {{c.at("mean"), "full supervision"}};
    }
  }
  return text("<figure class=\"card hero\"><figcaption>{} <span>bands: 95 % intervals</span></figcaption>{}{}</figure>",
              escape(metric_title(metric)), legend + "</ul>", line_chart(series, o));
}

std::string arm_table(const json& r) {
  const int digits = metric_digits(name(r, "primary_metric"));
  std::vector<double> fractions;
  for (const json& c : r.at("by_arm").at(0).at("cells")) fractions.push_back(c.at("fraction"));
  std::string head = "<th>arm</th>", body;
  for (const double f : fractions) head += text("<th>{}</th>", percent(f));
  for (const json& row : r.at("by_arm")) {
    body += text("<tr><th>{}</th>", escape(name(row, "arm")));
    for (const double f : fractions) {
      const auto& cells = row.at("cells");
      const auto at = std::find_if(cells.begin(), cells.end(), [&](const json& c) { return c.at("fraction") == f; });
      body += at == cells.end() ? "<td class=\"none\">–</td>" : cell(*at, digits);
    }
    body += "</tr>";
  }
  return table(head, body);
}

std::string comparison_table(const json& r) {
  if (r.at("comparisons").empty()) return "<p class=\"missing\">No two arms to compare yet.</p>";
  const int digits = metric_digits(name(r, "primary_metric"));
  std::string body;
  for (const json& c : r.at("comparisons")) {
    body += text(
        "<tr><th>{} − {} at {}</th><td>{}<small>{} to {}</small></td><td>{} / {} / {}</td><td>{}</td><td>{}</td></tr>",
        escape(name(c, "a")), escape(name(c, "b")), share(c.at("fraction")), signed_fixed(c.at("difference"), digits),
        signed_fixed(c.at("low"), digits), signed_fixed(c.at("high"), digits), dump_json(c.at("wins")),
        dump_json(c.at("ties")), dump_json(c.at("losses")), fixed(c.at("p"), 3), fixed(c.at("p_holm"), 3));
  }
  return table("<th>arms</th><th>difference</th><th>won / tied / lost</th><th>p</th><th>p after Holm</th>", body);
}

// How the loop went, one line a seed.
std::string loop_table(const json& r) {
  const std::string metric = name(r, "primary_metric");
  std::string body;
  for (const json& a : r.at("arms")) {
    if (a.at("arm") != "loop" || name(a, "stop").empty()) continue;
    body += text(
        "<tr><th>seed {}</th><td>{}</td><td>{}<small>{}</small></td><td>{}</td><td>{}</td><td "
        "class=\"words\">{}</td></tr>",
        dump_json(a.at("seed")), dump_json(a.at("round")), dump_json(a.at("labels")), share(a.at("fraction")),
        dump_json(a.at("synthetic")),
        a.at("metrics").contains(metric) ? fixed(a.at("metrics").at(metric), metric_digits(metric)) : "–",
        escape(name(a, "stop")));
  }
  return table(text("<th></th><th>rounds</th><th>labels</th><th>synthetic films</th><th>{}</th><th>why it ended</th>",
                    escape(metric_title(metric))),
               body);
}

// What the gate of realism kept out, at each fraction; empty without a gate.
std::string gate(const json& r) {
  if (r.at("config").at("realism_percentile") == 0) return "";
  std::string said;
  for (const json& c : r.at("by_arm").at(0).at("cells")) {
    double sum = 0, seeds = 0;
    for (const json& a : r.at("arms")) {
      if (a.at("arm") == "method" && a.at("fraction") == c.at("fraction"))
        sum += a.at("refused").get<double>(), ++seeds;
    }
    said += text("{}{} at {}", said.empty() ? "" : ", ", percent(sum / std::max(seeds, 1.0)), share(c.at("fraction")));
  }
  return text("<p>Of the films that the variance would have chosen, the gate of realism refused {}.</p>", said);
}

// The films that the method chose first at the largest fraction.
std::string films(const std::string& folder, const json& r) {
  std::string html;
  const double last = r.at("by_arm").at(0).at("cells").back().at("fraction");
  const std::string unit = text("{}/units/method_f{}_s{}_r1.json", folder, 100 * last, dump_json(r.at("seeds").at(0)));
  if (!std::filesystem::exists(unit)) return "";
  const json chosen = parse_json(read_file(unit, largest_json)).at("added").at("films");
  size_t shown = 0;
  for (const json& f : chosen) {
    const std::string path = folder + "/" + name(f, "image");
    if (shown == shown_films || !std::filesystem::exists(path)) break;
    ++shown;
    html += text(
        "<div class=\"case\"><img class=\"picture\" alt=\"\" src=\"data:image/png;base64,{}\"><p>{}<br><span>variance "
        "{}</span></p></div>",
        base64(read_file(path, largest_picture)), escape(name(f, "id")), fixed(f.at("score"), 4));
  }
  if (html.empty()) return "";
  return section("films", "Chosen first",
                 "The synthetic films with the highest variance of the first seed; the name before + is the base film.",
                 "<div class=\"worst\">" + html + "</div>");
}

constexpr double significance = 0.05;
// The arms without synthetic films, and what a reader calls them.
constexpr std::pair<const char*, const char*> real_arms[] = {{"selection", "real films chosen alike"},
                                                             {"random", "random films"}};

// Those that reached the target with as few labels.
std::string as_good(const json& r, const json& saving) {
  std::string arms;
  for (const auto& [arm, words] : real_arms) {
    for (const json& row : r.at("by_arm")) {
      if (row.at("arm") != arm) continue;
      for (const json& c : row.at("cells")) {
        if (c.at("fraction") == saving.at("fraction") && c.at("n") > 0 && c.at("mean") >= saving.at("target"))
          arms += (arms.empty() ? "; so did " : " and ") + std::string(words);
      }
    }
  }
  return arms;
}

std::string what_was_saved(const json& r) {
  const json& s = r.at("saving");
  if (s.is_null()) return "Not finished";
  if (r.at("primary_metric") == "auc" && s.at("target") < 0.5)
    return "Full supervision did no better than chance: there is nothing to compare with";
  const std::string target = text("99 % of full supervision ({} {})", metric_title(name(r, "primary_metric")),
                                  fixed(s.at("target"), metric_digits(name(r, "primary_metric"))));
  if (s.at("fraction").is_null()) return text("The method did not reach {} at any fraction", target);
  const std::string pixels = s.contains("pixels") ? text(", {} of the annotated pixels", share(s.at("pixels"))) : "";
  return text("The method reached {} and saved {} of the labels{}{}", target, share(s.at("films")), pixels,
              as_good(r, s));
}

// A sentence for each arm that differs: "The method was ahead of random films with 1 % of the labels (+0.018 Dice, p =
// 0.023 after Holm), behind with 35 % of the labels (...)".
std::vector<std::string> what_is_significant(const json& r) {
  const std::string metric = name(r, "primary_metric");
  std::vector<std::string> sentences;
  for (const auto& [arm, words] : real_arms) {
    std::string said;
    for (const json& c : r.at("comparisons")) {
      if (c.at("a") != "method" || c.at("b") != arm || c.at("p_holm") >= significance) continue;
      const bool ahead = c.at("difference") > 0;
      said += said.empty() ? text("The method was {} {}", ahead ? "ahead of" : "behind", words)
                           : text(", {}", ahead ? "ahead" : "behind");
      said += text(" with {} of the labels ({} {}, {} after Holm)", share(c.at("fraction")),
                   signed_fixed(c.at("difference"), metric_digits(metric)), metric_title(metric),
                   c.at("p_holm") < 0.001 ? "p < 0.001" : "p = " + fixed(c.at("p_holm"), 3));
    }
    if (!said.empty()) sentences.push_back(said);
  }
  return sentences;
}

}  // namespace

std::vector<std::string> paper_summary(const json& r) {
  std::vector<std::string> sentences = what_is_significant(r);
  const bool none = sentences.empty();
  sentences.push_back(what_was_saved(r));
  if (none && !r.at("comparisons").empty())
    sentences.push_back("No difference between the method and real films is significant");
  return sentences;
}

std::string write_paper_report(const std::string& folder) {
  const json r = parse_json(read_file(folder + "/paper.json", largest_json));
  check(!r.is_discarded(), "report: '{}/paper.json' is damaged; run the command again", folder);
  const std::vector<std::string> summary = paper_summary(r);
  std::string html =
      text("<header><p class=\"eyebrow\">Querent report <span>{}</span></p><h1>{}</h1>",
           escape("Mahapatra et al. 2018, " + name(r, "task") + ", " + name(r, "model")), escape(summary.at(0)));
  for (size_t i = 1; i < summary.size(); ++i) html += text("<p class=\"detail\">{}</p>", escape(summary[i]));
  for (const json& n : r.at("notes")) html += text("<p class=\"note\">{}</p>", escape(n.get<std::string>()));
  html += "</header>";
  html += section("table", "As the paper's table", "Means over seeds with 95 % intervals, on the test split.",
                  paper_table(r));
  html += section("arms", "What the labels bought",
                  "Method: synthetic films by variance. Selection: real films by the same variance. Random: as many "
                  "real films of each class, at random.",
                  arm_chart(r) + "<br>" + arm_table(r) + gate(r));
  html += section("tests", "Is it more than chance?",
                  "Wilcoxon's signed-rank test, paired by seed, corrected by Holm over all rows.", comparison_table(r));
  html += section("loop", "The loop",
                  text("{} films of each class a round, until nothing is gained or the budget is spent.",
                       dump_json(r.at("config").at("per_class"))),
                  loop_table(r));
  const std::string pictures = films(folder, r);
  html += pictures;
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(name(r, "command"))));
  PageOptions o;
  o.links = {
      {"table", "Table"}, {"arms", "Arms"}, {"tests", "Tests"}, {"loop", "Loop"}, {"reproduction", "Reproduction"}};
  if (!pictures.empty()) o.links.insert(o.links.end() - 1, {"films", "Films"});
  make_folder(folder + "/report");
  write_atomically(folder + "/report/paper.html", page("Mahapatra et al. 2018 – Querent report", html, o));
  return folder + "/report/paper.html";
}

}  // namespace querent::app
