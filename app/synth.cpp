// querent synth train, querent synth sample: films by a conditional GAN.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "al/synthesis/gan_session.h"
#include "al/synthesis/synthesizer.h"
#include "al/turns.h"
#include "app/options.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/terminal.h"
#include "data/csv.h"
#include "data/encode.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace fs = std::filesystem;
namespace {

constexpr int64_t timed_steps = 5;    // of the GAN before its time is estimated
constexpr int64_t pictures_shown = 8;  // on the contact sheet

// The cases whose ids a text file lists, one a line, in its order.
std::vector<int64_t> listed_cases(const data::Dataset& d, const std::string& path) {
  std::map<std::string, int64_t> index;
  for (const data::Case& c : d.cases) index[c.id] = static_cast<int64_t>(index.size());
  std::vector<int64_t> cases;
  std::istringstream lines(read_file(path));
  for (std::string id; std::getline(lines, id);) {
    if (id.ends_with('\r')) id.pop_back();
    if (id.empty()) continue;
    const auto it = index.find(id);
    check(it != index.end(), "{}: the data set has no case '{}'; list ids of its cases, one a line", path, id);
    cases.push_back(it->second);
  }
  check(!cases.empty(), "{}: no case id; list ids of the data set, one a line", path);
  return cases;
}

// The films to alter, or whose masks are. A generator that sees masks alone takes those of any data set.
std::vector<int64_t> films_to_sample_from(const data::Dataset& d, const Options& o, bool mask_alone) {
  const fs::path trained = fs::is_directory(o.gan_dir) ? fs::path(o.gan_dir) : fs::path(o.gan_dir).parent_path() / "..";
  const std::string list = o.case_list.empty() ? (trained / "films.txt").string() : o.case_list;
  if (mask_alone && o.case_list.empty()) {
    const std::string learnt = "\n" + read_file(list);
    const auto is_learnt = [&](const data::Case& c) { return learnt.find("\n" + c.id + "\n") != std::string::npos; };
    if (std::none_of(d.cases.begin(), d.cases.end(), is_learnt)) {
      std::vector<int64_t> all(d.cases.size());
      std::iota(all.begin(), all.end(), 0);
      return all;
    }
  }
  return listed_cases(d, list);
}

std::vector<int64_t> films_to_train_on(const data::Dataset& d, const std::string& list) {
  if (list.empty()) return data::cases_of(d, "train");
  const std::vector<int64_t> cases = listed_cases(d, list);
  for (const int64_t i : cases) {
    const data::Case& c = d.cases[static_cast<size_t>(i)];
    check(c.split == "train", "{}: case '{}' is held out ({}); list training films only", list, c.id, c.split);
  }
  return cases;
}

std::string short_number(double v) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.3g", v);
  return digits;
}

// What is written of one film that was drawn, and what the contact sheet shows: base, mask, film, on the first few.
struct Drawn {
  std::string id, row, film, mask;  // a line of labels.csv; PNGs
  std::vector<Image> shown;
};
void put(std::string& to, const Drawn& d) {
  for (const std::string* part : {&d.id, &d.row, &d.film, &d.mask}) al::put(to, *part);
  al::put(to, d.shown.size());
  for (const Image& image : d.shown) {
    for (const int64_t n : {image.height, image.width, image.channels}) al::put(to, n);
    al::put(to, image.pixels);
  }
}
void take(std::string_view& from, Drawn& d) {
  for (std::string* part : {&d.id, &d.row, &d.film, &d.mask}) al::take(from, *part);
  size_t shown = 0;
  al::take(from, shown);
  d.shown.resize(shown);
  for (Image& image : d.shown) {
    for (int64_t* n : {&image.height, &image.width, &image.channels}) al::take(from, *n);
    al::take(from, image.pixels);
  }
}

std::string what_is_trained(const al::SynthesisOptions& s, size_t films) {
  std::string said = text("{} GAN on {} films at {} px, {} steps of {}", s.gan, films, s.size, s.steps, s.batch);
  if (s.gan == "paper" && s.vgg_weights.empty())
    said += "; no VGG term in the content loss (give --vgg-weights for one)";
  return said;
}

}  // namespace

int synth_train(const Options& o) {
  const std::string out = o.out.empty() ? "querent-synth" : o.out, generator = out + "/" + al::generator_file;
  al::SynthesisOptions s = o.synth;
  s.seed = o.seed;
  al::check_options(s);
  al::check_ranks_share(s);
  if (!s.vgg_weights.empty())
    check(fs::exists(s.vgg_weights), "{}: no such file; give the weights of a vgg16 as --vgg-weights", s.vgg_weights);
  check(o.force || !fs::exists(generator),
        "synth train: '{}' is already trained; use --force to start again or another --out", out);
  const data::Dataset dataset = open_and_split(o);
  const std::vector<int64_t> cases = films_to_train_on(dataset, o.case_list);
  data::Loader loader(dataset, {.size = s.size, .masks = true});
  loader.preload(cases);
  if (o.force) discard(out);
  make_folder(out);
  const FolderLock lock(out);

  Terminal terminal(o.quiet || o.json, o.no_color);
  terminal.line(what_is_trained(s, cases.size()));
  al::SynthesisHooks hooks;
  al::EpochLog last;
  using Clock = std::chrono::steady_clock;
  Clock::time_point begun;
  int64_t begun_at = -1;  // a step, of the GAN
  hooks.step = [&](const std::string& phase, int64_t step, int64_t steps, double loss) {
    terminal.progress(phase == "gan" ? "training" : "mask autoencoder", step, steps, text("loss {}", loss));
    if (phase != "gan") {
      if (step == steps) terminal.line(text("mask autoencoder: loss {} after {} steps", short_number(loss), steps));
      return;
    }
    if (begun_at < 0) begun = Clock::now(), begun_at = step;
    if (step - begun_at != timed_steps) return;
    const double each = std::chrono::duration<double>(Clock::now() - begun).count() / timed_steps;
    terminal.line(text("about {} for the remaining {} steps", clock_text(each * static_cast<double>(steps - step)),
                       steps - step));
  };
  hooks.epoch = [&](const al::EpochLog& e) {
    terminal.line(
        text("epoch {}, step {} of {}: discriminator {}, generator {} (content {}), films change {} with the "
             "mask, {} elsewhere",
             e.epoch, e.step, s.steps, short_number(e.losses.discriminator), short_number(e.losses.adversarial),
             short_number(e.losses.content), short_number(e.response.inside), short_number(e.response.outside)));
    for (const std::string& warning : e.warnings) {
      const bool again = std::any_of(last.warnings.begin(), last.warnings.end(), [&](const std::string& before) {
        return before.substr(0, before.find('(')) == warning.substr(0, warning.find('('));
      });
      if (!again) terminal.line("warning: " + warning);
    }
    last = e;
  };
  data::LoopTime time;  // of the last phase
  hooks.trained = [&](const std::string& phase, const data::LoopTime& t) {
    time = t;
    terminal.line(text("{} trained in {}, {}", phase == "gan" ? "GAN" : "mask autoencoder", clock_text(t.seconds),
                       stall_text(t.stall_share())));
  };
  hooks.stop = [&] { return should_stop(out); };
  if (!al::train_synthesizer(out, loader, cases, s, hooks)) {
    terminal.end();
    std::fprintf(stderr, "stopped; the same command continues from %s\n", (out + "/checkpoint.safetensors").c_str());
    return 130;
  }
  terminal.end();
  nlohmann::json result = {{"generator", generator},
                           {"films", cases.size()},
                           {"last_epoch", al::to_json(last)},
                           {"seconds", time.seconds},
                           {"stall_share", time.stall_share()}};
  if (o.json) {
    std::printf("%s\n", dump_json(result, 2).c_str());
  } else if (!o.quiet) {
    std::printf("%s, samples/, losses.jsonl\nnext: querent synth sample --gan-dir %s --data %s --count 16\n",
                generator.c_str(), out.c_str(), o.data.c_str());
  }
  return 0;
}

int synth_sample(const Options& o) {
  const std::string out = o.out.empty() ? "querent-films" : o.out;
  const auto synthesizer = al::Synthesizer::open(o.gan_dir);
  check(o.force || !fs::exists(out + "/labels.csv"),
        "synth sample: '{}' holds a data set; choose another --out, or --force to write over it", out);
  const bool mask_alone = !synthesizer->sees_film();
  const data::Dataset dataset = open_filtered(o);
  const std::vector<int64_t> bases = films_to_sample_from(dataset, o, mask_alone);
  const data::Loader loader(dataset, {.size = synthesizer->size(), .masks = true});
  for (const char* folder : {"/images", "/masks"}) make_folder(out + folder);
  const FolderLock lock(out);
  const al::FilmSource source = al::gan_films(synthesizer, o.seed, mask_alone ? al::boundary_only() : al::EditOptions{});

  Terminal terminal(o.quiet || o.json, o.no_color);
  std::string csv = "id,image,mask,label,patient_id,base,variant,edit,synthetic\n";
  std::vector<std::vector<Image>> sheet;
  const auto many = static_cast<int64_t>(bases.size());
  const auto file = [](int64_t k) {
    char name[32];
    std::snprintf(name, sizeof name, "s/film_%05ld.png", static_cast<long>(k + 1));
    return std::string(name);
  };
  const auto draw = [&](int64_t k) {
    const int64_t index = bases[static_cast<size_t>(k % many)], variant = k / many;
    const al::EditBase base = al::edit_base(loader, index);
    const data::Case& c = dataset.cases[static_cast<size_t>(index)];
    const al::SyntheticFilm film = source(base, variant, 1).at(0);
    Drawn d{film.id, "", data::encode_png(film.image), data::encode_png(film.mask), {}};
    // A film made of a mask has neither the label nor the looks of the film that the mask is of; "edit" still names it.
    const std::string fields[] = {film.id,
                                  "image" + file(k),
                                  "mask" + file(k),
                                  mask_alone ? "" : c.label,
                                  data::patient_key(c),
                                  mask_alone ? "" : c.id,
                                  std::to_string(variant),
                                  al::to_json(film.record),
                                  "1"};
    for (const std::string& field : fields) d.row += (&field == fields ? "" : ",") + data::csv_field(field);
    d.row += "\n";
    if (k >= pictures_shown) return d;
    if (!mask_alone) d.shown.push_back(base.image);
    d.shown.insert(d.shown.end(), {mask_alone ? film.mask : al::mask_picture(base.mask, film.mask), film.image});
    return d;
  };
  // A turn at a time, so that few films are in memory.
  for (int64_t k = 0; k < o.count;) {
    if (should_stop("")) {
      terminal.end();
      std::fprintf(stderr, "stopped after %ld of %ld films\n", static_cast<long>(k), static_cast<long>(o.count));
      return 130;
    }
    const auto turn = static_cast<size_t>(std::min<int64_t>(collective().size, o.count - k));
    for (Drawn& d : al::in_turns<Drawn>(turn, 1, {}, [&](size_t first, std::span<Drawn> one) {
           one[0] = draw(k + static_cast<int64_t>(first));
         })) {
      write_atomically(out + "/image" + file(k), d.film);
      write_atomically(out + "/mask" + file(k), d.mask);
      csv += d.row;
      if (!d.shown.empty()) sheet.push_back(std::move(d.shown));
      terminal.progress("drawing", ++k, o.count, d.id);
    }
  }
  terminal.end();
  data::write_png(out + "/grid.png", al::contact_sheet(sheet));
  write_atomically(out + "/labels.csv", csv);
  if (o.json) {
    std::printf("%s\n", dump_json(nlohmann::json{{"labels", out + "/labels.csv"}, {"count", o.count}}).c_str());
  } else if (!o.quiet) {
    std::printf(
        "%ld films of %ld: %s/labels.csv, grid.png (%smask | film)\nnext: querent data check --data %s/labels.csv\n",
        static_cast<long>(o.count), static_cast<long>(std::min(many, o.count)), out.c_str(),
        mask_alone ? "" : "base | ", out.c_str());
  }
  return 0;
}

}  // namespace querent::app
