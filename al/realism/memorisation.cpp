#include "al/realism/memorisation.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr int64_t fewest = 8;

std::vector<double> distances(const FilmGroups& from, const FilmGroups& to) {
  std::vector<double> all;
  for (const Neighbour& n : nearest(from.films, from.patients, to.films, to.patients)) all.push_back(n.distance);
  return all;
}

}  // namespace

Memorisation memorisation(const FilmGroups& samples, std::span<const int64_t> bases, const FilmGroups& train,
                          const FilmGroups& held_out) {
  check(static_cast<int64_t>(bases.size()) == samples.films.n, "memorisation: {} bases for {} samples", bases.size(),
        samples.films.n);
  Memorisation m;
  m.train = distances(train, train);
  check(!m.train.empty() && std::isfinite(*std::max_element(m.train.begin(), m.train.end())),
        "memorisation: the training films must be of at least 2 patients, got {} films", train.films.n);
  m.closest_pair = *std::min_element(m.train.begin(), m.train.end());
  m.held_out = distances(held_out, train);
  m.samples = nearest(samples.films, samples.patients, train.films, train.patients);
  std::set<int64_t> seen;
  for (size_t i = 0; i < bases.size(); ++i) {
    const double distance = m.samples[i].distance;
    if (bases[i] < 0 || seen.insert(bases[i]).second) m.tested.push_back(distance);
    m.nearer_than_pair += distance < m.closest_pair;
    if (distance < 0.5 * m.closest_pair) m.copies.push_back(static_cast<int64_t>(i));
  }
  const auto least = static_cast<int64_t>(std::min(m.tested.size(), m.held_out.size()));
  check(least >= fewest,
        "memorisation: {} samples of different bases and {} held-out films are too few for a test; at least {} of each "
        "are needed",
        m.tested.size(), m.held_out.size(), fewest);
  m.test = mann_whitney_less(m.tested, m.held_out);
  return m;
}

}  // namespace querent::al
