// querent synth check: are synthetic films real enough, no copies, and what they claim to be?
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "app/options.h"
#include "app/stop.h"
#include "app/synth_check_data.h"
#include "app/synth_check_page.h"
#include "app/terminal.h"
#include "data/transform.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

using nlohmann::json;

constexpr size_t most_examples = 8;
constexpr int64_t picture_side = 160;

std::string rounded(double v) { return text("{}", std::round(v * 1000) / 1000); }

json sample_json(const CheckedData& d, const al::Judges& judges, const al::RealismReport& r, size_t i) {
  json j = {{"id", d.samples.cases[i].id}};
  if (d.bases[i] >= 0) {
    j["base"] = d.real.cases[static_cast<size_t>(d.bases[i])].id;
    j["base_distance"] = r.base_distance[i];
  }
  for (const auto& [space, found] : {std::pair("features", &r.in_features), std::pair("pixels", &r.in_pixels)}) {
    if (!*found) continue;
    const al::Neighbour& n = (*found)->samples[i];
    if (n.index < 0) continue;
    j["nearest"][space] = {{"id", d.real.cases[static_cast<size_t>(d.train[static_cast<size_t>(n.index)])].id},
                           {"distance", n.distance}};
  }
  if (judges.masks) {
    j["dice"] = judges.masks->wanted.each[i];
    if (judges.masks->base) j["base_dice"] = judges.masks->base->each[i];
  }
  return j;
}

al::RealFilms real_films(const CheckedData& d, FilmNumbers numbers) {
  al::RealFilms films{.ids = {},
                      .patients = {},
                      .train = d.train,
                      .held_out = d.held_out,
                      .features = std::move(numbers.features),
                      .pixels = std::move(numbers.pixels)};
  std::map<std::string, int64_t> patients;
  for (const data::Case& c : d.real.cases) {
    films.ids.push_back(c.id);
    films.patients.push_back(
        patients.emplace(data::patient_key(c), static_cast<int64_t>(patients.size())).first->second);
  }
  return films;
}

// The places of the smallest values, ascending; ties by place.
std::vector<size_t> smallest(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  order.resize(std::min(order.size(), most_examples));
  return order;
}

class Examples {
 public:
  Examples(const CheckedData& d, const al::RealismReport& r, const data::LoaderOptions& reading)
      : d_(d), r_(r), real_(d.real, reading), samples_(d.samples, reading) {}
  FilmExample make(size_t i, const std::string& note) const {
    FilmExample e{d_.samples.cases[i].id, note, {panel(samples_, static_cast<int64_t>(i), "sample")}};
    e.panels.push_back(d_.bases[i] < 0 ? FilmPanel{"base", "", {}, {}} : panel(real_, d_.bases[i], "base"));
    const int64_t nearest = r_.in_pixels ? r_.in_pixels->samples[i].index : -1;
    e.panels.push_back(nearest < 0 ? FilmPanel{"nearest training film", "", {}, {}}
                                   : panel(real_, d_.train[static_cast<size_t>(nearest)], "nearest training film"));
    return e;
  }

 private:
  FilmPanel panel(const data::Loader& loader, int64_t i, const char* caption) const {
    const data::Case& c = loader.dataset().cases[static_cast<size_t>(i)];
    FilmPanel p{caption, c.id, loader.image(i), {}};
    if (loader.options().masks) p.mask = loader.mask(i);
    if (p.film.width > picture_side) {
      p.film = data::resize(p.film, picture_side, picture_side);
      if (!p.mask.pixels.empty()) p.mask = data::resize_mask(p.mask, picture_side, picture_side);
    }
    return p;
  }
  const CheckedData& d_;
  const al::RealismReport& r_;
  data::Loader real_, samples_;
};

void add_examples(const CheckedData& d, const al::Judges& judges, const al::RealismReport& r,
                  data::LoaderOptions reading, SynthCheckPage& page) {
  const auto has_mask = [](const data::Case& c) { return !c.mask.empty(); };
  reading.masks = std::all_of(d.samples.cases.begin(), d.samples.cases.end(), has_mask) &&
                  std::all_of(d.real.cases.begin(), d.real.cases.end(), has_mask);
  reading.allow_empty_masks = true;
  const Examples examples(d, r, reading);
  std::vector<double> distance = r.base_distance;
  if (r.in_pixels)
    for (size_t i = 0; i < distance.size(); ++i) distance[i] = r.in_pixels->samples[i].distance;
  for (const size_t i : smallest(distance)) {
    std::string note;
    if (r.in_pixels) note = text("nearest {}", rounded(distance[i]));
    if (std::isfinite(r.base_distance[i]))
      note += text("{}base {}", note.empty() ? "" : ", ", rounded(r.base_distance[i]));
    if (r.in_pixels && distance[i] < 0.5 * r.in_pixels->closest_pair) note = "a copy: " + note;
    page.nearest.push_back(examples.make(i, note));
  }
  if (!judges.masks) return;
  const al::MaskResponse& m = *judges.masks;
  for (const size_t i : smallest(m.wanted.each)) {
    std::string note = text("Dice {} with its mask", rounded(m.wanted.each[i]));
    if (m.base) note += text(", {} with its base's", rounded(m.base->each[i]));
    page.worst_masks.push_back(examples.make(i, note));
  }
}

void print(const al::RealismReport& r, const std::string& features, const std::string& out) {
  std::printf("features: %s\n", features.c_str());
  for (const al::Figure& f : r.figures) {
    std::string value;
    if (f.samples.n > 0) value = rounded(f.samples.value);
    if (f.reference) value += text(" (real: {})", rounded(f.reference->value));
    std::printf("  %-18s %-26s %-12s %s\n", f.name.c_str(), value.c_str(), al::name_of(f.outcome), f.verdict.c_str());
  }
  std::printf("next: open %s/index.html\n", out.c_str());
}

}  // namespace

int synth_check(const Options& options) {
  Options o = options;
  if (o.out.empty()) o.out = "querent-synth-check";
  CheckNetworks networks;
  open_networks(o.judges, networks);
  const CheckedData d = open_checked_data(o);
  data::LoaderOptions reading;
  if (networks.features != nullptr)
    reading = networks.features->loader_options(false);
  else if (o.size > 0)
    reading.size = o.size;

  Terminal terminal(o.quiet || o.json, o.no_color);
  bool stop = false;  // of all ranks
  const auto progress = [&](const std::string& what, int64_t done, int64_t total) {
    terminal.progress(what, done, total, "");
    stop = stop || should_stop("");
    return !stop;
  };
  const data::Loader real(d.real, reading), samples(d.samples, reading);
  FilmNumbers real_numbers = film_numbers(real, networks, "real films", progress);
  FilmNumbers sample_numbers = film_numbers(samples, networks, "samples", progress);
  const al::Judges judges = stop ? al::Judges{} : ask_networks(d, networks, o, progress);
  if (stop) {
    terminal.end();
    std::fprintf(stderr, "stopped; nothing was written\n");
    return 130;
  }
  al::SyntheticFilms films{{}, d.bases, std::move(sample_numbers.features), std::move(sample_numbers.pixels)};
  for (const data::Case& c : d.samples.cases) films.ids.push_back(c.id);
  terminal.progress("comparing", 0, 1, "");
  const al::RealismReport r =
      al::realism_report(real_films(d, std::move(real_numbers)), films, judges, {.seed = o.seed});
  terminal.end();

  std::set<int64_t> bases(d.bases.begin(), d.bases.end());
  bases.erase(-1);
  const auto count = [](const auto& list) { return static_cast<int64_t>(list.size()); };
  SynthCheckPage page{.name = o.samples,
                      .features = networks.features_name,
                      .command = o.command_line,
                      .real = count(d.real.cases),
                      .train = count(d.train),
                      .held_out = count(d.held_out),
                      .samples = count(d.samples.cases),
                      .bases = count(bases),
                      .notes = d.notes,
                      .nearest = {},
                      .worst_masks = {}};
  add_examples(d, judges, r, reading, page);
  json j = al::to_json(r);
  j["features"] = page.features;
  j["notes"] = page.notes;
  j["seed"] = o.seed;
  j["command"] = page.command;
  j["films"] = {{"samples", page.samples},
                {"bases", page.bases},
                {"real", page.real},
                {"train", page.train},
                {"held_out", page.held_out}};
  for (size_t i = 0; i < d.samples.cases.size(); ++i) j["samples"].push_back(sample_json(d, judges, r, i));
  make_folder(o.out);
  write_atomically(o.out + "/check.json", dump_json(j, 2) + "\n");
  write_atomically(o.out + "/index.html", synth_check_page(page, r));
  if (o.json) {
    j.erase("samples");
    std::printf("%s\n", dump_json(j).c_str());
  } else if (!o.quiet) {
    for (const std::string& note : d.notes) std::printf("note: %s\n", note.c_str());
    print(r, networks.features_name, o.out);
  }
  return o.strict && !r.passed() ? 3 : 0;
}

}  // namespace querent::app
