// Every strategy against every other, on the same seeds.
#include <algorithm>

#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

// Of row over column.
struct Cell {
  int64_t wins = 0, losses = 0;
  double difference = 0, p = 1;
};
std::optional<Cell> cell_of(const Analysis& a, size_t row, size_t column) {
  for (const al::PairComparison& pair : a.pairs) {
    if (pair.first == row && pair.second == column)
      return Cell{pair.c.wins, pair.c.losses, pair.c.difference.mean, pair.c.p_holm};
    if (pair.first == column && pair.second == row)
      return Cell{pair.c.losses, pair.c.wins, -pair.c.difference.mean, pair.c.p_holm};
  }
  return std::nullopt;
}

std::string verdict_line(const Analysis& a) {
  std::string found;
  for (const al::PairComparison& pair : a.pairs) {
    if (pair.c.p_holm >= 0.05) continue;
    const bool ahead = pair.c.difference.mean > 0;
    found += text("{}{} over {} (p {})", found.empty() ? "" : ", ",
                  escape(a.strategies[ahead ? pair.first : pair.second].name),
                  escape(a.strategies[ahead ? pair.second : pair.first].name), fixed(pair.c.p_holm, 3));
  }
  const auto n = static_cast<int64_t>(a.paired_seeds.size());
  const double smallest = std::min(1.0, al::smallest_wilcoxon_p(n) * static_cast<double>(a.pairs.size()));
  std::string line = found.empty() ? "<b>No significant difference</b> between any two strategies. "
                                   : "<b>Significant:</b> " + found + ". ";
  if (smallest >= 0.05)
    line += text("With {} {} and {} {} no difference could be: the smallest p is {}.", n, n == 1 ? "seed" : "seeds",
                 a.pairs.size(), a.pairs.size() == 1 ? "pair" : "pairs", fixed(smallest, 2));
  return "<p class=\"note\">" + line + "</p>";
}

}  // namespace

std::string tests_section(const Results& r, const Analysis& a) {
  if (a.pairs.empty()) return "";
  std::string html = verdict_line(a) + "<div class=\"scroll\"><table><thead><tr><th>ahead in … seeds of</th>";
  for (const StrategySummary& s : a.strategies) html += text("<th>{}{}</th>", legend_key(s.color), escape(s.name));
  html += "</tr></thead><tbody>";
  for (size_t row = 0; row < a.strategies.size(); ++row) {
    html += text("<tr><th>{}{}</th>", legend_key(a.strategies[row].color), escape(a.strategies[row].name));
    for (size_t column = 0; column < a.strategies.size(); ++column) {
      const auto c = cell_of(a, row, column);
      if (!c) {
        html += "<td class=\"none\">–</td>";
        continue;
      }
      html += text("<td{}>{} : {}<small>{}, p {}</small></td>",
                   c->p >= 0.05        ? ""
                   : c->difference > 0 ? " class=\"more\""
                                       : " class=\"less\"",
                   c->wins, c->losses, signed_fixed(c->difference, 4), fixed(c->p, 2));
    }
    html += "</tr>";
  }
  return section("tests", "Who is ahead",
                 text("In how many seeds the strategy at the left was ahead of the one above, and behind; by the area "
                      "under the {} curve. "
                      "Small print: the mean difference, and p of a Wilcoxon signed-rank test over seeds, corrected "
                      "after Holm for all pairs.",
                      escape(metric_title(r.primary))),
                 html + "</tbody></table></div>");
}

}  // namespace querent::app
