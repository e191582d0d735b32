#include "app/synth_check_page.h"

#include <algorithm>
#include <cmath>

#include "app/histogram.h"
#include "app/html.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/svg.h"
#include "data/encode.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

using al::Estimate;
using al::Figure;
using al::Outcome;

const Figure& figure(const al::RealismReport& r, std::string_view name) {
  const auto at = std::find_if(r.figures.begin(), r.figures.end(), [&](const Figure& f) { return f.name == name; });
  internal_check(at != r.figures.end(), "synth check: no figure {}", name);
  return *at;
}

bool is_count(const Figure& f) { return f.name == "memorised" || f.name == "held_out_bases"; }

int digits(const Figure& f) {
  const double size = std::max(std::abs(f.samples.value), f.reference ? std::abs(f.reference->value) : 0.0);
  return is_count(f) ? 0 : size >= 100 ? 0 : size >= 10 ? 1 : 3;
}

std::string range(const al::Interval& i, int digits) {
  return fixed(i.low, digits) + "\u00a0…\u00a0" + fixed(i.high, digits);
}
std::string cell(const Estimate& e, int digits, const std::string& note) {
  if (e.n == 0) return "<td class=\"none\">–</td>";
  std::string small = e.interval ? range(*e.interval, digits) + "<br>" : "";
  return text("<td>{}<small>{}{} films{}</small></td>", fixed(e.value, digits), small, thousands(e.n), note);
}

const char* tone(Outcome o) {
  switch (o) {
    case Outcome::passed:
      return "good";
    case Outcome::noted:
      return "promising";
    case Outcome::failed:
      return "bad";
    default:
      return "unknown";
  }
}

std::string row(const Figure& f) {
  const int d = digits(f);
  std::string all;
  if (f.all_films) {
    const int all_digits = f.all_films->value >= 10 ? 1 : 3;
    all = text("<br>all films: {}", fixed(f.all_films->value, all_digits));
    if (f.all_films->interval) all += text("<br>({})", range(*f.all_films->interval, all_digits));
  }
  std::string html = text("<tr><th scope=\"row\">{}</th>{}", escape(f.title), cell(f.samples, d, all));
  html += f.reference ? cell(*f.reference, d, "<br>" + escape(f.reference_name)) : "<td class=\"none\">–</td>";
  return html +
         text("<td class=\"words\"><span class=\"badge {}\"><i></i>{}</span><b>{}</b><small>{}</small></td></tr>",
              tone(f.outcome), al::name_of(f.outcome), escape(f.verdict), escape(f.rule));
}

std::string figures_section(const al::RealismReport& r) {
  std::string html =
      "<div class=\"scroll\"><table class=\"checks\"><thead><tr><th>Check</th><th>Samples</th><th>Measured against</th>"
      "<th class=\"words\">Verdict</th></tr></thead><tbody>";
  for (const Figure& f : r.figures) html += row(f);
  return section(
      "figures", "Figures",
      "Below each value: its 95 % interval and how many films it comes from. A floor or ceiling is what real "
      "films score in the place of the samples. FID and KID: mean and range over random halves of the real "
      "patients; the interval for all films has FID's small-sample bias taken off, so it may lie below the "
      "value.",
      html + "</tbody></table></div>");
}

std::string tile(const Figure& f, const std::string& name, const std::string& value) {
  const std::string small =
      f.outcome == Outcome::not_measured ? "not measured"
      : f.reference
          ? text("{}: {}", f.name == "mask_response" || f.name == "class_consistency" ? "real films" : "real halves",
                 fixed(f.reference->value, digits(f)))
          : text("of {}", thousands(f.samples.n));
  return text("<div class=\"tile\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>", name, value, small);
}
std::string tile(const al::RealismReport& r, const char* figure_name, const std::string& name) {
  const Figure& f = figure(r, figure_name);
  return tile(f, name, f.outcome == Outcome::not_measured ? "–" : fixed(f.samples.value, digits(f)));
}

std::string header(const SynthCheckPage& p, const al::RealismReport& r) {
  const Figure& frechet = figure(r, "frechet_distance");
  std::string badge = "passed", headline, detail;
  const char* css = "good";
  for (const Figure& f : r.figures) {
    if (f.outcome == Outcome::failed) detail += f.title + ": " + f.verdict + ". ";
  }
  if (!r.passed()) {
    badge = "failed", css = "bad";
    headline = "Do not train on these samples as they are";
  } else if (frechet.outcome == Outcome::not_measured) {
    badge = "too few films", css = "unknown";
    headline = "Nothing speaks against these samples, but there are too few films to tell how real they are";
  } else if (frechet.outcome == Outcome::noted || figure(r, "kernel_distance").outcome == Outcome::noted) {
    badge = "passed with notes", css = "promising";
    headline = "No copies and no leaks, but distinguishable from real films";
  } else {
    headline = "No copies and no leaks, and as real as another half of the real films";
  }
  std::string html = text("<header><p class=\"eyebrow\">Synthetic films <span>{}</span></p>", escape(p.name));
  html += text("<p class=\"badge {}\"><i></i>{}</p><h1>{}</h1>", css, badge, headline);
  if (!detail.empty()) html += text("<p class=\"detail\">{}</p>", escape(detail));
  html += text("<p class=\"detail\">Features: {}.</p>", escape(p.features));
  for (const std::string& note : p.notes) html += text("<p class=\"note\">{}.</p>", escape(note));
  html += "<dl class=\"tiles\">" + tile(r, "frechet_distance", "Fréchet distance") + tile(r, "memorised", "Copies") +
          tile(r, "mask_response", "Dice with the wanted mask") +
          tile(r, "class_consistency", "Classified as their base") + "</dl>";
  return html +
         text(
             "<p class=\"facts\"><b>{}</b> samples of <b>{}</b> bases · <b>{}</b> real films: {} to train on, {} "
             "held out, no patient in both</p></header>",
             thousands(p.samples), thousands(p.bases), thousands(p.real), thousands(p.train), thousands(p.held_out));
}

std::string distances(const al::Memorisation& m, const std::string& title) {
  const std::string chart = histogram({{"held-out films", 0, m.held_out}, {"samples", 1, m.tested}},
                                      {.x_title = "distance to the nearest training film",
                                       .description = title + ": distances of samples and held-out films",
                                       .mark = m.closest_pair,
                                       .mark_name = "closest real pair"});
  return text(
      "<figure class=\"card\" style=\"max-width:none\"><figcaption>{} <span>z {}</span></figcaption>{}<p "
      "class=\"small\">{} of {} samples lie "
      "nearer than the closest two real films of different patients.</p></figure>",
      title, signed_fixed(m.test.z, 1), chart, thousands(m.nearer_than_pair),
      thousands(static_cast<int64_t>(m.samples.size())));
}

std::string memorisation_section(const al::RealismReport& r) {
  std::string html;
  if (r.in_features) html += distances(*r.in_features, "In features");
  if (r.in_pixels) html += distances(*r.in_pixels, "In pixels");
  const std::string title = "Copies of training films?";
  if (html.empty())
    return section("memorisation", title, "",
                   "<p class=\"missing\">" + escape(figure(r, "nearest_pixels").verdict) + "</p>");
  return section(
      "memorisation", title,
      "How far each film is from the nearest training film of another patient. A source that repeats its "
      "training films pushes the samples to the left of the held-out films, which it has never seen. The film a "
      "sample was made from, and its patient's others, are left out: a variant is meant to be like them.",
      text("<ul class=\"legend\"><li>{}samples, one of each base</li><li>{}held-out films</li></ul><div "
           "class=\"smalls\" style=\"grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))\">{}</div>",
           legend_key(1), legend_key(0), html));
}

std::string picture(const FilmPanel& panel) {
  if (panel.film.pixels.empty()) return "<div class=\"gone\">not known</div>";
  std::string line;
  if (!panel.mask.pixels.empty()) line = text("<path class=\"outline truth\" d=\"{}\"/>", outline(panel.mask));
  const int64_t h = panel.film.height, w = panel.film.width;
  return text(
      "<svg class=\"picture\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><image width=\"{}\" height=\"{}\" "
      "href=\"data:image/png;base64,{}\"/>{}</svg>",
      w, h, escape(panel.caption + " " + panel.id), w, h, base64(data::encode_png(panel.film)), line);
}

std::string gallery(const std::vector<FilmExample>& films) {
  std::string html = "<div class=\"cases\">";
  for (const FilmExample& f : films) {
    html += "<article class=\"case\"><div class=\"panels\">";
    for (const FilmPanel& p : f.panels)
      html += text("<div class=\"panel\">{}<span>{}<br>{}</span></div>", picture(p), escape(p.caption), escape(p.id));
    html += text("</div><p><b>{}</b><br><span>{}</span></p></article>", escape(f.id), escape(f.note));
  }
  return html + "</div>";
}

}  // namespace

std::string synth_check_page(const SynthCheckPage& p, const al::RealismReport& r) {
  const std::string key = "<ul class=\"legend\"><li><i class=\"stroke truth\"></i>mask</li></ul>";
  std::string body = header(p, r) + figures_section(r) + memorisation_section(r);
  body += section("nearest", "Nearest to a training film",
                  "The samples that lie nearest to a training film of another patient, in pixels: where a copy would "
                  "show first. A distance of 1.41 is that of two unrelated films.",
                  key + gallery(p.nearest));
  PageOptions options;
  options.links = {{"figures", "Figures"}, {"memorisation", "Copies"}, {"nearest", "Nearest"}};
  if (!p.worst_masks.empty()) {
    body += section("masks", "Least like their masks",
                    "The samples on which the segmenter's outline agrees least with the mask they were made for.",
                    key + gallery(p.worst_masks));
    options.links.emplace_back("masks", "Masks");
  }
  body += section("reproduction", "Reproduction", "", "<pre><code>" + escape(p.command) + "</code></pre>");
  options.links.emplace_back("reproduction", "Reproduction");
  options.made_from = "the films named above";
  return page(p.name + " – synthetic films", body, options);
}

}  // namespace querent::app
