// The page of querent experiment scr2006: tables as in the paper, box plots, Bland-Altman plots.
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "app/box_plot.h"
#include "app/html.h"
#include "app/report.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 5> summary = {"min", "q1", "median", "q3", "max"};

double number(const json& v) { return v.is_null() ? std::nan("") : v.get<double>(); }

std::string title_of(const std::string& name) {
  static const std::map<std::string, std::string> titles = {{"mean_shape", "Mean shape"},
                                                            {"pixels", "Pixel classification"},
                                                            {"pixels_clean", "Post-processed"},
                                                            {"unet", "U-Net"},
                                                            {"voting", "Majority voting"},
                                                            {"lungs", "Lungs"},
                                                            {"heart", "Heart"},
                                                            {"clavicles", "Clavicles"},
                                                            {"cardiothoracic_ratio", "Cardiothoracic ratio"},
                                                            {"thoracic_width", "Thoracic width"}};
  return titles.at(name);
}
std::string mean_sd(const json& p) {
  return p.is_null()
             ? "–"
             : text("{}<small>± {}</small>", fixed(p.at("mean").get<double>(), 3), fixed(p.at("sd").get<double>(), 3));
}
std::string table(const std::vector<std::string>& head, const std::string& body) {
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (const std::string& h : head) html += "<th>" + h + "</th>";
  return html + "</tr></thead><tbody>" + body + "</tbody></table></div>";
}

std::string overlap_table(const json& r, size_t structure) {
  const std::string unit = r.at("distance_unit");
  std::string body;
  for (const json& m : r.at("methods")) {
    const json& s = m.at("structures")[structure];
    body += text("<tr><th>{}</th><td>{}</td><td>{}</td>", title_of(m.at("method")), mean_sd(s.at("overlap")),
                 mean_sd(s.at("published")));
    for (const char* key : summary) body += text("<td>{}</td>", fixed(s.at("overlap").at(key).get<double>(), 3));
    body += text("<td>{}<small>± {}</small></td></tr>", fixed(s.at("contour_distance").at("mean").get<double>(), 2),
                 fixed(s.at("contour_distance").at("sd").get<double>(), 2));
  }
  for (const json& h : r.at("human_observer")) {
    if (h.at("structure") != r.at("methods")[0].at("structures")[structure].at("structure")) continue;
    body += text("<tr><th>Second human observer</th><td></td><td>{}</td><td colspan=\"6\"></td></tr>", mean_sd(h));
  }
  return table({"overlap", "mean", r.at("jsrt") ? "published" : "published<small>of other films</small>", "min", "Q1",
                "median", "Q3", "max", "contours<small>" + unit + "</small>"},
               body);
}

std::string boxes(const json& r, size_t structure) {
  std::vector<Box> list;
  for (const json& m : r.at("methods")) {
    const json &s = m.at("structures")[structure], &d = s.at("overlap");
    const auto at = [&](const char* key) { return d.at(key).get<double>(); };
    list.push_back({title_of(m.at("method")), static_cast<int>(list.size()), at("min"), at("q1"), at("median"),
                    at("q3"), at("max"), at("mean")});
    if (r.at("jsrt") && !s.at("published").is_null()) list.back().other = s.at("published").at("mean");
  }
  return text("<figure class=\"card hero\">{}</figure>",
              box_plot(list, {.x_title = "overlap Ω", .description = "overlap of each method with the reference"}));
}

// Difference against mean of the two, with the bias (bold) and the limits of agreement.
std::string bland_altman_chart(const json& r, const json& films, size_t method, const std::string& name, int digits) {
  const json& a = r.at("methods")[method].at("agreement");
  ChartSeries points{.name = name, .color = static_cast<int>(method), .points = {}, .line = false};
  double low = 1e300, high = -1e300;
  for (const json& f : films.at("films")) {
    const double found = number(f.at("measured")[method]), reference = number(f.at("reference"));
    if (!std::isfinite(found) || !std::isfinite(reference)) continue;
    const double x = (found + reference) / 2, y = found - reference;
    low = std::min(low, x), high = std::max(high, x);
    points.points.push_back({x, y, y, y, text("{}: {}", f.at("id").get<std::string>(), signed_fixed(y, digits))});
  }
  const double bias = a.at("bias"), lower = a.at("lower"), upper = a.at("upper");
  ChartSeries room{
      .name = "", .color = ink_color, .points = {{low, bias, lower, upper, ""}}, .line = false, .marks = false};
  ChartOptions o{.width = 520,
                 .height = 330,
                 .x_title = "mean of automatic and reference",
                 .description = "Bland-Altman plot of " + name,
                 .levels = {{bias, "bias " + signed_fixed(bias, digits)},
                            {upper, signed_fixed(upper, digits)},
                            {lower, signed_fixed(lower, digits)}}};
  o.name_lines = false;
  o.linear_x = true;
  const std::vector<double> ticks = nice_ticks(low, high, 5);
  for (const double t : ticks) o.x_ticks.emplace_back(t, fixed(t, digits == 3 ? 2 : 0));
  return text("<figure class=\"card\"><figcaption>{} <span>automatic − reference</span></figcaption>{}</figure>", name,
              line_chart({points, room}, o));
}

std::string agreement(const json& r, const json& films) {
  if (r.at("measure").is_null())
    return "<p class=\"missing\">The cardiothoracic ratio needs the lungs and the heart; there are no lungs here.</p>";
  const bool ratio = r.at("measure").at("name") == "cardiothoracic_ratio";
  const int digits = ratio ? 3 : 1;
  std::string body, charts;
  for (size_t m = 0; m < r.at("methods").size(); ++m) {
    const json& a = r.at("methods")[m].at("agreement");
    const std::string name = title_of(r.at("methods")[m].at("method"));
    if (a.is_null()) {
      body += text("<tr><th>{}</th><td colspan=\"4\">fewer than two films could be measured</td></tr>", name);
      continue;
    }
    const auto at = [&](const char* key) { return signed_fixed(a.at(key).get<double>(), digits); };
    body += text("<tr><th>{}</th><td>{}</td><td>{}<small>{} to {}</small></td><td>{}</td><td>{} to {}</td></tr>", name,
                 a.at("n").get<int64_t>(), at("bias"), at("bias_low"), at("bias_high"),
                 fixed(a.at("sd").get<double>(), digits), at("lower"), at("upper"));
    charts += bland_altman_chart(r, films, m, name, digits);
  }
  return table({title_of(r.at("measure").at("name")), "films", "bias", "sd", "limits of agreement"}, body) +
         text("<div class=\"smalls\">{}</div>", charts);
}
std::string agreement_lead(const json& r) {
  if (r.at("measure").is_null()) return "";
  const std::string what =
      r.at("measure").at("name") == "cardiothoracic_ratio"
          ? "Cardiothoracic ratio: width of the heart over the widest row of the thorax, inside the ribs."
          : "There is no mask of the heart, so the cardiothoracic ratio cannot be computed. Its denominator can: the "
            "widest "
            "row from lung edge to lung edge, in " +
                r.at("measure").at("unit").get<std::string>() + ".";
  return what +
         " Bias is the mean difference with its 95 % interval; the limits of agreement, ± 1.96 standard deviations, "
         "are where 95 % of the differences lie if they are normal (Bland and Altman 1986).";
}

}  // namespace

std::string write_scr2006_report(const std::string& folder, const std::string& command) {
  const json r = parse_json(read_file(folder + "/scr2006.json")), films = parse_json(read_file(folder + "/films.json"));
  check(r.is_object() && films.is_object(),
        "report: '{}/scr2006.json' or 'films.json' is damaged; run the command again", folder);
  std::string html = text(
      "<header><p class=\"eyebrow\">Querent report <span>chest radiographs</span></p><h1>Segmentation by mean shape, "
      "pixel "
      "classification and U-Net: {} films, {} folds</h1></header>",
      thousands(r.at("films").get<int64_t>()), r.at("folds").size());
  PageOptions o;
  o.made_from = "scr2006.json and films.json of this run";
  std::string lead = text(
      "Overlap Ω = TP / (TP + FP + FN) over the films at {} pixels, each segmented by methods trained on "
      "the other fold; mean distance between contours. ",
      r.at("size").get<int64_t>());
  lead += r.at("jsrt") ? "Published: " : "The published figures are of other films and stand here for context only: ";
  lead += escape(r.at("published_source").get<std::string>()) + ".";
  const json& structures = r.at("methods")[0].at("structures");
  for (size_t s = 0; s < structures.size(); ++s) {
    const std::string id = structures[s].at("structure"), title = title_of(id);
    const std::string note = r.at("jsrt") ? " Dashed lines: published means." : "";
    html += section(
        id, title, s == 0 ? lead : "",
        overlap_table(r, s) + boxes(r, s) +
            text("<p class=\"small\">Whiskers: least and largest; box: quartiles; line: median; mark: mean.{}</p>",
                 note));
    o.links.emplace_back(id, title);
  }
  html += section("agreement", "Agreement", agreement_lead(r), agreement(r, films));
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(command)));
  o.links.emplace_back("agreement", "Agreement");
  o.links.emplace_back("reproduction", "Reproduction");
  make_folder(folder + "/report");
  write_atomically(folder + "/report/scr2006.html", page("van Ginneken et al. 2006 – Querent report", html, o));
  return folder + "/report/scr2006.html";
}

}  // namespace querent::app
