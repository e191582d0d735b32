// The picture strip of the page.
#include <algorithm>

#include "al/mahapatra2013/lab.h"
#include "al/mahapatra2013/pictures.h"
#include "al/mahapatra2013/segment.h"
#include "data/encode.h"
#include "tensor/error.h"

namespace querent::al {

void write_pictures(const SuperpixelLab& lab, const RandomForest& forest, const std::vector<int64_t>& labelled) {
  constexpr Colour border = {0.35f, 0.55f, 0.75f}, yes = {0.2f, 0.8f, 0.95f}, no = {0.95f, 0.55f, 0.15f};
  constexpr Colour reference = {1.0f, 0.82f, 0.25f}, result = yes;
  const SeedSetting& s = *lab.setting;
  const auto save = [&](const char* name, const Image& picture) {
    data::write_png(lab.folder.file(text("gallery/{}.png", name)), picture);
  };
  std::vector<std::vector<int64_t>> of_film(s.pool.films.size());
  for (const int64_t i : labelled) {
    const auto after = std::upper_bound(s.pool.first.begin(), s.pool.first.end(), i);
    const auto f = static_cast<size_t>(after - s.pool.first.begin() - 1);
    of_film[f].push_back(i - s.pool.first[f]);
  }
  const auto most = std::max_element(of_film.begin(), of_film.end(),
                                     [](const auto& a, const auto& b) { return a.size() < b.size(); });
  const Film& asked = s.pool.films[static_cast<size_t>(most - of_film.begin())];
  Image picture = picture_of(lab.loader.image(asked.case_index));
  for (const bool foreground : {false, true}) {
    std::vector<uint8_t> marked(asked.truth.size(), 0);
    for (const int64_t k : *most)
      marked[static_cast<size_t>(k)] = (asked.truth[static_cast<size_t>(k)] != 0) == foreground;
    tint(picture, paint(asked.superpixels, marked), foreground ? yes : no, 0.55f);
  }
  draw_borders(picture, asked.superpixels, border);
  save("queries", picture);

  std::vector<std::pair<double, size_t>> dice;
  std::vector<std::vector<uint8_t>> cuts;
  for (const Film& f : lab.test) {
    const std::vector<double> alike = similarity(f.borders, lab.setting->standardizer(f.features), forest.importance);
    cuts.push_back(cut_labels(probabilities(forest, f.features), f.borders, alike, lab.config.smoothness));
    dice.emplace_back(measure(f, cuts.back()).dice, dice.size());
  }
  std::sort(dice.begin(), dice.end());
  const size_t median = dice[dice.size() / 2].second;
  const Film& shown = lab.test[median];
  const Image film = lab.loader.image(shown.case_index);
  picture = picture_of(film);
  draw_borders(picture, shown.superpixels, border);
  save("superpixels", picture);
  Image posterior(film.height, film.width);
  const std::vector<double> p = probabilities(forest, shown.features);
  for (size_t i = 0; i < posterior.pixels.size(); ++i)
    posterior.pixels[i] = static_cast<float>(p[static_cast<size_t>(shown.superpixels.label[i])]);
  save("probability", picture_of(posterior));
  picture = picture_of(film);
  draw_outline(picture, shown.mask, reference);
  draw_outline(picture, paint(shown.superpixels, cuts[median]), result);
  save("result", picture);
}

}  // namespace querent::al
