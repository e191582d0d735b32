// The networks, losses and alternating steps of the conditional GANs against PyTorch (tests/golden), and their
// training.
#include <doctest/doctest.h>
#include <omp.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "models/gan.h"
#include "models/gan_train.h"
#include "models/pix2pix.h"
#include "tensor/tape.h"
#include "tests/golden_networks.h"

using namespace querent;

namespace {

// A file of its own that disappears with the test.
struct TempFile {
  std::filesystem::path path;
  explicit TempFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("querent_gan_" + std::to_string(::getpid()) + name)) {}
  ~TempFile() { std::filesystem::remove(path); }
};

// Both networks and the Params they live in.
struct Networks {
  Params g, d, average;
  Gan gan;
  Networks(const GanOptions& o, DType dtype = DType::f32, uint64_t seed = 1)
      : g(Device::cpu(), seed, dtype),
        d(Device::cpu(), seed, dtype),
        average(Device::cpu(), seed, dtype),
        gan(make_gan(o, g, d)) {
    make_generator(o, average);
  }
};

// Smooth waves, and their negatives as the images to learn.
GanBatch toy_batch(int64_t images, int64_t size, int64_t latent = 0) {
  std::vector<double> x(static_cast<size_t>(images * size * size)), y(x.size()),
      z(static_cast<size_t>(images * latent));
  for (size_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<int64_t>(i), row = at / size % size, column = at % size, image = at / (size * size);
    x[i] = 0.8 * std::sin(0.3 * static_cast<double>(row + image)) * std::cos(0.2 * static_cast<double>(column));
    y[i] = -x[i];
  }
  for (size_t i = 0; i < z.size(); ++i) z[i] = std::sin(2.7 * static_cast<double>(i));
  const Shape shape = {images, size, size, 1};
  return {Tensor::from(std::span<const double>(x), shape, DType::f32),
          Tensor::from(std::span<const double>(y), shape, DType::f32),
          latent ? Tensor::from(std::span<const double>(z), {images, latent}, DType::f32) : Tensor{}};
}

GanOptions small_pix2pix(int64_t size) { return {.size = size, .width = 2, .judge_width = 2, .judge_layers = 2}; }
GanOptions small_residual(const std::string& injection) {
  return {.generator = "residual",
          .discriminator = "dense",
          .injection = injection,
          .size = 16,
          .width = 4,
          .judge_width = 2,
          .blocks = 2,
          .latent = 3,
          .latent_maps = 2,
          .fc = 8};
}

bool same_bytes(const Params& a, const Params& b) {
  for (const std::string& name : a.names()) {
    const Tensor x = a.find(name), y = b.find(name);
    if (!y || x.bytes() != y.bytes() || std::memcmp(x.raw(), y.raw(), x.bytes()) != 0) return false;
  }
  return a.names() == b.names();
}

const std::vector<int64_t> ids = {4, 9};

}  // namespace

TEST_SUITE_BEGIN("gan_test");

TEST_CASE("both networks, six losses, every gradient, ten alternating steps and the average equal PyTorch") {
  std::string agreement;
  for (const std::string name : {"gan_pix2pix", "gan_pix2pix_instance", "gan_residual", "gan_residual_film"}) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(name);
      CAPTURE(dtype_name(dtype));
      agreement += text(" {} {} {};", name, dtype, golden::compare_gan(name, dtype));
    }
  }
  MESSAGE("largest distance from PyTorch as a part of its bound:", agreement);
}

TEST_CASE("pix2pix at full size has the published names and totals") {
  const DryRun dry;
  Params g, d;
  const Gan gan = make_gan({.condition_channels = 3, .image_channels = 3}, g, d);
  CHECK(gan.options.depth == 8);
  CHECK(std::lround(g.count() / 1e3) == 54'414);  // printed as 54.414 M and 2.769 M by the published training script
  CHECK(std::lround(d.count() / 1e3) == 2'769);
  std::string inner = "model.model.1";
  for (int k = 0; k < 6; ++k) inner += ".model.3";
  CHECK(g.file_shape(inner + ".model.1.weight") == Shape{512, 512, 4, 4});
  CHECK(g.file_shape(inner + ".model.3.weight") == Shape{512, 512, 4, 4});
  CHECK(g.find(inner + ".model.4.running_var").numel() == 512);
  CHECK(g.file_shape("model.model.1.model.5.weight") == Shape{256, 64, 4, 4});
  CHECK(g.file_shape("model.model.3.weight") == Shape{128, 3, 4, 4});
  CHECK(d.file_shape("model.11.weight") == Shape{1, 512, 4, 4});
  const Tensor x = Tensor::zeros({2, 256, 256, 3});
  CHECK(gan.generate(x, {}, {}).shape() == Shape{2, 256, 256, 3});
  CHECK(gan.judge(x, x, {}).shape() == Shape{2, 30, 30, 1});
  CHECK(pix2pix_depth(256) == 8);
  CHECK(pix2pix_depth(128) == 7);
  CHECK(pix2pix_depth(64) == 6);
  CHECK(pix2pix_depth(192) == 6);
  CHECK(pix2pix_depth(1024) == 8);
}

TEST_CASE("a verdict of the PatchGAN sees 70x70 pixels") {
  Params params(Device::cpu(), 1, DType::f64);
  const PatchDiscriminator d(params.root(), {.in_channels = 1, .width = 2});
  Tensor x = Tensor::full({1, 128, 128, 1}, 0.5, DType::f64);
  Tape tape;
  tape.watch(x);
  const Tensor y = d(x, {});
  REQUIRE(y.shape() == Shape{1, 14, 14, 1});
  Tensor one = Tensor::zeros(y.shape(), DType::f64);
  one.data<double>()[7 * 14 + 7] = 1;
  const std::vector<double> seen = tape.backward(y, one, std::span<const Tensor>(&x, 1))[0].host_f64();
  int64_t rows = 0, columns = 0;
  for (size_t i = 0; i < 128; ++i) {
    bool row = false, column = false;
    for (size_t j = 0; j < 128; ++j) row |= seen[i * 128 + j] != 0, column |= seen[j * 128 + i] != 0;
    rows += row, columns += column;
  }
  CHECK(rows == 70);
  CHECK(columns == 70);
}

TEST_CASE("the noise of pix2pix is its dropout: by stream, not by batch, in the inner levels only") {
  const GanBatch batch = toy_batch(2, 64);
  const Networks n(small_pix2pix(64));
  const Tensor streams = make_streams(1, ids, 0);
  const auto image = [&](const Networks& net, const Pass& pass) {
    return net.gan.generate(batch.condition, {}, pass).host();
  };
  const std::vector<float> drawn = image(n, {Pass::mc_dropout, streams});
  CHECK(drawn == image(n, {Pass::mc_dropout, streams}));
  CHECK(drawn != image(n, {Pass::mc_dropout, make_streams(1, ids, 1)}));
  CHECK(drawn != image(n, {}));
  const std::vector<float> alone =
      n.gan.generate(batch.condition.batch(1, 1), {}, {Pass::mc_dropout, streams.batch(1, 1)}).host();
  CHECK(std::equal(alone.begin(), alone.end(), drawn.begin() + static_cast<std::ptrdiff_t>(alone.size())));
  CHECK_THROWS_WITH_AS(image(n, {Pass::mc_dropout, {}}), doctest::Contains("one random stream per row"), Error);
  GanOptions shallow = small_pix2pix(64);
  shallow.depth = 5;  // the outer four levels and the innermost: none has dropout
  const Networks none(shallow);
  CHECK(image(none, {Pass::mc_dropout, streams}) == image(none, {}));
}

TEST_CASE("z changes the image in both ways of injection") {
  for (const std::string injection : {"concat", "film"}) {
    CAPTURE(injection);
    const Networks n(small_residual(injection));
    const GanBatch batch = toy_batch(2, 16, 3);
    const std::vector<float> with = n.gan.generate(batch.condition, batch.latent, {}).host(),
                             without = n.gan.generate(batch.condition, Tensor::zeros({2, 3}), {}).host();
    CHECK(with != without);
    CHECK_THROWS_WITH_AS(n.gan.generate(batch.condition, {}, {}), doctest::Contains("z must be [2,3]"), Error);
  }
}

TEST_CASE("training lowers the content loss, and is the same for any number of threads") {
  for (const GanOptions& o : {small_pix2pix(64), small_residual("concat"), small_residual("film")}) {
    CAPTURE(o.json());
    const GanBatch batch = toy_batch(2, o.size, o.latent);
    const int threads = omp_get_max_threads();
    std::vector<double> runs[2];
    for (int run = 0; run < 2; ++run) {
      omp_set_num_threads(1 + 2 * run);
      Networks n(o);
      GanTraining training;
      training.generator.lr = training.discriminator.lr = 2e-3;
      GanTrainer trainer(n.gan, n.g, n.d, training);
      for (int64_t t = 0; t < 25; ++t) runs[run].push_back(trainer.step(batch, make_streams(1, ids, t)).content);
    }
    omp_set_num_threads(threads);
    CHECK(runs[0] == runs[1]);
    CHECK(runs[0].back() < 0.8 * runs[0].front());
  }
}

TEST_CASE("both steps as one Program have the same bits as eager ones") {
  for (const GanOptions& o : {small_pix2pix(64), small_residual("concat"), small_residual("film")}) {
    CAPTURE(o.json());
    Networks eager(o), captured(o);
    GanTraining training;
    training.steps = 6;
    training.eager = true;
    GanTrainer one(eager.gan, eager.g, eager.d, training, &eager.average);
    training.eager = false;
    GanTrainer other(captured.gan, captured.g, captured.d, training, &captured.average);
    for (int64_t t = 0; t < 5; ++t) {
      const GanBatch batch = toy_batch(2, o.size, o.latent);
      if (t % 2 == 1) std::reverse(batch.image.data<float>(), batch.image.data<float>() + batch.image.numel());
      const Tensor streams = make_streams(3, ids, t);
      const GanLosses a = one.step(batch, streams), b = other.step(batch, streams);
      CHECK(a.discriminator == b.discriminator);
      CHECK(a.generator == b.generator);
      CHECK(a.judge_real == b.judge_real);
      CHECK(a.content == b.content);
    }
    CHECK(same_bytes(eager.g, captured.g));
    CHECK(same_bytes(eager.d, captured.d));
    CHECK(same_bytes(eager.average, captured.average));
  }
}

TEST_CASE("training continues bit for bit from its files") {
  const GanOptions o = small_pix2pix(64);  // with dropout, batch norm, falling rates and the running average
  const GanBatch batch = toy_batch(2, 64);
  GanTraining training;
  training.steps = 6;
  const auto go = [&](GanTrainer& trainer, int64_t until) {
    while (trainer.steps() < until) trainer.step(batch, make_streams(3, ids, trainer.steps()));
  };
  Networks whole(o), first(o), second(o, DType::f32, 2);
  GanTrainer uninterrupted(whole.gan, whole.g, whole.d, training, &whole.average);
  go(uninterrupted, 6);
  const TempFile g("g.safetensors"), d("d.safetensors"), average("average.safetensors"), state("state.safetensors");
  {
    GanTrainer trainer(first.gan, first.g, first.d, training, &first.average);
    go(trainer, 4);
    first.g.save(g.path), first.d.save(d.path), first.average.save(average.path);
    write_tensors(state.path, trainer.state());
  }
  GanTrainer resumed(second.gan, second.g, second.d, training, &second.average);
  second.g.load(g.path), second.d.load(d.path), second.average.load(average.path);
  resumed.load_state(read_tensors(state.path));
  CHECK(resumed.steps() == 4);
  CHECK(!same_bytes(second.g, whole.g));
  go(resumed, 6);
  CHECK(same_bytes(second.g, whole.g));
  CHECK(same_bytes(second.d, whole.d));
  CHECK(same_bytes(second.average, whole.average));
  CHECK(!same_bytes(second.average, whole.g));
}

TEST_CASE("the rates are constant for half of the steps and end at zero") {
  const GanBatch batch = toy_batch(2, 16, 3);
  Networks n(small_residual("film"));
  GanTraining training;
  training.steps = 4;
  GanTrainer trainer(n.gan, n.g, n.d, training);
  std::vector<float> before = n.g.all().flat.host();
  std::vector<double> moved;  // the largest change of a weight
  for (int step = 0; step < 5; ++step) {
    trainer.step(batch);
    const std::vector<float> now = n.g.all().flat.host();
    double most = 0;
    for (size_t i = 0; i < now.size(); ++i) most = std::max<double>(most, std::abs(now[i] - before[i]));
    moved.push_back(most);
    before = now;
  }
  CHECK(moved[0] == doctest::Approx(2e-4).epsilon(0.01));  // Adam's first step is the rate itself
  CHECK(moved[3] < 0.7 * moved[2]);                        // half the rate, nearly the same moments
  CHECK(moved[4] == 0);
}

TEST_CASE("another content loss can be given, and its weight counts") {
  const GanBatch batch = toy_batch(2, 16, 3);
  const Networks n(small_residual("film"));
  const Tensor fake = n.gan.generate(batch.condition, batch.latent, {});
  GanLoss o{.content_weight = 10, .content = [](const Tensor& a, const Tensor& b) { return mse_loss(a, b); }};
  const GanTerms t = generator_loss(n.gan, batch, fake, {}, o);
  CHECK(t.second.item() == mse_loss(fake, batch.image).item());
  CHECK(t.total.item() == doctest::Approx(t.first.item() + 10 * t.second.item()));
}

TEST_CASE("an architecture survives its description, and what does not fit is refused with the rule") {
  const GanOptions o = small_residual("film");
  CHECK(GanOptions::parse(o.json()) == o);
  CHECK_THROWS_WITH_AS(GanOptions::parse("{\"generator\":\"unet\"}"), doctest::Contains("is missing"), Error);
  CHECK_THROWS_AS(GanOptions::parse("[]"), Error);
  Params a, b, c;
  CHECK_THROWS_WITH_AS(make_gan({.generator = "vae"}, a, b), doctest::Contains("use unet or residual"), Error);
  CHECK_THROWS_WITH_AS(make_gan({.latent = 3}, a, b), doctest::Contains("takes no latent vector"), Error);
  CHECK_THROWS_WITH_AS(make_gan({.generator = "residual", .discriminator = "dense", .size = 24, .blocks = 1}, a, b),
                       doctest::Contains("multiple of 16"), Error);
  const Networks n(small_pix2pix(64));
  CHECK_THROWS_WITH_AS(n.gan.generate(Tensor::zeros({1, 96, 96, 1}), {}, {}), doctest::Contains("multiples of 64"),
                       Error);
  Networks live(small_residual("film"));
  make_generator(small_residual("concat"), c);
  CHECK_THROWS_WITH_AS(GanTrainer(live.gan, live.g, live.d, {}, &c), doctest::Contains("another architecture"), Error);
  GanTrainer trainer(live.gan, live.g, live.d);
  GanBatch bad = toy_batch(2, 16, 3);
  bad.image.fill(NAN);
  const std::vector<float> before = live.g.all().flat.host(), judge = live.d.all().flat.host();
  CHECK_THROWS_WITH_AS(trainer.step(bad), doctest::Contains("loss of the discriminator is nan"), Error);
  CHECK(live.g.all().flat.host() == before);
  CHECK(live.d.all().flat.host() == judge);
}

TEST_SUITE_END();
