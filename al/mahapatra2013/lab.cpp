#include "al/mahapatra2013/lab.h"

#include <algorithm>
#include <limits>

#include "data/parallel.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

std::vector<Film> describe(const SuperpixelLab& lab, const std::vector<int64_t>& cases, const std::string& title) {
  std::vector<Film> films(cases.size());
  const auto total = static_cast<int64_t>(cases.size());
  for (int64_t from = 0; from < total; from += films_at_once) {
    if (lab.hooks.stop()) throw StoppedUnit{};
    const int64_t to = std::min(from + films_at_once, total);
    std::vector<std::pair<Image, Image>> read;  // the loader serves one thread
    for (int64_t i = from; i < to; ++i)
      read.emplace_back(lab.loader.image(cases[static_cast<size_t>(i)]),
                        lab.loader.mask(cases[static_cast<size_t>(i)]));
    data::parallel_for(to - from, [&](int64_t i) {
      const auto& [image, mask] = read[static_cast<size_t>(i)];
      Film& f = films[static_cast<size_t>(from + i)];
      f = describe_film(image, mask, {.count = lab.config.superpixels});
      f.case_index = cases[static_cast<size_t>(from + i)];
    });
    lab.report({Progress::step, title, 0, 0, to, total, std::numeric_limits<double>::quiet_NaN(), nullptr});
  }
  return films;
}

SeedSetting make_setting(const SuperpixelLab& lab, uint64_t seed) {
  std::vector<int64_t> cases = data::cases_of(lab.dataset, "train");
  Rng(seed).fork("pool").shuffle(cases);
  cases.resize(static_cast<size_t>(lab.config.films));
  SuperpixelPool pool = make_pool(describe(lab, cases, text("superpixels of the pool of seed {}", seed)));
  const auto foreground = std::count(pool.truth.begin(), pool.truth.end(), 1);
  check(foreground > 0 && foreground < pool.nodes(),
        "mahapatra2013: {} of {} superpixels of the pool are foreground; use more --superpixels or other masks",
        foreground, pool.nodes());
  const Standardizer z(pool.features);
  FeatureMatrix standardised = z(pool.features);
  Graph graph = likeness_graph(pool, standardised, lab.config.neighbours);
  std::vector<double> density = information_density(graph);
  return {std::move(pool), z, std::move(standardised), std::move(graph), std::move(density)};
}

}  // namespace

void prepare(SuperpixelLab& lab, uint64_t seed) {
  if (lab.test.empty()) lab.test = describe(lab, data::cases_of(lab.dataset, "test"), "superpixels of the test films");
  if (lab.val.empty())
    lab.val = describe(lab, data::cases_of(lab.dataset, "val"), "superpixels of the validation films");
  if (!lab.setting) lab.setting.emplace(make_setting(lab, seed));
}

}  // namespace querent::al
