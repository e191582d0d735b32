// A training step without convolutions, eager and captured, on any device.
#pragma once
#include <optional>

#include "tensor/program.h"
#include "tensor/tape.h"
#include "tests/cuda_checks.h"

namespace querent::test {

// Six steps of a small classifier: scale and shift of each pixel, batch norm, dropout, mean over pixels, cross-entropy,
// momentum. Returns the losses and the weights.
inline std::vector<float> trained(Device device, bool captured, int64_t batch = 6, int64_t pixels = 35,
                                  int64_t classes = 5) {
  const auto normal = [&](Shape s, uint64_t seed) {
    return draw_sample({s}, {"x", "[*]"}, DType::f32, Rng(seed)).to(device);
  };
  const int64_t n = pixels * classes;
  const Tensor flat = normal({n + 2 * classes}, 1), velocity = Tensor::zeros(flat.shape(), DType::f32, device),
               gradient = Tensor::zeros(flat.shape(), DType::f32, device);
  const auto part = [&](const Tensor& t, int64_t first, Shape s) { return t.batch(first, s.numel()).reshaped(s); };
  const Shape shapes[] = {{pixels, classes}, {classes}, {classes}};
  const int64_t firsts[] = {0, n, n + classes};
  const auto step = [&](Inputs in) {
    Tensors weights;
    for (int i = 0; i < 3; ++i) weights.push_back(part(flat, firsts[i], shapes[i]).as_parameter(text("w{}", i)));
    Tensor loss;
    Tensors gradients;
    {
      Tape tape;
      const Tensor y = relu(batch_norm_train(mul(in[0], weights[0]), weights[1], weights[2]).y);
      loss = cross_entropy(mean(dropout(y, in[2], {.p = 0.2, .site = 3}), {1}), in[1]);
      gradients = tape.backward(loss, {}, weights);
    }
    require_finite(loss, "the loss is {}");
    for (int i = 0; i < 3; ++i) assign(part(gradient, firsts[i], shapes[i]), gradients[static_cast<size_t>(i)]);
    sgd_update(flat, gradient, velocity, in[3]);
    return Tensors{loss};
  };
  std::optional<Program> program;
  std::vector<float> results;
  for (int64_t i = 0; i < 6; ++i) {
    std::vector<int64_t> labels(static_cast<size_t>(batch)), streams(static_cast<size_t>(2 * batch));
    for (size_t k = 0; k < labels.size(); ++k) labels[k] = (static_cast<int64_t>(k) * 3 + i) % classes;
    for (size_t k = 0; k < streams.size(); ++k) streams[k] = static_cast<int64_t>(k) + 100 * i;
    const float hyper[] = {0.1f / static_cast<float>(i + 1), 0.9f, 1e-4f, 0};
    const Tensors in = {normal({batch, pixels, classes}, static_cast<uint64_t>(10 + i)),
                        Tensor::from(labels, {batch}).to(device), Tensor::from(streams, {batch, 2}).to(device),
                        Tensor::from(std::span<const float>(hyper), {4}).to(device)};
    if (captured && !program) {
      program = Program::capture(step, in);
      results.push_back(program->results()[0].host()[0]);
    } else {
      results.push_back((captured ? (*program)(in) : step(in))[0].host()[0]);
    }
  }
  const std::vector<float> weights = flat.host();
  results.insert(results.end(), weights.begin(), weights.end());
  return results;
}

// Two residual blocks, the first with a norm on its other branch too, and gradients from two readers: what the rules for
// norms, sums and ReLUs leave of it on a device has the bits of the ops one by one.
inline void check_fused_norms(Device device) {
  const auto count = [](const std::string& text, const std::string& part) {
    int n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const int64_t channels : {19, 16}) {  // one by one, and in packs
      CAPTURE(text("{} with {} channels", type, channels));
      const auto normal = [&](Shape s, DType t, uint64_t seed) {
        return draw_sample({s}, {"x", "[*]"}, t, Rng(seed)).to(device);
      };
      Tensor gamma = normal({channels}, DType::f32, 3), beta = normal({channels}, DType::f32, 4);
      gamma.as_parameter("gamma"), beta.as_parameter("beta");
      const auto norm = [&](const Tensor& t) { return batch_norm_train(t, gamma, beta).y; };
      const auto step = [&](Inputs in) {
        Tape tape;
        tape.watch(in[0]);
        const Tensor x = relu(norm(in[0])), a = relu(add(norm(x), norm(square(x))));
        const Tensor b = relu(add(norm(sigmoid(a)), a)), c = relu(add(square(b), b));
        Tensors out = tape.backward(c, in[1], Tensors{in[0], gamma, beta});
        for (const Tensor& t : {x, a, b, c}) out.push_back(t);
        return out;
      };
      const Shape shape{3, 37, 5, channels};
      const Tensors in = {normal(shape, type, 1), normal(shape, type, 2)};
      const Tensors eager = step(in);
      const Program p = Program::capture(step, in);
      p.check();
      const std::string listing = p.listing();
      CHECK(count(listing, "batch_norm_relu(") == 3);
      CHECK(count(listing, "batch_norm_train(") == 1);
      CHECK(count(listing, "add_relu(") == 1);
      CHECK(count(listing, "add_relu_grad(") == 2);
      CHECK(count(listing, " relu(") == 0);
      CHECK(same_bytes(moved(p.results(), Device::cpu()), moved(eager, Device::cpu())));
    }
  }
}

inline void check_program(Device device) {
  const std::vector<float> eager = trained(device, false), replayed = trained(device, true),
                           on_cpu = trained(Device::cpu(), false);
  REQUIRE(eager.size() == replayed.size());
  CHECK(std::memcmp(eager.data(), replayed.data(), eager.size() * sizeof(float)) == 0);
  double worst = 0;
  for (size_t i = 0; i < eager.size(); ++i) worst = std::max<double>(worst, std::abs(eager[i] - on_cpu[i]));
  CHECK_MESSAGE(worst < 1e-4, "six steps on the device and on the CPU differ by ",
                worst);  // rounding, grown by training
}

}  // namespace querent::test
