#include "app/synth_check_data.h"

#include <algorithm>
#include <map>

#include "al/metrics.h"
#include "al/realism/features.h"
#include "al/turns.h"
#include "app/setup.h"
#include "data/layouts.h"
#include "data/split.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

constexpr size_t films_together = 16;
// Films between two reports of progress: a batch for each rank.
size_t films_of_turn() { return films_together * static_cast<size_t>(collective().size); }

std::vector<int64_t> all_of(const data::Dataset& d) {
  std::vector<int64_t> cases;
  for (size_t i = 0; i < d.cases.size(); ++i) cases.push_back(static_cast<int64_t>(i));
  return cases;
}

void find_bases(CheckedData& d, const std::string& data) {
  std::map<std::string, int64_t> known;
  for (const int64_t i : all_of(d.real)) known[d.real.cases[static_cast<size_t>(i)].id] = i;
  int64_t missing = 0, relabelled = 0;
  for (const data::Case& c : d.samples.cases) {
    const auto base = c.extra.find("base");
    if (base == c.extra.end()) {
      d.bases.push_back(-1);
      ++missing;
      continue;
    }
    const auto at = known.find(base->second);
    check(at != known.end(),
          "synth check: sample '{}' names the base '{}', which is not in '{}'; give the --data the samples were made "
          "from",
          c.id, base->second, data);
    d.bases.push_back(at->second);
    relabelled += !c.label.empty() && c.label != d.real.cases[static_cast<size_t>(at->second)].label;
  }
  if (missing > 0)
    d.notes.push_back(
        text("{} of {} samples do not say which film they were made from (column base): nothing can be left "
             "out for them, and they count as independent films",
             missing, d.samples.cases.size()));
  if (relabelled > 0)
    d.notes.push_back(text(
        "{} samples carry another label than their base; the base's label is the one that is checked", relabelled));
}

struct FilmRows {
  std::vector<double> features, pixels;
};
void put(std::string& to, const FilmRows& r) {
  for (const auto* row : {&r.features, &r.pixels}) al::put(to, *row);
}
void take(std::string_view& from, FilmRows& r) {
  for (auto* row : {&r.features, &r.pixels}) al::take(from, *row);
}

// Predictions in batches, each turned into something smaller by `keep`; false when the user asked to stop.
template <class Keep>
bool predict_each(const TrainedModel& model, const data::Loader& loader, const std::vector<int64_t>& cases,
                  const std::string& what, const CheckProgress& progress, const Keep& keep) {
  for (size_t first = 0; first < cases.size(); first += films_of_turn()) {
    const auto part = std::span(cases).subspan(first, std::min(films_of_turn(), cases.size() - first));
    for (std::vector<float>& p : model.learner->predict(loader, part)) keep(std::move(p));
    if (!progress(what, static_cast<int64_t>(first + part.size()), static_cast<int64_t>(cases.size()))) return false;
  }
  return true;
}

// Variants of one base belong together, as do films of one patient.
std::vector<int64_t> sample_groups(const CheckedData& d, const std::vector<int64_t>& cases) {
  std::vector<int64_t> groups;
  for (const int64_t i : cases) {
    const int64_t base = d.bases[static_cast<size_t>(i)];
    groups.push_back(base < 0 ? -1 - i : base);
  }
  return groups;
}
std::vector<int64_t> patient_groups(const CheckedData& d, const std::vector<int64_t>& cases) {
  std::map<std::string, int64_t> number;
  std::vector<int64_t> groups;
  for (const int64_t i : cases) {
    const std::string& key = data::patient_key(d.real.cases[static_cast<size_t>(i)]);
    groups.push_back(number.emplace(key, static_cast<int64_t>(number.size())).first->second);
  }
  return groups;
}

bool ask_segmenter(const CheckedData& d, const TrainedModel& model, const Options& o, const CheckProgress& progress,
                   al::Judges& judges) {
  const auto has_mask = [](const data::Case& c) { return !c.mask.empty(); };
  if (!std::all_of(d.samples.cases.begin(), d.samples.cases.end(), has_mask)) {
    judges.no_masks = "not every sample has a mask (column mask of labels.csv)";
    return true;
  }
  data::LoaderOptions reading = model.loader_options(true);
  reading.allow_empty_masks = o.allow_empty_masks;
  const data::Loader real(d.real, reading), samples(d.samples, reading);
  const auto outline = [&](const data::Loader& loader, const std::vector<int64_t>& cases, const char* what,
                           std::vector<al::MaskBytes>& predicted, std::vector<al::MaskBytes>& wanted) {
    for (const int64_t i : cases) wanted.push_back(al::threshold(loader.mask(i).pixels));
    return predict_each(model, loader, cases, what, progress,
                        [&](const std::vector<float>& p) { predicted.push_back(al::threshold(p)); });
  };
  const std::vector<int64_t> cases = all_of(d.samples);
  std::vector<al::MaskBytes> predicted, wanted, base_masks;
  if (!outline(samples, cases, "outlining samples", predicted, wanted)) return false;
  const bool bases_known = std::all_of(d.bases.begin(), d.bases.end(), [&](int64_t b) {
    return b >= 0 && has_mask(d.real.cases[static_cast<size_t>(b)]);
  });
  if (bases_known)
    for (const int64_t b : d.bases) base_masks.push_back(al::threshold(real.mask(b).pixels));
  judges.masks = al::mask_response(predicted, wanted, base_masks, sample_groups(d, cases), o.seed);
  std::vector<int64_t> held_out = d.held_out;
  std::erase_if(held_out, [&](int64_t i) { return !has_mask(d.real.cases[static_cast<size_t>(i)]); });
  if (held_out.empty()) return true;
  predicted.clear();
  wanted.clear();
  if (!outline(real, held_out, "outlining real films", predicted, wanted)) return false;
  judges.masks->real = al::mean_dice(predicted, wanted, patient_groups(d, held_out), o.seed);
  return true;
}

bool ask_classifier(const CheckedData& d, const TrainedModel& model, const Options& o, const CheckProgress& progress,
                    al::Judges& judges) {
  const data::Loader real(d.real, model.loader_options(false)), samples(d.samples, model.loader_options(false));
  const auto class_of = [&](const std::string& label) -> int64_t {
    const auto at = std::find(model.classes.begin(), model.classes.end(), label);
    return at == model.classes.end() ? -1 : at - model.classes.begin();
  };
  const auto name = [&](const data::Loader& loader, const std::vector<int64_t>& cases,
                        const std::vector<int64_t>& labels, const std::vector<int64_t>& groups, const char* what,
                        al::Accuracy& to) {
    std::vector<std::vector<float>> p;
    if (!predict_each(model, loader, cases, what, progress,
                      [&](std::vector<float> row) { p.push_back(std::move(row)); }))
      return false;
    to = al::accuracy(p, labels, groups, o.seed);
    return true;
  };
  std::vector<int64_t> sample_cases, sample_labels, real_cases, real_labels;
  for (const int64_t i : all_of(d.samples)) {
    const int64_t base = d.bases[static_cast<size_t>(i)];
    const data::Case& labelled =
        base < 0 ? d.samples.cases[static_cast<size_t>(i)] : d.real.cases[static_cast<size_t>(base)];
    if (class_of(labelled.label) < 0) continue;
    sample_cases.push_back(i);
    sample_labels.push_back(class_of(labelled.label));
  }
  for (const int64_t i : d.held_out) {
    const int64_t label = class_of(d.real.cases[static_cast<size_t>(i)].label);
    if (label < 0) continue;
    real_cases.push_back(i);
    real_labels.push_back(label);
  }
  if (sample_cases.empty() || real_cases.empty()) {
    judges.no_classes = text("{} samples and {} held-out films have a class that the network knows",
                             sample_cases.size(), real_cases.size());
    return true;
  }
  al::ClassConsistency c;
  if (!name(samples, sample_cases, sample_labels, sample_groups(d, sample_cases), "classifying samples", c.samples) ||
      !name(real, real_cases, real_labels, patient_groups(d, real_cases), "classifying real films", c.real))
    return false;
  judges.classes = std::move(c);
  return true;
}

}  // namespace

CheckedData open_checked_data(const Options& o) {
  CheckedData d;
  d.real = open_filtered(o);
  data::split_dataset(d.real, {.val = o.val_fraction, .test = o.test_fraction, .seed = o.seed});
  d.samples = data::open_dataset(o.samples);
  check(!d.samples.cases.empty(), "synth check: '{}' holds no samples", o.samples);
  find_bases(d, o.data);
  for (const int64_t i : all_of(d.real))
    (d.real.cases[static_cast<size_t>(i)].split == "train" ? d.train : d.held_out).push_back(i);
  return d;
}

void open_networks(const std::vector<std::string>& paths, CheckNetworks& n) {
  for (const std::string& path : paths) {
    TrainedModel model = open_model(path);
    const bool segments = model.task == "seg";
    std::optional<TrainedModel>& place = segments ? n.segmenter : n.classifier;
    std::string& place_path = segments ? n.segmenter_path : n.classifier_path;
    check(!place, "synth check: '{}' and '{}' are both {}; give at most one segmenter and one classifier", place_path,
          path, segments ? "segmenters" : "classifiers");
    place = std::move(model);
    place_path = path;
    if (n.features != nullptr) continue;
    n.features = &*place;
    n.features_name = text("{} {} at {} x {} pixels, {}", segments ? "segmenter" : "classifier",
                           place->learner->model().options.name, place->size, place->size, path);
  }
  if (n.features == nullptr) n.features_name = al::plain_features_name;
}

FilmNumbers film_numbers(const data::Loader& loader, const CheckNetworks& networks, const std::string& what,
                         const CheckProgress& progress) {
  FilmNumbers f;
  const std::vector<int64_t> cases = all_of(loader.dataset());
  for (size_t first = 0; first < cases.size(); first += films_of_turn()) {
    const auto part = std::span(cases).subspan(first, std::min(films_of_turn(), cases.size() - first));
    const auto look = [&](size_t begin, std::span<FilmRows> films) {
      const auto batch = part.subspan(begin, films.size());
      al::FeatureMatrix rows;
      if (networks.features != nullptr) rows = al::network_features(networks.features->learner->model(), loader, batch);
      for (size_t i = 0; i < films.size(); ++i) {
        const Image film = loader.image(batch[i]);
        const std::span<const double> row =
            networks.features ? rows.row(static_cast<int64_t>(i)) : std::span<const double>();
        films[i] = {networks.features ? std::vector(row.begin(), row.end()) : al::plain_features(film),
                    al::pixel_features(film)};
      }
    };
    for (const FilmRows& film : al::in_turns<FilmRows>(part.size(), films_together, {}, look)) {
      f.features.append(film.features);
      f.pixels.append(film.pixels);
    }
    if (!progress(what, static_cast<int64_t>(first + part.size()), static_cast<int64_t>(cases.size()))) break;
  }
  return f;
}

al::Judges ask_networks(const CheckedData& d, const CheckNetworks& n, const Options& o, const CheckProgress& progress) {
  al::Judges judges;
  judges.no_masks = "give a segmenter with --weights";
  judges.no_classes = "give a classifier with --weights";
  if (n.segmenter && !ask_segmenter(d, *n.segmenter, o, progress, judges)) return judges;
  if (n.classifier) ask_classifier(d, *n.classifier, o, progress, judges);
  return judges;
}

}  // namespace querent::app
