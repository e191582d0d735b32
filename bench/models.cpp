// Times one phase of one model and prints a JSON line per batch size. bench/run.sh interleaves it with PyTorch.
//   bench_models unet train 8 128 16 --threads 2 --repeats 5
//   bench_models unet train 1,8,32 256 64 --device cuda --tf32 1 --tune 1 --plans plans.json --warmup 20
//   bench_models peaks 8192 --device cuda --bf16 1     the roofline: FLOP/s of a product of matrices, B/s of a sum
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
#include <sstream>
#include <string>
#include <vector>

#include "layers/optim.h"
#include "models/bayes.h"
#include "models/gan_train.h"
#include "models/pix2pix.h"
#include "models/train.h"
#include "tensor/backend.h"
#include "tensor/cpu/conv_plan.h"
#include "tensor/ledger.h"
#include "tensor/plans.h"
#include "tensor/rng.h"
#include "tensor/run.h"

using namespace querent;

namespace {

struct Arguments {
  std::string model, phase;
  int64_t batch, size, width;
  int repeats = 5, warmup = 1;
  double seconds = 1e9;  // of timed repeats, of which there are five at least
  bool profile = false, costs = false;
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

// --costs 1: what the ops of a step cost by their formulas, [GFLOP, MB, how many such], for the roofline of
// bench/gpu_table.py.
std::string costs_of(const std::vector<Cost>& costs) {
  std::map<std::pair<double, double>, int> count;
  for (const Cost& c : costs) ++count[{c.flops / 1e9, c.bytes / 1e6}];
  std::string json = ",\"costs\":[";
  for (const auto& [cost, n] : count)
    json += text("{}[{},{},{}]", json.back() == '[' ? "" : ",", cost.first, cost.second, n);
  return json + "]";
}

struct Times {
  std::vector<double> ms;  // of each repeat, in order of size
  std::string costs;       // JSON, or nothing
  double part(double share) const { return ms[static_cast<size_t>(share * static_cast<double>(ms.size() - 1) + 0.5)]; }
};

// After the warm-up, which does not count.
Times timed(const Arguments& a, const std::function<void(int64_t)>& step) {
  const auto wait = [&] {
    if (a.device != Device::cpu()) backend(a.device).synchronize(a.device.index);
  };
  int64_t number = 0;
  while (number < a.warmup) step(number++);
  Times times;
  std::vector<double>& ms = times.ms;
  if (a.costs) {  // of a replay: the first step of all is a capture too
    if (number == 0) step(number++);
    const Ledger ledger;
    step(number++);
    times.costs = costs_of(ledger.costs());
  }
  wait();
  Profile profile;
  if (a.profile) profile.watch();
  double total = 0;
  for (int r = 0; r < a.repeats && (r < 5 || total < 1e3 * a.seconds); ++r) {
    const auto start = std::chrono::steady_clock::now();
    step(number++);
    wait();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    total += ms.back();
  }
  if (a.profile) profile.print(a.repeats);
  std::sort(ms.begin(), ms.end());
  return times;
}

Times task_network(const Arguments& a) {
  Params params(a.device, 1);
  const Model model =
      make_model({.name = a.model, .classes = a.model == "unet" ? 1 : 2, .width = a.width, .dropout = 0.2}, params);
  const Tensor images = random_images(a.batch, a.size), x = images.to(a.device);
  std::vector<int64_t> ids(static_cast<size_t>(a.batch)),
      labels(static_cast<size_t>(model.segments ? a.batch * a.size * a.size : a.batch));
  std::iota(ids.begin(), ids.end(), 0);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = model.segments ? i % 3 == 0 : i % 2;
  const Tensor target =
      Tensor::from(std::span<const int64_t>(labels), model.segments ? Shape{a.batch, a.size, a.size} : Shape{a.batch});
  if (a.phase == "train") {
    Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = 1e-3, .weight_decay = 1e-4});
    TrainingStep step(model, optimizer);
    const TrainingInput input = step.prepare(images, target);  // sent once: what is timed is the step
    return timed(a, [&](int64_t k) { step(input, make_streams(1, ids, k).to(a.device)); });
  }
  params.all();
  Inference inference(model);
  if (a.phase == "infer") return timed(a, [&](int64_t) { inference(x); });
  return timed(a, [&](int64_t) { predict_posterior(inference, x, ids, {.passes = 20, .keep_passes = false}); });
}

Times pix2pix(const Arguments& a) {
  Params generator(a.device, 1), discriminator(a.device, 2);
  const Gan gan = make_gan({.size = a.size, .width = a.width, .judge_width = a.width}, generator, discriminator);
  GanTrainer trainer(gan, generator, discriminator);
  const Tensor condition = random_images(a.batch, a.size).to(a.device);
  const GanBatch batch{condition, Tensor::full(condition.shape(), 0.5).to(a.device)};
  std::vector<int64_t> ids(static_cast<size_t>(a.batch));
  std::iota(ids.begin(), ids.end(), 0);
  return timed(a, [&](int64_t k) { trainer.step(batch, make_streams(1, ids, k).to(a.device)); });
}

// A line for each of the kinds of arithmetic that a policy allows: FLOP/s of [N,N] x [N,N] on random numbers, as zeros
// are faster, and B/s of a sum of two such matrices. Medians of five times ten calls.
void print_peaks(Arguments a, const std::string& policy) {
  a.repeats = 5, a.warmup = 2;
  const Tensor x = random_images(1, a.size).reshaped({a.size, a.size}).to(a.device).cast(compute_dtype()), y = x.clone();
  const auto per_second = [&](const char* name) {
    const Op& op = find_op(name);
    Tensors in{x, y};
    in.resize(op.inputs.size());  // a product without a bias
    const Cost cost = op.cost(in, op.cases()[0].attrs);
    const double ms = timed(a, [&](int64_t) {
                        for (int i = 0; i < 10; ++i) run(op, in, op.cases()[0].attrs);
                      }).part(0.5);
    return std::pair(cost.flops / ms / 1e5, cost.bytes / ms / 1e5);
  };
  std::printf(R"({"model":"peaks","size":%ld,"device":"%s","policy":"%s","gflops":%.1f,"gbytes":%.1f})"
              "\n",
              static_cast<long>(a.size), text("{}", a.device).c_str(), policy.c_str(), per_second("matmul").first,
              per_second("add").second);
}

std::vector<int64_t> parse_batches(const std::string& list) {
  std::vector<int64_t> all;
  for (std::istringstream in(list); in;) {
    std::string one;
    if (std::getline(in, one, ',')) all.push_back(std::stoll(one));
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) try {
  const bool peaks = argc > 2 && std::string_view(argv[1]) == "peaks";
  const int named = peaks ? 3 : 6;
  if (argc < named) {
    std::fprintf(stderr,
                 "usage: bench_models MODEL train|infer|mc BATCH[,BATCH...] SIZE WIDTH [--threads N] [--repeats N]\n"
                 "  [--seconds S] [--warmup N] [--conv auto|direct|winograd2|winograd4] [--device cpu|cuda:N] [--tf32 1]\n"
                 "  [--bf16 1] [--tune 1] [--plans FILE] [--costs 1] [--profile 1]\n"
                 "       bench_models peaks SIZE [--device cpu|cuda:N] [--tf32 1] [--bf16 1]\n");
    return 2;
  }
  Arguments a{};
  a.model = argv[1];
  std::vector<int64_t> batches;
  if (peaks) {
    a.size = std::atoll(argv[2]);
  } else {
    a.phase = argv[2], batches = parse_batches(argv[3]), a.size = std::atoll(argv[4]), a.width = std::atoll(argv[5]);
  }
  int thread_count = 0;
  PlanPolicy policy;
  for (int i = named; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--threads") thread_count = std::stoi(value);
    if (flag == "--conv") set_conv_algorithm(parse_conv_algorithm(value));
    if (flag == "--repeats") a.repeats = std::stoi(value);
    if (flag == "--seconds") a.seconds = std::stod(value);
    if (flag == "--warmup") a.warmup = std::stoi(value);
    if (flag == "--profile") a.profile = value == "1";
    if (flag == "--costs") a.costs = value == "1";
    if (flag == "--device") a.device = parse_device(value);
    if (flag == "--tf32") policy.tf32 = value == "1";
    if (flag == "--bf16" && value == "1") set_compute_dtype(DType::bf16);
    if (flag == "--tune") policy.tune = value == "1";
    if (flag == "--plans") PlanBook::of_process().open(value);
  }
  set_plan_policy(policy);
  set_threads(thread_count);
  const std::string how = policy.text() + (compute_dtype() == DType::bf16 ? " bf16" : "") + (policy.tune ? " tuned" : "");
  if (peaks) return print_peaks(a, how), 0;
  int failed = 0;
  for (const int64_t batch : batches) {
    a.batch = batch;
    release_free_memory();
    reset_memory_peak(a.device);
    try {
      const Times t = a.model == "pix2pix" ? pix2pix(a) : task_network(a);
      std::printf(
          R"({"model":"%s","phase":"%s","batch":%ld,"size":%ld,"width":%ld,"threads":%d,"device":"%s","mode":"program","policy":"%s","ms":%.3f,"ms_min":%.3f,"ms_max":%.3f,"ms_q1":%.3f,"ms_q3":%.3f,"repeats":%zu,"peak_mib":%.0f%s})"
          "\n",
          a.model.c_str(), a.phase.c_str(), static_cast<long>(a.batch), static_cast<long>(a.size),
          static_cast<long>(a.width), threads(), text("{}", a.device).c_str(), how.c_str(), t.part(0.5), t.ms.front(),
          t.ms.back(), t.part(0.25), t.part(0.75), t.ms.size(), peak_mib(a.device), t.costs.c_str());
      std::fflush(stdout);  // what has been measured stays, whatever becomes of the next
    } catch (const Error& e) {  // one that does not fit does not stop the others
      std::fprintf(stderr, "bench_models: batch %ld: %s\n", static_cast<long>(batch), e.what());
      failed = 1;
    }
  }
  return failed;
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench_models: %s\n", e.what());
  return 2;
}
