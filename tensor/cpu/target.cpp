// Compiled with the same list of targets as the kernels.
#include <hwy/highway.h>

#include "tensor/error.h"
#include "tensor/simd.h"

namespace querent {
namespace {

std::string name_of(int64_t target) {
  return target == HWY_AVX3            ? "avx512"
         : target == HWY_AVX2          ? "avx2"
         : target == HWY_STATIC_TARGET ? "baseline"
                                       : hwy::TargetName(target);
}

}  // namespace

std::vector<std::string> simd_targets() {
  std::vector<std::string> names;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) names.push_back(name_of(target));
  return names;
}

std::string simd_target() { return simd_targets().front(); }

void force_simd_target(std::string_view name) {
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  if (name.empty()) return;
  std::string all;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    all += (all.empty() ? "" : ", ") + name_of(target);
    if (name_of(target) != name) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    return;
  }
  fail("simd: this processor has no target '{}'; it has {}", name, all);
}

}  // namespace querent
