// Films in several ranks, which are threads here: a synthesizer that is trained by all of them, and films that are
// predicted, drawn and checked in turns.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "al/learner.h"
#include "al/synthesis/gan_session.h"
#include "al/synthesis/synthesizer.h"
#include "app/model_file.h"
#include "app/options.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "models/gan_train.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/selftest.h"
#include "tests/rank_threads.h"

TEST_SUITE_BEGIN("ranks_films_test");
using namespace querent;
using namespace querent::test;
namespace fs = std::filesystem;

namespace {

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_ranks_films_{}", getpid());
  Sandbox() {
    fs::remove_all(root);
    write_phantom_dataset(root / "ph", 19, 32, 3);
  }
  ~Sandbox() { fs::remove_all(root); }
  std::string operator/(const std::string& name) const { return (root / name).string(); }
  data::Loader loader() const {
    return data::Loader(data::open_dataset(root / "ph/labels.csv"), {.size = 32, .masks = true});
  }
};

// file -> bytes
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& f : fs::recursive_directory_iterator(folder))
    if (f.is_regular_file()) files[fs::relative(f.path(), folder).string()] = read_file(f.path());
  return files;
}
void check_same(const fs::path& one, const fs::path& other) {
  const auto left = files_of(one), right = files_of(other);
  CHECK(left.size() > 1);
  CHECK(left.size() == right.size());
  for (const auto& [name, bytes] : left) {
    INFO(name);
    REQUIRE(right.contains(name));
    CHECK((bytes == right.at(name)));  // in brackets: a failure shows the name, not the bytes
  }
}

GanOptions small_gan(bool paper) {
  GanOptions o{.generator = "unet", .discriminator = "patch", .size = 32, .condition_channels = 2, .width = 4};
  if (paper) o.generator = "residual", o.discriminator = "dense", o.injection = "film", o.latent = 4, o.blocks = 1;
  o.judge_width = 4, o.judge_layers = 2, o.fc = 8;
  return o;
}

// Weights, running statistics and losses after three steps on this rank's share of batches of four, in float64. The
// first weights may be off by one rounding, up or down.
std::vector<double> trained(bool paper, bool disturbed = false) {
  const int64_t rank = collective().rank, share = 4 / collective().size, first = rank * share;
  Params generator(Device::cpu(), 1, DType::f64), discriminator(Device::cpu(), 2, DType::f64),
      average(Device::cpu(), 1, DType::f64);
  const Gan gan = make_gan(small_gan(paper), generator, discriminator);
  make_generator(small_gan(paper), average);
  for (const Params* p : {&generator, &discriminator})
    for (int64_t i = 0; disturbed && i < p->all().total; ++i)
      p->all().flat.data<double>()[i] *= 1 + (i % 2 ? 1 : -1) * 0x1p-52;
  // Adam divides by the size of a gradient, and what is nothing but rounding would become a step.
  const OptimOptions sgd{.kind = OptimOptions::sgd, .lr = 0.02};
  GanTraining training{.loss = {}, .generator = sgd, .discriminator = sgd, .steps = 4};
  GanTrainer trainer(gan, generator, discriminator, training, &average);
  std::vector<double> values;
  for (int64_t k = 0; k < 3; ++k) {
    const auto draw = [&](const Shape& shape, uint64_t use) {
      return draw_sample({shape}, {"x", "[*]"}, DType::f64, Rng(100 * use + static_cast<uint64_t>(k)))
          .batch(first, share);
    };
    GanBatch batch{draw({4, 32, 32, 2}, 1), draw({4, 32, 32, 1}, 2)};
    if (paper) batch.latent = draw({4, 4}, 3);
    std::vector<int64_t> places;
    for (int64_t i = 0; i < share; ++i) places.push_back(4 * k + first + i);
    const GanLosses l = trainer.step(batch, make_streams(1, places, k));
    values.insert(values.end(), {l.judge_real, l.judge_fake, l.discriminator, l.adversarial, l.content, l.generator});
  }
  for (const Params* p : {&generator, &discriminator, &average}) {
    const std::vector<double> weights = p->all().flat.host_f64();
    values.insert(values.end(), weights.begin(), weights.end());
    for (const Tensor& b : p->buffers()) {
      const std::vector<double> v = b.host_f64();
      values.insert(values.end(), v.begin(), v.end());
    }
  }
  return values;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
  return worst;
}

al::SynthesisOptions tiny(const std::string& gan) {
  al::SynthesisOptions o;
  o.gan = gan, o.size = 32, o.width = 4, o.blocks = 1, o.latent = 8;
  o.steps = 6, o.batch = 4, o.autoencoder_steps = 3;
  return o;
}

}  // namespace

TEST_CASE("ranks train the GAN that one trains with the joint batch") {
  for (const bool paper : {false, true}) {
    const std::vector<double> one = trained(paper);
    for (const int size : {2, 4}) {
      const auto all = of_ranks(size, [paper](int) { return trained(paper); });
      for (const auto& values : all) CHECK(values == all[0]);
      // As for other networks (ranks_test): sums are taken in another order. Near 1 a number has steps of 2^-52.
      const double rounding = std::max(0x1p-50, distance(trained(paper, true), one)), worst = distance(all[0], one);
      MESSAGE(std::string(paper ? "paper" : "pix2pix"), ": ", worst, " with ", size,
              " ranks, one rounding: ", rounding);
      CHECK(worst < 10 * rounding);
      CHECK(rounding < 1e-10);
    }
  }
}

TEST_CASE("a synthesizer of two ranks: the same bytes however it was interrupted, near those of one") {
  const Sandbox s;
  const std::vector<int64_t> eight = {0, 1, 2, 3, 4, 5, 6, 7};
  for (const char* gan : {"paper", "pix2pix"}) {
    INFO(std::string(gan));
    // The losses of all steps; `stop_after` steps of one call, 0: never.
    const auto train = [&, gan](const std::string& out, int stop_after) {
      data::Loader loader = s.loader();
      std::vector<double> losses;
      al::SynthesisHooks hooks;
      hooks.step = [&](const std::string&, int64_t, int64_t, double loss) { losses.push_back(loss); };
      hooks.stop = [&] { return stop_after > 0 && losses.size() >= static_cast<size_t>(stop_after); };
      CHECK(al::train_synthesizer(s / out, loader, eight, tiny(gan), hooks) == (stop_after == 0));
      return losses;
    };
    const std::string name = gan;
    const size_t before = name == "paper" ? 3 : 0;  // steps of the autoencoder
    const auto whole = of_ranks(2, [&](int) { return train(name, 0); });
    REQUIRE(whole[0].size() == before + 6);
    CHECK(whole[0] == whole[1]);
    if (before > 0) of_ranks(2, [&](int) { return train(name + "-parts", 2); });
    of_ranks(2, [&](int) { return train(name + "-parts", 3); });
    of_ranks(2, [&](int) { return train(name + "-parts", 0); });
    check_same(s / name, s / (name + "-parts"));

    const std::vector<double> alone = train(name + "-alone", 0);
    CHECK(std::abs(whole[0][0] - alone[0]) < 1e3 * 0x1p-23);  // the same films, masks and edits: only rounding differs
    const auto weights = [&](const std::string& folder) {
      return read_tensors(s / (folder + "/" + al::generator_file)).tensors;
    };
    const auto one = weights(name + "-alone");
    double difference = 0, values = 0;
    for (const auto& [key, t] : weights(name)) {
      const std::vector<double> x = t.host_f64(), y = one.at(key).host_f64();
      for (size_t i = 0; i < x.size(); ++i)
        difference += std::abs(x[i] - y[i]) / std::max(1.0, std::abs(x[i])), ++values;
    }
    // Adam moves each weight by about lr a step; only where a gradient is nothing but rounding may it go another way.
    CHECK_MESSAGE(difference / values < 1e-2 * 6 * 2e-4, "the mean difference is ", difference / values);
  }
  data::Loader loader = s.loader();
  CHECK_THROWS_WITH_AS(al::train_synthesizer(s / "paper", loader, eight, tiny("paper")),
                       doctest::Contains("belongs to a training with other flags"), Error);  // that of two ranks
}

TEST_CASE("shares of a batch that are not equal are refused before anything is written") {
  const Sandbox s;
  const auto refused = [&](int ranks, const std::string& gan, int64_t batch, const char* message) {
    with_ranks(ranks, [&](int) {
      data::Loader loader = s.loader();
      al::SynthesisOptions o = tiny(gan);
      o.batch = batch;
      CHECK_THROWS_WITH_AS(al::train_synthesizer(s / "no", loader, std::vector<int64_t>{0, 1}, o),
                           doctest::Contains(message), Error);
    });
  };
  refused(2, "pix2pix", 1, "synth train: a batch of 1 images cannot be shared by 2 ranks; use a multiple of 2");
  refused(3, "paper", 3, "16 masks a step, which 3 ranks cannot share; use 2, 4, 8 or 16 ranks, or --gan pix2pix");
  CHECK_FALSE(fs::exists(s / "no"));
}

TEST_CASE("films are predicted, drawn and checked in turns, with the bytes of one rank") {
  const Sandbox s;
  const data::Loader loader = s.loader();
  std::string films;
  for (const data::Case& c : loader.dataset().cases) films += c.id + "\n";
  app::Options o;
  o.quiet = true, o.size = 32, o.width = 4, o.depth = 2, o.dropout = 0.2, o.data = s / "ph/labels.csv";
  for (const char* task : {"seg", "cls"}) {
    o.task = task, o.model = o.task == "seg" ? "unet" : "resnet18";
    al::Learner(app::model_options(o, loader.dataset()), 7)
        .save(s / (o.task + ".safetensors"), app::model_metadata(o, loader.dataset(), loader, 1));
  }
  fs::create_directories(s.root / "gan/weights");
  const al::Synthesizer untrained(al::gan_architecture(tiny("paper")), 7);
  untrained.save_generator(s / "gan", {});
  untrained.save_autoencoder(s / "gan");
  write_atomically(s / "gan/films.txt", films);

  const auto by = [&](int ranks, const auto& verb, app::Options options, const std::string& what) {
    options.out = s / text("{}{}", what, ranks);
    if (ranks == 1)
      CHECK(verb(options) == 0);
    else
      CHECK(of_ranks(ranks, [&](int) { return verb(options); }) == std::vector<int>(static_cast<size_t>(ranks), 0));
    if (ranks > 1) check_same(s / (what + "1"), options.out);
  };
  for (const int ranks : {1, 2, 3}) {
    o.uncertainty = true, o.mc = 2, o.weights = s / "seg.safetensors";
    by(ranks, app::predict, o, "outlined");
    o.weights = s / "cls.safetensors";
    by(ranks, app::predict, o, "named");
    o.gan_dir = s / "gan", o.count = 11;
    by(ranks, app::synth_sample, o, "drawn");
    o.samples = s / "drawn1", o.judges = {s / "seg.safetensors", s / "cls.safetensors"};
    by(ranks, app::synth_check, o, "checked");
    o.judges.clear();
    by(ranks, app::synth_check, o, "plain");
  }
  CHECK(files_of(s / "outlined1").size() == 4 * 19 + 2);
  CHECK(files_of(s / "drawn1").size() == 2 * 11 + 2);
}

TEST_SUITE_END();
