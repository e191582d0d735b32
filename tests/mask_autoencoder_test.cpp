// The mask autoencoder: its gradients, and that a short training on phantom lungs makes codes that tell masks apart.
#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "data/phantom.h"
#include "layers/optim.h"
#include "models/mask_autoencoder.h"
#include "tensor/rng.h"
#include "tensor/tape.h"
#include "tests/golden_networks.h"

TEST_SUITE_BEGIN("mask_autoencoder_test");
using namespace querent;

namespace {

Tensor phantom_lungs(int64_t count, int64_t size, DType dtype = DType::f32) {
  PhantomOptions o;
  o.size = size, o.second_image_chance = 0;
  std::vector<float> v;
  for (int64_t i = 0; i < count; ++i) {
    const Image lungs = render_phantom(o, i).lungs;
    v.insert(v.end(), lungs.pixels.begin(), lungs.pixels.end());
  }
  return Tensor::from(std::span<const float>(v), {count, size, size, 1}, dtype);
}

double loss_of(const MaskAutoencoder& net, const Tensor& masks) {
  const Pass pass{Pass::train, {}};
  return reconstruction_loss(net.decode(net.encode(masks, pass), pass), masks).item();
}

// Mean over the masks of the Dice of `said(n, pixel)`.
template <class F>
double mean_dice(const Tensor& masks, F said) {
  const std::vector<float> m = masks.host();
  const auto n = static_cast<size_t>(masks.dim(0)), pixels = m.size() / n;
  double sum = 0;
  for (size_t k = 0; k < n; ++k) {
    double both = 0, either = 0;
    for (size_t i = 0; i < pixels; ++i) {
      const double a = m[k * pixels + i], b = said(k, i) ? 1 : 0;
      both += a * b, either += a + b;
    }
    sum += 2 * both / either / static_cast<double>(n);
  }
  return sum;
}

}  // namespace

TEST_CASE("the gradient is the slope of the loss, and reaches every parameter") {
  const Tensor masks = phantom_lungs(4, 32, DType::f64);
  Params params(Device::cpu(), 3, DType::f64);
  const MaskAutoencoder net(params.root(), {.size = 32, .width = 2, .latent = 3});
  const ParamSet all = params.all();
  Tape tape;
  const Pass pass{Pass::train, {}};
  const Gradients g = tape.backward(reconstruction_loss(net.decode(net.encode(masks, pass), pass), masks), all);
  for (const Tensor& p : all.tensors) {
    double largest = 0;
    for (const double v : g[p].host_f64()) largest = std::max(largest, std::fabs(v));
    INFO(p.name());
    if (p.name() == "squeeze.bias") continue;  // the norm that follows takes it away
    CHECK(largest > 1e-6);
  }
  // Along three directions: central differences err by h^2 f'''/6 + 2^-53/h, both far below 1e-6.
  const std::vector<double> start = all.flat.host_f64(), slope = g.flat.host_f64();
  for (const uint64_t seed : {1, 2, 3}) {
    Rng rng(seed);
    std::vector<double> direction(start.size());
    double expected = 0;
    for (size_t i = 0; i < start.size(); ++i) direction[i] = rng.uniform() - 0.5, expected += slope[i] * direction[i];
    const double h = 1e-6;
    const auto at = [&](double step) {
      std::vector<double> v = start;
      for (size_t i = 0; i < v.size(); ++i) v[i] += step * direction[i];
      all.flat.copy_from(Tensor::from(std::span<const double>(v), all.flat.shape()));
      return loss_of(net, masks);
    };
    CHECK((at(h) - at(-h)) / (2 * h) == doctest::Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("codes, masks, loss, gradients and running statistics are PyTorch's") {
  for (const DType dtype : {DType::f32, DType::f64}) golden::compare_autoencoder(dtype);
}

TEST_CASE("a short training reconstructs phantom lungs, and their codes tell them apart") {
  constexpr int64_t count = 8, size = 32;
  const Tensor masks = phantom_lungs(count, size);
  Params params(Device::cpu(), 1);
  const MaskAutoencoder net(params.root(), {.size = size, .width = 4, .latent = 16});
  Optimizer adam(params.all(), {.kind = OptimOptions::adam, .lr = 5e-3});
  const double before = loss_of(net, masks);
  for (int step = 0; step < 150; ++step) {
    Tape tape;
    const Pass pass{Pass::train, {}};
    adam.step(tape.backward(reconstruction_loss(net.decode(net.encode(masks, pass), pass), masks), params.all()));
  }
  CHECK(loss_of(net, masks) < before / 4);

  // The best answer that does not look at the mask: what most of them show.
  const std::vector<float> m = masks.host();
  const auto pixels = static_cast<size_t>(size * size);
  std::vector<int> votes(pixels);
  for (size_t i = 0; i < m.size(); ++i) votes[i % pixels] += m[i] > 0;
  const double constant = mean_dice(masks, [&](size_t, size_t i) { return 2 * votes[i] > count; });
  const Tensor z = net.encode(masks);
  const std::vector<float> logits = net.decode(z).host();
  const double reconstructed = mean_dice(masks, [&](size_t k, size_t i) { return logits[k * pixels + i] > 0; });
  CAPTURE(constant);
  CHECK(1 - reconstructed < (1 - constant) / 2);

  // A code is no nearer to another mask's than a tenth of their typical distance, sqrt(2 * 16) at variance 1.
  const std::vector<float> codes = z.host();
  for (size_t a = 0; a < count; ++a)
    for (size_t b = 0; b < a; ++b) {
      double square = 0;
      for (size_t i = 0; i < 16; ++i) square += std::pow(codes[a * 16 + i] - codes[b * 16 + i], 2);
      CHECK(std::sqrt(square) > 0.5);
    }
  // In evaluation a code does not depend on the other masks of the batch but for rounding.
  const std::vector<float> alone = net.encode(masks.batch(5, 1)).host();
  for (size_t i = 0; i < 16; ++i) CHECK(alone[i] == doctest::Approx(codes[5 * 16 + i]).epsilon(1e-3));
}

TEST_CASE("an architecture survives its description, and what does not fit is refused with the rule") {
  const MaskAutoencoderOptions o{.size = 48, .width = 3, .latent = 5};
  CHECK(MaskAutoencoderOptions::parse(o.json()) == o);
  CHECK_THROWS_WITH_AS(MaskAutoencoderOptions::parse("{\"size\":48}"), doctest::Contains("'width' must be"), Error);
  CHECK_THROWS_WITH_AS(MaskAutoencoderOptions::parse("{\"size\":40,\"width\":3,\"latent\":5}"),
                       doctest::Contains("multiple of 16"), Error);
  CHECK_THROWS_AS(MaskAutoencoderOptions::parse("{\"size\":99999999,\"width\":3,\"latent\":5}"), Error);
  CHECK_THROWS_AS(MaskAutoencoderOptions::parse("[]"), Error);
  Params params;
  const MaskAutoencoder net(params.root(), {.size = 32, .width = 2, .latent = 4});
  CHECK_THROWS_WITH_AS(net.encode(Tensor::zeros({1, 16, 16, 1})), doctest::Contains("must be [N,32,32,1]"), Error);
  CHECK_THROWS_WITH_AS(net.decode(Tensor::zeros({1, 5})), doctest::Contains("z must be [N,4]"), Error);
}
TEST_SUITE_END();
