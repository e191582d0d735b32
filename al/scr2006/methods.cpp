#include "al/scr2006/methods.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "al/learner.h"
#include "al/metrics.h"
#include "al/scr2006/masks.h"
#include "al/scr2006/measures.h"
#include "data/parallel.h"
#include "tensor/files.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

constexpr size_t chunk = 128;   // films of a unit of pixel classification
constexpr size_t portion = 16;  // films between two questions whether to stop

int64_t regions_of(const std::string& structure) { return structure == "heart" ? 1 : 2; }

Bytes part(const Bytes& all, size_t index, size_t size) {
  const auto from = all.begin() + static_cast<ptrdiff_t>(index * size);
  return {from, from + static_cast<ptrdiff_t>(size)};
}
size_t film_pixels(const ScrLab& lab) { return static_cast<size_t>(lab.config.size * lab.config.size); }

struct Unit {
  std::string name, title;
  std::span<const int64_t> films;
  std::vector<size_t> structures;
};
// The bytes that a unit leaves, read where it was done before. Its line tells the mean overlap of the masks that
// `mask(bytes, film, structure)` makes of them.
using MaskOf = std::function<MaskBytes(const Bytes& all, size_t film, size_t structure)>;
Bytes kept(ScrLab& lab, const Unit& u, const std::function<Bytes()>& make, const MaskOf& mask) {
  const std::string path = lab.folder.file("masks/" + u.name + ".bin");
  json unit;
  Bytes bytes;
  if (lab.folder.has_unit(u.name)) {
    unit = lab.folder.read_unit(u.name);
    const std::string file = read_file(path);
    check(file.size() == unit.at("bytes").get<size_t>(),
          "scr2006: '{}' has {} bytes instead of {}; delete '{}' and run again", path, file.size(),
          unit.at("bytes").get<size_t>(), lab.folder.file("units/" + u.name + ".json"));
    bytes.assign(file.begin(), file.end());
  } else {
    lab.report({Progress::unit_begin, u.title, 0, 0, 0, 0, 0, nullptr});
    const auto start = Clock::now();
    bytes = make();
    double sum = 0;
    for (size_t i = 0; i < u.films.size(); ++i)
      for (const size_t s : u.structures) sum += overlap(mask(bytes, i, s), lab.truth(s, u.films[i]));
    write_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    unit = {{"unit", u.title},
            {"bytes", bytes.size()},
            {"overlap", sum / static_cast<double>(u.films.size() * u.structures.size())},
            {"seconds", std::chrono::duration<double>(Clock::now() - start).count()}};
    lab.folder.write_unit(u.name, unit);
  }
  Point p;
  p.metrics["overlap"] = unit.at("overlap");
  p.seconds = unit.at("seconds");
  lab.report({Progress::unit_end, u.title, 0, 0, 0, 0, 0, &p});
  ++lab.unit;
  return bytes;
}

std::vector<MaskBytes> mean_shapes(const ScrLab& lab, const ScrFold& fold) {
  std::vector<MaskBytes> shapes;
  for (size_t s = 0; s < lab.loaders.size(); ++s) {
    std::vector<MaskBytes> masks;
    for (const int64_t i : fold.train) masks.push_back(lab.truth(s, i));
    shapes.push_back(mean_mask(masks));
  }
  return shapes;
}

PixelClassifier train_pixels(const ScrLab& lab, const ScrFold& fold, const std::string& title) {
  const Scr2006Config& c = lab.config;
  const std::vector<double> scales = feature_scales(c.size);
  const auto per_film = std::max<int64_t>(1, c.pixels.samples / static_cast<int64_t>(fold.train.size()));
  const Rng rng = Rng(c.seed).fork("pixels");
  PixelSamples samples;
  for (size_t k = 0; k < fold.train.size(); ++k) {
    if (lab.hooks.stop()) throw Stopped{};
    const int64_t i = fold.train[k];
    Bytes inside(film_pixels(lab), 0);
    for (size_t s = 0; s < lab.loaders.size(); ++s) {
      const MaskBytes mask = lab.truth(s, i);
      for (size_t p = 0; p < inside.size(); ++p) inside[p] |= static_cast<uint8_t>(mask[p] << s);
    }
    sample_pixels(samples, lab.loaders[0].image(i), inside, scales, per_film, rng.fork(lab.film(i).id));
    lab.show(title + ", samples", k + 1, fold.train.size());
  }
  return {std::move(samples), scales, static_cast<int64_t>(lab.loaders.size()), c.pixels};
}

Bytes votes_of(const ScrLab& lab, const PixelClassifier& classifier, const Unit& u) {
  Bytes all;
  for (size_t first = 0; first < u.films.size(); first += portion) {
    if (lab.hooks.stop()) throw Stopped{};
    const size_t n = std::min(portion, u.films.size() - first);
    std::vector<Image> films;  // a loader serves one thread at a time
    for (size_t i = 0; i < n; ++i) films.push_back(lab.loaders[0].image(u.films[first + i]));
    std::vector<Bytes> votes(n);
    data::parallel_for(static_cast<int64_t>(n), [&](int64_t i) {
      votes[static_cast<size_t>(i)] = classifier.votes(films[static_cast<size_t>(i)]);
    });
    for (const Bytes& v : votes) all.insert(all.end(), v.begin(), v.end());
    lab.show(u.title, first + n, u.films.size());
  }
  return all;
}

// Of one structure from the votes of film number `film`.
Image posterior_of(const ScrLab& lab, const Bytes& votes, size_t film, size_t structure) {
  const auto side = static_cast<size_t>(classified_side(lab.config.size, lab.config.pixels.stride));
  return posterior(part(votes, film * lab.loaders.size() + structure, side * side), lab.config.size, lab.config.pixels);
}

Bytes classify_pixels(ScrLab& lab, const ScrFold& fold) {
  std::optional<PixelClassifier> classifier;
  Bytes all;
  for (size_t first = 0; first < fold.test.size(); first += chunk) {
    const size_t n = std::min(chunk, fold.test.size() - first);
    Unit u{text("fold{}_pixels_{}", fold.number, first / chunk + 1),
           text("fold {}, pixels, films {} to {}", fold.name, first + 1, first + n),
           std::span(fold.test).subspan(first, n), std::vector<size_t>(lab.loaders.size())};
    std::iota(u.structures.begin(), u.structures.end(), size_t{0});
    const auto make = [&] {
      if (!classifier) classifier.emplace(train_pixels(lab, fold, u.title));
      return votes_of(lab, *classifier, u);
    };
    const Bytes votes = kept(
        lab, u, make, [&](const Bytes& b, size_t i, size_t s) { return threshold(posterior_of(lab, b, i, s).pixels); });
    all.insert(all.end(), votes.begin(), votes.end());
  }
  return all;
}

Bytes unet_masks(ScrLab& lab, const ScrFold& fold, const Unit& u) {
  const Scr2006Config& c = lab.config;
  data::Loader& loader = lab.loaders[u.structures[0]];
  loader.set_normalization(loader.measure(fold.train));
  const uint64_t key = mix_key(c.seed, hash_name(u.name));
  Learner learner({.name = "unet", .width = c.width, .depth = c.depth, .dropout = c.dropout}, key);
  const TrainOptions options{.steps = c.steps,
                             .batch = c.batch,
                             .lr = c.lr,
                             .key = key,
                             .unit = u.name,
                             .checkpoint = lab.folder.checkpoint()};
  TrainHooks h;
  h.step = [&](int64_t step, double loss) {
    lab.report({Progress::step, u.title, 0, 0, step, c.steps, loss, nullptr});
  };
  h.stop = lab.hooks.stop;
  if (!learner.train(loader, fold.train, options, h)) throw Stopped{};
  Bytes all;
  for (size_t first = 0; first < fold.test.size(); first += portion) {
    const auto films = std::span(fold.test).subspan(first, std::min(portion, fold.test.size() - first));
    for (const std::vector<float>& p : learner.predict(loader, films)) {
      const MaskBytes mask = threshold(p);
      all.insert(all.end(), mask.begin(), mask.end());
    }
    lab.show(u.title, first + films.size(), fold.test.size());
  }
  return all;
}

}  // namespace

bool ScrLab::has(std::string_view method) const {
  return std::find(config.methods.begin(), config.methods.end(), method) != config.methods.end();
}
MaskBytes ScrLab::truth(size_t structure, int64_t film) const {
  return threshold(loaders[structure].mask(film).pixels);
}
void ScrLab::report(Progress p) const {
  p.unit_index = unit, p.units = units;
  hooks.progress(p);
}
void ScrLab::show(const std::string& title, size_t done, size_t total) const {
  report({Progress::scoring, title, 0, 0, static_cast<int64_t>(done), static_cast<int64_t>(total), 0, nullptr});
}

int64_t unit_count(const ScrLab& lab, size_t test_films) {
  return static_cast<int64_t>((lab.has("pixels") ? (test_films + chunk - 1) / chunk : 0) +
                              (lab.has("unet") ? lab.loaders.size() : 0));
}

void segment(ScrLab& lab, ScrFold& fold) {
  if (lab.has("mean_shape")) fold.mean_shape = mean_shapes(lab, fold);
  if (lab.has("pixels")) fold.votes = classify_pixels(lab, fold);
  if (!lab.has("unet")) return;
  for (size_t s = 0; s < lab.loaders.size(); ++s) {
    const std::string& structure = lab.config.structures[s];
    const Unit u{text("fold{}_unet_{}", fold.number, structure),
                 text("fold {}, unet, {}", fold.name, structure),
                 fold.test,
                 {s}};
    fold.unet.push_back(kept(
        lab, u, [&] { return unet_masks(lab, fold, u); },
        [&](const Bytes& b, size_t i, size_t) { return part(b, i, film_pixels(lab)); }));
  }
}

std::vector<std::string> result_methods(const ScrLab& lab) {
  std::vector<std::string> rows;
  if (lab.has("mean_shape")) rows.push_back("mean_shape");
  if (lab.has("pixels")) rows.insert(rows.end(), {"pixels", "pixels_clean"});
  if (lab.has("unet")) rows.push_back("unet");
  if (rows.size() == 4) rows.push_back("voting");
  return rows;
}

std::vector<std::vector<MaskBytes>> found_masks(const ScrLab& lab, const ScrFold& fold, size_t film) {
  std::vector<std::vector<MaskBytes>> rows;
  if (lab.has("mean_shape")) rows.push_back(fold.mean_shape);
  if (lab.has("pixels")) {
    std::vector<MaskBytes> raw, clean;
    for (size_t s = 0; s < lab.loaders.size(); ++s) {
      const Image p = posterior_of(lab, fold.votes, film, s);
      raw.push_back(threshold(p.pixels));
      clean.push_back(clean_mask(p, regions_of(lab.config.structures[s])));
    }
    rows.push_back(std::move(raw));
    rows.push_back(std::move(clean));
  }
  if (lab.has("unet")) {
    std::vector<MaskBytes> masks;
    for (const Bytes& all : fold.unet) masks.push_back(part(all, film, film_pixels(lab)));
    rows.push_back(std::move(masks));
  }
  if (rows.size() < 4) return rows;
  std::vector<MaskBytes> voted;
  for (size_t s = 0; s < lab.loaders.size(); ++s)
    voted.push_back(mean_mask(std::vector<MaskBytes>{rows[0][s], rows[2][s], rows[3][s]}));
  rows.push_back(std::move(voted));
  return rows;
}

}  // namespace querent::al
