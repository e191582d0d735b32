// The words of a strategy: why an image was asked, and the text of `querent explain STRATEGY`.
#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "al/batch.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

// Breaks a paragraph into lines of at most 96 characters, each indented by two.
std::string wrapped(std::string_view paragraph) {
  std::istringstream words{std::string(paragraph)};
  std::string out, line = " ", word;
  while (words >> word) {
    if (line.size() + 1 + word.size() > 98) {
      out += line + "\n";
      line = " ";
    }
    line += " " + word;
  }
  return out + line + "\n";
}

std::string three_digits(double v) {
  std::ostringstream os;
  os.setf(std::ios::fixed);
  os.precision(3);
  os << (std::abs(v) < 5e-4 ? 0.0 : v);
  return os.str();
}

}  // namespace

std::string reason(const Strategy& s, const Score& r) {
  std::string out = std::string(s.name) + " " + three_digits(r.value);
  std::string parts;
  for (const auto& [name, value] : r.parts)
    if (value != r.value) parts += (parts.empty() ? "" : ", ") + name + " " + three_digits(value);
  return parts.empty() ? out : out + " (" + parts + ")";
}

namespace {

struct Example {
  const char* id;
  const char* text;
  std::array<float, 4> p;     // P(disease) in each of four passes
  float log_variance;         // s = log sigma^2 of the logit
  std::array<float, 2> at{};  // two features, for the batch selectors
};

std::string padded(std::string s, size_t width) {
  s.resize(std::max(s.size(), width), ' ');
  return s;
}

std::string scored_examples(const Strategy& s) {
  const Example examples[] = {{"sure", "every pass says 0.95", {0.95f, 0.95f, 0.95f, 0.95f}, -3},
                              {"ambiguous", "every pass says 0.50", {0.5f, 0.5f, 0.5f, 0.5f}, 0},
                              {"disputed", "passes say 0.95 0.05 0.95 0.05", {0.95f, 0.05f, 0.95f, 0.05f}, -3}};
  std::string out = "  Three worked images (two classes, four passes; the highest score is asked first):\n";
  for (const Example& e : examples) {
    Score r;
    if (s.needs.segmentation_only) {  // one-pixel masks
      std::vector<float> zero(4, 0.0f);
      r = score(s, segmentation_passes(e.id, 4, 1, 1, e.p, zero, zero));
    } else {
      std::vector<float> p, logit, variance(8, e.log_variance);
      for (const float q : e.p) {
        p.insert(p.end(), {1 - q, q});
        logit.insert(logit.end(), {0.0f, std::log(q / (1 - q))});
      }
      r = score(s, classification_passes(e.id, 4, 2, p, logit, variance));
    }
    out += padded(std::string("    ") + e.id + ": " + e.text, 46) + "  " + reason(s, r) + "\n";
  }
  return out;
}

std::string batch_example(const Strategy& s) {
  const Example examples[] = {
      {"sure", "every pass says 0.95", {0.95f, 0.95f, 0.95f, 0.95f}, 0, {2, 0.3f}},
      {"ambiguous", "every pass says 0.50", {0.5f, 0.5f, 0.5f, 0.5f}, 0, {1.6f, 0.8f}},
      {"disputed", "passes say 0.95 0.05 0.95 0.05", {0.95f, 0.05f, 0.95f, 0.05f}, 0, {0.5f, 2}},
      {"twin", "passes say 0.95 0.05 0.95 0.05", {0.95f, 0.05f, 0.95f, 0.05f}, 0, {0.6f, 2}},
      {"other", "passes say 0.95 0.95 0.05 0.05", {0.95f, 0.95f, 0.05f, 0.05f}, 0, {0.4f, 0.6f}}};
  PoolView view{s.needs.one_pass ? 1 : 4, 2, {}, {}};
  std::string out = "  A worked pool of five images (two classes, four passes" +
                    std::string(s.needs.features ? ", two features):\n" : "):\n");
  for (const Example& e : examples) {
    std::vector<float> p;
    for (const float q : e.p) p.insert(p.end(), {1 - q, q});
    const Score r = s.compute ? score(s, classification_passes(e.id, 4, 2, p)) : Score{};
    if (s.needs.one_pass) {  // without dropout: their mean
      const float q = (e.p[0] + e.p[1] + e.p[2] + e.p[3]) / 4;
      p = {1 - q, q};
    }
    view.cases.push_back({e.id, r, p, {e.at.begin(), e.at.end()}});
    const std::string line = std::string("    ") + e.id + ": " + e.text;
    out += s.needs.features ? text("{}  at ({}, {})\n", padded(line, 46), e.at[0], e.at[1]) : line + "\n";
  }
  if (s.needs.labelled) {
    view.labelled = {{2, 0}}, view.labelled_class = {1};
    out += padded("    labelled already", 46) + "  at (2, 0)\n";
  }
  if (s.needs.labels || s.needs.losses) {
    view.labelled.push_back({0, 2}), view.labelled_class.push_back(0);
    out += padded(s.needs.losses ? "    labelled already, loss 2 (the first: 0.1)"
                                 : "    labelled already, of the other class",
                  46) +
           "  at (0, 2)\n";
  }
  if (s.needs.losses) view.labelled_loss = {0.1, 2};
  if (s.needs.stages) view.stages = {1, 1};
  out += "  Asked for three, it takes:\n";
  int64_t rank = 0;
  for (const Pick& pick : choose(s, view, 3))
    out += padded(text("    {}. {}", ++rank, view.cases[pick.index].id), 18) + reason(s, pick.score) + "\n";
  return out;
}

}  // namespace

std::string explain(const Strategy& s) {
  std::string out = text("{}\n  score   {}\n  source  {}\n", s.name, s.formula, s.source) + wrapped(s.doc);
  if (s.needs.several_passes) out += "  Needs several stochastic passes (dropout active).\n";
  if (s.needs.log_variance) out += "  Needs a model with a log-variance head.\n";
  if (s.needs.classification_only) out += "  For classification.\n";
  return out + (s.select ? batch_example(s) : scored_examples(s));
}

}  // namespace querent::al
