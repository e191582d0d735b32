// Times one phase of one model and prints a JSON line. bench/run.sh interleaves it with PyTorch.
//   bench_models unet train 8 128 16 --threads 2 --repeats 5
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "layers/loss.h"
#include "layers/optim.h"
#include "models/bayes.h"
#include "models/model.h"
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
    std::fprintf(stderr, "usage: bench_models MODEL train|infer|mc BATCH SIZE WIDTH [--threads N] [--repeats N] [--conv auto|direct|winograd2|winograd4]\n");
    return 2;
  }
  const std::string name = argv[1], phase = argv[2];
  const int64_t batch = std::atoll(argv[3]), size = std::atoll(argv[4]), width = std::atoll(argv[5]);
  int repeats = 5, thread_count = 0;
  for (int i = 6; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--threads") thread_count = std::atoi(argv[i + 1]);
    if (std::string(argv[i]) == "--conv") set_conv_algorithm(parse_conv_algorithm(argv[i + 1]));
    if (std::string(argv[i]) == "--repeats") repeats = std::atoi(argv[i + 1]);
  }
  set_threads(thread_count);
  Params params(Device::cpu(), 1);
  const Model model = make_model({.name = name, .classes = name == "unet" ? 1 : 2, .width = width, .dropout = 0.2}, params);
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = 1e-3, .weight_decay = 1e-4});
  const Tensor x = random_images(batch, size);
  Tensor target;
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < batch; ++i) ids.push_back(i);
  if (model.segments) {
    std::vector<float> mask(static_cast<size_t>(batch * size * size));
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 3 == 0;
    target = Tensor::from(mask, {batch, size, size, 1});
  } else {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < batch; ++i) labels.push_back(i % 2);
    target = Tensor::from(labels, {batch});
  }
  const auto step = [&](int64_t k) {
    if (phase == "infer") {
      predict(model, x);
    } else if (phase == "mc") {
      predict_posterior(model, x, ids, {.passes = 20, .keep_passes = false});
    } else {
      const Pass pass{Pass::train, make_streams(1, ids, k)};
      Tape tape;
      const Output out = model.forward(x, pass);
      const Tensor loss = model.segments ? bce_dice_loss(out.logits, target) : cross_entropy(out.logits, target);
      optimizer.step(tape.backward(loss, params.all()));
    }
  };
  step(0);
  std::vector<double> ms;
  for (int r = 1; r <= repeats; ++r) {
    const auto start = std::chrono::steady_clock::now();
    step(r);
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(ms.begin(), ms.end());
  std::printf(R"({"model":"%s","phase":"%s","batch":%ld,"size":%ld,"width":%ld,"threads":%d,"ms":%.3f,"ms_min":%.3f,"ms_max":%.3f,"peak_mib":%.0f})"
              "\n",
              name.c_str(), phase.c_str(), static_cast<long>(batch), static_cast<long>(size), static_cast<long>(width),
              threads(), ms[ms.size() / 2], ms.front(), ms.back(), peak_mib());
}
