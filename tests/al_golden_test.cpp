// Acquisition and selection against other implementations: tests/golden/make_acquisition_fixtures.py says which.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "al/selection/family.h"
#include "layers/tensor_file.h"

TEST_SUITE_BEGIN("al_golden_test");
using namespace querent;
using namespace querent::al;

namespace {

constexpr double tolerance = 1e-6;  // relative; probabilities and features are f32

const TensorFile& fixture() {
  static const TensorFile file =
      read_tensors(std::string(QUERENT_SOURCE_DIR) + "/tests/golden/acquisition.safetensors");
  return file;
}
std::vector<double> doubles(const std::string& name) { return fixture().at(name).host_f64(); }
std::vector<size_t> indices(const std::string& name) {
  const std::vector<double> v = doubles(name);
  return {v.begin(), v.end()};
}
Points points(const std::string& name) {
  const Tensor& t = fixture().at(name);
  return {t.dim(0), t.dim(1), t.host_f64()};
}
// Row i of a f32 tensor.
std::vector<float> row(const std::string& name, int64_t i) { return fixture().at(name).batch(i, 1).host(); }

void check_equal(const std::string& name, const std::vector<double>& got) {
  const std::vector<double> want = doubles(name);
  CAPTURE(name);
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(got[i] - want[i]) <= tolerance * std::max(1.0, std::abs(want[i])));
  }
}
template <class Item>
std::vector<size_t> taken(const std::vector<Item>& items) {
  std::vector<size_t> v;
  for (const Item& i : items) v.push_back(i.index);
  return v;
}

struct Images {
  int64_t N, T, C;
  std::vector<std::vector<float>> p, logit, log_variance;
  Images() {
    const Tensor& all = fixture().at("p");
    N = all.dim(0), T = all.dim(1), C = all.dim(2);
    for (int64_t i = 0; i < N; ++i) {
      p.push_back(row("p", i));
      logit.push_back(row("logit", i));
      log_variance.push_back(row("log_variance", i));
    }
  }
  Passes passes(int64_t i) const {
    const auto k = static_cast<size_t>(i);
    return classification_passes("image", T, C, p[k], logit[k], log_variance[k]);
  }
};

}  // namespace

TEST_CASE("scores of single images equal baal, modAL, scikit-activeml and autograd") {
  const Images images;
  for (const char* name : {"bald", "entropy", "margin", "least_confidence", "mean_kl", "vote_entropy", "mean_std",
                           "variation_ratios_mode", "kendall_gal_aleatoric", "kendall_gal_epistemic"}) {
    std::vector<double> got;
    for (int64_t i = 0; i < images.N; ++i) got.push_back(score(find_strategy(name), images.passes(i)).value);
    check_equal(name, got);
  }
}

TEST_CASE("stochastic batches draw from baal's distributions (temperature 1/2 is beta 2)") {
  // A Gumbel-perturbed value v + e / beta wins with probability exp(beta v) / sum exp(beta v).
  const std::vector<double> bald = doubles("bald");
  std::vector<int64_t> rank(bald.size());
  const std::vector<size_t> order = descending(bald);
  for (size_t r = 0; r < order.size(); ++r) rank[order[r]] = static_cast<int64_t>(r) + 1;
  const auto distribution = [&](const auto& value) {
    std::vector<double> q;
    double sum = 0;
    for (size_t i = 0; i < bald.size(); ++i) sum += q.emplace_back(std::exp(2 * value(i)));
    for (double& v : q) v /= sum;
    return q;
  };
  check_equal("power_distribution", distribution([&](size_t i) { return power_score(bald[i], 2, 0); }));
  check_equal("softmax_distribution", distribution([&](size_t i) { return softmax_score(bald[i], 2, 0); }));
  check_equal("softrank_distribution", distribution([&](size_t i) { return softrank_score(rank[i], 2, 0); }));
}

TEST_CASE("BatchBALD equals the authors' batchbald_redux") {
  const Images images;
  const Strategy& s = find_strategy("batchbald");
  PoolView view{images.T, images.C, {}, {}};
  for (int64_t i = 0; i < images.N; ++i)
    view.cases.push_back(
        {"image" + std::to_string(i), score(s, images.passes(i)), images.p[static_cast<size_t>(i)], {}});
  const auto picks = choose(s, view, 7);
  CHECK(taken(picks) == indices("batchbald_index"));
  std::vector<double> total;
  for (const Pick& p : picks) total.push_back(p.score.value + (total.empty() ? 0 : total.back()));
  check_equal("batchbald_value", total);

  // 3^5 configurations are too many for 100: from the sixth image on they are a sample. The values stay close: each of
  // the gains is a mean over 100 configurations of entropies in [0, log 3].
  const auto sampled = choose(s, view, 7, {.configurations = 100});
  const std::vector<double> exact = doubles("batchbald_value");
  double sum = 0;
  for (const Pick& p : sampled) sum += p.score.value;
  CHECK(std::abs(sum - exact.back()) < 4 * std::sqrt(2.0) * std::log(3.0) / 2 / std::sqrt(100.0));
}

TEST_CASE("core-set equals scikit-activeml") {
  const auto centres = k_centre_greedy(points("features"), points("labelled"), 6);
  CHECK(taken(centres) == indices("coreset_index"));
  std::vector<double> distance;
  for (const Centre& c : centres) distance.push_back(c.distance);
  check_equal("coreset_distance", distance);
}

TEST_CASE("information density equals scikit-learn's mean cosine similarity") {
  check_equal("density", information_density(points("features")));
}

TEST_CASE("BADGE: distances equal those of autograd's gradients, seeding equals scikit-activeml's D^2") {
  const Images images;
  const Points features = points("features");
  std::vector<std::vector<double>> residual;
  for (int64_t i = 0; i < images.N; ++i) {
    std::vector<double> mean(static_cast<size_t>(images.C), 0.0);
    for (int64_t t = 0; t < images.T; ++t)
      for (int64_t c = 0; c < images.C; ++c)
        mean[static_cast<size_t>(c)] +=
            static_cast<double>(images.p[static_cast<size_t>(i)][static_cast<size_t>(t * images.C + c)]) /
            static_cast<double>(images.T);
    residual.push_back(label_residual(mean));
  }
  const auto distance = [&](size_t a, size_t b) {
    return gradient_distance(residual[a], features.row(static_cast<int64_t>(a)), residual[b],
                             features.row(static_cast<int64_t>(b)));
  };
  std::vector<double> all;
  for (size_t a = 0; a < residual.size(); ++a)
    for (size_t b = 0; b < residual.size(); ++b) all.push_back(distance(a, b));
  check_equal("badge_distance", all);
  const std::vector<double> draws = doubles("badge_draws");
  const auto seeds = plus_plus(residual.size(), 6, indices("badge_index")[0], distance, [&](size_t i, int64_t step) {
    return draws[static_cast<size_t>(step) * residual.size() + i];
  });
  CHECK(taken(seeds) == indices("badge_index"));
  std::vector<double> nearest = doubles("badge_nearest");
  for (size_t i = 1; i < seeds.size(); ++i) nearest[i] = seeds[i].squared_distance;  // [0] is the norm of the first
  check_equal("badge_nearest", nearest);
}

TEST_CASE("clusters equal scikit-learn's; TypiClust and ProbCover equal scikit-activeml") {
  const Points unit = unit_length(points("blobs"));
  const auto candidates = unit.n - 4;
  const auto clusters_from = [&](size_t count) {
    Points centres{static_cast<int64_t>(count), unit.d, {}};
    for (size_t k = 0; k < count; ++k) {
      const auto r = unit.row(static_cast<int64_t>(indices("kmeans_start")[k]));
      centres.x.insert(centres.x.end(), r.begin(), r.end());
    }
    return kmeans(unit, centres);
  };
  const auto integers = [](const std::string& name) {
    const auto v = indices(name);
    return std::vector<int64_t>(v.begin(), v.end());
  };
  const std::vector<int64_t> ten = clusters_from(10), three = clusters_from(3);
  CHECK(ten == integers("kmeans_cluster"));
  CHECK(three == integers("probcover_cluster"));

  const auto typical = typiclust(unit, candidates, ten, 6);
  CHECK(taken(typical) == indices("typiclust_index"));
  std::vector<double> value;
  for (const Typical& t : typical) value.push_back(t.typicality);
  check_equal("typiclust_value", value);

  check_equal("probcover_radius", {purity_radius(unit, three, 0.95)});
  const auto cover = probcover(unit, candidates, doubles("probcover_given_radius")[0], 6);
  CHECK(taken(cover) == indices("probcover_index"));
  std::vector<double> count;
  for (const Cover& c : cover) count.push_back(static_cast<double>(c.newly_covered));
  check_equal("probcover_count", count);
}

TEST_CASE("reductions of a pixel map equal scipy and numpy") {
  const Tensor& map = fixture().at("map");
  for (const Reduce kind :
       {Reduce::mean, Reduce::top_percent, Reduce::max_patch, Reduce::boundary_excluded, Reduce::foreground})
    check_equal("reduce_" + std::string(name_of(kind)),
                {reduce(map.host_f64(), doubles("foreground"), map.dim(0), map.dim(1),
                        {.kind = kind, .top_percent = 5, .patch = 8, .boundary = 2})});
}
TEST_SUITE_END();
