// The top of the report: the verdict, how sure it is, and the four numbers people ask for.
#include <algorithm>

#include "app/html.h"
#include "app/report_sections.h"
#include "data/pattern.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

std::string tile(const std::string& name, const std::string& value, const std::string& note) {
  return text("<div class=\"tile\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>", name, value, note);
}

std::string full_tile(const Results& r) {
  const auto full = r.full_primary();
  const std::string name = "All labels: " + escape(metric_title(r.primary));
  if (!full) return tile(name, "–", "not measured yet");
  const int digits = metric_digits(r.primary);
  double low = *full, high = *full;
  int64_t seeds = 0;
  for (const auto& run : r.full_runs) {
    const auto found = run.find(r.primary);
    if (found == run.end()) continue;
    low = std::min(low, found->second);
    high = std::max(high, found->second);
    ++seeds;
  }
  return tile(name, fixed(*full, digits),
              seeds > 1 ? text("{}–{} over {} seeds", fixed(low, digits), fixed(high, digits), seeds) : "one seed");
}

std::string target_tile(const Results& r, const Analysis& a) {
  const size_t top = target_fractions.size() - 1;
  const StrategySummary* best = nullptr;
  for (const StrategySummary& s : a.strategies) {
    const auto n = s.reach[top].median;
    if (n && (best == nullptr || *n < *best->reach[top].median)) best = &s;
  }
  const std::string name = "Labels for 99\u00a0% of that";
  if (best != nullptr) {
    const int64_t n = *best->reach[top].median;
    const auto there = static_cast<size_t>(std::count_if(a.strategies.begin(), a.strategies.end(),
                                                         [&](const auto& s) { return s.reach[top].median == n; }));
    const std::string who = there == 1                     ? escape(best->name)
                            : there == a.strategies.size() ? "every strategy"
                                                           : "several strategies";
    const std::string share = r.train > 0 ? text("of {}, ", thousands(r.train)) : "";
    return tile(name, thousands(n), share + who);
  }
  int64_t last = 0;
  for (const StrategySummary& s : a.strategies) last = std::max(last, s.last);
  return tile(name, "–", last > 0 ? text("not reached within {}", thousands(last)) : "not measured yet");
}

std::string used_tile(const Results& r, const Analysis& a) {
  int64_t last = 0;
  for (const StrategySummary& s : a.strategies) last = std::max(last, s.last);
  const std::string note =
      r.train > 0 && last > 0
          ? text("{} of {} training images", percent(static_cast<double>(last) / static_cast<double>(r.train)),
                 thousands(r.train))
          : "per strategy and seed";
  return tile("Labels used", last > 0 ? thousands(last) : "–", note);
}

std::string time_tile(const Results& r) {
  const std::string note = r.threads > 0 ? text("on {} {}", r.threads, r.threads == 1 ? "thread" : "threads") : "";
  return tile("Computing time", r.seconds > 0 ? duration(r.seconds) : "–", note);
}

std::string task_name(const std::string& task) {
  return task == "seg" ? "Segmentation" : task == "cls" ? "Classification" : task;
}

std::string model_name(const std::string& model) {
  if (model == "unet") return "a U-Net";
  if (model == "resnet18") return "a ResNet-18";
  if (model == "vgg16") return "a VGG16";
  if (model == "vgg16_bn") return "a VGG16 with batch normalisation";
  return model;
}

// "full-data" and "--seeds 6" stay on one line.
std::string unbroken(std::string html) {
  const std::string word = "full-data";
  for (size_t at = html.find(word); at != std::string::npos; at = html.find(word, at + 40)) {
    html.replace(at, word.size(), "<span class=\"nb\">" + word + "</span>");
  }
  static const data::Pattern seeds("--seeds \\d+");
  return seeds.replace(html, "<code class=\"nb\">$&</code>");
}

}  // namespace

std::string header_section(const Results& r, const Analysis& a) {
  static constexpr const char* tones[] = {"good", "promising", "neutral", "bad", "unknown"};
  const Verdict v = verdict(r, a);
  std::string html = text("<header><p class=\"eyebrow\">Querent report <span>{}</span></p>", escape(r.name));
  html += text("<p class=\"badge {}\"><i></i>{}</p>", tones[v.tone], escape(v.badge));
  html += text("<h1>{}</h1>", unbroken(escape(v.headline)));
  if (!v.lower.empty()) html += text("<p class=\"detail\">{}</p>", escape(v.lower));
  html += text("<p class=\"detail\">{}</p>", unbroken(escape(v.detail)));
  if (!a.finished) {
    html +=
        "<p class=\"note\">This run is not finished: some seeds or rounds are missing below. Give the same command "
        "again to "
        "continue it.</p>";
  }
  html += "<dl class=\"tiles\">" + full_tile(r) + target_tile(r, a) + used_tile(r, a) + time_tile(r) + "</dl>";
  std::string facts = text("<b>{}</b> with {}", escape(task_name(r.task)), escape(model_name(r.model)));
  if (r.size > 0) facts += text(" at {} × {} pixels", r.size, r.size);
  if (r.images > 0) facts += text(" · <b>{}</b> images", thousands(r.images));
  if (r.patients > 0) facts += text(" of <b>{}</b> patients", thousands(r.patients));
  if (r.train > 0) {
    facts += text(" · {} to train on, {} to validate, {} to test, no patient in two of them", thousands(r.train),
                  thousands(r.val), thousands(r.test));
  }
  if (r.task == "cls" && !r.classes.empty()) {
    facts += " · classes ";
    for (size_t i = 0; i < r.classes.size(); ++i) facts += (i > 0 ? ", " : "") + escape(r.classes[i]);
  }
  return html + "<p class=\"facts\">" + facts + "</p></header>";
}

}  // namespace querent::app
