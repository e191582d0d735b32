#include "al/mahapatra2013/film.h"

#include <cmath>

#include "al/metrics.h"

namespace querent::al {

Film describe_film(const Image& image, const Image& mask, const SlicOptions& options) {
  Film f;
  f.superpixels = slic(image, options);
  f.features = superpixel_features(image, f.superpixels);
  f.borders = borders(f.superpixels);
  f.mask = threshold(mask.pixels);
  f.truth = majority(f.superpixels, f.mask);
  return f;
}

std::vector<double> similarity(std::span<const Border> borders, const FeatureMatrix& z,
                               std::span<const double> importance) {
  std::vector<double> alike;
  for (const Border& b : borders) {
    const auto u = z.row(b.first), v = z.row(b.second);
    double d = 0;
    for (size_t k = 0; k < importance.size(); ++k) d += importance[k] * (u[k] - v[k]) * (u[k] - v[k]);
    alike.push_back(std::exp(-d));
  }
  return alike;
}

SuperpixelPool make_pool(std::vector<Film> films) {
  SuperpixelPool p;
  for (const Film& f : films) {
    const int64_t first = p.nodes();
    for (int64_t i = 0; i < f.features.n; ++i) p.features.append(f.features.row(i));
    for (const Border& b : f.borders) p.borders.push_back({first + b.first, first + b.second, b.length});
    p.truth.insert(p.truth.end(), f.truth.begin(), f.truth.end());
    p.first.push_back(first + f.superpixels.count);
  }
  p.films = std::move(films);
  return p;
}

Graph likeness_graph(const SuperpixelPool& pool, const FeatureMatrix& z, int64_t neighbours) {
  const auto near = nearest_rows(z, neighbours);
  double scale = 0, count = 0;
  for (const auto& list : near)
    for (const Near& n : list) scale += n.squared_distance, ++count;
  scale = std::max(scale / std::max(count, 1.0), 1e-12);
  const auto weight = [&](double squared_distance) { return std::exp(-squared_distance / (2 * scale)); };
  std::vector<Link> links;
  for (int64_t i = 0; i < z.n; ++i)
    for (const Near& n : near[static_cast<size_t>(i)]) links.push_back({i, n.row, weight(n.squared_distance)});
  for (const Border& b : pool.borders) {
    const auto u = z.row(b.first), v = z.row(b.second);
    double d = 0;
    for (size_t k = 0; k < u.size(); ++k) d += (u[k] - v[k]) * (u[k] - v[k]);
    links.push_back({b.first, b.second, weight(d)});
  }
  return make_graph(z.n, std::move(links));
}

std::vector<double> information_density(const Graph& g) {
  std::vector<double> density;
  for (size_t i = 0; i + 1 < g.from.size(); ++i) {
    double sum = 0;
    for (size_t e = g.from[i]; e < g.from[i + 1]; ++e) sum += g.weight[e];
    density.push_back(g.from[i + 1] > g.from[i] ? sum / static_cast<double>(g.from[i + 1] - g.from[i]) : 0);
  }
  return density;
}

}  // namespace querent::al
