// Times one phase of one model and prints a JSON line. bench/run.sh interleaves it with PyTorch.
//   bench_models unet train 8 128 16 --threads 2 --repeats 5
//   bench_models unet train 32 256 64 --device cuda --mode program --tf32 1 --tune 1 --plans plans.json --warmup 20
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "layers/loss.h"
#include "layers/optim.h"
#include "models/bayes.h"
#include "models/model.h"
#include "tensor/backend.h"
#include "tensor/plans.h"
#include "tensor/program.h"
#include "tensor/rng.h"
#include "tensor/run.h"
#include "tensor/tape.h"

using namespace querent;

namespace {

Tensor random_images(int64_t n, int64_t size) {
  Rng rng(1);
  std::vector<float> v(static_cast<size_t>(n * size * size));
  for (float& x : v) x = static_cast<float>(rng.normal());
  return Tensor::from(v, {n, size, size, 1});
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr,
                 "usage: bench_models MODEL train|infer|mc BATCH SIZE WIDTH [--threads N] [--repeats N] [--warmup N]\n"
                 "  [--conv auto|direct|winograd2|winograd4] [--device cpu|cuda:N] [--mode eager|program]\n"
                 "  [--tf32 1] [--tune 1] [--plans FILE]\n");
    return 2;
  }
  const std::string name = argv[1], phase = argv[2];
  const int64_t batch = std::atoll(argv[3]), size = std::atoll(argv[4]), width = std::atoll(argv[5]);
  int repeats = 5, thread_count = 0, warmup = 1;
  Device device = Device::cpu();
  std::string mode = "eager";
  PlanPolicy policy;
  for (int i = 6; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--threads") thread_count = std::stoi(value);
    if (flag == "--conv") set_conv_algorithm(parse_conv_algorithm(value));
    if (flag == "--repeats") repeats = std::stoi(value);
    if (flag == "--warmup") warmup = std::stoi(value);
    if (flag == "--device") device = parse_device(value);
    if (flag == "--mode") mode = value;
    if (flag == "--tf32") policy.tf32 = value == "1";
    if (flag == "--tune") policy.tune = value == "1";
    if (flag == "--plans") PlanBook::of_process().open(value);
  }
  set_plan_policy(policy);
  set_threads(thread_count);
  Params params(device, 1);
  const Model model = make_model({.name = name, .classes = name == "unet" ? 1 : 2, .width = width, .dropout = 0.2}, params);
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = 1e-3, .weight_decay = 1e-4});
  const Tensor x = random_images(batch, size).to(device);
  Tensor target;
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < batch; ++i) ids.push_back(i);
  if (model.segments) {
    std::vector<float> mask(static_cast<size_t>(batch * size * size));
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 3 == 0;
    target = Tensor::from(mask, {batch, size, size, 1}).to(device);
  } else {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < batch; ++i) labels.push_back(i % 2);
    target = Tensor::from(labels, {batch}).to(device);
  }
  const auto train = [&](Inputs in) {  // x, target, streams, what the optimizer needs
    Tape tape;
    const Output out = model.forward(in[0], Pass{Pass::train, in[2]});
    const Tensor loss = model.segments ? bce_dice_loss(out.logits, in[1]) : cross_entropy(out.logits, in[1]);
    optimizer.apply(tape.backward(loss, params.all()), in[3]);
    return Tensors{loss};
  };
  std::optional<Program> program;
  const auto step = [&](int64_t k) {
    if (phase == "infer") {
      predict(model, x);
    } else if (phase == "mc") {
      predict_posterior(model, x, ids, {.passes = 20, .keep_passes = false});
    } else {
      const Tensors in{x, target, make_streams(1, ids, k).to(device), optimizer.advance().to(device)};
      if (mode == "eager")
        train(in);
      else if (program)
        (*program)(in);
      else
        program = Program::capture(train, in);
    }
    if (device != Device::cpu()) backend(device).synchronize(device.index);
  };
  for (int k = 0; k < warmup; ++k) step(k);
  std::vector<double> ms;
  for (int r = 1; r <= repeats; ++r) {
    const auto start = std::chrono::steady_clock::now();
    step(warmup + r);
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(ms.begin(), ms.end());
  const double peak = device == Device::cpu() ? peak_mib() : static_cast<double>(memory_stats(device).peak) / (1 << 20);
  std::printf(R"({"model":"%s","phase":"%s","batch":%ld,"size":%ld,"width":%ld,"threads":%d,"device":"%s","mode":"%s","policy":"%s%s","ms":%.3f,"ms_min":%.3f,"ms_max":%.3f,"peak_mib":%.0f})"
              "\n",
              name.c_str(), phase.c_str(), static_cast<long>(batch), static_cast<long>(size), static_cast<long>(width),
              threads(), text("{}", device).c_str(), mode.c_str(), policy.text().c_str(), policy.tune ? " tuned" : "",
              ms[ms.size() / 2], ms.front(), ms.back(), peak);
}
