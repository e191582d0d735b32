#include "cuda/plans.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>

#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/rng.h"

namespace querent::cuda {
namespace {

constexpr size_t tuned_trials = 8;

std::string key(const std::string& problem) { return problem + " " + plan_policy().text(); }

std::vector<std::vector<std::byte>> bytes_of(std::span<const Tensor> tensors) {
  std::vector<std::vector<std::byte>> all;
  for (const Tensor& t : tensors) {
    copy_bytes(all.emplace_back(t.bytes()).data(), Device::cpu(), t.raw(), t.device(), t.bytes());
  }
  return all;
}

// Runs twice, the second time over other bytes.
bool same_bits_twice(const Trial& trial, std::span<const Tensor> results) {
  trial.run();
  const std::vector<std::vector<std::byte>> first = bytes_of(results);
  for (const Tensor& t : results) fill_bytes(t.raw(), 0xff, t.bytes(), t.device());
  trial.run();
  return first == bytes_of(results);
}

double milliseconds(const Trial& trial, Device device) {
  constexpr int rounds = 5, repeats = 10;
  std::array<double, rounds> ms{};
  for (double& m : ms) {
    backend(device).synchronize(device.index);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats; ++i) trial.run();
    backend(device).synchronize(device.index);
    m = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / repeats;
  }
  std::sort(ms.begin(), ms.end());
  return ms[rounds / 2];
}

struct Workspace {
  std::vector<std::shared_ptr<Storage>> blocks;  // each at least twice as large as the one before
};

}  // namespace

std::optional<PlanChoice> known_choice(const std::string& machine, const std::string& problem) {
  const std::optional<PlanChoice> choice = PlanBook::of_process().find(machine, key(problem));
  const bool must_measure = choice && plan_policy().tune && choice->milliseconds == 0 && choice->engine != "none";
  return must_measure ? std::nullopt : choice;
}

PlanChoice choose(const std::string& machine, const std::string& problem, const std::vector<Trial>& trials,
                  std::span<const Tensor> results) {
  const PlanPolicy policy = plan_policy();
  PlanChoice best{"none", 0};
  size_t measured = 0;
  std::exception_ptr refused;
  const auto serves = [&](const Trial& trial) {
    try {
      return trial.run();
    } catch (const Error& e) {  // by the library, which proposed it; after an error of the device nothing goes on
      if (e.kind() == ErrorKind::internal) throw;
      refused = std::current_exception();
      return false;
    }
  };
  for (const Trial& trial : trials) {
    if (!serves(trial)) continue;
    if (policy.deterministic && !same_bits_twice(trial, results)) continue;
    if (!policy.tune) {
      best = {trial.engine, 0};
      break;
    }
    const double ms = milliseconds(trial, results[0].device());
    if (best.engine == "none" || ms < best.milliseconds) best = {trial.engine, ms};
    if (++measured == tuned_trials) break;
  }
  if (best.engine == "none" && refused) std::rethrow_exception(refused);
  PlanBook::of_process().keep(machine, key(problem), best);
  return best;
}

Tensor random_operand(const Shape& shape, DType dtype, Device device) {
  // A large operand repeats a piece of prime length, so that no two rows are alike and drawing it stays cheap.
  constexpr size_t piece = 65521;
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  Rng rng = Rng(1).fork("plan operand");
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i < piece ? static_cast<float>(2 * rng.uniform() - 1) : values[i - piece];
  }
  return Tensor::from(values, shape, dtype).to(device);
}

int64_t alignment_of(std::initializer_list<const Tensor*> tensors) {
  uintptr_t low_bits = 16;
  for (const Tensor* t : tensors) low_bits |= *t ? reinterpret_cast<uintptr_t>(t->raw()) : 0;
  return static_cast<int64_t>(low_bits & -low_bits);
}

void* workspace(Device device, int64_t bytes) {
  if (bytes == 0) return nullptr;
  auto& blocks = per_device<Workspace>(device).blocks;
  const auto wanted = static_cast<size_t>(bytes);
  if (blocks.empty() || blocks.back()->bytes() < wanted) {
    blocks.push_back(Storage::allocate_apart(std::bit_ceil(wanted), device));
  }
  return blocks.back()->data();
}

}  // namespace querent::cuda
