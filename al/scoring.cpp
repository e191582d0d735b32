#include "al/scoring.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "al/turns.h"
#include "models/inference.h"
#include "tensor/ops.h"

namespace querent::al {

static void put(std::string& to, const PoolCase& c) {
  put(to, c.score.value), put(to, c.score.group), put(to, c.score.parts.size());
  for (const auto& [name, value] : c.score.parts) put(to, name), put(to, value);
  put(to, c.p), put(to, c.feature);
}
static void take(std::string_view& from, PoolCase& c) {
  size_t parts = 0;
  take(from, c.score.value), take(from, c.score.group), take(from, parts);
  c.score.parts.resize(parts);
  for (auto& [name, value] : c.score.parts) take(from, name), take(from, value);
  take(from, c.p), take(from, c.feature);
}

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

// The cross-entropy of each image from its logits, in f64; of a segmenter the mean over its pixels.
std::vector<double> losses_of(const Model& model, const Tensor& logits, const data::Batch& batch) {
  std::vector<double> losses;
  for (int64_t i = 0; i < logits.dim(0); ++i) {
    const std::vector<float> z = logits.batch(i, 1).host();
    double loss = 0;
    if (model.segments) {
      const std::vector<float> target = batch.mask.batch(i, 1).host();
      for (size_t j = 0; j < z.size(); ++j) {
        const double towards = target[j] > 0 ? z[j] : -z[j];
        loss += (std::max(-towards, 0.0) + std::log1p(std::exp(-std::abs(towards)))) / static_cast<double>(z.size());
      }
    } else {
      const double top = *std::max_element(z.begin(), z.end());
      for (const float v : z) loss += std::exp(v - top);
      loss = std::log(loss) + top - z[static_cast<size_t>(batch.label.data<int64_t>()[i])];
    }
    losses.push_back(loss);
  }
  return losses;
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

std::vector<CasePasses> stochastic_passes(const Learner& learner, const data::Loader& loader,
                                          std::span<const int64_t> cases, int64_t passes, uint64_t seed) {
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
  const int64_t T = needs.one_pass ? 1
                    : ensemble     ? static_cast<int64_t>(o.ensemble.size()) + 1
                                   : o.passes,
                side = loader.options().size;
  PoolView view{T, model.segments ? 2 : model.options.classes, {}, {}};
  if (needs.labels)
    for (const int64_t i : labelled)
      view.labelled_class.push_back(
          data::class_index(loader.dataset(), loader.dataset().cases[static_cast<size_t>(i)]));
  const std::span<const int64_t> known = needs.labelled ? labelled : std::span<const int64_t>();
  const auto total = static_cast<int64_t>(candidates.size() + known.size());
  Inference inference(model, needs.features);
  if (needs.stages && !candidates.empty())  // here, as a rank may have no batch below
    for (const Tensor& t : inference.stage_averages(loader.batch(candidates.first(1)).x))
      view.stages.push_back(t.dim(1));
  std::vector<Inference> others;
  for (const Learner& other : o.ensemble) others.emplace_back(other.model());
  const auto features = [&](const Tensor& x) {
    return needs.stages ? concat(inference.stage_averages(x)) : inference.features(x);
  };
  // use(part, batch, cases): fills in one batch.
  const auto look = [&](std::span<const int64_t> all, int64_t before, const auto& use) {
    return in_turns<PoolCase>(all.size(), scoring_batch(model), o.stop, [&](size_t first, std::span<PoolCase> cases) {
      const auto part = all.subspan(first, cases.size());
      use(part, needs.model || needs.features ? loader.batch(part) : data::Batch{}, cases);
      o.progress(before + static_cast<int64_t>(first + part.size()), total);
    });
  };
  std::vector<PoolCase> embedded =
      look(known, 0, [&](std::span<const int64_t>, const data::Batch& batch, std::span<PoolCase> cases) {
        const Tensor embedding = features(batch.x);
        for (size_t i = 0; i < cases.size(); ++i) append_row(cases[i].feature, embedding, static_cast<int64_t>(i));
        if (!needs.losses) return;
        const std::vector<double> losses = losses_of(model, inference(batch.x).output.logits, batch);
        for (size_t i = 0; i < cases.size(); ++i) cases[i].score.value = losses[i];
      });
  for (PoolCase& c : embedded) {
    view.labelled.push_back(std::move(c.feature));
    if (needs.losses) view.labelled_loss.push_back(c.score.value);
  }
  const auto fill = [&](std::span<const int64_t> part, const data::Batch& batch, std::span<PoolCase> cases) {
    const Tensor& x = batch.x;
    std::vector<CasePasses> said(part.size());
    Tensor embedding;
    const auto keep = [&](const Inference::Answer& answer) {
      append(said, answer);
      embedding = answer.features;
    };
    if (!needs.model)
      embedding = needs.features ? features(x) : Tensor{};
    else if (ensemble || needs.one_pass)
      keep(inference(x));
    else
      inference.sample(x, part, T, o.seed, [&](int64_t, const Inference::Answer& answer) { keep(answer); });
    if (needs.model && ensemble)
      for (Inference& other : others) append(said, other(x));
    for (size_t i = 0; i < part.size(); ++i) {
      PoolCase& c = cases[i];
      const std::string& id = loader.dataset().cases[static_cast<size_t>(part[i])].id;
      CasePasses& s = said[i];
      const Passes passes = !needs.model     ? Passes{.id = id}
                            : model.segments ? segmentation_passes(id, T, side, side, s.p, s.logit, s.log_variance)
                                             : classification_passes(id, T, view.classes, s.p, s.logit, s.log_variance);
      c.score = score(strategy, passes, o.score);
      if (needs.probabilities) c.p = std::move(s.p);
      if (needs.features) append_row(c.feature, embedding, static_cast<int64_t>(i));
    }
  };
  view.cases = look(candidates, static_cast<int64_t>(known.size()), fill);
  for (size_t i = 0; i < view.cases.size(); ++i)
    view.cases[i].id = loader.dataset().cases[static_cast<size_t>(candidates[i])].id;
  return view;
}

}  // namespace querent::al
