#include "al/gallery.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "al/evaluation.h"
#include "al/scoring.h"
#include "data/encode.h"

namespace querent::al {
namespace {

using nlohmann::json;
constexpr size_t pictures_per_query = 4;
constexpr size_t worst_shown = 12;

// Writes values scaled so that `white` is white; returns the path relative to `folder`.
std::string picture(const std::string& folder, const std::string& name, std::span<const float> values, int64_t side,
                    float white) {
  Image image(side, side);
  for (size_t i = 0; i < values.size(); ++i) image.pixels[i] = std::clamp(values[i] / white, 0.0f, 1.0f);
  const std::string path = "gallery/" + name + ".png";
  std::filesystem::create_directories(std::filesystem::path(folder + "/" + path).parent_path());
  data::write_png(folder + "/" + path, image);
  return path;
}

std::vector<float> floats(const std::vector<double>& v) { return {v.begin(), v.end()}; }
std::vector<float> deviations(const std::vector<double>& variance) {
  std::vector<float> v;
  for (const double x : variance) v.push_back(static_cast<float>(std::sqrt(x)));
  return v;
}

// The radiograph as the network sees it, brought back to [0,1].
std::vector<float> displayed(const Tensor& x) {
  std::vector<float> v = x.host();
  const auto [low, high] = std::minmax_element(v.begin(), v.end());
  const float lo = *low, range = std::max(*high - *low, 1e-6f);
  for (float& p : v) p = (p - lo) / range;
  return v;
}

}  // namespace

void add_pictures(json& items, const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                  const std::string& folder, const std::string& prefix, int64_t passes, uint64_t seed) {
  const size_t n = std::min(pictures_per_query, items.size());
  if (n == 0) return;
  const auto part = cases.first(n);
  const data::Batch batch = loader.batch(part);
  const std::vector<CasePasses> said = stochastic_passes(learner, loader, part, passes, seed);
  const int64_t side = loader.options().size;
  for (size_t i = 0; i < n; ++i) {
    const std::string name = prefix + "/" + std::to_string(i + 1);
    items[i]["image"] = picture(folder, name, displayed(batch.x.batch(static_cast<int64_t>(i), 1)), side, 1);
    const UncertaintyMaps maps = uncertainty_maps(learner.model(), said[i], passes);
    if (!learner.model().segments) {
      items[i]["probabilities"] = maps.mean;
      continue;
    }
    items[i]["truth"] = picture(folder, name + "_truth", batch.mask.batch(static_cast<int64_t>(i), 1).host(), side, 1);
    items[i]["prediction"] = picture(folder, name + "_prediction", floats(maps.mean), side, 1);
    items[i]["epistemic"] = picture(folder, name + "_epistemic", deviations(maps.epistemic), side, 0.5f);
    items[i]["aleatoric"] = picture(folder, name + "_aleatoric", deviations(maps.aleatoric), side, 0.5f);
  }
}

void add_nearest(json& items, const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                 std::span<const int64_t> labelled) {
  const size_t n = std::min(pictures_per_query, items.size());
  const PoolView view = survey(learner, loader, find_strategy("coreset"), cases.first(n), labelled, {});
  for (size_t i = 0; i < n && !labelled.empty(); ++i) {
    size_t nearest = 0;
    double least = INFINITY;
    for (size_t k = 0; k < view.labelled.size(); ++k) {
      double square = 0;
      for (size_t d = 0; d < view.labelled[k].size(); ++d) {
        const double off = static_cast<double>(view.labelled[k][d]) - static_cast<double>(view.cases[i].feature[d]);
        square += off * off;
      }
      if (square < least) least = square, nearest = k;
    }
    items[i]["nearest"] = loader.dataset().cases[static_cast<size_t>(labelled[nearest])].id;
  }
}

json worst_cases(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases, const std::string& folder) {
  const std::vector<Metrics> each = evaluate_each(learner, loader, cases);
  const bool segments = learner.model().segments;
  const std::string metric = segments ? "dice" : "probability_of_truth";
  std::vector<size_t> order(cases.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return each[a].at(metric) < each[b].at(metric); });
  order.resize(std::min(worst_shown, order.size()));
  json list = json::array();
  for (const size_t k : order) {
    const std::vector<int64_t> one = {cases[k]};
    const data::Batch batch = loader.batch(one);
    const data::Case& c = loader.dataset().cases[static_cast<size_t>(cases[k])];
    const std::string name = "worst/" + std::to_string(list.size() + 1);
    json item = {{"id", c.id}, {metric, each[k].at(metric)}};
    item["image"] = picture(folder, name, displayed(batch.x), loader.options().size, 1);
    if (segments) {
      item["truth"] = picture(folder, name + "_truth", batch.mask.host(), loader.options().size, 1);
      item["prediction"] = picture(folder, name + "_prediction", learner.predict(loader, one)[0], loader.options().size, 1);
    } else {
      item["label"] = c.label;
    }
    list.push_back(item);
  }
  return list;
}

}  // namespace querent::al
