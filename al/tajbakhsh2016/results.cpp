#include "al/tajbakhsh2016/results.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "al/metrics.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

using nlohmann::json;

json cells_of(const TajbakhshConfig& config, const TunedArms& arms, int64_t depth, const TestFilms& test) {
  json cells = json::array();
  for (const double share : config.shares) {
    const TunedArm &arm = arms.at({depth, share}), &base = arms.at({scratch, share});
    const Summary s = summarize(arm.auc);
    json cell = {{"share", share}, {"films", arm.films}, {"auc", arm.auc},   {"val_auc", arm.val_auc},
                 {"mean", s.mean}, {"low", s.ci.low},    {"high", s.ci.high}};
    if (depth != scratch) {
      const AucDifference d = compare_auc(arm.said, base.said, test, config.seed, 0.95);
      std::vector<NamedValues> others;  // Holm over the depths of this share
      for (const int64_t k : config.depths) others.push_back({depth_title(k), arms.at({k, share}).auc});
      const auto place = std::ranges::find(config.depths, depth) - config.depths.begin();
      const Comparison c = compare_with({"scratch", base.auc}, others)[static_cast<size_t>(place)];
      cell.update({{"difference", d.mean},
                   {"difference_low", d.ci.low},
                   {"difference_high", d.ci.high},
                   {"wins", c.wins},
                   {"p_holm", c.p_holm}});
    }
    cells.push_back(std::move(cell));
  }
  return cells;
}

}  // namespace

std::string depth_title(int64_t depth) {
  if (depth == scratch) return "from scratch";
  return depth == 0 ? "all layers tuned" : text("last {} tuned", depth);
}

double mean_auc(const Said& said, const TestFilms& test, std::span<const size_t> films) {
  const auto C = static_cast<size_t>(test.classes);
  double sum = 0, n = 0;
  std::vector<double> scores(films.size());
  std::vector<uint8_t> positive(films.size());
  for (const std::vector<float>& p : said) {
    for (size_t k = C == 2 ? 1 : 0; k < C; ++k, ++n) {
      for (size_t i = 0; i < films.size(); ++i) {
        scores[i] = static_cast<double>(p[films[i] * C + k]);
        positive[i] = test.labels[films[i]] == static_cast<int64_t>(k);
      }
      sum += auc(scores, positive);
    }
  }
  return sum / n;
}

AucDifference compare_auc(const Said& a, const Said& b, const TestFilms& test, uint64_t seed, double level) {
  const std::vector<std::vector<size_t>> patients = members(test.patients);
  std::vector<size_t> everyone(patients.size());
  for (size_t i = 0; i < everyone.size(); ++i) everyone[i] = i;
  const auto difference = [&](std::span<const size_t> drawn) {
    std::vector<size_t> films;
    for (const size_t p : drawn) films.insert(films.end(), patients[p].begin(), patients[p].end());
    return mean_auc(a, test, films) - mean_auc(b, test, films);
  };
  constexpr int64_t resamples = 2000;
  return {difference(everyone), bootstrap(static_cast<int64_t>(patients.size()), difference, seed, resamples, level)};
}

json arms_json(const TajbakhshConfig& config, const TunedArms& arms, const TestFilms& test) {
  json rows = json::array({{{"arm", "scratch"}, {"depth", 0}, {"cells", cells_of(config, arms, scratch, test)}}});
  for (const int64_t depth : config.depths)
    rows.push_back({{"arm", "tuned"}, {"depth", depth}, {"cells", cells_of(config, arms, depth, test)}});
  return rows;
}

// For each share the depth that validation prefers, against scratch.
json verdict_json(const TajbakhshConfig& config, const TunedArms& arms, const TestFilms& test) {
  const double level = 1 - 0.05 / static_cast<double>(config.shares.size());
  json verdict = json::array();
  for (const double share : config.shares) {
    const auto validation = [&](int64_t depth) { return summarize(arms.at({depth, share}).val_auc).mean; };
    const int64_t best = *std::ranges::max_element(config.depths, {}, validation);
    const TunedArm &tuned = arms.at({best, share}), &base = arms.at({scratch, share});
    const AucDifference d = compare_auc(tuned.said, base.said, test, config.seed, level);
    verdict.push_back({{"share", share},
                       {"films", tuned.films},
                       {"depth", best},
                       {"tuned", summarize(tuned.auc).mean},
                       {"scratch", summarize(base.auc).mean},
                       {"difference", d.mean},
                       {"low", d.ci.low},
                       {"high", d.ci.high},
                       {"level", level},
                       {"winner", d.ci.low > 0    ? "tuned"
                                  : d.ci.high < 0 ? "scratch"
                                                  : "neither"}});
  }
  return verdict;
}

}  // namespace querent::al
