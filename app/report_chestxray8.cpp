// The page of querent experiment chestxray8.
#include <nlohmann/json.hpp>

#include "app/html.h"
#include "app/report.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr uint64_t largest_results = uint64_t{64} << 20, largest_film = uint64_t{8} << 20;
constexpr size_t most_shown = 48;  // films of each kind of pooling

std::string auc_cell(const json& v) { return v.is_null() ? "–" : fixed(v.get<double>(), 3); }
std::string pooling_title(const json& pooling) {
  const std::string name = pooling.at("pooling");
  return name == "lse" ? "log-sum-exp" : name == "max" ? "maximum" : name;
}

std::string auc_table(const json& results) {
  std::string head, body;
  for (const json& f : results.at("findings")) head += text("<th>{}</th>", escape(f.get<std::string>()));
  for (const json& p : results.at("poolings")) {
    body += text("<tr><th>{}</th>", pooling_title(p));
    for (const json& f : results.at("findings"))
      body += text("<td>{}</td>", auc_cell(p.at("auc").at(f.get<std::string>())));
    body += text("<td>{}</td></tr>", auc_cell(p.at("mean_auc")));
  }
  if (!results.at("published").empty()) {
    body += "<tr><th>published, ResNet-50</th>";
    for (const json& f : results.at("findings"))
      body += text("<td>{}</td>", auc_cell(results.at("published").value(f.get<std::string>(), json())));
    body += "<td></td></tr>";
  }
  return text(
      "<div class=\"scroll\"><table><thead><tr><th>pooling</th>{}<th>mean</th></tr></thead><tbody>{}</tbody></table>"
      "</div>",
      head, body);
}

// Share of the true boxes hit at each threshold; below it, by another film's boxes, and false boxes a film.
std::string hit_table(const json& results, const std::string& criterion, const std::string& title) {
  std::string head, body;
  for (const json& row : results.at("poolings").at(0).at("boxes"))
    if (row.at("criterion") == criterion && row.at("finding") == "all")
      head += text("<th>{}</th>", row.at("threshold").get<double>());
  if (head.empty()) return "<p class=\"missing\">No test film has a true box.</p>";
  for (const json& p : results.at("poolings")) {
    std::string finding;
    for (const json& row : p.at("boxes")) {
      if (row.at("criterion") != criterion) continue;
      if (row.at("finding") != finding) {
        finding = row.at("finding");
        body += text("{}<tr><th>{}, {}<small>{} boxes in {} films</small></th>", body.empty() ? "" : "</tr>",
                     pooling_title(p), escape(finding), row.at("boxes").get<int64_t>(), row.at("films").get<int64_t>());
      }
      const json& chance = row.at("chance");
      body += text("<td>{}<small>{} · {}</small></td>", fixed(row.at("accuracy"), 2),
                   chance.is_null() ? "–" : fixed(chance, 2), fixed(row.at("false_boxes"), 1));
    }
  }
  return text("<div class=\"scroll\"><table><thead><tr><th>{}</th>{}</tr></thead><tbody>{}</tr></tbody></table></div>",
              title, head, body);
}

std::string rectangles(const json& boxes, const char* css) {
  std::string all;
  for (const json& b : boxes)
    all += text("<rect class=\"outline {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", css, b.at(0).get<double>(),
                b.at(1).get<double>(), b.at(2).get<double>() - b.at(0).get<double>(),
                b.at(3).get<double>() - b.at(1).get<double>());
  return all;
}

// The film under its heat map, with the boxes of both.
std::string heat_map(const std::string& folder, const json& film) {
  const auto picture = [&](const char* key, const char* style) {
    return text("<image width=\"1\" height=\"1\" href=\"data:image/png;base64,{}\"{}/>",
                base64(read_file(folder + "/" + film.at(key).get<std::string>(), largest_film)), style);
  };
  return text(
      "<article class=\"case\"><svg class=\"picture\" viewBox=\"0 0 1 1\" role=\"img\">{}{}{}{}</svg><p><b>{}</b> · {} "
      "<br><span>probability {}</span></p></article>",
      picture("film", ""), picture("heat", " class=\"epistemic\" opacity=\"0.4\""),
      rectangles(film.at("boxes"), "guess"), rectangles(film.at("truth"), "truth"),
      escape(film.at("id").get<std::string>()), escape(film.at("finding").get<std::string>()),
      fixed(film.at("probability"), 2));
}

std::string heat_gallery(const std::string& folder, const json& results) {
  std::string html =
      "<p class=\"switch\"><label><input type=\"checkbox\" id=\"outlines\" checked> show boxes</label></p>"
      "<ul class=\"legend\"><li><i class=\"stroke truth\"></i>true</li><li><i class=\"stroke guess\"></i>from the heat "
      "map"
      "</li></ul>";
  for (const json& p : results.at("poolings")) {
    std::string films;
    size_t shown = 0;
    for (const json& film : p.at("gallery"))
      if (shown++ < most_shown) films += heat_map(folder, film);
    html += text("<h3>{}</h3><div class=\"worst\">{}</div>", pooling_title(p), films);
  }
  return html;
}

}  // namespace

std::string write_chestxray8_report(const std::string& folder, const std::string& command) {
  const json results = parse_json(read_file(folder + "/chestxray8.json", largest_results));
  check(results.is_object() && results.contains("poolings"),
        "report: '{}/chestxray8.json' is damaged; run the command again", folder);
  std::string html =
      "<header><p class=\"eyebrow\">Querent report <span>findings and boxes</span></p><h1>What is there, and where, "
      "learnt from the labels of whole films</h1></header>";
  html += section("auc", "Findings",
                  text("AUC on {} test films. Published: Wang et al. (CVPR 2017), table 3, on their films.",
                       results.at("test").get<int64_t>()),
                  auc_table(results));
  html += section(
      "boxes", "Boxes",
      "Share of the true boxes that a box of the heat map hits with more than the threshold; below it, the share "
      "that the boxes of another film with the finding hit, which is luck, and boxes a film that hit none. IoBB is the "
      "share of the detected box that lies in the true one.",
      hit_table(results, "iobb", "T(IoBB)") + hit_table(results, "iou", "T(IoU)"));
  html += section("gallery", "Heat maps",
                  "Normalised for each film, and boxes at 60/255 and at 180/255 of it. No box was shown in training.",
                  heat_gallery(folder, results));
  html += section("reproduction", "Reproduction", "The same command on the same data gives the same numbers.",
                  text("<pre><code>{}</code></pre>", escape(command)));
  PageOptions o;
  o.links = {{"auc", "Findings"}, {"boxes", "Boxes"}, {"gallery", "Heat maps"}, {"reproduction", "Reproduction"}};
  o.made_from = "chestxray8.json and the pictures of this run";
  make_folder(folder + "/report");
  write_atomically(folder + "/report/chestxray8.html", page("ChestX-ray8 – Querent report", html, o));
  return folder + "/report/chestxray8.html";
}

}  // namespace querent::app
