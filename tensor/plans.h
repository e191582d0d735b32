// In which of many ways a GPU computes a convolution, a batch norm or a product: what is allowed, and what was chosen.
//
// A choice is kept by name for each machine and problem, so that a run can be repeated with the kernels it had. The
// choosing itself is in cuda/plans.cpp; nothing here needs a GPU.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace querent {

struct PlanPolicy {
  bool deterministic = true;  // refuse what may add in another order the next time
  bool tf32 = false;          // f32 products may round their factors to 10 bits, on tensor cores
  bool tune = false;          // choose by measuring, not by the library's heuristics
  std::string text() const;   // "deterministic strict": part of the name of each problem. Tuning is not
};
void set_plan_policy(const PlanPolicy& policy);
PlanPolicy plan_policy();

struct PlanChoice {
  std::string engine;       // the library's kernel with all its settings: "eng12_k2=7_k13=0"; or "own"; or "none"
  double milliseconds = 0;  // as measured; 0 when the heuristics chose
};

class PlanBook {
 public:
  static PlanBook& of_process();

  // Reads the file if it is there, and from now on writes each new choice to it. An Error when it is no file of plans.
  void open(const std::filesystem::path& file);
  std::optional<PlanChoice> find(std::string_view machine, std::string_view problem) const;
  void keep(std::string_view machine, std::string_view problem, const PlanChoice& choice);
  std::string json() const;
  std::string hash() const;  // SHA-256 of machines, problems and engines, and not of times; "" when nothing was chosen

 private:
  using Machine = std::map<std::string, PlanChoice, std::less<>>;
  mutable std::mutex mutex_;
  std::map<std::string, Machine, std::less<>> machines_;
  std::filesystem::path file_;
};

}  // namespace querent
