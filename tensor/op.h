// An op is a row of data. This header is the form that each tensor/ops/*.cpp fills in.
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/attrs.h"
#include "tensor/tensor.h"

namespace querent {

// A short list that can live in a constinit object.
template <class T, size_t Capacity = 10>
class List {
 public:
  constexpr List() = default;
  constexpr List(std::initializer_list<T> items) {
    for (const T& t : items) items_[size_++] = t;
  }
  constexpr const T* begin() const { return items_.data(); }
  constexpr const T* end() const { return items_.data() + size_; }
  constexpr size_t size() const { return size_; }
  constexpr const T& operator[](size_t i) const { return items_[i]; }

 private:
  std::array<T, Capacity> items_{};
  size_t size_ = 0;
};

// One input or output: its name, its axes in letters, and how it is used.
struct Arg {
  enum Use : unsigned {
    required = 0,
    optional = 1,  // may be "none"
    variadic = 2,  // one or more, in last place
    mutated = 4,   // written in place
    constant = 8,  // no gradient flows to it (targets, statistics, class weights)
    wide = 16      // stays f32 beside bf16 (scales and statistics of norms)
  };
  std::string_view name, axes;
  unsigned use = required;  // Use values or-ed together
  constexpr bool is(Use u) const { return (use & u) != 0; }
};

struct TensorSpec {
  Shape shape;
  DType dtype;
};

struct Call {  // what a kernel gets
  Inputs in;
  std::span<const Tensor> out;
  const Attrs& attrs;
};
struct GradCall {  // what a gradient gets; tensors not named in `keep` are husks
  Inputs in;
  std::span<const Tensor> out;
  const Attrs& attrs;
  std::span<const Tensor> dy;  // per output; "none" where nothing flows
  std::vector<bool> need;      // per input; the returned gradient of the others is ignored
};
struct Cost {
  double flops;  // multiply and add count as two
  double bytes;  // least traffic: each input read once, each output written once
};

// How a test case fills one input. Values are drawn in f64 and cast to the dtype under test.
struct Sample {
  enum Fill {
    normal,          // standard normal times `scale` plus `shift`
    uniform,         // [shift, shift+scale)
    away_from_zero,  // normal pushed at least 0.1 from 0: no kink within a finite-difference step
    distinct,        // a shuffled grid with steps of at least 0.05: no ties for max-pool
    index,           // i64 in {0..scale-1}
    streams,         // i64 [N,2] rows of RNG streams
    zeros,
    none  // the optional input is not given
  };
  Shape shape;
  Fill fill = normal;
  double scale = 1, shift = 0;
};
struct Case {
  std::string name;
  std::vector<Sample> in;
  Attrs attrs;
  std::string throws = "";  // a part of the message this bad case must throw; "" for a good case
};

using Kernel = void(const Call&);

struct Op {  // no defaults: with -Wextra -Werror a row that forgets a field does not compile
  std::string_view name, formula;
  List<Arg> inputs, outputs;
  std::vector<TensorSpec> (*infer)(Inputs, const Attrs&);  // checks, result shapes; throws Error
  Cost (*cost)(Inputs, const Attrs&);
  Tensors (*grad)(const GradCall&);  // one per input; or no_gradient / zero_gradient
  List<std::string_view> keep;       // names of the inputs and outputs that grad reads
  struct {
    Kernel* ref;   // the definition: f32 and f64, double accumulators; bf16 is widened for it (compute() in run.h)
    Kernel* cpu;   // f32, SIMD; null: the reference runs
    Kernel* cuda;  // null: an error on that device
  } kernel;
  std::vector<Case> (*cases)();
};

Tensors no_gradient(const GradCall&);    // asking for it is an error
Tensors zero_gradient(const GradCall&);  // constant in all inputs: nothing flows back

// Result shapes of the commonest kind: "like the first input".
std::vector<TensorSpec> like_first(Inputs in, const Attrs&);
// Throws unless `in` fits the row's argument list (count, optional inputs, one floating dtype but for `wide` inputs).
void check_arguments(const Op& op, Inputs in);

// Every row there is: tensor/op_table.cpp.
std::span<const Op* const> op_table();
const Op& find_op(std::string_view name);  // Error when there is none

}  // namespace querent
