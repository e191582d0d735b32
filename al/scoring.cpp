#include "al/scoring.h"

#include "models/inference.h"

namespace querent::al {
namespace {

// Of a classifier many images share one reading of the last layers' weights; maps of a segmenter are large.
size_t scoring_batch(const Model& model) { return model.segments ? 8 : 64; }

void append_row(std::vector<float>& to, const Tensor& t, int64_t i) {
  const std::vector<float> v = t.batch(i, 1).host();
  to.insert(to.end(), v.begin(), v.end());
}

void append(std::vector<CasePasses>& to, const Inference::Answer& said) {
  for (size_t i = 0; i < to.size(); ++i) {
    const auto n = static_cast<int64_t>(i);
    append_row(to[i].p, said.probability, n);
    append_row(to[i].logit, said.output.logits, n);
    if (said.output.log_var) append_row(to[i].log_variance, said.output.log_var, n);
  }
}

}  // namespace

void each_pass(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases, int64_t passes,
               uint64_t seed, const std::function<void(size_t i, const CasePasses& one)>& use) {
  learner.inference().sample(loader.batch(cases).x, cases, passes, seed, [&](int64_t, const Inference::Answer& said) {
    std::vector<CasePasses> one(cases.size());
    append(one, said);
    for (size_t i = 0; i < one.size(); ++i) use(i, one[i]);
  });
}

std::vector<CasePasses> stochastic_passes(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                                          int64_t passes, uint64_t seed) {
  std::vector<CasePasses> result(cases.size());
  learner.inference().sample(loader.batch(cases).x, cases, passes, seed,
                             [&](int64_t, const Inference::Answer& said) { append(result, said); });
  return result;
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
  if (needs.labels)
    for (const int64_t i : labelled)
      view.labelled_class.push_back(data::class_index(loader.dataset(), loader.dataset().cases[static_cast<size_t>(i)]));
  view.cases.reserve(candidates.size());
  const std::span<const int64_t> known = needs.labelled ? labelled : std::span<const int64_t>();
  const size_t together = scoring_batch(model);
  const auto total = static_cast<int64_t>(candidates.size() + known.size());
  Inference inference(model, needs.features);
  std::vector<Inference> others;
  for (const Learner& other : o.ensemble) others.emplace_back(other.model());
  const auto batches = [&](std::span<const int64_t> cases, int64_t before, const auto& use) {
    for (size_t first = 0; first < cases.size() && !o.stop(); first += together) {
      const auto part = cases.subspan(first, std::min(together, cases.size() - first));
      use(part, needs.model || needs.features ? loader.batch(part).x : Tensor{});
      o.progress(before + static_cast<int64_t>(first + part.size()), total);
    }
  };
  batches(known, 0, [&](std::span<const int64_t> part, const Tensor& x) {
    const Tensor embedding = inference.features(x);
    for (size_t i = 0; i < part.size(); ++i) append_row(view.labelled.emplace_back(), embedding, static_cast<int64_t>(i));
  });
  batches(candidates, static_cast<int64_t>(known.size()), [&](std::span<const int64_t> part, const Tensor& x) {
    std::vector<CasePasses> said(part.size());
    Tensor embedding;
    const auto keep = [&](const Inference::Answer& answer) {
      append(said, answer);
      embedding = answer.features;
    };
    if (!needs.model)
      embedding = needs.features ? inference.features(x) : Tensor{};
    else if (ensemble || needs.one_pass)
      keep(inference(x));
    else
      inference.sample(x, part, T, o.seed, [&](int64_t, const Inference::Answer& answer) { keep(answer); });
    if (needs.model && ensemble)
      for (Inference& other : others) append(said, other(x));
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
