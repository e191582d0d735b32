// Whom the strategies asked about: classes, and what the data say of each patient, against the pool.
#include <algorithm>

#include "al/statistics.h"
#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

// Share of each class, one bar per strategy.
std::string class_bars(const Results& r) {
  if (r.class_counts.empty()) return "";
  std::vector<std::string> names = r.classes;
  for (const auto& [strategy, counts] : r.class_counts) {
    for (const auto& [label, n] : counts) {
      if (n > 0 && std::find(names.begin(), names.end(), label) == names.end()) names.push_back(label);
    }
  }
  std::string html = "<div class=\"card classes\">";
  for (const std::string& label : names) {
    std::string rows;
    for (const StrategyCurves& s : r.strategies) {
      const auto found = r.class_counts.find(s.name);
      if (found == r.class_counts.end()) continue;
      int64_t total = 0;
      for (const auto& [other, n] : found->second) total += n;
      const auto mine = found->second.find(label);
      const int64_t n = mine == found->second.end() ? 0 : mine->second;
      const double share = total > 0 ? static_cast<double>(n) / static_cast<double>(total) : 0;
      rows += text("<li><span>{}</span><u><i class=\"f{}\" style=\"width:{}%\"></i></u><b>{}</b><small>{}</small></li>",
                   escape(s.name), s.color, fixed(100 * share, 1), percent(share), thousands(n));
    }
    if (!rows.empty()) html += text("<h3>{}</h3><ul class=\"bars\">{}</ul>", escape(label), rows);
  }
  return html + "</div>";
}

struct Asked {
  std::map<std::string, std::pair<int64_t, int64_t>> of;  // value -> asked, pool; all seeds
  int64_t asked = 0, pool = 0, seeds = 0, tested = 0, biased = 0;
};
Asked asked_of(const Results& r, const std::string& strategy, const std::string& column) {
  Asked sum;
  for (const SelectionCounts& s : r.selection) {
    const auto found = s.groups.find(column);
    if (s.strategy != strategy || found == s.groups.end()) continue;
    std::vector<int64_t> drawn, pool;
    for (const auto& [value, n] : found->second) {
      sum.of[value].first += n.first;
      sum.of[value].second += n.second;
      sum.asked += n.first;
      sum.pool += n.second;
      drawn.push_back(n.first);
      pool.push_back(n.second);
    }
    const al::ChiSquare test = al::chi_square(drawn, pool);
    ++sum.seeds;
    sum.tested += test.reliable;
    sum.biased += test.reliable && test.p < 0.05;
  }
  return sum;
}

// Rows: values; columns: the pool, then how many times its share a strategy asked for.
std::string group_table(const Results& r, const std::string& column) {
  std::vector<std::pair<const StrategyCurves*, Asked>> strategies;
  for (const StrategyCurves& s : r.strategies) {
    if (Asked a = asked_of(r, s.name, column); a.asked > 0 && a.pool > 0) strategies.emplace_back(&s, std::move(a));
  }
  if (strategies.empty()) return "";
  std::string html = text("<div class=\"scroll\"><table><thead><tr><th>{}</th><th>Pool</th>", escape(column)), tests;
  for (const auto& [s, a] : strategies) {
    html += text("<th>{}{}</th>", legend_key(s->color), escape(s->name));
    tests += a.tested == 0 ? "<td class=\"none\">too few</td>" : text("<td>{} of {} seeds</td>", a.biased, a.seeds);
  }
  html += "</tr></thead><tbody>";
  for (const auto& [value, n] : strategies.front().second.of) {
    const double there = static_cast<double>(n.second) / static_cast<double>(strategies.front().second.pool);
    html += text("<tr><th>{}</th><td>{}</td>", escape(value), percent(there));
    for (const auto& [s, a] : strategies) {
      const auto found = a.of.find(value);
      const auto [asked, pool] = found == a.of.end() ? std::pair<int64_t, int64_t>() : found->second;
      const double share = static_cast<double>(asked) / static_cast<double>(a.asked);
      html += pool == 0 ? "<td class=\"none\">–</td>"
                        : text("<td>{} ×<small>{}, {} images</small></td>",
                               fixed(share * static_cast<double>(a.pool) / static_cast<double>(pool), 2),
                               percent(share), thousands(asked));
    }
    html += "</tr>";
  }
  return html + "<tr><th>not by chance<small>chi-square, p &lt; 0.05</small></th><td></td>" + tests +
         "</tr></tbody></table></div>";
}

}  // namespace

std::string classes_section(const Results& r) {
  std::string html = class_bars(r);
  std::map<std::string, bool> columns;
  for (const SelectionCounts& s : r.selection)
    for (const auto& [column, values] : s.groups) columns[column] = true;
  std::string tables;
  for (const auto& [column, unused] : columns) tables += group_table(r, column);
  if (html.empty() && tables.empty()) return "";
  std::string lead = "Which images a strategy asked for, all seeds and rounds together";
  if (!html.empty()) lead += "; a longer bar than random's means that it went looking for that class";
  lead += ".";
  if (!tables.empty())
    lead +=
        " In the tables 1 × is the share of the pool (the training images without the first labels), 2 × twice as many as "
        "drawing blindly would ask for. What is asked for is what the network learns: a group below 1 × is one it sees "
        "less of.";
  return section("classes", "Who was asked for", lead, html + (html.empty() ? "" : "<p></p>") + tables);
}

}  // namespace querent::app
