#include "al/realism/figures.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace querent::al {
namespace {

double median(std::span<const double> values) {
  std::vector<double> v(values.begin(), values.end());
  std::sort(v.begin(), v.end());
  return quantile(v, 0.5);
}
Estimate median_estimate(std::span<const double> values, uint64_t seed) {
  const auto n = static_cast<int64_t>(values.size());
  return {n, median(values),
          bootstrap(
              n,
              [&](std::span<const size_t> draw) {
                std::vector<double> v;
                for (const size_t i : draw) v.push_back(values[i]);
                return median(v);
              },
              seed, 1000)};
}

std::string rounded(double v, double places) { return text("{}", std::round(v * places) / places); }

Estimate dice_estimate(const MeanDice& d) { return {d.n, d.mean, d.interval}; }

constexpr const char* no_bases = "the samples do not say their base (column base)";

}  // namespace

const char* name_of(Outcome o) {
  static constexpr const char* names[] = {"passed", "noted", "failed", "not measured"};
  return names[static_cast<size_t>(o)];
}

Figure distance_figure(const char* name, const char* title, const std::optional<Compared>& c) {
  Figure f{.name = name, .title = title};
  f.rule =
      "noted when the mean over random halves lies above 95 % of the floor's: half of the real patients against as "
      "many "
      "samples, and against as many films of the other half";
  if (!c) return f;
  f.samples = {c->films, c->value.mean, c->value.ci};
  f.reference_name = "floor: another half of the real films";
  f.reference = {c->films, c->floor.mean, c->floor.ci};
  f.outcome = c->distinguishable() ? Outcome::noted : Outcome::passed;
  f.verdict = c->distinguishable() ? "distinguishable from real films" : "as real as another half of the real films";
  return f;
}

Figure nearness_figure(const char* name, const char* title, const std::optional<Memorisation>& m, uint64_t seed) {
  Figure f{.name = name, .title = title};
  f.rule = text("noted when p < {} (one-sided Mann-Whitney, one sample of each base, the base's patient left out)",
                Memorisation::level);
  if (!m) return f;
  f.samples = median_estimate(m->tested, seed);
  f.reference_name = "held-out films, never seen in training";
  f.reference = median_estimate(m->held_out, seed + 1);
  f.outcome = m->nearer() ? Outcome::noted : Outcome::passed;
  f.verdict = text("{} (z {}, p {})",
                   m->nearer() ? "nearer to the training films than unseen films are"
                               : "no nearer to the training films than unseen films are",
                   rounded(m->test.z, 100),
                   m->test.p < 0.001   ? "< 0.001"
                   : m->test.p > 0.999 ? "> 0.999"
                                       : rounded(m->test.p, 1000));
  return f;
}

Figure memorised_figure(const std::optional<Memorisation>& in_features, const std::optional<Memorisation>& in_pixels) {
  Figure f{.name = "memorised", .title = "Samples that copy a training film"};
  f.rule =
      "fails when a sample is nearer to a training film (not of its base's patient) than half of the closest two real "
      "films of different patients, in pixels; or when samples are nearer than unseen films in features and in pixels";
  if (!in_pixels) {
    f.verdict = "see the nearest films in pixels";
    return f;
  }
  const auto copies = static_cast<int64_t>(in_pixels->copies.size());
  const bool both = in_pixels->nearer() && in_features && in_features->nearer();
  f.samples = {static_cast<int64_t>(in_pixels->samples.size()), static_cast<double>(copies)};
  f.outcome = copies > 0 || both ? Outcome::failed : Outcome::passed;
  f.verdict = copies > 0 ? text("{} of {} samples are copies of training films", copies, f.samples.n)
              : both     ? "no single copy, but as a whole nearer to the training films than unseen films are"
                         : "none";
  return f;
}

Figure base_figure(std::span<const double> base_distance, const std::optional<Memorisation>& in_pixels, uint64_t seed) {
  Figure f{.name = "base_distance", .title = "Distance to the base film, pixels"};
  f.rule = "no rule: a variant is meant to be like its base, and nearer to it than to films of others";
  std::vector<double> known;
  for (const double d : base_distance)
    if (std::isfinite(d)) known.push_back(d);
  if (known.empty()) {
    f.verdict = no_bases;
    return f;
  }
  f.samples = median_estimate(known, seed);
  f.outcome = Outcome::noted;
  if (!in_pixels) return f;
  f.reference_name = "training films to the nearest of another patient";
  f.reference = median_estimate(in_pixels->train, seed);
  f.verdict = f.samples.value < f.reference->value ? "like their bases, as variants should be"
                                                   : "no more like their bases than films of other patients are";
  return f;
}

Figure leak_figure(int64_t known_bases, int64_t held_out_bases) {
  Figure f{.name = "held_out_bases", .title = "Samples made from held-out films"};
  f.rule =
      "fails when a base belongs to the validation or test patients: what is trained on such samples has seen them";
  if (known_bases == 0) {
    f.verdict = no_bases;
    return f;
  }
  f.samples = {known_bases, static_cast<double>(held_out_bases)};
  f.outcome = held_out_bases > 0 ? Outcome::failed : Outcome::passed;
  f.verdict = held_out_bases > 0
                  ? text("{} of {} samples leak held-out patients into training", held_out_bases, known_bases)
                  : "none";
  return f;
}

Figure mask_figure(const Judges& judges) {
  Figure f{.name = "mask_response", .title = "Dice of the outline with the wanted mask"};
  f.rule =
      text("passes when the mean is at least {} and not below the Dice with the base's mask", MaskResponse::enough);
  if (!judges.masks) {
    f.verdict = judges.no_masks;
    return f;
  }
  const MaskResponse& m = *judges.masks;
  f.samples = dice_estimate(m.wanted);
  if (m.real) {
    f.reference_name = "ceiling: real held-out films";
    f.reference = dice_estimate(*m.real);
  }
  f.outcome = m.follows() ? Outcome::passed : Outcome::failed;
  f.verdict = m.follows()        ? "the films show their masks"
              : m.ignores_mask() ? "the films show their bases' masks, not their own"
                                 : "the films do not show their masks well enough";
  if (m.real && m.real->mean < MaskResponse::enough)
    f.verdict += "; the network outlines real films no better than that, so train a better one";
  f.verdict += text(" ({} of {} below {})", std::llround(m.wanted.share_below * static_cast<double>(m.wanted.n)),
                    m.wanted.n, MaskResponse::enough);
  return f;
}

Figure contrast_figure(const Judges& judges) {
  Figure f{.name = "mask_contrast", .title = "Dice of the outline with the base's mask"};
  f.rule = "no rule: the lower below the Dice with the wanted mask, the more the films follow the change of the mask";
  if (!judges.masks || !judges.masks->base) {
    f.verdict = judges.masks ? "the bases of the samples or their masks are not known" : judges.no_masks;
    return f;
  }
  const MaskResponse& m = *judges.masks;
  f.samples = dice_estimate(*m.base);
  f.reference_name = "wanted mask against the base's mask";
  f.reference = dice_estimate(*m.edit);
  f.outcome = Outcome::noted;
  f.verdict = m.gain.low > 0    ? "lower than with the wanted mask: the films follow their own masks"
              : m.gain.high < 0 ? "higher than with the wanted mask: the films ignore their own masks"
                                : "no different from the wanted mask: too few or too small changes to tell";
  return f;
}

Figure class_figure(const Judges& judges) {
  Figure f{.name = "class_consistency", .title = "Classified as their base"};
  f.rule = "noted when even the upper end of the interval lies below the accuracy on real held-out films";
  if (!judges.classes) {
    f.verdict = judges.no_classes;
    return f;
  }
  const ClassConsistency& c = *judges.classes;
  f.samples = {c.samples.n, c.samples.mean, c.samples.interval};
  f.reference_name = "ceiling: real held-out films";
  f.reference = {c.real.n, c.real.mean, c.real.interval};
  f.outcome = c.keeps() ? Outcome::passed : Outcome::noted;
  f.verdict = c.keeps() ? "as often right as on real films" : "the finding is lost more often than on real films";
  return f;
}

}  // namespace querent::al
