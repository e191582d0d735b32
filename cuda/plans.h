// Chooses an engine of a library for a problem: what tensor/plans.h has on file, else the first proposal that the
// policy allows and the device can run, else, when tuning, the fastest of the first eight. In deterministic mode each
// one computes random data twice, and is passed over when the bits differ.
#pragma once
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tensor/plans.h"
#include "tensor/tensor.h"

namespace querent::cuda {

struct Trial {
  std::string engine;
  std::function<bool()> run;  // computes once on sample operands; false, or an Error: the device does not support it
};

// The choice, which is also kept in the book; its engine is "none" when no trial serves, but for what was an Error.
// `problem` names everything the result depends on but the policy, which is added here. `results` are what the trials write.
PlanChoice choose(const std::string& machine, const std::string& problem, const std::vector<Trial>& trials,
                  std::span<const Tensor> results);
// What the book has, if it may serve under the policy of now.
std::optional<PlanChoice> known_choice(const std::string& machine, const std::string& problem);

// Values between -1 and 1 on the device. The same for the same shape.
Tensor random_operand(const Shape& shape, DType dtype, Device device);

// The largest power of 2 up to 16 that divides the address of each of the tensors. Those that are none do not count.
int64_t alignment_of(std::initializer_list<const Tensor*> tensors);

// Scratch memory for library calls, which follow one another on the stream of a device. It only grows, and what it was
// before stays allocated, since a captured step may still write there.
void* workspace(Device device, int64_t bytes);
constexpr int64_t largest_workspace = int64_t{1} << 30;  // an engine that wants more is passed over

}  // namespace querent::cuda
