#include "al/scr2006/experiment.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "al/run_folder.h"
#include "al/scr2006/measures.h"
#include "al/scr2006/methods.h"
#include "al/scr2006/results.h"
#include "data/parallel.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::al {
namespace {

constexpr size_t portion = 64;  // films measured between two questions whether to stop

// What the radiologist would measure of these masks; 0 where there are no lungs among the structures.
struct Measure {
  size_t lungs, heart;  // places; the number of structures: not there
  explicit Measure(const std::vector<std::string>& structures)
      : lungs(place(structures, "lungs")), heart(place(structures, "heart")), count(structures.size()) {}
  bool any() const { return lungs < count; }
  bool ratio() const { return any() && heart < count; }
  double of(const std::vector<MaskBytes>& masks, int64_t side, double dx) const {
    if (!any()) return 0;
    return ratio() ? cardiothoracic_ratio(masks[lungs], masks[heart], side, side)
                   : thoracic_width(masks[lungs], side, side, dx);
  }

 private:
  static size_t place(const std::vector<std::string>& all, const char* one) {
    return static_cast<size_t>(std::find(all.begin(), all.end(), one) - all.begin());
  }
  size_t count;
};

FilmResult measure_film(const ScrLab& lab, const ScrFold& fold, size_t number, const std::vector<MaskBytes>& truth,
                        const Measure& measure, bool millimetres) {
  const int64_t side = lab.config.size;
  const data::Case& c = lab.film(fold.test[number]);
  // A pixel here covers height/side by width/side pixels of the file.
  const double dy = millimetres ? c.spacing_mm * static_cast<double>(c.height) / static_cast<double>(side) : 1,
               dx = millimetres ? c.spacing_mm * static_cast<double>(c.width) / static_cast<double>(side) : 1;
  FilmResult f;
  f.id = c.id;
  f.fold = fold.name;
  f.reference = measure.of(truth, side, dx);
  for (const std::vector<MaskBytes>& masks : found_masks(lab, fold, number)) {
    f.measured.push_back(measure.of(masks, side, dx));
    std::vector<double> overlaps, distances;
    for (size_t s = 0; s < masks.size(); ++s) {
      overlaps.push_back(overlap(masks[s], truth[s]));
      distances.push_back(contour_distance(masks[s], truth[s], side, side, dy, dx));
    }
    f.overlap.push_back(std::move(overlaps));
    f.contour_distance.push_back(std::move(distances));
  }
  return f;
}

void measure_fold(const ScrLab& lab, const ScrFold& fold, bool millimetres, std::vector<FilmResult>& results) {
  const Measure measure(lab.config.structures);
  for (size_t first = 0; first < fold.test.size(); first += portion) {
    if (lab.hooks.stop()) throw Stopped{};
    const size_t n = std::min(portion, fold.test.size() - first);
    std::vector<std::vector<MaskBytes>> truth(n);  // a loader serves one thread at a time
    for (size_t i = 0; i < n; ++i)
      for (size_t s = 0; s < lab.loaders.size(); ++s) truth[i].push_back(lab.truth(s, fold.test[first + i]));
    std::vector<FilmResult> measured(n);
    data::parallel_for(static_cast<int64_t>(n), [&](int64_t k) {
      const auto i = static_cast<size_t>(k);
      measured[i] = measure_film(lab, fold, first + i, truth[i], measure, millimetres);
    });
    std::move(measured.begin(), measured.end(), std::back_inserter(results));
    lab.show(text("fold {}, measures", fold.name), first + n, fold.test.size());
  }
}

void check_config(const Scr2006Config& c, const std::vector<data::Dataset>& films) {
  for (const std::string& m : c.methods)
    check(m == "mean_shape" || m == "pixels" || m == "unet",
          "scr2006: method '{}' is unknown; choose of mean_shape, pixels, unet", m);
  for (const std::string& s : c.structures)
    check(s == "lungs" || s == "heart" || s == "clavicles",
          "scr2006: structure '{}' is unknown; choose of lungs, heart, clavicles", s);
  check(!c.methods.empty() && !c.structures.empty(), "scr2006: there is no method or no structure to compare");
  internal_check(films.size() == c.structures.size(), "scr2006: {} data sets for {} structures", films.size(),
                 c.structures.size());
  const int64_t stride = int64_t{1} << c.depth;
  check(c.size % stride == 0, "scr2006: the U-Net halves the film {} times: --size {} must be a multiple of {}; use {}",
        c.depth, c.size, stride, (c.size + stride - 1) / stride * stride);
  check(c.steps > 0 && c.batch > 0 && c.pixels.samples > 0 && c.pixels.epsilon >= 0 && c.pixels.stride > 0 &&
            c.pixels.stride <= 8 && c.pixels.neighbours > 0 && c.pixels.neighbours < 256,
        "scr2006: steps, batch and samples must be at least 1, stride 1 to 8, neighbours 1 to 255, epsilon at least 0");
}

std::vector<ScrFold> make_folds(const std::vector<std::string>& fold_of) {
  std::vector<ScrFold> folds;
  for (const std::string& name : std::set<std::string>(fold_of.begin(), fold_of.end())) {
    ScrFold& f = folds.emplace_back();
    f.number = static_cast<int64_t>(folds.size());
    f.name = name;
    for (size_t i = 0; i < fold_of.size(); ++i)
      (fold_of[i] == name ? f.test : f.train).push_back(static_cast<int64_t>(i));
  }
  return folds;
}

}  // namespace

std::string Scr2006Config::json() const {
  return dump_json({{"experiment", "scr2006"},
                    {"structures", structures},
                    {"seed", seed},
                    {"size", size},
                    {"neighbours", pixels.neighbours},
                    {"samples", pixels.samples},
                    {"stride", pixels.stride},
                    {"epsilon", pixels.epsilon},
                    {"width", width},
                    {"depth", depth},
                    {"steps", steps},
                    {"batch", batch},
                    {"lr", lr},
                    {"dropout", dropout},
                    {"augment", augment},
                    {"data", data}},
                   2);
}

bool run_scr2006(const Scr2006Config& config, const std::vector<data::Dataset>& films, const std::string& out,
                 const Hooks& hooks) {
  check_config(config, films);
  const std::vector<std::string> fold_of = folds_of(films[0], config.seed);
  const RunFolder folder(out, config.json());
  make_folder(folder.file("masks"));
  data::Dataset listed = films[0];
  for (size_t i = 0; i < fold_of.size(); ++i) {
    listed.cases[i].split = fold_of[i];
    for (size_t s = 1; s < films.size(); ++s) listed.cases[i].mask += "|" + films[s].cases[i].mask;
  }
  keep_manifest(listed, folder);

  ScrLab lab{.config = config, .folder = folder, .hooks = hooks};
  std::vector<int64_t> all(films[0].cases.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  data::LoaderOptions options{.size = config.size, .masks = true, .allow_empty_masks = config.allow_empty_masks};
  if (config.augment) options.augmentation = data::chest_augmentation();
  std::vector<ScrFold> folds = make_folds(fold_of);
  Scr2006Results results;
  results.structures = config.structures;
  try {
    for (size_t s = 0; s < films.size(); ++s) {
      lab.loaders.emplace_back(films[s], options);
      lab.loaders[s].preload(all, [&](int64_t done, int64_t total) {
        if (hooks.stop()) throw Stopped{};
        lab.show("reading films and " + config.structures[s], static_cast<size_t>(done), static_cast<size_t>(total));
      });
    }
    for (const ScrFold& f : folds) lab.units += unit_count(lab, f.test.size());
    const auto known = [](const data::Case& c) { return c.spacing_mm > 0 && c.width > 0 && c.height > 0; };
    const bool millimetres = std::ranges::all_of(films[0].cases, known);
    for (ScrFold& f : folds) {
      segment(lab, f);
      measure_fold(lab, f, millimetres, results.films);
      f = {};  // its masks
    }
    const Measure measure(config.structures);
    results.methods = result_methods(lab);
    results.distance_unit = millimetres ? "mm" : "px";
    if (measure.any()) results.measure = measure.ratio() ? "cardiothoracic_ratio" : "thoracic_width";
    if (measure.any() && !measure.ratio()) results.measure_unit = results.distance_unit;
    results.size = config.size;
    results.jsrt = films[0].layout == "jsrt";
    write_scr2006_results(folder, results);
  } catch (const Stopped&) {
    return false;
  }
  return true;
}

}  // namespace querent::al
