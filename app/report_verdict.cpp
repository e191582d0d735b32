#include "app/report_verdict.h"

#include <algorithm>
#include <set>

#include "al/curve.h"
#include "app/html.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

Reach reach(const std::vector<std::vector<al::CurvePoint>>& seeds, double full, double fraction, int64_t measured_to) {
  Reach r;
  std::vector<int64_t> counts;
  for (const auto& points : seeds) {
    const al::LabelsToTarget t = al::labels_to_target(points, full, fraction);
    if (t.measured) counts.push_back(*t.measured);
    if (t.measured || points.back().labelled >= measured_to) ++r.seeds;  // else this seed is still on its way
  }
  r.reached = static_cast<int64_t>(counts.size());
  if (counts.empty()) return r;
  std::sort(counts.begin(), counts.end());
  r.fewest = counts.front();
  r.most = counts.back();
  const auto middle = static_cast<size_t>(r.seeds / 2);
  if (middle >= counts.size()) return r;
  r.median = counts[middle];
  for (const auto& points : seeds) r.at_start = r.at_start || points.front().labelled == *r.median;
  return r;
}

// "a", "a and b", "a, b and c"
std::string join(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size(); ++i) list += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return list;
}
std::string labels(int64_t n) { return thousands(n) + (n == 1 ? " label" : " labels"); }

std::string goal(const Results& r, double fraction) {
  const double target = fraction * *r.full_primary();
  return text("{} of full-data {} ({})", percent(fraction), metric_title(r.primary),
              fixed(target, metric_digits(r.primary)));
}
std::string share_of_all(const Results& r, int64_t n) {
  if (r.train <= 0) return labels(n);
  return text("{} of {} labels ({})", thousands(n), thousands(r.train),
              percent(static_cast<double>(n) / static_cast<double>(r.train)));
}

// The headline at one target; empty when nobody reached it. `winner` is set when it needed fewer labels than random.
std::string headline_at(const Results& r, const Analysis& a, size_t target, const StrategySummary*& winner) {
  const StrategySummary *random = nullptr, *best = nullptr;
  for (const StrategySummary& s : a.strategies) {
    const auto n = s.reach[target].median;
    if (s.name == baseline_name) {
      random = &s;
    } else if (n && (best == nullptr || *n < *best->reach[target].median ||
                     (*n == *best->reach[target].median && s.area.value_or(0) > best->area.value_or(0)))) {
      best = &s;
    }
  }
  const std::string what = goal(r, target_fractions[target]);
  const auto base = random == nullptr ? std::optional<int64_t>() : random->reach[target].median;
  if (best == nullptr && !base) return "";
  if (best == nullptr) {
    const std::string rest =
        a.strategies.size() > 1 ? text("; no other strategy got there within {}", labels(random->last)) : "";
    return text("{} reached {} with {}{}.", random->name, what, share_of_all(r, *base), rest);
  }
  const int64_t n = *best->reach[target].median;
  if (random == nullptr) return text("{} reached {} with {}.", best->name, what, share_of_all(r, n));
  if (base && *base < n) {
    return text("{} reached {} with {}; no strategy needed fewer (the best, {}, needed {}).", random->name, what,
                share_of_all(r, *base), best->name, thousands(n));
  }
  if (base && *base == n) {
    std::vector<std::string> same;
    for (const StrategySummary& s : a.strategies) {
      if (s.reach[target].median == n && &s != random) same.push_back(s.name);
    }
    same.emplace_back(random->name);
    const bool start = best->reach[target].at_start && random->reach[target].at_start;
    return text("{} {} reached {} with {}{}, so no labels were saved at that level.", join(same),
                same.size() == 2 ? "both" : "all", what, start ? "the first " : "", share_of_all(r, n));
  }
  if (random->reach[target].seeds == 0) {
    return text("{} reached {} with {}; random has not been measured that far yet.", best->name, what,
                share_of_all(r, n));
  }
  winner = best;
  const std::string other = base ? text("random needed {}", thousands(*base))
                                 : text("random did not get there within {}", thousands(random->last));
  return text("{} reached {} with {}; {}.", best->name, what, share_of_all(r, n), other);
}

// The headline, and in `more` what was reached below the highest target when nobody got there.
std::string headline(const Results& r, const Analysis& a, const StrategySummary*& winner, std::string& more) {
  const size_t top = target_fractions.size() - 1;
  const std::string first = headline_at(r, a, top, winner);
  if (!first.empty()) return first;
  const StrategySummary* closest = &a.strategies.front();
  for (const StrategySummary& s : a.strategies) {
    if (s.best > closest->best) closest = &s;
  }
  for (size_t t = top; t-- > 0 && more.empty();) more = headline_at(r, a, t, winner);
  const std::string best = fixed(closest->best, metric_digits(r.primary));
  const std::string what = goal(r, target_fractions[top]), with = labels(closest->last);
  if (a.strategies.size() == 1)
    return text("{} did not reach {} with up to {}: it got to {}.", closest->name, what, with, best);
  std::vector<std::string> level;  // as good to the digits shown
  for (const StrategySummary& s : a.strategies) {
    if (fixed(s.best, metric_digits(r.primary)) == best) level.push_back(s.name);
  }
  return text("No strategy reached {} with up to {}; {} came closest at {}.", what, with, join(level), best);
}

// Seeds for which k strategies against random could all be significant at 5 % after Holm.
int64_t seeds_needed(size_t strategies) {
  int64_t n = 2;
  while (al::smallest_wilcoxon_p(n) * static_cast<double>(strategies) >= 0.05) ++n;
  return n;
}

// How sure: the paired comparison of areas, in words, and the tone that follows from it.
void compare(const Results& r, const Analysis& a, const StrategySummary* winner, Verdict& v) {
  if (a.against_baseline.empty()) {
    const bool has_baseline =
        std::any_of(a.strategies.begin(), a.strategies.end(), [](const auto& s) { return s.name == baseline_name; });
    v.badge = has_baseline ? "Nothing to compare yet" : "No baseline";
    if (has_baseline && a.strategies.size() == 1) v.badge = "Baseline only";
    v.detail = !has_baseline
                   ? "The strategy random is not part of this run, so it cannot say whether choosing the images helped."
               : a.strategies.size() == 1
                   ? "Only random was run; add another strategy (--strategy random,bald) to see whether choosing the "
                     "images helps."
                   : "No seed has two measured rounds of every strategy yet, so the strategies cannot be compared.";
    return;
  }
  const al::Comparison* c = &a.against_baseline.front();
  for (const al::Comparison& other : a.against_baseline) {
    if (winner != nullptr ? other.name == winner->name : other.difference.mean > c->difference.mean) c = &other;
  }
  const int64_t n = c->difference.n;
  const std::string difference =
      text("{} {} on average along the curve", signed_fixed(c->difference.mean, metric_digits(r.primary) + 1),
           metric_title(r.primary));
  const int64_t needed = seeds_needed(a.against_baseline.size());
  const std::string limit =
      text("With {} seeds a Wilcoxon test cannot give p below {}; {} seeds (--seeds {}) could show a difference.", n,
           fixed(al::smallest_wilcoxon_p(n), n > 5 ? 3 : 2), needed, needed);
  const bool significant = c->p_holm < 0.05;
  const std::string p =
      text("Wilcoxon signed-rank test over {} seeds, Holm-corrected: p = {}.", n, fixed(c->p_holm, 3));
  const std::string tail = n >= needed ? p : limit;
  if (n == 1) {
    v.tone = Verdict::neutral;
    v.badge = "One seed only";
    v.detail = text("{} against random: {}. One seed can be luck; {} seeds (--seeds {}) could show a difference.",
                    c->name, difference, needed, needed);
  } else if (c->wins == n) {
    v.tone = significant ? Verdict::good : Verdict::promising;
    v.badge = significant ? "Choosing the images helped" : "Promising, not proven";
    v.detail =
        text("Over the whole curve {} was ahead of random in all {} seeds ({}). {}", c->name, n, difference, tail);
  } else if (c->losses == n) {
    v.tone = Verdict::bad;
    v.badge = "Random was ahead";
    v.detail = text("Over the whole curve {} was behind random in all {} seeds ({}). {}", c->name, n, difference, tail);
  } else {
    v.tone = Verdict::neutral;
    v.badge = "No clear difference";
    v.detail = text(
        "The seeds disagree: over the whole curve {} was ahead of random in {} of {} ({}), so this run does not show "
        "that choosing the "
        "images helped. {}",
        c->name, c->wins, n, difference, tail);
  }
}

// The label count at which a seed is done: the longest curve's. With --patience a seed may stop earlier and is done
// there.
int64_t longest(const Results& r) {
  int64_t last = 0;
  for (const auto& [key, value] : r.config) {
    if (key == "patience" && value != "0") return 0;
  }
  for (const StrategyCurves& s : r.strategies) {
    for (const SeedCurve& c : s.seeds) last = std::max(last, c.points.back().labelled);
  }
  return last;
}

// The label counts at which every finished seed of every strategy was measured.
std::set<int64_t> common_counts(const Results& r, int64_t measured_to) {
  std::optional<std::set<int64_t>> counts;
  for (const StrategyCurves& s : r.strategies) {
    for (const SeedCurve& c : s.seeds) {
      std::set<int64_t> here, both;
      for (const al::CurvePoint& p : points_of(c, r.primary)) here.insert(p.labelled);
      if (here.size() < 2 || *here.rbegin() < measured_to) continue;
      if (counts)
        std::set_intersection(here.begin(), here.end(), counts->begin(), counts->end(),
                              std::inserter(both, both.end()));
      counts = counts ? both : here;
    }
  }
  return counts.value_or(std::set<int64_t>());
}

StrategySummary summarise(const Results& r, const StrategyCurves& s, int64_t measured_to) {
  StrategySummary summary{.name = s.name, .color = s.color, .reach = {}, .area = {}, .best = 0, .last = 0};
  std::vector<std::vector<al::CurvePoint>> curves;
  std::map<int64_t, std::vector<double>> values;
  for (const SeedCurve& c : s.seeds) {
    std::vector<al::CurvePoint> points = points_of(c, r.primary);
    if (points.empty()) continue;
    summary.last = std::max(summary.last, points.back().labelled);
    for (const al::CurvePoint& p : points) values[p.labelled].push_back(p.metric);
    curves.push_back(std::move(points));
  }
  for (const auto& [labelled, v] : values) summary.best = std::max(summary.best, al::summarize(v).mean);
  if (!r.full_primary()) return summary;
  for (size_t t = 0; t < target_fractions.size(); ++t) {
    summary.reach[t] = reach(curves, *r.full_primary(), target_fractions[t], measured_to);
  }
  return summary;
}

}  // namespace

Analysis analyse(const Results& r) {
  Analysis a;
  const int64_t measured_to = longest(r);
  const std::set<int64_t> counts = common_counts(r, measured_to);
  const bool areas = counts.size() >= 2;
  if (areas) {
    a.area_from = *counts.begin();
    a.area_to = *counts.rbegin();
  }
  a.finished = r.full_primary().has_value() && r.full_runs.size() >= r.seeds.size() && !r.strategies.empty();
  std::vector<std::map<uint64_t, double>> area_of;  // strategy -> seed -> area
  for (const StrategyCurves& s : r.strategies) {
    StrategySummary summary = summarise(r, s, measured_to);
    area_of.emplace_back();
    for (const SeedCurve& c : s.seeds) {
      std::vector<al::CurvePoint> points = points_of(c, r.primary);
      if (points.empty() || points.back().labelled < measured_to) a.finished = false;
      if (!areas || points.size() < 2 || points.back().labelled < measured_to) continue;
      std::erase_if(points, [&](const al::CurvePoint& p) { return !counts.contains(p.labelled); });
      area_of.back()[c.seed] = al::area_under_learning_curve(points);
    }
    if (s.seeds.size() < std::max<size_t>(r.seeds.size(), 1)) a.finished = false;
    const auto n = static_cast<double>(area_of.back().size());
    for (const auto& [seed, area] : area_of.back()) summary.area = summary.area.value_or(0) + area / n;
    a.strategies.push_back(std::move(summary));
  }
  if (area_of.empty()) return a;
  for (const auto& [seed, area] : area_of.front()) {
    const auto everywhere = [&](const auto& strategy) { return strategy.contains(seed); };
    if (std::all_of(area_of.begin(), area_of.end(), everywhere)) a.paired_seeds.push_back(seed);
  }
  std::vector<al::NamedValues> others, all;
  std::optional<al::NamedValues> baseline;
  for (size_t i = 0; i < area_of.size(); ++i) {
    al::NamedValues values{a.strategies[i].name, {}};
    for (const uint64_t seed : a.paired_seeds) values.per_seed.push_back(area_of[i].at(seed));
    all.push_back(values);
    if (values.name == baseline_name) {
      baseline = std::move(values);
    } else {
      others.push_back(std::move(values));
    }
  }
  if (baseline && !others.empty() && !a.paired_seeds.empty()) a.against_baseline = al::compare_with(*baseline, others);
  if (all.size() > 1 && !a.paired_seeds.empty()) a.pairs = al::compare_all(all);
  return a;
}

Verdict verdict(const Results& r, const Analysis& a) {
  Verdict v;
  const bool measured = std::any_of(a.strategies.begin(), a.strategies.end(), [](const auto& s) { return s.last > 0; });
  if (!measured) {
    v.badge = "No measurements yet";
    v.headline = "This run has not measured a strategy yet.";
    v.detail = "Give the same querent run command again: it continues where it stopped, and this page fills itself.";
    return v;
  }
  const StrategySummary* winner = nullptr;
  compare(r, a, winner, v);
  if (!r.full_primary()) {
    v.headline = text("The model trained on all labels is missing, so there is no {} to compare with yet.",
                      metric_title(r.primary));
    return v;
  }
  v.headline = headline(r, a, winner, v.lower);
  if (winner != nullptr) compare(r, a, winner, v);
  return v;
}

}  // namespace querent::app
