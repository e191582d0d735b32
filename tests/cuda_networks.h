// Whole networks on a device: trainings and the loop of active learning, against the CPU. Shared by cuda_test and the
// emulated one.
#pragma once
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "al/experiment.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "layers/loss.h"
#include "layers/optim.h"
#include "layers/precision.h"
#include "models/train.h"
#include "models/unet.h"
#include "tensor/files.h"
#include "tensor/plans.h"
#include "tensor/program.h"
#include "tests/cuda_checks.h"
#include "tests/golden_networks.h"

namespace querent::test {

// Losses of three steps of a small U-Net that computes in `type`, then its parameters.
inline std::vector<float> trained_unet(Device device, bool captured, DType type = DType::f32) {
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

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Three training steps, eager, captured and on the CPU.
inline void check_training(Device device) {
  for (const DType type : {DType::f32, DType::bf16}) {
    const std::vector<float> eager = trained_unet(device, false, type), replayed = trained_unet(device, true, type),
                             cpu = trained_unet(Device::cpu(), false, type);
    REQUIRE(eager.size() == cpu.size());
    CHECK(same_bits(eager, replayed));
    // Rounding differs by some eps of values near 1; batch norms of few pixels and the steps enlarge it a thousandfold.
    // In bf16 that is less than the distance of neighbours, 2^-7: few values are stored as another one, a few times
    // over.
    const double most = type == DType::f32 ? 1e3 * 0x1p-23 : 4 * 0x1p-7;
    double worst = 0;
    for (size_t i = 0; i < eager.size(); ++i) worst = std::max<double>(worst, std::abs(eager[i] - cpu[i]));
    CHECK_MESSAGE(worst < most, "the results in ", std::string(dtype_name(type)), " differ by ", worst);
  }
}

// A step takes images and labels from wherever they lie.
inline void check_places(Device device) {
  const std::vector<int64_t> labels = {1, 0, 2};
  std::vector<double> losses;
  for (const Device from : {Device::cpu(), device}) {
    Params params(device, 1);
    const Model model = make_model({.name = "resnet18", .classes = 3, .width = 2}, params);
    Optimizer optimizer(params.all(), {});
    TrainingStep step(model, optimizer);
    const Tensor x = draw_sample({{3, 32, 32, 1}, Sample::normal}, {"x", "[N,H,W,C]"}, DType::f32, Rng(1));
    losses.push_back(step(x.to(from), Tensor::from(labels, {3}).to(from), {}));
  }
  CHECK(losses[0] == losses[1]);
}

// The whole training (capture, replays, dropout, cuDNN, optimizer) from its beginning, so many times: the same bits.
inline void check_training_repeats(Device device, int runs, const std::function<void(int)>& before = [](int) {}) {
  for (const DType type : {DType::f32, DType::bf16}) {
    std::vector<float> first;
    for (int k = 0; k < runs; ++k) {
      before(k);
      const std::vector<float> now = trained_unet(device, true, type);
      if (k == 0) first = now;
      CHECK_MESSAGE(same_bits(first, now), "training ", k + 1, " in ", std::string(dtype_name(type)), " differs");
    }
  }
}

// What PyTorch computed, in strict f32: the tolerances are those of the CPU (tests/golden.h). Of trainings the first
// `steps` losses.
inline void check_golden(Device device, size_t steps = 10) {
  std::string agreement;
  for (const std::string name : golden::models) {
    CAPTURE(name);
    agreement += text(" {} {},", name, golden::compare_model(name, DType::f32, device, steps));
  }
  for (const std::string name : golden::gans) {
    CAPTURE(name);
    agreement += text(" {} {},", name, golden::compare_gan(name, DType::f32, device, steps));
  }
  agreement += text(" mask_autoencoder {},", golden::compare_autoencoder(DType::f32, device));
  agreement += text(" content_loss {}", golden::compare_content(DType::f32, device));
  MESSAGE("largest distance from PyTorch as a part of its bound:", agreement);
}

// `run`, twice over a few phantoms: on the device and on the CPU the strategies ask for the same images, in the same
// order, with the same scores.
//
// Tolerance of a score: trainings on the two differ by rounding, a thousand eps of what is near 1 after norms of few
// pixels; AdamW besides moves a weight whose gradient is nothing but rounding by up to the learning rate a step. Two
// images whose scores are nearer than twice that may change places. A strategy whose choice has parted in this way is
// not compared any further, for from there on it has other labels; that must stay the exception.
inline void check_active_learning(Device device, std::vector<std::string> cls = {"random", "entropy", "bald", "coreset", "badge"},
                                  std::vector<std::string> seg = {"random", "kendall_gal", "bald"}) {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / text("querent_cuda_loop_{}", getpid());
  fs::remove_all(root);
  write_phantom_dataset(root / "ph", 30, 32, 3);
  data::Dataset dataset = data::open_dataset((root / "ph/labels.csv").string(), {});
  data::split_dataset(dataset, {.val = 0.1, .test = 0.2, .seed = 1});
  const Device before = compute_device();
  int picks = 0, same = 0;
  double worst = 0;
  for (const auto& [task, strategies] : {std::pair(std::string("cls"), cls), {"seg", seg}}) {
    al::ExperimentConfig c;
    c.task = task, c.model = c.task == "seg" ? "unet" : "resnet18";
    c.strategies = strategies;
    c.size = 32, c.width = 2, c.depth = 2, c.seeds = 1;
    c.start = 3, c.budget = 12;  // 3, 6 and 12 labels
    c.steps = c.full_steps = 3, c.batch = 3, c.mc = 3, c.lr = 1e-4;
    for (const Device d : {Device::cpu(), device}) {
      set_compute_device(d);
      REQUIRE(al::run_experiment(c, dataset, (root / text("{}_{}", task, d)).string(), {}));
    }
    const double most = 1e3 * 0x1p-23 + static_cast<double>(c.steps) * c.lr;
    for (const std::string& strategy : strategies) {
      bool together = true;
      for (const int round : {0, 1}) {
        const auto asked = [&](Device d) {
          const fs::path unit = root / text("{}_{}/units/{}_s1_r{}.json", task, d, strategy, round);
          return nlohmann::json::parse(read_file(unit.string())).at("asked");
        };
        const nlohmann::json here = asked(Device::cpu()), there = asked(device);
        REQUIRE(here.size() == static_cast<size_t>(round == 0 ? 3 : 6));
        REQUIRE(here.size() == there.size());
        for (size_t k = 0; k < here.size(); ++k) {
          ++picks;
          if (!together) continue;
          const double a = here[k].at("score"), b = there[k].at("score"),
                       apart = std::abs(a - b) / std::max(1.0, std::abs(a));
          together = here[k].at("id") == there[k].at("id");
          same += together;
          worst = std::max(worst, apart);
          CHECK_MESSAGE(apart <= (together ? 1 : 2) * most, task, " ", strategy, ", round ", round, ", pick ", k, ": ",
                        here[k].at("id").dump(), " scores ", a, " on the CPU, ", there[k].at("id").dump(), " ", b);
        }
      }
    }
  }
  set_compute_device(before);
  PlanBook::of_process().open({});  // writes to no file from now on
  fs::remove_all(root);
  CHECK(10 * same >= 9 * picks);
  MESSAGE(same, " of ", picks, " images asked for are the same, in the same order; scores differ by at most ", worst);
}

}  // namespace querent::test
