#include "al/scoring.h"

#include "tensor/ops.h"

namespace querent::al {
namespace {

constexpr size_t scoring_batch = 8;

void append_row(std::vector<float>& to, const Tensor& t, int64_t i) {
  const std::vector<float> v = t.batch(i, 1).host();
  to.insert(to.end(), v.begin(), v.end());
}

}  // namespace

std::vector<CasePasses> stochastic_passes(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                                          int64_t passes, uint64_t seed) {
  const Model& model = learner.model();
  std::vector<CasePasses> result(cases.size());
  Pass pass{Pass::mc_dropout, {}};
  const Tensors features = model.trunk(loader.batch(cases).x, pass);  // the same for every pass: no dropout before it
  for (int64_t t = 0; t < passes; ++t) {
    pass.streams = make_streams(seed, cases, t);
    const Output out = model.head(features, pass);
    const Tensor p = model.segments ? sigmoid(out.logits) : softmax(out.logits);
    for (size_t i = 0; i < cases.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      append_row(result[i].p, p, n);
      append_row(result[i].logit, out.logits, n);
      if (out.log_var) append_row(result[i].log_variance, out.log_var, n);
    }
  }
  return result;
}

std::vector<Score> score_candidates(const Learner& learner, const data::Loader& loader, const Strategy& strategy,
                                    std::span<const int64_t> candidates, const ScoringOptions& o) {
  std::vector<Score> scores;
  scores.reserve(candidates.size());
  const auto total = static_cast<int64_t>(candidates.size());
  for (size_t first = 0; first < candidates.size(); first += scoring_batch) {
    if (o.stop()) break;
    const auto part = candidates.subspan(first, std::min(scoring_batch, candidates.size() - first));
    std::vector<CasePasses> said(part.size());
    if (strategy.needs.model) {
      said = stochastic_passes(learner, loader, part, o.passes, o.seed);
    }
    for (size_t i = 0; i < part.size(); ++i) {
      const std::string& id = loader.dataset().cases[static_cast<size_t>(part[i])].id;
      const CasePasses& c = said[i];
      Passes view;
      if (!strategy.needs.model) {
        view.id = id;
      } else if (learner.model().segments) {
        const int64_t side = loader.options().size, T = static_cast<int64_t>(c.p.size()) / (side * side);
        view = segmentation_passes(id, T, side, side, c.p, c.logit, c.log_variance);
      } else {
        const int64_t classes = learner.model().options.classes, T = static_cast<int64_t>(c.p.size()) / classes;
        view = classification_passes(id, T, classes, c.p, c.logit, c.log_variance);
      }
      scores.push_back(score(strategy, view, o.score));
    }
    o.progress(static_cast<int64_t>(first + part.size()), total);
  }
  return scores;
}

}  // namespace querent::al
