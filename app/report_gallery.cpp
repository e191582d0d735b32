// What the strategies asked for, and where the full-data model failed.
#include <algorithm>

#include "app/html.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

std::string panel(const std::string& picture, const std::string& caption) {
  return text("<div class=\"panel\">{}{}</div>", picture, caption.empty() ? "" : "<span>" + caption + "</span>");
}

// Classification: one bar per class, the true one marked.
std::string probabilities(const Results& r, const ReportItem& item) {
  std::string html = "<ul class=\"bars\">";
  for (size_t c = 0; c < std::min<size_t>(item.probabilities.size(), 14); ++c) {
    const double p = std::clamp(item.probabilities[c], 0.0, 1.0);
    const std::string name = c < r.classes.size() ? r.classes[c] : text("class {}", c);
    html += text("<li{}><span>{}</span><u><i style=\"width:{}%\"></i></u><b>{}</b></li>",
                 name == item.label ? " class=\"true\"" : "", escape(name), fixed(100 * p, 1), fixed(p, 2));
  }
  return html + "</ul>";
}

std::string card(const Results& r, const ReportItem& item, Pictures& pictures) {
  std::string html =
      "<article class=\"case\"><div class=\"panels\">" + panel(pictures.overlay(item), r.task == "seg" ? "X-ray" : "");
  if (!item.epistemic.empty()) html += panel(pictures.map(item.epistemic, "epistemic"), "epistemic");
  if (!item.aleatoric.empty()) html += panel(pictures.map(item.aleatoric, "aleatoric"), "aleatoric");
  html += "</div>";
  if (!item.probabilities.empty()) html += probabilities(r, item);
  html += text("<p><b>{}. {}</b>", item.rank, escape(item.id));
  if (!item.label.empty()) html += " · " + escape(item.label);
  if (const auto dice = pictures.dice(item)) html += text(" · Dice {}", fixed(*dice, 2));
  if (item.score && item.reason.empty()) html += " · score " + fixed(*item.score, 3);
  const std::string nearest = item.nearest.empty() ? "" : "; most alike among the labelled: " + item.nearest;
  return html + text("<br><span>{}</span></p></article>", escape(item.reason + nearest));
}

std::string round(const Results& r, const ReportQuery& q, Pictures& pictures, bool open) {
  int64_t shown = 0;
  std::string cards;
  for (const ReportItem& item : q.items) {
    if (shown == pictures.per_query() || item.image.empty()) break;
    cards += card(r, item, pictures);
    ++shown;
  }
  const auto all = static_cast<int64_t>(q.items.size());
  std::string html = text("<details{}><summary>Round {}<small>{} labelled, {} more asked for</small></summary>",
                          open ? " open" : "", q.round, thousands(q.labelled), thousands(all));
  html += text("<div class=\"cases{}\">{}</div>", r.task == "cls" ? " cls" : "", cards);
  if (all > shown) {
    html += text("<p class=\"small\">The first {} of {}; the rest is in <code>queries/{}_s{}_r{}.csv</code>.</p>",
                 shown, thousands(all), escape(q.strategy), q.seed, q.round);
  }
  return html + "</details>";
}

// Hides the outlines in the whole page, with CSS alone.
constexpr const char* outline_switch =
    "<p class=\"switch\"><label><input type=\"checkbox\" id=\"outlines\" checked> show outlines</label></p>";

std::string scale(const std::string& kind, double top) {
  return text("<li><i class=\"ramp {}\"></i>{}: standard deviation of the probability, 0 to {}</li>", kind, kind,
              fixed(top, 2));
}

}  // namespace

std::string gallery_section(const Results& r, Pictures& pictures) {
  const std::string title = "What was asked for";
  if (r.queries.empty())
    return section("gallery", title, "", "<p class=\"missing\">Nothing has been asked for yet.</p>");
  const bool seg = r.task == "seg";
  std::string html;
  if (seg) {
    html =
        "<ul class=\"legend\"><li><i class=\"stroke truth\"></i>truth</li><li><i class=\"stroke "
        "guess\"></i>prediction</li>" +
        scale("epistemic", pictures.map_top("epistemic")) + scale("aleatoric", pictures.map_top("aleatoric")) +
        "</ul>" + outline_switch;
  }
  // The baseline last: its choices say nothing about the images.
  std::vector<std::string> names;
  for (const ReportQuery& q : r.queries) {
    if (std::find(names.begin(), names.end(), q.strategy) == names.end()) names.push_back(q.strategy);
  }
  std::stable_partition(names.begin(), names.end(), [](const std::string& n) { return n != baseline_name; });
  for (const std::string& name : names) {
    html += text("<h3>{}{}</h3>", legend_key(r.color_of(name)), escape(name));
    bool open = name != baseline_name;
    for (const ReportQuery& q : r.queries) {
      if (q.strategy != name) continue;
      html += round(r, q, pictures, open);
      open = false;
    }
  }
  const std::string seed = r.queries.empty() ? "" : text(" Seed {}.", r.queries.front().seed);
  return section("gallery", title,
                 seg ? "The images each strategy wanted labelled next, with what the network thought of them at that "
                       "moment. Bright "
                       "means unsure: epistemic, because it has seen too little of the kind; aleatoric, because the "
                       "image itself is "
                       "unclear there." +
                           seed
                     : "The images each strategy wanted labelled next, with the probabilities the network gave at that "
                       "moment. The true "
                       "class is marked." +
                           seed,
                 html);
}

std::string worst_section(const Results& r, Pictures& pictures) {
  const std::string title = "Hardest cases";
  if (r.worst.empty())
    return section("worst", title, "", "<p class=\"missing\">The model trained on all labels is missing.</p>");
  const bool seg = r.task == "seg";
  std::string html;
  if (seg) {
    html =
        "<ul class=\"legend\"><li><i class=\"stroke truth\"></i>truth</li><li><i class=\"stroke "
        "guess\"></i>prediction</li></ul>";
  }
  html += "<div class=\"worst\">";
  for (const ReportItem& item : r.worst) {
    html += text("<article class=\"case\">{}<p><b>{}</b><br>", pictures.overlay(item), escape(item.id));
    if (!item.label.empty()) html += "truly " + escape(item.label) + ", ";
    if (item.quality) html += seg ? "Dice " + fixed(*item.quality, 3) : "given " + percent(*item.quality);
    html += "</p></article>";
  }
  return section(
      "worst", title,
      seg ? "Test images on which the model trained on all labels has the lowest Dice: what it cannot do yet."
          : "Test images whose true class got the lowest probability from the model trained on all labels.",
      html + "</div>");
}

}  // namespace querent::app
