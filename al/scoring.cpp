#include "al/scoring.h"

#include "tensor/ops.h"

namespace querent::al {
namespace {

constexpr size_t scoring_batch = 8;

void append_row(std::vector<float>& to, const Tensor& t, int64_t i) {
  const std::vector<float> v = t.batch(i, 1).host();
  to.insert(to.end(), v.begin(), v.end());
}

void append(std::vector<CasePasses>& to, const std::vector<CasePasses>& more) {
  for (size_t i = 0; i < to.size(); ++i)
    for (auto values : {&CasePasses::p, &CasePasses::logit, &CasePasses::log_variance})
      (to[i].*values).insert((to[i].*values).end(), (more[i].*values).begin(), (more[i].*values).end());
}

// T passes on top of what the trunk saw, which is the same for every pass: there is no dropout before it.
std::vector<CasePasses> passes_over(const Model& model, const Tensors& features, std::span<const int64_t> cases,
                                    int64_t passes, Pass::Mode mode, uint64_t seed) {
  std::vector<CasePasses> result(cases.size());
  Pass pass{mode, {}};
  for (int64_t t = 0; t < passes; ++t) {
    if (pass.drops()) pass.streams = make_streams(seed, cases, t);
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

}  // namespace

std::vector<CasePasses> stochastic_passes(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                                          int64_t passes, uint64_t seed) {
  const Model& model = learner.model();
  const Tensors features = model.trunk(loader.batch(cases).x, {Pass::mc_dropout, {}});
  return passes_over(model, features, cases, passes, Pass::mc_dropout, seed);
}

UncertaintyMaps uncertainty_maps(const Model& model, const CasePasses& said, int64_t passes) {
  const size_t values = said.p.size() / static_cast<size_t>(passes);
  const auto n = static_cast<int64_t>(values);
  Moments moments(model.segments ? n : 1, model.segments ? 1 : n);
  for (size_t t = 0; t < static_cast<size_t>(passes); ++t) {
    const auto pass = [&](const std::vector<float>& v) {
      return v.size() == said.p.size() ? std::span(v).subspan(t * values, values) : std::span<const float>();
    };
    moments.add(pass(said.p), pass(said.log_variance));
  }
  return moments.maps();
}

PoolView survey(const Learner& learner, const data::Loader& loader, const Strategy& strategy,
                std::span<const int64_t> candidates, std::span<const int64_t> labelled, const ScoringOptions& o) {
  const Model& model = learner.model();
  const Needs& needs = strategy.needs;
  const bool ensemble = !o.ensemble.empty() && !needs.one_pass;
  const int64_t T = needs.one_pass ? 1 : ensemble ? static_cast<int64_t>(o.ensemble.size()) + 1 : o.passes, side = loader.options().size;
  PoolView view{T, model.segments ? 2 : model.options.classes, {}, {}};
  view.cases.reserve(candidates.size());
  const std::span<const int64_t> known = needs.labelled ? labelled : std::span<const int64_t>();
  const auto total = static_cast<int64_t>(candidates.size() + known.size());
  const auto batches = [&](std::span<const int64_t> cases, int64_t before, const auto& use) {
    for (size_t first = 0; first < cases.size() && !o.stop(); first += scoring_batch) {
      const auto part = cases.subspan(first, std::min(scoring_batch, cases.size() - first));
      use(part, needs.model || needs.features ? model.trunk(loader.batch(part).x, {Pass::mc_dropout, {}}) : Tensors{});
      o.progress(before + static_cast<int64_t>(first + part.size()), total);
    }
  };
  batches(known, 0, [&](std::span<const int64_t> part, const Tensors& features) {
    const Tensor embedding = model.embed(features);
    for (size_t i = 0; i < part.size(); ++i) append_row(view.labelled.emplace_back(), embedding, static_cast<int64_t>(i));
  });
  batches(candidates, static_cast<int64_t>(known.size()), [&](std::span<const int64_t> part, const Tensors& features) {
    std::vector<CasePasses> said(part.size());
    if (needs.model && ensemble) {
      said = passes_over(model, features, part, 1, Pass::eval, o.seed);
      for (const Learner& other : o.ensemble) {
        const Tensors seen = other.model().trunk(loader.batch(part).x, Pass{});
        append(said, passes_over(other.model(), seen, part, 1, Pass::eval, o.seed));
      }
    } else if (needs.model) {
      said = passes_over(model, features, part, T, needs.one_pass ? Pass::eval : Pass::mc_dropout, o.seed);
    }
    const Tensor embedding = needs.features ? model.embed(features) : Tensor{};
    for (size_t i = 0; i < part.size(); ++i) {
      PoolCase& c = view.cases.emplace_back();
      c.id = loader.dataset().cases[static_cast<size_t>(part[i])].id;
      CasePasses& s = said[i];
      const Passes passes = !needs.model      ? Passes{.id = c.id}
                            : model.segments ? segmentation_passes(c.id, T, side, side, s.p, s.logit, s.log_variance)
                                             : classification_passes(c.id, T, view.classes, s.p, s.logit, s.log_variance);
      c.score = score(strategy, passes, o.score);
      if (needs.probabilities) c.p = std::move(s.p);
      if (needs.features) append_row(c.feature, embedding, static_cast<int64_t>(i));
    }
  });
  return view;
}

}  // namespace querent::al
