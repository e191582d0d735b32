#include "al/acquisition.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>
#include <utility>

#include "al/acquisition/family.h"
#include "al/selection/family.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr const Strategy* table[] = {&random_strategy,
                                     &stratified_random_strategy,
                                     &foreground_random_strategy,
                                     &least_confidence_strategy,
                                     &margin_strategy,
                                     &entropy_strategy,
                                     &variation_ratios_strategy,
                                     &variation_ratios_mode_strategy,
                                     &mean_std_strategy,
                                     &bald_strategy,
                                     &kendall_gal_strategy,
                                     &kendall_gal_epistemic_strategy,
                                     &kendall_gal_aleatoric_strategy,
                                     &kendall_gal_logit_strategy,
                                     &kendall_gal_sampled_strategy,
                                     &vote_entropy_strategy,
                                     &mean_kl_strategy,
                                     &batchbald_strategy,
                                     &power_bald_strategy,
                                     &softmax_bald_strategy,
                                     &softrank_bald_strategy,
                                     &badge_strategy,
                                     &coreset_strategy,
                                     &information_density_strategy,
                                     &typiclust_strategy,
                                     &probcover_strategy,
                                     &suggestive_annotation_strategy,
                                     &adaptive_strategy,
                                     &learning_loss_strategy,
                                     &ceal_strategy};

int64_t sites_of(const Passes& x) { return x.segmentation() ? x.height * x.width : 1; }
int64_t logits_of(const Passes& x) { return x.segmentation() ? 1 : x.classes; }
// Values per pass: C for an image, H*W for a mask.
int64_t row_of(const Passes& x) { return sites_of(x) * logits_of(x); }

void check_finite(std::span<const float> v, const char* what, const Passes& x) {
  for (size_t i = 0; i < v.size(); ++i)
    check(std::isfinite(v[i]), "acquisition: case '{}' has a {} of {} at index {}; the model has diverged", x.id, what,
          v[i], i);
}

std::string normal_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Levenshtein distance.
size_t edits(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

Passes classification_passes(std::string_view id, int64_t T, int64_t C, std::span<const float> p,
                             std::span<const float> logit, std::span<const float> log_variance) {
  return {id, T, C, 0, 0, p, logit, log_variance};
}
Passes segmentation_passes(std::string_view id, int64_t T, int64_t H, int64_t W, std::span<const float> p,
                           std::span<const float> logit, std::span<const float> log_variance) {
  check(H > 0 && W > 0, "acquisition: case '{}' has a map of {}x{}", id, H, W);
  return {id, T, 2, H, W, p, logit, log_variance};
}

std::span<const Strategy* const> strategies() { return table; }

const Strategy& find_strategy(std::string_view name) {
  const std::string wanted = normal_name(name);
  for (const Strategy* s : table)
    if (wanted == s->name || (!s->alias.empty() && wanted == s->alias)) return *s;
  const Strategy* nearest = *std::min_element(std::begin(table), std::end(table), [&](const auto* a, const auto* b) {
    return edits(wanted, a->name) < edits(wanted, b->name);
  });
  std::string names;
  for (const Strategy* s : table) names += (names.empty() ? "" : ", ") + std::string(s->name);
  fail("strategy: unknown strategy '{}'; did you mean '{}'? Valid: {}", name, nearest->name, names);
}

void check_passes(const Strategy& s, const Passes& x) {
  if (!s.needs.model && x.p.empty()) return;
  check(x.passes >= 1 && x.classes >= 2, "acquisition: case '{}' needs T >= 1 passes and C >= 2 classes, got T={} C={}",
        x.id, x.passes, x.classes);
  const auto n = static_cast<size_t>(x.passes * row_of(x));
  check(n > 0 && x.p.size() == n, "acquisition: case '{}' has {} probabilities, its shape needs {}", x.id, x.p.size(),
        n);
  check(x.logit.empty() || x.logit.size() == n, "acquisition: case '{}' has {} logits, its shape needs {}", x.id,
        x.logit.size(), n);
  const bool per_pass = !x.segmentation() && x.log_variance.size() == static_cast<size_t>(x.passes);
  check(x.log_variance.empty() || x.log_variance.size() == n || per_pass,
        "acquisition: case '{}' has {} log-variances, its shape needs {}", x.id, x.log_variance.size(), n);
  check_finite(x.p, "probability", x);
  check_finite(x.logit, "logit", x);
  check_finite(x.log_variance, "log-variance", x);
  for (const float p : x.p)
    check(p >= 0 && p <= 1, "acquisition: case '{}' has a probability of {}; give softmax or sigmoid outputs", x.id, p);
  if (!x.segmentation())
    for (int64_t t = 0; t < x.passes; ++t) {
      const auto row = x.p.subspan(static_cast<size_t>(t * x.classes), static_cast<size_t>(x.classes));
      const double sum = std::accumulate(row.begin(), row.end(), 0.0);
      check(std::abs(sum - 1) < 1e-3, "acquisition: probabilities of case '{}' in pass {} add up to {}, not 1", x.id, t,
            sum);
    }
  check(!s.needs.logit || !x.logit.empty(), "acquisition: {} needs logits, case '{}' has none", s.name, x.id);
  check(!s.needs.log_variance || !x.log_variance.empty(),
        "acquisition: {} needs a model with a log-variance head, case '{}' has no log-variance; use "
        "kendall_gal_epistemic or bald instead",
        s.name, x.id);
  check(!s.needs.segmentation_only || x.segmentation(), "acquisition: {} is for segmentation; use random instead",
        s.name);
  check(!s.needs.classification_only || !x.segmentation(),
        "acquisition: {} is for classification; use power_bald or coreset instead", s.name);
}

std::vector<double> mean_prediction(const Passes& x) {
  const auto n = static_cast<size_t>(row_of(x));
  std::vector<double> mean(n, 0.0);
  for (int64_t t = 0; t < x.passes; ++t)
    for (size_t i = 0; i < n; ++i) mean[i] += static_cast<double>(x.p[static_cast<size_t>(t) * n + i]);
  for (double& m : mean) m /= static_cast<double>(x.passes);
  return mean;
}

int64_t predicted_class(const Passes& x) {
  if (x.segmentation() || x.p.empty()) return 0;
  const std::vector<double> mean = mean_prediction(x);
  return std::max_element(mean.begin(), mean.end()) - mean.begin();
}

Score score_sites(const Passes& x, const ScoreOptions& o, std::initializer_list<const char*> names,
                  const SiteFunction& fn) {
  const int64_t T = x.passes, C = x.classes, L = logits_of(x), sites = sites_of(x), row = row_of(x);
  const bool mask = x.segmentation();
  const bool per_pass = x.log_variance.size() == static_cast<size_t>(T) && row != 1;
  std::vector<double> p(static_cast<size_t>(T * C)), mean(static_cast<size_t>(C)), values(names.size());
  std::vector<double> logit(x.logit.empty() ? 0 : static_cast<size_t>(T * L));
  std::vector<double> variance(x.log_variance.empty() ? 0 : static_cast<size_t>(T * L));
  std::vector<std::vector<double>> maps(names.size(), std::vector<double>(static_cast<size_t>(sites)));
  for (int64_t i = 0; i < sites; ++i) {
    std::fill(mean.begin(), mean.end(), 0.0);
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t l = 0; l < L; ++l) {
        const auto from = static_cast<size_t>(t * row + i * L + l), to = static_cast<size_t>(t * L + l);
        const double v = static_cast<double>(x.p[from]);
        if (mask) {
          p[static_cast<size_t>(2 * t)] = 1 - v;
          p[static_cast<size_t>(2 * t + 1)] = v;
        } else {
          p[to] = v;
        }
        if (!logit.empty()) logit[to] = static_cast<double>(x.logit[from]);
        if (!variance.empty())
          variance[to] = std::exp(static_cast<double>(x.log_variance[per_pass ? static_cast<size_t>(t) : from]));
      }
      for (int64_t c = 0; c < C; ++c) mean[static_cast<size_t>(c)] += p[static_cast<size_t>(t * C + c)];
    }
    for (double& m : mean) m /= static_cast<double>(T);
    fn(Site{T, C, L, p, mean, logit, variance}, values);
    for (size_t k = 0; k < values.size(); ++k) maps[k][static_cast<size_t>(i)] = values[k];
  }
  Score result{.value = 0, .group = predicted_class(x), .parts = {}};
  const std::vector<double> foreground = mask ? mean_prediction(x) : std::vector<double>{};
  size_t k = 0;
  for (const char* name : names) {
    const double v = mask ? reduce(maps[k], foreground, x.height, x.width, o.reduction) : maps[k][0];
    result.parts.emplace_back(name, v);
    ++k;
  }
  result.value = result.parts[0].second;
  return result;
}

Score score(const Strategy& s, const Passes& x, const ScoreOptions& o) {
  check_passes(s, x);
  check(o.samples >= 1, "acquisition: the number of logit samples must be at least 1, got {}", o.samples);
  if (!s.compute) return {.value = 0, .group = predicted_class(x), .parts = {}};
  Score r = s.compute(x, o);
  check(std::isfinite(r.value), "acquisition: {} gives case '{}' a score of {}; the model has diverged", s.name, x.id,
        r.value);
  return r;
}

}  // namespace querent::al
