// A whole network on the emulated GPU: cuDNN's stand-in, cuBLAS's, our kernels, captured and not.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "layers/loss.h"
#include "layers/optim.h"
#include "layers/precision.h"
#include "models/unet.h"
#include "tensor/program.h"
#include "tensor/selftest.h"
#include "tensor/tape.h"

TEST_SUITE_BEGIN("cuda_models_test");
using namespace querent;

namespace {

// Losses of three steps of a small U-Net that computes in `type`, then its parameters.
std::vector<float> trained(Device device, bool captured, DType type = DType::f32) {
  Params params(device, 1);
  const UNet net(params.root(), {.width = 4, .depth = 2, .dropout = 0.2});
  Optimizer optimizer(params.all(), {.kind = OptimOptions::sgd, .lr = 0.1});
  const auto image = [&](uint64_t seed, Sample::Fill fill) {
    return draw_sample({{2, 12, 8, 1}, fill}, {"x", "[N,H,W,C]"}, DType::f32, Rng(seed)).to(device);
  };
  const int64_t ids[] = {3, 8};
  const auto step = [&](Inputs in) {
    Tape tape;
    const Tensor logits = leaves(net(enters(in[0], type), Pass{Pass::train, in[2]}).logits);
    const Tensor loss = bce_dice_loss(logits, in[1]);
    optimizer.apply(tape.backward(loss, params.all()), in[3]);
    return Tensors{loss};
  };
  std::optional<Program> program;
  std::vector<float> results;
  for (uint64_t k = 0; k < 3; ++k) {
    const Tensors in{image(10 + k, Sample::normal), image(20 + k, Sample::uniform),
                     make_streams(1, ids, static_cast<int64_t>(k)).to(device), optimizer.advance().to(device)};
    if (!captured) {
      results.push_back(step(in)[0].host()[0]);
    } else if (program) {
      results.push_back((*program)(in)[0].host()[0]);
    } else {
      program = Program::capture(step, in);
      results.push_back(program->results()[0].host()[0]);
    }
  }
  for (const Tensor& t : params.all().tensors) {
    const std::vector<float> v = t.host();
    results.insert(results.end(), v.begin(), v.end());
  }
  return results;
}

}  // namespace

TEST_CASE("three training steps of a U-Net: eager, captured, and as on the CPU") {
  for (const DType type : {DType::f32, DType::bf16}) {
    const std::vector<float> eager = trained(Device::cuda(), false, type),
                             replayed = trained(Device::cuda(), true, type), cpu = trained(Device::cpu(), false, type);
    REQUIRE(eager.size() == cpu.size());
    REQUIRE(eager.size() == replayed.size());
    CHECK(std::memcmp(eager.data(), replayed.data(), eager.size() * sizeof(float)) == 0);
    // Rounding differs by some eps of values near 1; batch norms of few pixels and the steps enlarge it a thousandfold.
    // In bf16 that is less than the distance of neighbours, 2^-7: few values are stored as another one, a few times
    // over.
    const double most = type == DType::f32 ? 1e3 * 0x1p-23 : 4 * 0x1p-7;
    double worst = 0;
    for (size_t i = 0; i < eager.size(); ++i) worst = std::max<double>(worst, std::abs(eager[i] - cpu[i]));
    CHECK_MESSAGE(worst < most, "the results in ", std::string(dtype_name(type)), " differ by ", worst);
  }
}
TEST_SUITE_END();
