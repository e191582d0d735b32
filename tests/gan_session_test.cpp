// Training a synthesizer and drawing films with it: the same bytes however it was interrupted, warnings that come when
// they should, and what a film keeps of its base.
#include <doctest/doctest.h>
#include <omp.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/synthesis/gan_session.h"
#include "al/synthesis/synthesizer.h"
#include "data/decode.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "models/model.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

TEST_SUITE_BEGIN("gan_session_test");
using namespace querent;
using namespace querent::al;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / text("querent-gan-session-{}", ::getpid());
  Folder() {
    fs::remove_all(path);
    write_phantom_dataset(path / "ph", 8, 32, 5);
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  data::Loader loader() const {
    return data::Loader(data::open_dataset(path / "ph/labels.csv"), {.size = 32, .masks = true});
  }
};

struct Threads {
  int before = omp_get_max_threads();
  explicit Threads(int n) { omp_set_num_threads(n); }
  ~Threads() { omp_set_num_threads(before); }
};

// "mask": pix2pix that is told the mask alone.
SynthesisOptions tiny(const std::string& gan) {
  SynthesisOptions o;
  if (gan == "mask") o.condition = gan;
  o.gan = gan == "mask" ? "pix2pix" : gan, o.size = 32, o.width = 4, o.blocks = 1, o.latent = 8;
  o.steps = 12, o.batch = 2, o.autoencoder_steps = 6;
  return o;
}
const std::vector<int64_t> six = {0, 1, 2, 3, 4, 5};

// file -> bytes
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& f : fs::recursive_directory_iterator(folder))
    if (f.is_regular_file()) files[fs::relative(f.path(), folder).string()] = read_file(f.path());
  return files;
}

EditBase phantom_base(int64_t index, int64_t size = 32) {
  PhantomOptions o;
  o.size = size;
  const Phantom p = render_phantom(o, index);
  return {text("base{}", index), p.image, p.lungs, {}, {}};
}
std::vector<FilmPair> boundary_pairs(int64_t count) {
  std::vector<FilmPair> pairs;
  for (int64_t i = 0; i < count; ++i) pairs.push_back(training_pair(phantom_base(i, 64), 0, 3, 0));
  return pairs;
}

std::shared_ptr<const Synthesizer> untrained(const std::string& gan) {
  return std::make_shared<Synthesizer>(gan_architecture(tiny(gan)), 7);
}
bool warns(const std::vector<EpochLog>& log, const char* what, GanLoss::Kind kind = GanLoss::logistic) {
  for (const std::string& w : gan_warnings(log, kind))
    if (w.find(what) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("stopped, killed and resumed, with other numbers of threads: the same bytes") {
  const Folder folder;
  for (const char* gan : {"paper", "pix2pix", "mask"}) {
    INFO(gan);
    const SynthesisOptions o = tiny(gan);
    const std::string whole = folder / (std::string(gan) + "-whole").c_str();
    const std::string parts = folder / (std::string(gan) + "-parts").c_str();
    data::Loader loader = folder.loader();
    std::vector<double> losses;
    SynthesisHooks all;
    all.step = [&](const std::string&, int64_t, int64_t, double loss) { losses.push_back(loss); };
    {
      const Threads one(1);
      REQUIRE(train_synthesizer(whole, loader, six, o, all));
    }
    CHECK(losses.size() == static_cast<size_t>(o.steps) + (o.gan == "paper" ? 6 : 0));
    for (const double loss : losses) CHECK(std::isfinite(loss));

    int64_t autoencoder = 0, steps = 0;
    const auto train_until = [&](int64_t autoencoder_end, int64_t end, int threads) {
      const Threads some(threads);
      SynthesisHooks h;
      h.step = [&](const std::string& phase, int64_t step, int64_t, double) {
        (phase == "gan" ? steps : autoencoder) = step;
      };
      h.stop = [&] { return steps >= end || (steps == 0 && autoencoder >= autoencoder_end); };
      data::Loader fresh = folder.loader();
      return train_synthesizer(parts, fresh, six, o, h);
    };
    if (o.gan == "paper") CHECK_FALSE(train_until(3, 100, 2));  // inside the autoencoder
    CHECK_FALSE(train_until(100, 7, 1));                        // inside an epoch of the GAN
    CHECK(steps == 7);
    {
      SynthesisHooks killed;  // no chance to write a checkpoint: it starts again from the last one
      killed.step = [](const std::string&, int64_t step, int64_t, double) {
        if (step == 10) throw std::runtime_error("killed");
      };
      data::Loader fresh = folder.loader();
      CHECK_THROWS_AS(train_synthesizer(parts, fresh, six, o, killed), std::runtime_error);
    }
    CHECK(train_until(100, 100, 2));

    const auto left = files_of(whole), right = files_of(parts);
    CHECK(left.size() == right.size());
    CHECK(left.contains("weights/generator.safetensors"));
    CHECK(left.contains("weights/autoencoder.safetensors") == (o.gan == "paper"));
    CHECK(left.contains("samples/epoch_004.png"));
    CHECK_FALSE(left.contains("checkpoint.safetensors"));
    for (const auto& [name, bytes] : left) {
      INFO(name);
      REQUIRE(right.contains(name));
      CHECK((bytes == right.at(name)));  // in brackets: a failure shows the name, not the bytes
    }
    const std::string& log = left.at("losses.jsonl");
    CHECK(std::count(log.begin(), log.end(), '\n') == 4);  // 3 steps are a pass over 6 films
  }
}

TEST_CASE("a folder of another training is refused, and only the listed films are read") {
  const Folder folder;
  data::Loader loader = folder.loader();
  for (const char* held_out : {"ph00006", "ph00007"}) {
    fs::remove(folder.path / "ph/images" / (std::string(held_out) + ".png"));
    fs::remove(folder.path / "ph/masks" / (std::string(held_out) + ".png"));
  }
  SynthesisOptions o = tiny("pix2pix");
  o.steps = 2;
  SynthesisHooks stop;
  stop.stop = [] { return true; };
  CHECK_FALSE(train_synthesizer(folder / "o", loader, six, o, stop));
  CHECK(read_file(folder / "o/films.txt") == "ph00000\nph00001\nph00002\nph00003\nph00004\nph00005\n");
  SynthesisOptions other = o;
  other.lr = 1e-3;
  CHECK_THROWS_WITH_AS(train_synthesizer(folder / "o", loader, six, other), doctest::Contains("use --force"), Error);
  CHECK_THROWS_WITH_AS(train_synthesizer(folder / "o", loader, std::span(six).first(5), o),
                       doctest::Contains("other flags or films"), Error);
  CHECK(train_synthesizer(folder / "o", loader, six, o));
}

TEST_CASE("every term of the content loss and every kind of loss trains") {
  const Folder folder;
  data::Loader loader = folder.loader();
  SynthesisOptions o = tiny("paper");
  o.steps = 2, o.saliency = 1, o.loss = "lsgan", o.norm = "instance";
  CHECK(train_synthesizer(folder / "a", loader, six, o));
  o.nmi = o.mse = o.saliency = 0;
  CHECK_THROWS_WITH_AS(check_options(o), doctest::Contains("no term of the content loss"), Error);
  // VGG features from a classifier of our own.
  Params params;
  const Model vgg = make_model({.name = "vgg16", .width = 2, .fc = 4}, params);
  params.save(folder / "vgg.safetensors", {{architecture_key, vgg.options.json()}, {"mean", "0.4"}, {"std", "0.2"}});
  o.vgg_weights = folder / "vgg.safetensors";
  CHECK(train_synthesizer(folder / "b", loader, six, o));
}

TEST_CASE("the response of a generator is larger inside the changed mask when it follows the mask") {
  const std::vector<FilmPair> pairs = boundary_pairs(4);
  const FilmGenerator deaf = [](const Tensor& films, const Tensor&) { return films; };
  const FilmGenerator follows = [](const Tensor& films, const Tensor& masks) { return add(films, scale(masks, 0.5)); };
  const FilmGenerator everywhere = [](const Tensor& films, const Tensor& masks) {  // brighter as a whole
    return add(films, broadcast_to(reshape(mean(masks), {1, 1, 1, 1}), films.shape()));
  };
  const MaskEffect none = mask_effect(deaf, pairs), all = mask_effect(follows, pairs),
                     global = mask_effect(everywhere, pairs);
  CHECK(none.inside == 0);
  CHECK(none.outside == 0);
  CHECK(none.pairs == 4);
  CHECK(all.inside == doctest::Approx(0.5));
  CHECK(all.outside == 0);
  CHECK(global.outside > 0);

  std::vector<EpochLog> log(3);
  const auto with = [&](const MaskEffect& r) {
    for (EpochLog& e : log) e.response = r, e.losses.discriminator = 0.4;
    return log;
  };
  CHECK(warns(with(none), "the mask is ignored"));
  CHECK_FALSE(warns(with(all), "the mask is ignored"));
  log.back().response = none;
  CHECK_FALSE(warns(log, "the mask is ignored"));  // for one epoch only
  CHECK_FALSE(warns({log.back(), log.back()}, "the mask is ignored"));
  std::vector<FilmPair> same = pairs;
  for (FilmPair& p : same) p.edit.mask = p.mask;
  CHECK(mask_effect(follows, same).pairs == 0);
  CHECK_FALSE(warns(with({0, 0, 0}), "the mask is ignored"));
}

TEST_CASE("a discriminator that has stopped teaching is noticed") {
  const auto log_of = [](std::vector<double> losses) {
    std::vector<EpochLog> log(losses.size());
    for (size_t i = 0; i < log.size(); ++i) log[i].losses.discriminator = losses[i], log[i].response = {1, 0, 1};
    return log;
  };
  CHECK(warns(log_of({0.5, 0.06, 0.05, 0.04}), "saturated"));
  CHECK_FALSE(warns(log_of({0.06, 0.05, 0.08}), "saturated"));
  CHECK_FALSE(warns(log_of({0.06, 0.05}), "saturated"));
  CHECK(warns(log_of({0.69, 0.693, 0.7}), "tells nothing apart"));
  CHECK_FALSE(warns(log_of({0.69, 0.693, 0.6}), "tells nothing apart"));
  CHECK(warns(log_of({0.25, 0.25, 0.25}), "tells nothing apart", GanLoss::least_squares));
  CHECK(gan_warnings(log_of({0.4, 0.3, 0.35, 0.3}), GanLoss::logistic).empty());
  EpochLog e;
  e.epoch = 3, e.step = 17, e.losses = {0.1, 0.2, 1.0 / 3, 0.4, 0.5, 0.6}, e.response = {0.7, 0.8, 9};
  e.warnings = {"x"};
  CHECK(to_json(epoch_from_json(parse_json(dump_json(to_json(e))))) == to_json(e));
}

TEST_CASE("training pairs move the boundary alone, and some change nothing") {
  const EditBase base = phantom_base(0, 64);
  int64_t same = 0;
  for (int64_t v = 0; v < 200; ++v) {
    const FilmPair p = training_pair(base, v, 11, 0.3);
    CHECK(p.film.pixels == base.image.pixels);
    CHECK(p.mask.pixels == base.mask.pixels);
    CHECK_FALSE(p.edit.record.intensity.has_value());
    CHECK_FALSE(p.edit.record.rigid.has_value());
    const bool identity = p.edit.record.boundary.empty();
    same += identity;
    if (identity) CHECK(p.edit.image.pixels == base.image.pixels);
    CHECK((p.edit.mask.pixels == base.mask.pixels) >= identity);
  }
  CHECK(std::abs(same - 60) < 33);  // binomial: five standard deviations
  const FilmPair a = training_pair(base, 5, 11, 0.3), b = training_pair(base, 5, 11, 0.3);
  CHECK(a.edit.mask.pixels == b.edit.mask.pixels);
  CHECK(a.edit.image.pixels == b.edit.image.pixels);
}

TEST_CASE("the networks are told of the mask what its code keeps, or the mask itself") {
  const EditBase base = phantom_base(2);
  const Image *film = &base.image, *mask = &base.mask;
  const Tensor films = film_tensor({&film, 1}), masks = mask_tensor({&mask, 1});
  const std::vector<float> seen = films.host(), drawn = masks.host();
  for (const std::string gan : {"paper", "pix2pix"}) {
    CAPTURE(gan);
    const auto s = untrained(gan);
    const GanBatch told = s->condition(films, masks);
    CHECK_FALSE(told.latent);
    REQUIRE(told.condition.shape() == Shape{1, 32, 32, 2});
    const std::vector<float> both = told.condition.host();
    std::vector<float> logits;
    if (gan == "paper") logits = s->autoencoder()->decode(s->autoencoder()->encode(masks)).host();
    for (size_t i = 0; i < drawn.size(); ++i) {
      const double wanted = gan == "paper" ? std::tanh(logits[i] / 2.0) : 2 * drawn[i] - 1;  // 2 sigmoid(v) - 1
      CHECK(both[2 * i] == seen[i]);
      CHECK(both[2 * i + 1] == doctest::Approx(wanted).epsilon(1e-4));
    }
  }
  SynthesisOptions o = tiny("paper");
  for (const std::string injection : {"concat", "film"}) {
    o.injection = injection;
    const GanBatch told = Synthesizer(gan_architecture(o), 7).condition(films, masks);
    CHECK(told.latent.shape() == Shape{1, 8});
    CHECK(told.condition.shape() == Shape{1, 32, 32, 1});
  }
  o.injection = "vector";
  CHECK_THROWS_WITH_AS(check_options(o), doctest::Contains("use decoded, concat or film"), Error);
}

TEST_CASE("a film that is only moved is generated in its place and moved afterwards") {
  EditOptions o;
  o.boundary_share = 0, o.intensity_share = 0, o.rigid_share = 1;
  const auto synthesizer = untrained("pix2pix");
  const EditBase base = phantom_base(3);
  const SyntheticFilm film = gan_films(synthesizer, 4, o)(base, 2, 1)[0];
  REQUIRE(film.record.rigid.has_value());
  Image expected = synthesizer->generate(base.image, base.mask, mix_key(mix_key(4, hash_name(base.id)), 2));
  Image mask = base.mask;
  data::augment(expected, &mask, *film.record.rigid);
  CHECK(film.image.pixels == expected.pixels);
  CHECK(film.mask.pixels == mask.pixels);
}

TEST_CASE("a generated film depends on its base, variant and seed alone, and has the edited mask") {
  for (const char* gan : {"paper", "pix2pix", "mask"}) {
    INFO(gan);
    const FilmSource source = gan_films(untrained(gan), 5);
    const EditBase base = phantom_base(1);
    const auto with_threads = [&](int threads, int64_t first, int64_t count) {
      const Threads some(threads);
      return source(base, first, count);
    };
    EditBase edited = base;
    if (std::string(gan) == "mask") edited.image = {};
    const auto all = with_threads(1, 0, 6), part = with_threads(2, 4, 2), plain = edited_films(5)(edited, 4, 2);
    const auto other = gan_films(untrained(gan), 6)(base, 4, 1);
    CHECK(all[4].id == "base1+4");
    CHECK(all[4].image.pixels == part[0].image.pixels);
    CHECK(all[5].image.pixels == part[1].image.pixels);
    CHECK(all[4].mask.pixels == plain[0].mask.pixels);
    CHECK(all[4].image.pixels != plain[0].image.pixels);
    CHECK(all[4].image.pixels != all[5].image.pixels);
    CHECK(all[4].image.pixels != other[0].image.pixels);
    for (const SyntheticFilm& f : all)
      for (const float v : f.image.pixels) REQUIRE((v >= 0 && v <= 1));
  }
  CHECK_THROWS_WITH_AS(gan_films(untrained("paper"), 5)(phantom_base(1, 64), 0, 1),
                       doctest::Contains("open the data at that size"), Error);
}

TEST_CASE("told the mask alone, the networks see no film, learn the film itself, and make films of nobody") {
  const auto synthesizer = untrained("mask");
  CHECK_FALSE(synthesizer->sees_film());
  CHECK(untrained("pix2pix")->sees_film());
  CHECK(untrained("paper")->sees_film());
  EditBase one = phantom_base(1), other = phantom_base(2);
  const Image *film = &one.image, *mask = &one.mask;
  const GanBatch told = synthesizer->condition(film_tensor({&film, 1}), mask_tensor({&mask, 1}));
  CHECK_FALSE(told.latent);
  REQUIRE(told.condition.shape() == Shape{1, 32, 32, 1});
  const std::vector<float> seen = told.condition.host();
  for (size_t i = 0; i < seen.size(); ++i) REQUIRE(seen[i] == 2 * one.mask.pixels[i] - 1);

  // Another patient's film with this mask, and its disease, change no pixel of what is made; another mask does.
  const auto drawn = [&](const EditBase& base) { return gan_films(synthesizer, 5, boundary_only())(base, 0, 4); };
  EditBase mixed{one.id, other.image, one.mask, one.mask, {}}, moved{one.id, one.image, other.mask, {}, {}};
  const auto films = drawn(one), same = drawn(mixed), differ = drawn(moved);
  for (size_t v = 0; v < films.size(); ++v) {
    CAPTURE(v);
    CHECK(films[v].image.pixels == same[v].image.pixels);
    CHECK(films[v].mask.pixels == same[v].mask.pixels);
    CHECK(films[v].image.pixels != differ[v].image.pixels);
    CHECK_FALSE(films[v].record.intensity.has_value());
    const uint64_t noise = mix_key(mix_key(5, hash_name(one.id)), v);
    CHECK(films[v].image.pixels == synthesizer->generate({}, films[v].mask, noise).pixels);
  }

  // What is learnt: the film itself, as it is or enlarged together with its mask, and never its rim.
  one.image = one.mask;
  for (float& v : one.image.pixels) v = 0.25f + 0.5f * v;
  int64_t as_it_is = 0;
  for (int64_t v = 0; v < 60; ++v) {
    CAPTURE(v);
    const FilmPair pair = jittered_pair(one, v, 3, 0.3);
    as_it_is += pair.edit.image.pixels == one.image.pixels;
    double apart = 0;
    for (size_t i = 0; i < one.mask.pixels.size(); ++i) {
      REQUIRE(pair.edit.image.pixels[i] > 0.2499f);
      apart += (pair.edit.image.pixels[i] > 0.5f) != (pair.edit.mask.pixels[i] != 0);
    }
    CHECK(apart < 0.06 * static_cast<double>(one.mask.pixels.size()));
  }
  CHECK(as_it_is > 8);
  CHECK(as_it_is < 30);

  SynthesisOptions o = tiny("mask");
  CHECK(gan_architecture(o).condition_channels == 1);  // of the discriminator, too
  o.gan = "paper";
  CHECK_THROWS_WITH_AS(check_options(o), doctest::Contains("--condition mask needs --gan pix2pix"), Error);
}

TEST_CASE("pix2pix draws another film with other noise, the residual generator has none") {
  for (const char* gan : {"paper", "pix2pix", "mask"}) {
    SynthesisOptions o = tiny(gan);
    o.size = 64;  // the smallest with a level of dropout
    const Synthesizer s(gan_architecture(o), 7);
    const EditBase base = phantom_base(1, 64);
    const auto with = [&](uint64_t noise) { return s.generate(base.image, base.mask, noise).pixels; };
    CHECK(with(1) == with(1));
    CHECK((with(1) == with(2)) == (o.gan == "paper"));
    const Image *film = &base.image, *mask = &base.mask;  // what a replay made is what eager ops make
    const Pass pass{Pass::mc_dropout, make_streams(1, std::vector<int64_t>{0}, 0)};
    CHECK(with(1) == film_image(s.generate(film_tensor({&film, 1}), mask_tensor({&mask, 1}), pass), 0).pixels);
  }
}

TEST_CASE("the disease on a generated film is that of the edited film, pixel by pixel") {
  EditBase base = phantom_base(2);
  base.protected_region = Image(32, 32);
  for (int64_t y = 14; y < 19; ++y)
    for (int64_t x = 6; x < 11; ++x) base.protected_region.at(y, x) = 1;
  const auto films = gan_films(untrained("paper"), 5)(base, 0, 6);
  for (int64_t v = 0; v < 6; ++v) {
    const EditedMask edit = edit_mask(base, v, 5);
    const SyntheticFilm& film = films[static_cast<size_t>(v)];
    int64_t kept = 0, changed = 0;
    for (size_t i = 0; i < film.image.pixels.size(); ++i) {
      if (edit.protected_region.pixels[i] != 0) {
        REQUIRE(film.image.pixels[i] == edit.image.pixels[i]);
        ++kept;
      } else {
        changed += film.image.pixels[i] != edit.image.pixels[i];
      }
    }
    CHECK(kept > 10);
    CHECK(changed > 500);
  }
}

TEST_CASE("the discriminator of a training says how real a film looks, and changes no film") {
  const Folder folder;
  const std::string out = folder / "judge";
  fs::create_directories(out + "/weights");
  CHECK_THROWS_WITH_AS(Discriminator::open(out), doctest::Contains("leave --realism out"), Error);
  const auto synthesizer = untrained("pix2pix");
  Params params;
  const Gan gan = make_discriminator(synthesizer->architecture(), params);
  params.all();
  params.save(out + "/" + discriminator_file, {{architecture_key, synthesizer->architecture().json()}});

  const EditBase base = phantom_base(2);
  EditOptions boundaries;
  boundaries.intensity_share = boundaries.rigid_share = 0, boundaries.boundary_share = 1;
  const auto plain = gan_films(synthesizer, 5, boundaries)(base, 0, 3);
  const auto judged = gan_films(synthesizer, 5, boundaries, Discriminator::open(out))(base, 0, 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(judged[i].image.pixels == plain[i].image.pixels);
    CHECK(plain[i].realism == 0);
    const Image *film = &base.image, *mask = &plain[i].mask, *made = &plain[i].image;
    const GanBatch told = synthesizer->condition(film_tensor({&film, 1}), mask_tensor({&mask, 1}));
    const Tensor logits = gan.judge(told.condition, film_tensor({&made, 1}), Pass{});
    double sum = 0;
    for (const float v : logits.host()) sum += v;
    CHECK(judged[i].realism == doctest::Approx(sum / static_cast<double>(logits.host().size())).epsilon(1e-5));
  }
  CHECK(judged[0].realism != judged[1].realism);
}

TEST_CASE("a saved synthesizer opens to the same films; what is damaged names the file") {
  const Folder folder;
  for (const char* gan : {"paper", "pix2pix"}) {
    INFO(gan);
    const std::string out = folder / gan;
    fs::create_directories(out + "/weights");
    const auto made = untrained(gan);
    made->save_generator(out, {});
    if (made->autoencoder()) made->save_autoencoder(out);
    const auto opened = Synthesizer::open(out), same = Synthesizer::open(out + "/" + generator_file);
    const EditBase base = phantom_base(0);
    const auto films = gan_films(made, 1)(base, 0, 1);
    CHECK(gan_films(opened, 1)(base, 0, 1)[0].image.pixels == films[0].image.pixels);
    CHECK(gan_films(same, 1)(base, 0, 1)[0].image.pixels == films[0].image.pixels);
  }
  const std::string generator = folder / "paper/weights/generator.safetensors";
  const std::string codec = folder / "paper/weights/autoencoder.safetensors";
  CHECK_THROWS_WITH_AS(Synthesizer::open(folder / "ph"), doctest::Contains("the training is not finished"), Error);
  CHECK_THROWS_WITH_AS(Synthesizer::open(codec), doctest::Contains("gan: '"), Error);
  Params params;
  const MaskAutoencoder other(params.root(), {.size = 48, .latent = 8});
  params.save(codec, {{architecture_key, other.options.json()}});
  CHECK_THROWS_WITH_AS(Synthesizer::open(folder / "paper"), doctest::Contains("different trainings"), Error);
  fs::remove(codec);
  CHECK_THROWS_WITH_AS(Synthesizer::open(folder / "paper"), doctest::Contains("autoencoder.safetensors"), Error);
  write_atomically(generator, read_file(generator).substr(0, 3000));
  CHECK_THROWS_WITH_AS(Synthesizer::open(folder / "paper"), doctest::Contains("generator.safetensors"), Error);
}

TEST_CASE("the sample grid shows what it says") {
  const std::vector<FilmPair> pairs = boundary_pairs(2);
  const FilmGenerator copy = [](const Tensor& films, const Tensor&) { return films; };
  const Image grid = sample_grid(copy, pairs);
  CHECK(grid.height == 2 * 64 + 2);
  CHECK(grid.width == 5 * 64 + 4 * 2);
  for (int64_t y = 0; y < 64; ++y)
    for (int64_t x = 0; x < 64; ++x) {
      const FilmPair& p = pairs[1];
      CHECK(grid.at(66 + y, x) == p.film.at(y, x));
      const float mask = grid.at(66 + y, 66 + x);
      CHECK((mask > 0.5f) == (p.edit.mask.at(y, x) == 1));
      CHECK((mask == 0 || mask == 1) == (p.edit.mask.at(y, x) == p.mask.at(y, x)));
      CHECK(grid.at(66 + y, 2 * 66 + x) == p.edit.image.at(y, x));
      CHECK(grid.at(66 + y, 3 * 66 + x) == doctest::Approx(p.film.at(y, x)));
    }
  CHECK(grid.at(64, 10) == 1);  // the line
}
TEST_SUITE_END();
