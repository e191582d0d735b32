// Which instructions the fast CPU kernels use. They are compiled for each of a few SIMD targets; the best one that the
// processor has is used unless another is forced. Results of different targets differ by rounding.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace querent {

std::vector<std::string> simd_targets();        // those this processor has, best first: "avx512", "avx2", "baseline"
std::string simd_target();                      // the one in use
void force_simd_target(std::string_view name);  // "": the best again. Error: the processor has no such target

}  // namespace querent
