// How to get the same numbers again, and what the words mean.
#include <array>

#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

// Names above values, as many side by side as fit.
std::string settings(const std::vector<std::pair<std::string, std::string>>& pairs, const char* css) {
  std::string html = text("<dl class=\"settings {}\">", css);
  for (const auto& [key, value] : pairs) html += text("<div><dt>{}</dt><dd>{}</dd></div>", escape(key), escape(value));
  return html + "</dl>";
}

struct Term {
  const char *word, *meaning, *task;  // task "": both
};
constexpr std::array terms = {
    Term{"Active learning", "The network chooses which images an expert labels next, so that fewer labels are needed.",
         ""},
    Term{"Round", "Train, score the images without a label, ask for the highest scores, add their labels, train again.",
         ""},
    Term{"Random",
         "Draws the images without looking at them. The yardstick: a strategy must beat it to be worth its computing "
         "time.",
         ""},
    Term{"Seed",
         "One repetition with other starting weights and other random choices. The spread over seeds shows what chance "
         "does.",
         ""},
    Term{"Dice", "Overlap of predicted and true area: twice the shared area divided by the sum of both. 1 is perfect.",
         "seg"},
    Term{"IoU", "Shared area divided by the area covered by either. Always below Dice unless both are 0 or 1.", "seg"},
    Term{"Hausdorff distance",
         "The farthest that one outline strays from the other. The 95 % version forgives the worst twentieth.", "seg"},
    Term{"AUC",
         "How often a random sick image gets a higher score than a random healthy one. 0.5 is guessing, 1 is perfect.",
         "cls"},
    Term{"Sensitivity, specificity", "Share of the sick that are found; share of the healthy that are left alone.",
         "cls"},
    Term{"Epistemic uncertainty", "Doubt because too little has been learned. More labels of this kind reduce it.", ""},
    Term{"Aleatoric uncertainty", "Doubt because the image itself is unclear. More labels do not reduce it.", ""},
    Term{"BALD",
         "Asks for images on which repeated passes with dropout disagree: confident, but each time about something "
         "else.",
         ""},
    Term{"MC dropout",
         "Running the network several times with random parts switched off; the spread of the answers measures its "
         "doubt.",
         ""},
    Term{"ECE",
         "Expected calibration error: the average gap between how sure the network says it is and how often it is "
         "right.",
         ""},
    Term{"Temperature",
         "One number by which all answers are made more modest (above 1) or surer (below 1), fitted on the validation "
         "split. It changes how sure the network says it is, never what it answers.",
         ""},
    Term{"Risk and coverage",
         "The error among the cases the network answers when it may leave the least sure ones to a reader.", ""},
    Term{"Power law",
         "a − b n^−c: quick gains first, then ever smaller ones, towards a. Most learning curves look like it; a "
         "forecast is made only where this one does.",
         ""},
    Term{"Wilcoxon test, p",
         "Probability of differences at least this clear if the two strategies were equally good. Few seeds cannot "
         "give a "
         "small p, however large the difference. Holm corrects for testing several strategies.",
         ""},
};

}  // namespace

std::string reproduction_section(const Results& r) {
  std::string html;
  if (!r.command.empty()) html += text("<pre><code>{}</code></pre>", escape(r.command));
  std::string seeds;
  for (const uint64_t s : r.seeds) seeds += (seeds.empty() ? "" : ", ") + std::to_string(s);
  std::vector<std::pair<std::string, std::string>> facts = {
      {"Querent", r.version.empty() ? "unknown" : r.version}, {"data", r.data_path}, {"seeds", seeds}};
  if (r.threads > 0) facts.emplace_back("threads", std::to_string(r.threads));
  if (r.seconds > 0) facts.emplace_back("seconds", fixed(r.seconds, 1));
  html += settings(facts, "");
  if (!r.hashes.empty()) html += "<h3>SHA-256</h3>" + settings(r.hashes, "hashes");
  if (!r.config.empty()) html += "<h3>Configuration</h3>" + settings(r.config, "");
  return section("reproduction", "Reproduction",
                 "The same command on the same data gives the same numbers, whatever the number of threads. One click "
                 "selects the command.",
                 html);
}

std::string glossary_section(const Results& r) {
  std::string html = "<dl class=\"glossary\">";
  for (const Term& t : terms) {
    if (*t.task != '\0' && !r.task.empty() && r.task != t.task) continue;
    html += text("<div><dt>{}</dt><dd>{}</dd></div>", t.word, t.meaning);
  }
  return section("glossary", "Words", "", html + "</dl>");
}

}  // namespace querent::app
