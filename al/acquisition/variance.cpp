// The combined variance of Kendall and Gal (2017), the score of Mahapatra et al. (MICCAI 2018):
//
//   Var(y) = mean_t y_t^2 - (mean_t y_t)^2  +  mean_t sigma_t^2
//            '-------- epistemic ---------'    '- aleatoric -'
//
// {y_t, sigma_t^2} come from T dropout passes of a network with two outputs: a logit f and s = log sigma^2 of that
// logit. The paper's formula is for regression; a class probability needs a choice of scale, and each is a strategy:
//
//   kendall_gal           y = p. sigma^2 is carried through softmax to first order:
//                         sigma_p[c]^2 = sum_k (dp_c/df_k)^2 sigma_k^2, dp_c/df_k = p_c ([c=k] - p_k);
//                         for one sigmoid this is (p (1-p))^2 sigma^2
//   kendall_gal_logit     y = f, sigma^2 as predicted: the printed formula word for word. A logit far from 0 varies
//                         more, so images the model is sure about can score high
//   kendall_gal_sampled   y = softmax(f + sigma eps), eps ~ N(0,1): both terms by the law of total variance
//
// Over classes the variance is averaged; with two classes both have the same one.
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"
#include "tensor/rng.h"

namespace querent::al {

Variance predictive_variance(std::span<const double> y, std::span<const double> sigma2) {
  const double T = static_cast<double>(y.size());
  double mean = 0;
  for (const double v : y) mean += v / T;
  Variance r;
  for (const double v : y) r.epistemic += (v - mean) * (v - mean) / T;  // = mean(y^2) - mean(y)^2
  for (const double v : sigma2) r.aleatoric += v / T;
  return r;
}

namespace {

// Column c of a [T,n] block.
std::vector<double> column(std::span<const double> a, int64_t T, int64_t n, int64_t c) {
  std::vector<double> out(static_cast<size_t>(T));
  for (int64_t t = 0; t < T; ++t) out[static_cast<size_t>(t)] = a[static_cast<size_t>(t * n + c)];
  return out;
}

}  // namespace

Variance probability_variance(const Site& s) {
  Variance r;
  const double terms = static_cast<double>(s.T * s.C);
  for (int64_t t = 0; t < s.T; ++t) {
    const double* p = s.p.data() + t * s.C;
    for (int64_t c = 0; c < s.C; ++c) {
      const double d = p[c] - s.mean[static_cast<size_t>(c)];
      r.epistemic += d * d / terms;
      if (s.variance.empty()) continue;
      if (s.L == 1) {  // one sigmoid
        const double slope = p[c] * (1 - p[c]);
        r.aleatoric += slope * slope * s.variance[static_cast<size_t>(t)] / terms;
        continue;
      }
      for (int64_t k = 0; k < s.C; ++k) {
        const double slope = p[c] * ((c == k ? 1.0 : 0.0) - p[k]);
        r.aleatoric += slope * slope * s.variance[static_cast<size_t>(t * s.C + k)] / terms;
      }
    }
  }
  return r;
}

Variance logit_variance(const Site& s) {
  Variance r;
  for (int64_t l = 0; l < s.L; ++l) {
    const auto sigma2 = s.variance.empty() ? std::vector<double>{} : column(s.variance, s.T, s.L, l);
    const Variance v = predictive_variance(column(s.logit, s.T, s.L, l), sigma2);
    r.epistemic += v.epistemic / static_cast<double>(s.L);
    r.aleatoric += v.aleatoric / static_cast<double>(s.L);
  }
  return r;
}

Variance sampled_variance(const Site& s, std::span<const double> noise) {
  const int64_t S = static_cast<int64_t>(noise.size()) / s.L;
  const auto C = static_cast<size_t>(s.C);
  std::vector<double> inner(static_cast<size_t>(s.T) * C, 0.0), q(C), sum_square(C);
  Variance r;
  for (int64_t t = 0; t < s.T; ++t) {
    double* mean = inner.data() + t * s.C;
    std::fill(sum_square.begin(), sum_square.end(), 0.0);
    for (int64_t i = 0; i < S; ++i) {
      const auto noisy = [&](int64_t l) {
        const auto at = static_cast<size_t>(t * s.L + l);
        return s.logit[at] + std::sqrt(s.variance[at]) * noise[static_cast<size_t>(i * s.L + l)];
      };
      if (s.L == 1) {  // one sigmoid
        q[1] = 1 / (1 + std::exp(-noisy(0)));
        q[0] = 1 - q[1];
      } else {
        for (int64_t l = 0; l < s.L; ++l) q[static_cast<size_t>(l)] = noisy(l);
        const double top = *std::max_element(q.begin(), q.end());
        double total = 0;
        for (double& v : q) total += v = std::exp(v - top);
        for (double& v : q) v /= total;
      }
      for (size_t c = 0; c < C; ++c) {
        mean[c] += q[c];
        sum_square[c] += q[c] * q[c];
      }
    }
    for (size_t c = 0; c < C; ++c) {
      mean[c] /= static_cast<double>(S);
      r.aleatoric +=
          std::max(0.0, sum_square[c] / static_cast<double>(S) - mean[c] * mean[c]) / static_cast<double>(s.T * s.C);
    }
  }
  for (int64_t c = 0; c < s.C; ++c)
    r.epistemic += predictive_variance(column(inner, s.T, s.C, c)).epistemic / static_cast<double>(s.C);
  return r;
}

namespace {

// Which of {total, epistemic, aleatoric} is the score is only the order of the three.
void put(std::span<double> v, double score, double a, double b) {
  v[0] = score;
  v[1] = a;
  v[2] = b;
}
Score total_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"total", "epistemic", "aleatoric"}, [](const Site& s, auto v) {
    const Variance r = probability_variance(s);
    put(v, r.total(), r.epistemic, r.aleatoric);
  });
}
Score epistemic_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"epistemic", "aleatoric", "total"}, [](const Site& s, auto v) {
    const Variance r = probability_variance(s);
    put(v, r.epistemic, r.aleatoric, r.total());
  });
}
Score aleatoric_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"aleatoric", "epistemic", "total"}, [](const Site& s, auto v) {
    const Variance r = probability_variance(s);
    put(v, r.aleatoric, r.epistemic, r.total());
  });
}
Score logit_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"total", "epistemic", "aleatoric"}, [](const Site& s, auto v) {
    const Variance r = logit_variance(s);
    put(v, r.total(), r.epistemic, r.aleatoric);
  });
}
Score sampled_score(const Passes& x, const ScoreOptions& o) {
  // The same noise at every pixel and pass of one image: cheap, and differences between pixels are not noise.
  std::vector<double> noise(static_cast<size_t>(o.samples * (x.segmentation() ? 1 : x.classes)));
  Rng rng = Rng(o.seed).fork("sampled_logits").fork(x.id);
  for (double& e : noise) e = rng.normal();
  return score_sites(x, o, {"total", "epistemic", "aleatoric"}, [&](const Site& s, auto v) {
    const Variance r = sampled_variance(s, noise);
    put(v, r.total(), r.epistemic, r.aleatoric);
  });
}

}  // namespace

constinit const Strategy kendall_gal_strategy{
    .name = "kendall_gal",
    .alias = "variance",
    .formula = "mean_t p^2 - (mean_t p)^2 + mean_t sigma_p^2,  sigma_p = |dp/dlogit| sigma",
    .source = "Kendall and Gal 2017; Mahapatra et al. 2018",
    .doc =
        "Epistemic plus aleatoric variance of the predicted probability: what dropout passes disagree about, plus "
        "the noise the network itself predicts. The predicted logit noise is carried to the probability scale, so "
        "the two terms have the same unit.",
    .needs = {.several_passes = true, .log_variance = true},
    .compute = total_score};
constinit const Strategy kendall_gal_epistemic_strategy{
    .name = "kendall_gal_epistemic",
    .alias = "epistemic",
    .formula = "mean_t p^2 - (mean_t p)^2",
    .source = "Kendall and Gal 2017, first two terms",
    .doc =
        "Only the disagreement of the passes: falls with more data, rises away from the training data. Works "
        "without a variance head.",
    .needs = {.several_passes = true},
    .compute = epistemic_score};
constinit const Strategy kendall_gal_aleatoric_strategy{
    .name = "kendall_gal_aleatoric",
    .alias = "aleatoric",
    .formula = "mean_t sigma_p^2",
    .source = "Kendall and Gal 2017, last term",
    .doc =
        "Only the noise the network predicts for itself. More data does not lower it, so it is an ablation rather "
        "than a strategy to rely on.",
    .needs = {.log_variance = true},
    .compute = aleatoric_score};
constinit const Strategy kendall_gal_logit_strategy{
    .name = "kendall_gal_logit",
    .alias = "",
    .formula = "mean_t f^2 - (mean_t f)^2 + mean_t sigma^2,  f = logit",
    .source = "Kendall and Gal 2017; the formula as printed, on logits",
    .doc =
        "The printed regression formula applied to the logit. Logits far from 0 vary more, so images the model is "
        "sure about can score high; kendall_gal avoids that.",
    .needs = {.several_passes = true, .logit = true, .log_variance = true},
    .compute = logit_score};
constinit const Strategy kendall_gal_sampled_strategy{
    .name = "kendall_gal_sampled",
    .alias = "",
    .formula = "Var_t(E_eps p) + E_t(Var_eps p),  p = softmax(logit + sigma eps), eps ~ N(0,1)",
    .source = "Kendall and Gal 2017, sampled logits; law of total variance",
    .doc =
        "As kendall_gal, with the logit noise sampled instead of carried to first order: exact for large sigma, and "
        "slower by the number of samples.",
    .needs = {.several_passes = true, .logit = true, .log_variance = true},
    .compute = sampled_score};

}  // namespace querent::al
