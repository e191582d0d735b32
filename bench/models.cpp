// Times one phase of one model and prints a JSON line. bench/run.sh interleaves it with PyTorch.
//   bench_models unet train 8 128 16 --threads 2 --repeats 5
//   bench_models unet train 32 256 64 --device cuda --tf32 1 --tune 1 --plans plans.json --warmup 20
// Phases: train (a step as a Program), infer, mc (20 passes of MC-dropout). Models: unet, resnet18, vgg16, vgg16_bn,
// and pix2pix, whose step is one of each of its two networks.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "layers/optim.h"
#include "models/bayes.h"
#include "models/gan_train.h"
#include "models/pix2pix.h"
#include "models/train.h"
#include "tensor/backend.h"
#include "tensor/cpu/conv_plan.h"
#include "tensor/plans.h"
#include "tensor/rng.h"
#include "tensor/run.h"

using namespace querent;

namespace {

struct Arguments {
  std::string model, phase;
  int64_t batch, size, width;
  int repeats = 5, warmup = 1;
  bool profile = false;
  Device device = Device::cpu();
};

Tensor random_images(int64_t n, int64_t size) {
  Rng rng(1);
  std::vector<float> v(static_cast<size_t>(n * size * size));
  for (float& x : v) x = static_cast<float>(rng.normal());
  return Tensor::from(std::span<const float>(v), {n, size, size, 1});
}

double peak_mib(Device device) {
  if (device != Device::cpu()) return static_cast<double>(memory_stats(device).peak) / (1 << 20);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// --profile 1: what each op of the timed repeats costs, in processor time, the dearest first. FLOP are those of the
// formula, whatever the algorithm.
struct Profile {
  struct Line {
    std::vector<double> ms;
    Cost cost;
  };
  std::map<std::string, Line> lines;
  void watch() {
    watch_kernels([this](const Op& op, const Call& c, double ms) {
      std::string name = text("{} {} ", op.name, cpu::algorithm(op, c));
      for (const Tensor& t : c.in) name += t ? text(" {}", t.shape()) : " -";
      for (const Tensor& t : c.out) name += text(" -> {}", t.shape());
      lines[name].ms.push_back(ms);
      lines[name].cost = op.cost(c.in, c.attrs);
    });
  }
  void print(int repeats) {
    watch_kernels({});
    std::vector<std::pair<double, std::string>> all;
    double total = 0;
    for (auto& [name, line] : lines) {
      std::sort(line.ms.begin(), line.ms.end());
      const double median = line.ms[line.ms.size() / 2], calls = static_cast<double>(line.ms.size()) / repeats;
      total += median * calls;
      char numbers[128];
      std::snprintf(numbers, sizeof numbers, "%8.2f ms %5.1f x %7.3f %6.0f GFLOP/s %6.1f GB/s  ", median * calls, calls,
                    median, line.cost.flops / median / 1e6, line.cost.bytes / median / 1e6);
      all.push_back({median * calls, numbers + name});
    }
    std::sort(all.rbegin(), all.rend());
    for (const auto& [ms, line] : all) std::fprintf(stderr, "%5.1f %% %s\n", 100 * ms / total, line.c_str());
    std::fprintf(stderr, "%.1f ms in all\n", total);
  }
};

// Milliseconds of each repeat, in order of size, after the warm-up that does not count.
std::vector<double> timed(const Arguments& a, const std::function<void(int64_t)>& step) {
  const auto wait = [&] {
    if (a.device != Device::cpu()) backend(a.device).synchronize(a.device.index);
  };
  int64_t number = 0;
  while (number < a.warmup) step(number++);
  wait();
  std::vector<double> ms;
  Profile profile;
  if (a.profile) profile.watch();
  for (int r = 0; r < a.repeats; ++r) {
    const auto start = std::chrono::steady_clock::now();
    step(number++);
    wait();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  if (a.profile) profile.print(a.repeats);
  std::sort(ms.begin(), ms.end());
  return ms;
}

std::vector<double> task_network(const Arguments& a) {
  Params params(a.device, 1);
  const Model model =
      make_model({.name = a.model, .classes = a.model == "unet" ? 1 : 2, .width = a.width, .dropout = 0.2}, params);
  const Tensor x = random_images(a.batch, a.size).to(a.device);
  std::vector<int64_t> ids(static_cast<size_t>(a.batch)),
      labels(static_cast<size_t>(model.segments ? a.batch * a.size * a.size : a.batch));
  std::iota(ids.begin(), ids.end(), 0);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = model.segments ? i % 3 == 0 : i % 2;
  const Tensor target =
      Tensor::from(std::span<const int64_t>(labels), model.segments ? Shape{a.batch, a.size, a.size} : Shape{a.batch})
          .to(a.device);
  if (a.phase == "train") {
    Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = 1e-3, .weight_decay = 1e-4});
    TrainingStep step(model, optimizer);
    return timed(a, [&](int64_t k) { step(x, target, make_streams(1, ids, k).to(a.device)); });
  }
  params.all();
  Inference inference(model);
  if (a.phase == "infer") return timed(a, [&](int64_t) { inference(x); });
  return timed(a, [&](int64_t) { predict_posterior(inference, x, ids, {.passes = 20, .keep_passes = false}); });
}

std::vector<double> pix2pix(const Arguments& a) {
  Params generator(a.device, 1), discriminator(a.device, 2);
  const Gan gan = make_gan({.size = a.size, .width = a.width, .judge_width = a.width}, generator, discriminator);
  GanTrainer trainer(gan, generator, discriminator);
  const Tensor condition = random_images(a.batch, a.size).to(a.device);
  const GanBatch batch{condition, Tensor::full(condition.shape(), 0.5).to(a.device)};
  std::vector<int64_t> ids(static_cast<size_t>(a.batch));
  std::iota(ids.begin(), ids.end(), 0);
  return timed(a, [&](int64_t k) { trainer.step(batch, make_streams(1, ids, k).to(a.device)); });
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 6) {
    std::fprintf(stderr,
                 "usage: bench_models MODEL train|infer|mc BATCH SIZE WIDTH [--threads N] [--repeats N] [--warmup N]\n"
                 "  [--conv auto|direct|winograd2|winograd4] [--device cpu|cuda:N] [--tf32 1] [--bf16 1] [--tune 1] "
                 "[--plans FILE] [--profile 1]\n");
    return 2;
  }
  Arguments a{argv[1], argv[2], std::atoll(argv[3]), std::atoll(argv[4]), std::atoll(argv[5])};
  int thread_count = 0;
  PlanPolicy policy;
  for (int i = 6; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--threads") thread_count = std::stoi(value);
    if (flag == "--conv") set_conv_algorithm(parse_conv_algorithm(value));
    if (flag == "--repeats") a.repeats = std::stoi(value);
    if (flag == "--warmup") a.warmup = std::stoi(value);
    if (flag == "--profile") a.profile = value == "1";
    if (flag == "--device") a.device = parse_device(value);
    if (flag == "--tf32") policy.tf32 = value == "1";
    if (flag == "--bf16" && value == "1") set_compute_dtype(DType::bf16);
    if (flag == "--tune") policy.tune = value == "1";
    if (flag == "--plans") PlanBook::of_process().open(value);
  }
  set_plan_policy(policy);
  set_threads(thread_count);
  const std::vector<double> ms = a.model == "pix2pix" ? pix2pix(a) : task_network(a);
  std::printf(
      R"({"model":"%s","phase":"%s","batch":%ld,"size":%ld,"width":%ld,"threads":%d,"device":"%s","mode":"program","policy":"%s%s","ms":%.3f,"ms_min":%.3f,"ms_max":%.3f,"peak_mib":%.0f})"
      "\n",
      a.model.c_str(), a.phase.c_str(), static_cast<long>(a.batch), static_cast<long>(a.size),
      static_cast<long>(a.width), threads(), text("{}", a.device).c_str(), policy.text().c_str(),
      text("{}{}", compute_dtype() == DType::bf16 ? " bf16" : "", policy.tune ? " tuned" : "").c_str(),
      ms[ms.size() / 2], ms.front(), ms.back(), peak_mib(a.device));
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench_models: %s\n", e.what());
  return 2;
}
