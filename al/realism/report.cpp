#include "al/realism/report.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

#include "al/realism/frechet.h"
#include "al/realism/kernel_distance.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

// A sample without a base is a group of its own.
std::vector<int64_t> groups_of(std::span<const int64_t> bases) {
  std::vector<int64_t> groups(bases.begin(), bases.end());
  for (size_t i = 0; i < groups.size(); ++i)
    if (groups[i] < 0) groups[i] = -1 - static_cast<int64_t>(i);
  return groups;
}

std::vector<int64_t> one_of_each(std::span<const int64_t> groups) {
  std::vector<int64_t> rows;
  std::set<int64_t> seen;
  for (size_t i = 0; i < groups.size(); ++i)
    if (seen.insert(groups[i]).second) rows.push_back(static_cast<int64_t>(i));
  return rows;
}

std::vector<int64_t> pick(std::span<const int64_t> from, std::span<const int64_t> rows) {
  std::vector<int64_t> out;
  for (const int64_t i : rows) out.push_back(from[static_cast<size_t>(i)]);
  return out;
}

// Too few films for one measurement are no reason to give up the others: its figure says why it is missing.
template <class T>
std::optional<T> measured(std::string& why_not, const std::function<T()>& measure) {
  try {
    return measure();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::bad_input) throw;
    why_not = e.what();
    return std::nullopt;
  }
}

std::optional<Memorisation> nearness(std::string& why_not, const RealFilms& real, const FeatureMatrix& films,
                                     const FeatureMatrix& samples, std::span<const int64_t> bases) {
  std::vector<int64_t> patients;  // of each sample's base
  for (const int64_t b : bases) patients.push_back(b < 0 ? -1 : real.patients[static_cast<size_t>(b)]);
  const FeatureMatrix train = films.take(real.train), held_out = films.take(real.held_out);
  const std::vector<int64_t> train_patients = pick(real.patients, real.train),
                             held_out_patients = pick(real.patients, real.held_out);
  return measured<Memorisation>(why_not, [&] {
    return memorisation({samples, patients}, bases, {train, train_patients}, {held_out, held_out_patients});
  });
}

void check_sizes(const RealFilms& real, const SyntheticFilms& samples) {
  const auto n = static_cast<int64_t>(real.ids.size()), s = static_cast<int64_t>(samples.ids.size());
  check(s > 0, "realism: there are no samples to check");
  check(real.features.n == n && real.pixels.n == n && static_cast<int64_t>(real.patients.size()) == n,
        "realism: {} real films have {} feature rows, {} pixel rows and {} patients", n, real.features.n, real.pixels.n,
        real.patients.size());
  check(samples.features.n == s && samples.pixels.n == s && static_cast<int64_t>(samples.bases.size()) == s,
        "realism: {} samples have {} feature rows, {} pixel rows and {} bases", s, samples.features.n, samples.pixels.n,
        samples.bases.size());
}

}  // namespace

bool RealismReport::passed() const {
  return std::none_of(figures.begin(), figures.end(), [](const Figure& f) { return f.outcome == Outcome::failed; });
}

RealismReport realism_report(const RealFilms& real, const SyntheticFilms& samples, const Judges& judges,
                             const RealismOptions& o) {
  check_sizes(real, samples);
  const Standardizer standardize(real.features);
  const FeatureMatrix x = standardize(real.features), y = standardize(samples.features);
  const std::vector<int64_t> groups = groups_of(samples.bases);
  RealismReport r;

  std::string why_not;
  const auto draws = measured<std::vector<Halves>>(
      why_not, [&] { return draw_halves(real.patients, samples.bases, o.repeats, o.seed); });
  std::optional<Compared> frechet, kernel;
  if (draws) {
    frechet = compare_halves(x, y, *draws, [](const auto& a, const auto& b) { return frechet_distance(a, b); });
    kernel = compare_halves(x, y, *draws, kernel_distance);
  }
  Figure fid = distance_figure("frechet_distance", "Fréchet distance (FID)", frechet),
         kid = distance_figure("kernel_distance", "Kernel distance (KID)", kernel);
  if (draws) {
    fid.all_films =
        Estimate{y.n, frechet_distance(x, y), frechet_interval(x, real.patients, y, groups, o.seed, o.resamples)};
    const FeatureMatrix one_each = y.take(one_of_each(groups));  // blocks must be of independent films
    const Summary blocks = kernel_distance_blocks(x.take(one_of_each(real.patients)), one_each, o.seed);
    kid.all_films = Estimate{one_each.n, blocks.mean, blocks.ci};
  } else {
    fid.verdict = kid.verdict = why_not;
  }

  std::string no_features, no_pixels;
  r.in_features = nearness(no_features, real, x, y, samples.bases);
  r.in_pixels = nearness(no_pixels, real, real.pixels, samples.pixels, samples.bases);
  Figure in_features = nearness_figure("nearest_features", "Nearest training film, features", r.in_features, o.seed),
         in_pixels = nearness_figure("nearest_pixels", "Nearest training film, pixels", r.in_pixels, o.seed);
  if (!r.in_features) in_features.verdict = no_features;
  if (!r.in_pixels) in_pixels.verdict = no_pixels;

  const std::set<int64_t> held_out(real.held_out.begin(), real.held_out.end());
  int64_t known_bases = 0;
  for (int64_t i = 0; i < y.n; ++i) {
    const int64_t base = samples.bases[static_cast<size_t>(i)];
    known_bases += base >= 0;
    r.base_distance.push_back(base < 0 ? std::numeric_limits<double>::quiet_NaN()
                                       : film_distance(samples.pixels.row(i), real.pixels.row(base)));
    if (held_out.contains(base)) r.held_out_bases.push_back(i);
  }
  r.figures = {fid,
               kid,
               in_features,
               in_pixels,
               memorised_figure(r.in_features, r.in_pixels),
               base_figure(r.base_distance, r.in_pixels, o.seed),
               leak_figure(known_bases, static_cast<int64_t>(r.held_out_bases.size())),
               mask_figure(judges),
               contrast_figure(judges),
               class_figure(judges)};
  return r;
}

}  // namespace querent::al
