#include "tensor/plans.h"

#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent {
namespace {

constexpr const char* format = "querent plans 1";
constexpr uint64_t largest_file = 16 << 20;

std::mutex policy_mutex;
PlanPolicy policy;

}  // namespace

std::string PlanPolicy::text() const {
  return std::string(deterministic ? "deterministic" : "any order") + (tf32 ? " tf32" : " strict");
}
void set_plan_policy(const PlanPolicy& p) {
  const std::lock_guard lock(policy_mutex);
  policy = p;
}
PlanPolicy plan_policy() {
  const std::lock_guard lock(policy_mutex);
  return policy;
}

PlanBook& PlanBook::of_process() {
  static PlanBook book;
  return book;
}

void PlanBook::open(const std::filesystem::path& file) {
  const std::lock_guard lock(mutex_);
  file_ = file;
  if (!std::filesystem::exists(file)) return;
  const nlohmann::json j = parse_json(read_file(file, largest_file));
  const auto good = [&](bool ok) {
    check(ok, "plans: '{}' is not a file of plans ('{}'); delete it and the plans are chosen anew", file.string(),
          format);
  };
  good(j.is_object() && j.contains("format") && j["format"] == format && j.contains("machines") &&
       j["machines"].is_object());
  for (const auto& [machine, problems] : j["machines"].items()) {
    good(problems.is_object());
    for (const auto& [problem, choice] : problems.items()) {
      good(choice.is_object() && choice.contains("engine") && choice["engine"].is_string());
      const auto ms = choice.find("ms");
      good(ms == choice.end() || ms->is_number());
      machines_[machine][problem] = {choice["engine"], ms == choice.end() ? 0 : ms->get<double>()};
    }
  }
}

std::optional<PlanChoice> PlanBook::find(std::string_view machine, std::string_view problem) const {
  const std::lock_guard lock(mutex_);
  const auto m = machines_.find(machine);
  if (m == machines_.end()) return {};
  const auto p = m->second.find(problem);
  if (p == m->second.end()) return {};
  return p->second;
}

void PlanBook::keep(std::string_view machine, std::string_view problem, const PlanChoice& choice) {
  {
    const std::lock_guard lock(mutex_);
    machines_[std::string(machine)][std::string(problem)] = choice;
    if (file_.empty()) return;
  }
  write_atomically(file_, json() + "\n");
}

std::string PlanBook::json() const {
  const std::lock_guard lock(mutex_);
  nlohmann::json machines = nlohmann::json::object();
  for (const auto& [machine, problems] : machines_) {
    for (const auto& [problem, choice] : problems) {
      nlohmann::json& c = machines[machine][problem];
      c["engine"] = choice.engine;
      if (choice.milliseconds > 0) c["ms"] = choice.milliseconds;
    }
  }
  return dump_json({{"format", format}, {"machines", machines}}, 1);
}

std::string PlanBook::hash() const {
  const std::lock_guard lock(mutex_);
  std::string all;
  for (const auto& [machine, problems] : machines_) {
    for (const auto& [problem, choice] : problems) all += text("{}\n{}\n{}\n", machine, problem, choice.engine);
  }
  return all.empty() ? "" : sha256_hex(all);
}

}  // namespace querent
