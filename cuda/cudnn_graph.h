// Convolutions and batch norms through the graph API of cuDNN 9 ("backend" in its headers: cudnn_graph.h). There every
// object is a descriptor: created, given attributes, finalized. A problem becomes an operation graph; heuristics
// propose engines for it; an engine with its knobs becomes a plan; a plan is executed on pointers.
//
// All but execute() also works where there is no GPU, for a device that is described in words (Target::described).
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/op_attrs.h"
#include "tensor/plans.h"

struct cudnnContext;

namespace querent::cuda {

// A cudnnBackendDescriptor_t, destroyed with its last owner; one made of others owns those too, as the headers do not
// say which the library copies.
using Descriptor = std::shared_ptr<void>;

enum class ConvKind : uint8_t { forward, grad_input, grad_weight };

// One convolution, always told by the shapes of y = conv(x, w) + b: grad_input computes x from y and w, grad_weight
// computes w from x and y. With `bias` the graph adds b to what it computes.
struct ConvProblem {
  ConvKind kind = ConvKind::forward;
  Shape x, w, y;  // [N,H,W,C], [O,Kh,Kw,C/groups], [N,H',W',O]
  Conv2dAttrs conv = {};
  DType dtype = DType::f32;  // f32 or bf16; sums are f32
  bool bias = false;
  int64_t alignment = 16;  // bytes, of every pointer

  // "conv2d f32 x=[8,64,64,32] w=[32,3,3,32] y=[8,64,64,32] stride=[1,1] ...": the name of the problem in a file of
  // plans.
  std::string text() const;
};
enum ConvOperand : int64_t { conv_x = 1, conv_w, conv_y, conv_bias };  // names of the pointers of an execution

enum class NormKind : uint8_t { forward, forward_relu, forward_add_relu, backward, backward_relu };

// One batch norm in training. Forward it computes y = norm(x), relu(norm(x)) or relu(norm(x) + z), mean and
// inv_std = 1 / sqrt(var + eps); backward dx, dgamma and dbeta from x, dy, mean and inv_std, where dy may first be
// masked by a tensor of bits.
struct NormProblem {
  NormKind kind = NormKind::forward;
  Shape x;                   // [N,H,W,C]; C a multiple of 4 in f32, of 8 in bf16, or no engine is proposed
  DType dtype = DType::f32;  // f32 or bf16; what belongs to channels is f32
  bool in_place = false;     // y lies where z did, dx where dy did; it makes no other graph
  std::string text() const;  // "batch_norm_relu bf16 x=[8,64,64,32]"
};
// x, y, z, dy and dx lie at multiples of 16 bytes; the mask has bit i % 8 of byte i / 8 for element i; eps is a float
// on the host; the others are f32 [C].
enum NormOperand : int64_t {
  norm_x = 1,
  norm_y,
  norm_z,
  norm_dy,
  norm_dx,
  norm_mask,
  norm_gamma,
  norm_beta,
  norm_mean,
  norm_inv_std,
  norm_dgamma,
  norm_dbeta,
  norm_eps
};

// Numerical notes of an engine, or-ed together. The names and bits are cuDNN's.
enum Note : uint32_t {
  tensor_core = 1u << 0,
  down_convert_inputs = 1u << 1,
  reduced_precision_reduction = 1u << 2,
  fft = 1u << 3,
  nondeterministic = 1u << 4,
  winograd = 1u << 5,
  runtime_compilation = 1u << 16,  // a behaviour note
};
std::string note_names(uint32_t notes);  // "tensor_core winograd"

struct OperationGraph {
  cudnnContext* handle;
  Descriptor operations;
};
// An engine with its knobs chosen. `name` ("eng12_k2=7_k13=0": global index, then knob type and value) says all of it.
struct Engine {
  std::string name;
  uint32_t notes = 0;
  int64_t workspace = 0;  // bytes
  Descriptor config;
};
struct Plan {
  Engine engine;
  Descriptor plan;
};

OperationGraph conv_graph(const ConvProblem& problem, cudnnContext* handle);
OperationGraph norm_graph(const NormProblem& problem, cudnnContext* handle);
// What cuDNN proposes, best first: heuristic mode A, then the fallback list. Empty when the pattern is unknown to it.
std::vector<Engine> proposed_engines(const OperationGraph& graph);
// Whether the policy has nothing against the engine's notes.
bool is_allowed(const Engine& engine, DType dtype, const PlanPolicy& policy);
Engine named_engine(const OperationGraph& graph, std::string_view name);  // an Error when there is none of that name
// None: this device or shape is unsupported.
std::optional<Plan> make_plan(const OperationGraph& graph, const Engine& engine);

struct Pointer {
  int64_t operand;  // a ConvOperand or NormOperand
  const void* data;
};
// Runs on the stream of the handle. `workspace` has at least engine.workspace bytes.
void execute(cudnnContext* handle, const Plan& plan, std::span<const Pointer> pointers, void* workspace);

}  // namespace querent::cuda
