#include "al/realism/halves.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "data/parallel.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

Halves draw(const std::vector<std::vector<size_t>>& patients, std::span<const int64_t> bases,
            const std::vector<std::vector<size_t>>& variants, Rng rng) {
  Halves h;
  std::vector<size_t> order(patients.size());
  std::iota(order.begin(), order.end(), size_t{0});
  rng.shuffle(order);
  size_t films = 0;
  for (const auto& p : patients) films += p.size();
  std::set<int64_t> in_a;
  for (const size_t p : order) {
    std::vector<int64_t>& half = h.a.size() < films / 2 ? h.a : h.b;
    for (const size_t film : patients[p]) {
      half.push_back(static_cast<int64_t>(film));
      if (&half == &h.a) in_a.insert(static_cast<int64_t>(film));
    }
  }
  for (const auto& of_base : variants) {
    if (in_a.contains(bases[of_base[0]])) continue;
    h.synthetic.push_back(
        static_cast<int64_t>(of_base[static_cast<size_t>(rng.below(static_cast<int64_t>(of_base.size())))]));
  }
  rng.shuffle(h.b);
  rng.shuffle(h.synthetic);
  const size_t m = std::min(h.b.size(), h.synthetic.size());
  h.b.resize(m);
  h.synthetic.resize(m);
  return h;
}

Summary with_quantiles(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  Summary s = summarize(values);
  s.ci = {quantile(sorted, 0.025), quantile(sorted, 0.975)};
  return s;
}

}  // namespace

std::vector<Halves> draw_halves(std::span<const int64_t> patients, std::span<const int64_t> bases, int64_t repeats,
                                uint64_t seed, int64_t fewest) {
  std::vector<int64_t> own(bases.begin(), bases.end());  // an unknown base is one of its own
  for (size_t j = 0; j < own.size(); ++j) {
    check(own[j] < static_cast<int64_t>(patients.size()), "halves: sample {} has base {} of {} real films", j, own[j],
          patients.size());
    if (own[j] < 0) own[j] = -1 - static_cast<int64_t>(j);
  }
  const auto by_patient = members(patients), variants = members(own);
  const Rng base = Rng(seed).fork("halves");
  std::vector<Halves> draws;
  for (int64_t r = 0; r < repeats; ++r) {
    draws.push_back(draw(by_patient, own, variants, base.fork(static_cast<uint64_t>(r))));
    const auto least = static_cast<int64_t>(std::min(draws.back().a.size(), draws.back().b.size()));
    check(
        least >= fewest,
        "halves: {} real films of {} patients and samples of {} bases leave {} films on a side; at least {} are needed",
        patients.size(), by_patient.size(), variants.size(), least, fewest);
  }
  return draws;
}

Compared compare_halves(const FeatureMatrix& real, const FeatureMatrix& samples, std::span<const Halves> draws,
                        const SetDistance& distance) {
  check(!draws.empty(), "halves: no repeats were asked for");
  std::vector<double> value(draws.size()), floor(draws.size());
  data::parallel_for(static_cast<int64_t>(draws.size()), [&](int64_t r) {
    const auto i = static_cast<size_t>(r);
    const FeatureMatrix a = real.take(draws[i].a);
    value[i] = distance(a, samples.take(draws[i].synthetic));
    floor[i] = distance(a, real.take(draws[i].b));
  });
  Compared c;
  for (const Halves& h : draws) c.films += static_cast<int64_t>(h.b.size());
  c.films /= static_cast<int64_t>(draws.size());
  c.value = with_quantiles(value);
  c.floor = with_quantiles(floor);
  std::sort(floor.begin(), floor.end());
  c.floor_limit = quantile(floor, 0.95);
  return c;
}

}  // namespace querent::al
