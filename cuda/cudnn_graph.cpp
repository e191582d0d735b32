#include "cuda/cudnn_graph.h"

#include <cudnn_graph.h>

#include <array>
#include <charconv>

#include "tensor/error.h"

namespace querent::cuda {
namespace {

void check_cudnn(cudnnStatus_t status, std::string_view doing) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  std::array<char, 512> reason{};
  cudnnGetLastErrorString(reason.data(), reason.size());
  fail("cudnn: {} failed with {} ({})", doing, cudnnGetErrorString(status), reason.data());
}

Descriptor create(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t d = nullptr;
  check_cudnn(cudnnBackendCreateDescriptor(type, &d), "creating a descriptor");
  return {d, [](void* p) { cudnnBackendDestroyDescriptor(p); }};
}
Descriptor finalized(Descriptor d, std::string_view what) {
  check_cudnn(cudnnBackendFinalize(d.get()), what);
  return d;
}

Descriptor owning(const Descriptor& d, std::vector<Descriptor> parts) {
  return {d.get(), [d, parts = std::move(parts)](void*) {}};
}

// ---- attributes: the type tag that goes with each C++ type
template <class T>
constexpr cudnnBackendAttributeType_t tag = CUDNN_TYPE_INT64;
template <>
constexpr auto tag<bool> = CUDNN_TYPE_BOOLEAN;
template <>
constexpr auto tag<double> = CUDNN_TYPE_DOUBLE;
template <>
constexpr auto tag<void*> = CUDNN_TYPE_VOID_PTR;
template <>
constexpr auto tag<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
constexpr auto tag<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
constexpr auto tag<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
constexpr auto tag<cudnnPointwiseMode_t> = CUDNN_TYPE_POINTWISE_MODE;
template <>
constexpr auto tag<cudnnBackendNormMode_t> = CUDNN_TYPE_NORM_MODE;
template <>
constexpr auto tag<cudnnBackendNormFwdPhase_t> = CUDNN_TYPE_NORM_FWD_PHASE;
template <>
constexpr auto tag<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
constexpr auto tag<cudnnBackendKnobType_t> = CUDNN_TYPE_KNOB_TYPE;
template <>
constexpr auto tag<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;
template <>
constexpr auto tag<cudnnBackendBehaviorNote_t> = CUDNN_TYPE_BEHAVIOR_NOTE;

template <class T>
void set(const Descriptor& d, cudnnBackendAttributeName_t name, std::span<const T> values) {
  check_cudnn(cudnnBackendSetAttribute(d.get(), name, tag<T>, static_cast<int64_t>(values.size()), values.data()),
              text("setting attribute {}", static_cast<int>(name)));
}
template <class T>
void set(const Descriptor& d, cudnnBackendAttributeName_t name, const T& value) {
  set(d, name, std::span<const T>(&value, 1));
}
void set(const Descriptor& d, cudnnBackendAttributeName_t name, std::span<const Descriptor> values) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& v : values) raw.push_back(v.get());
  check_cudnn(cudnnBackendSetAttribute(d.get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::ssize(raw), raw.data()),
              text("setting attribute {}", static_cast<int>(name)));
}
void set(const Descriptor& d, cudnnBackendAttributeName_t name, const Descriptor& value) {
  set(d, name, std::span<const Descriptor>(&value, 1));
}

int64_t count_of(const Descriptor& d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) {
  int64_t count = 0;
  check_cudnn(cudnnBackendGetAttribute(d.get(), name, type, 0, &count, nullptr),
              text("counting attribute {}", static_cast<int>(name)));
  return count;
}
template <class T>
std::vector<T> get_all(const Descriptor& d, cudnnBackendAttributeName_t name) {
  std::vector<T> values(static_cast<size_t>(count_of(d, name, tag<T>)));
  int64_t count = std::ssize(values);
  if (count > 0) {
    check_cudnn(cudnnBackendGetAttribute(d.get(), name, tag<T>, count, &count, values.data()),
                text("reading attribute {}", static_cast<int>(name)));
  }
  values.resize(static_cast<size_t>(count));
  return values;
}
template <class T>
T get(const Descriptor& d, cudnnBackendAttributeName_t name) {
  T value{};
  int64_t count = 0;
  check_cudnn(cudnnBackendGetAttribute(d.get(), name, tag<T>, 1, &count, &value),
              text("reading attribute {}", static_cast<int>(name)));
  return value;
}
// cuDNN fills descriptors that the caller made: `count` at most.
std::vector<Descriptor> get_descriptors(const Descriptor& d, cudnnBackendAttributeName_t name,
                                        cudnnBackendDescriptorType_t type, int64_t count) {
  std::vector<Descriptor> made;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) raw.push_back(made.emplace_back(create(type)).get());
  check_cudnn(cudnnBackendGetAttribute(d.get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, raw.data()),
              text("reading attribute {}", static_cast<int>(name)));
  made.resize(static_cast<size_t>(count));
  return made;
}

// ---- what graphs are made of
cudnnDataType_t data_type(DType t) {
  check(t == DType::f32 || t == DType::bf16, "cudnn: tensors are f32 or bf16, not {}", t);
  return t == DType::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

enum Place { in_memory, inside, by_value };           // inside: it never leaves the graph
constexpr int64_t inner_sum = 100, inner_norm = 101;  // the ids of such tensors

// cuDNN names axes in the order N,C,H,W whatever the layout; the strides say that C lies innermost.
Descriptor tensor(int64_t id, const Shape& nhwc, cudnnDataType_t type, int64_t alignment, Place place = in_memory) {
  const int64_t n = nhwc[0], h = nhwc[1], w = nhwc[2], c = nhwc[3];
  const Descriptor d = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  set<int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS, std::array{n, c, h, w});
  set<int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES, std::array{h * w * c, int64_t{1}, w * c, c});
  set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
  set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, place == inside);
  set(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, place == by_value);
  return finalized(d, text("a tensor of shape {}", nhwc));
}

// y = f(x), or f(x, b).
Descriptor pointwise(cudnnPointwiseMode_t f, const Descriptor& x, const Descriptor& b, const Descriptor& y) {
  const Descriptor mode = create(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  set(mode, CUDNN_ATTR_POINTWISE_MODE, f);
  set(mode, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  finalized(mode, "a pointwise descriptor");
  const Descriptor op = create(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  set(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, mode);
  set(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b) set(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  set(op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  return owning(finalized(op, "a pointwise operation"), {mode, x, b, y});
}

// `parts`: what the operations are made of.
OperationGraph graph_of(std::vector<Descriptor> operations, std::vector<Descriptor> parts, cudnnContext* handle,
                        std::string_view what) {
  const Descriptor graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(operations));
  set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  finalized(graph, what);
  parts.insert(parts.end(), operations.begin(), operations.end());
  return {handle, owning(graph, std::move(parts))};
}

Descriptor convolution(const Conv2dAttrs& a) {
  const Descriptor d = create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const std::array padding{a.padding.h, a.padding.w};
  set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  set<int64_t>(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, padding);
  set<int64_t>(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, padding);
  set<int64_t>(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::array{a.stride.h, a.stride.w});
  set<int64_t>(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, std::array{a.dilation.h, a.dilation.w});
  return finalized(d, "a convolution descriptor");
}

struct ConvOperation {  // the same six attributes have other names in each direction
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t conv, alpha, beta, x, w, y;
};
ConvOperation operation_names(ConvKind kind) {
  switch (kind) {
    case ConvKind::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
    case ConvKind::grad_input:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
    case ConvKind::grad_weight:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  }
  return {};
}

// ---- engines
static_assert(tensor_core == 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE &&
              down_convert_inputs == 1u << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS &&
              reduced_precision_reduction == 1u << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION &&
              fft == 1u << CUDNN_NUMERICAL_NOTE_FFT && winograd == 1u << CUDNN_NUMERICAL_NOTE_WINOGRAD &&
              nondeterministic == 1u << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);

std::string engine_name(const Descriptor& engine, std::span<const Descriptor> knobs) {
  std::string name = text("eng{}", get<int64_t>(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  for (const Descriptor& k : knobs) {
    name += text("_k{}={}", static_cast<int>(get<cudnnBackendKnobType_t>(k, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
                 get<int64_t>(k, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  return name;
}

// The other way: {12, 2, 7, 13, 0} of "eng12_k2=7_k13=0".
std::vector<int64_t> numbers_of(std::string_view name) {
  std::vector<int64_t> numbers;
  std::string_view rest = name, before = "eng";
  do {
    int64_t value = 0;
    const bool fits = rest.starts_with(before), may_be_negative = before == "=";  // the value of a knob may

    if (fits) rest.remove_prefix(before.size());
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    check(fits && error == std::errc() && (value >= 0 || may_be_negative),
          "cudnn: '{}' is no engine name; it reads like eng12_k2=7", name);
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    numbers.push_back(value);
    before = numbers.size() % 2 ? "_k" : "=";
  } while (!rest.empty() || numbers.size() % 2 == 0);
  return numbers;
}

Engine described(const Descriptor& config) {
  const Descriptor engine =
      get_descriptors(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1).at(0);
  const std::vector<Descriptor> knobs = get_descriptors(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                                        CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS);
  Engine e{engine_name(engine, knobs), 0, get<int64_t>(config, CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE), config};
  for (const auto note : get_all<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE))
    e.notes |= 1u << note;
  for (const auto note : get_all<cudnnBackendBehaviorNote_t>(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE)) {
    if (note == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) e.notes |= runtime_compilation;
  }
  return e;
}

std::vector<Engine> heuristics(const OperationGraph& graph, cudnnBackendHeurMode_t mode) {
  const Descriptor d = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.operations);
  set(d, CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  std::vector<Engine> engines;
  // A graph that no engine knows ends here: that is an answer, not a failure.
  if (cudnnBackendFinalize(d.get()) != CUDNN_STATUS_SUCCESS) return engines;
  const int64_t count = count_of(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR);
  for (const Descriptor& config :
       get_descriptors(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count)) {
    engines.push_back(described(config));
  }
  return engines;
}

}  // namespace

std::string ConvProblem::text() const {
  constexpr std::array names{"conv2d", "conv2d_grad_input", "conv2d_grad_weight"};
  return querent::text("{} {} x={} w={} y={} {}{} align={}", names[static_cast<size_t>(kind)], dtype, x, w, y,
                       Attrs(conv).text(), bias ? " bias" : "", alignment);
}

std::string note_names(uint32_t notes) {
  constexpr std::pair<Note, const char*> names[] = {{tensor_core, "tensor_core"},
                                                    {down_convert_inputs, "down_convert_inputs"},
                                                    {reduced_precision_reduction, "reduced_precision_reduction"},
                                                    {fft, "fft"},
                                                    {nondeterministic, "nondeterministic"},
                                                    {winograd, "winograd"},
                                                    {runtime_compilation, "runtime_compilation"}};
  std::string s;
  for (const auto& [note, name] : names) {
    if (notes & note) s += (s.empty() ? "" : " ") + std::string(name);
  }
  return s;
}

OperationGraph conv_graph(const ConvProblem& p, cudnnContext* handle) {
  const ConvOperation names = operation_names(p.kind);
  const ConvOperand result = p.kind == ConvKind::forward ? conv_y : p.kind == ConvKind::grad_input ? conv_x : conv_w;
  const Shape& shape = result == conv_y ? p.y : result == conv_x ? p.x : p.w;
  const cudnnDataType_t type = data_type(p.dtype);
  std::vector<Descriptor> parts;
  const auto operand = [&](ConvOperand id, const Shape& s) {
    const bool is_sum = p.bias && id == result;  // the sum lives only inside the graph; what leaves it has the bias
    return parts.emplace_back(is_sum ? tensor(inner_sum, s, CUDNN_DATA_FLOAT, p.alignment, inside)
                                     : tensor(id, s, type, p.alignment));
  };
  const Descriptor op = create(names.type);
  set(op, names.conv, parts.emplace_back(convolution(p.conv)));
  set(op, names.alpha, 1.0);
  set(op, names.beta, 0.0);
  set(op, names.x, operand(conv_x, p.x));
  set(op, names.w, operand(conv_w, p.w));
  set(op, names.y, operand(conv_y, p.y));
  std::vector<Descriptor> operations{finalized(op, p.text())};
  if (p.bias) {
    const Descriptor sum = parts[static_cast<size_t>(result)];  // parts: convolution, x, w, y
    operations.push_back(pointwise(CUDNN_POINTWISE_ADD, sum, tensor(conv_bias, {1, 1, 1, shape[3]}, type, p.alignment),
                                   tensor(result, shape, type, p.alignment)));
  }
  return graph_of(std::move(operations), std::move(parts), handle, p.text());
}

std::string NormProblem::text() const {
  constexpr std::array names{"batch_norm_train", "batch_norm_relu", "batch_norm_add_relu", "batch_norm_grad",
                             "batch_norm_relu_grad"};
  return querent::text("{} {} x={}{}", names[static_cast<size_t>(kind)], dtype, x, in_place ? " in place" : "");
}

// The patterns NormAddRelu (without its mask) and DReluForkDNorm of cuDNN's documentation.
OperationGraph norm_graph(const NormProblem& p, cudnnContext* handle) {
  const cudnnDataType_t type = data_type(p.dtype);
  std::vector<Descriptor> parts, operations;
  const auto image = [&](NormOperand id) { return parts.emplace_back(tensor(id, p.x, type, 16)); };
  const auto channels = [&](NormOperand id) {
    return parts.emplace_back(tensor(id, {1, 1, 1, p.x[3]}, CUDNN_DATA_FLOAT, 4));
  };
  if (p.kind == NormKind::backward || p.kind == NormKind::backward_relu) {
    Descriptor dy = image(norm_dy);
    if (p.kind == NormKind::backward_relu) {
      const Descriptor masked = parts.emplace_back(tensor(inner_norm, p.x, type, 16, inside));
      operations.push_back(pointwise(CUDNN_POINTWISE_MUL, dy, tensor(norm_mask, p.x, CUDNN_DATA_BOOLEAN, 16), masked));
      dy = masked;
    }
    const Descriptor norm = create(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_BATCH_NORM);
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, image(norm_x));
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, channels(norm_mean));
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, channels(norm_inv_std));
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy);
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, channels(norm_gamma));
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, channels(norm_dgamma));
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, channels(norm_dbeta));
    set(norm, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, image(norm_dx));
    operations.push_back(finalized(norm, p.text()));
    return graph_of(std::move(operations), std::move(parts), handle, p.text());
  }
  Descriptor y = p.kind == NormKind::forward
                     ? image(norm_y)
                     : parts.emplace_back(tensor(inner_norm, p.x, CUDNN_DATA_FLOAT, 16, inside));
  const Descriptor norm = create(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM);
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_TRAINING);
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, image(norm_x));
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, channels(norm_mean));
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, channels(norm_inv_std));
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, channels(norm_gamma));
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, channels(norm_beta));
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC,
      parts.emplace_back(tensor(norm_eps, {1, 1, 1, 1}, CUDNN_DATA_FLOAT, 4, by_value)));
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y);
  operations.push_back(finalized(norm, p.text()));
  if (p.kind == NormKind::forward_add_relu) {
    const Descriptor sum = parts.emplace_back(tensor(inner_sum, p.x, CUDNN_DATA_FLOAT, 16, inside));
    operations.push_back(pointwise(CUDNN_POINTWISE_ADD, y, image(norm_z), sum));
    y = sum;
  }
  if (p.kind != NormKind::forward) operations.push_back(pointwise(CUDNN_POINTWISE_RELU_FWD, y, {}, image(norm_y)));
  return graph_of(std::move(operations), std::move(parts), handle, p.text());
}

std::vector<Engine> proposed_engines(const OperationGraph& graph) {
  std::vector<Engine> engines = heuristics(graph, CUDNN_HEUR_MODE_A);
  for (Engine& e : heuristics(graph, CUDNN_HEUR_MODE_FALLBACK)) {
    bool known = false;
    for (const Engine& before : engines) known |= before.name == e.name;
    if (!known) engines.push_back(std::move(e));
  }
  return engines;
}

bool is_allowed(const Engine& e, DType dtype, const PlanPolicy& policy) {
  uint32_t refused = reduced_precision_reduction;
  if (policy.deterministic) refused |= nondeterministic;
  if (dtype == DType::f32) refused |= down_convert_inputs | (policy.tf32 ? 0u : uint32_t{tensor_core});
  return !(e.notes & refused);
}

Engine named_engine(const OperationGraph& graph, std::string_view name) {
  const std::vector<int64_t> numbers = numbers_of(name);
  const Descriptor engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  set(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.operations);
  set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, numbers[0]);
  finalized(engine, text("engine {}", name));
  std::vector<Descriptor> knobs;
  for (size_t i = 1; i < numbers.size(); i += 2) {
    const Descriptor& knob = knobs.emplace_back(create(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
    set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, static_cast<cudnnBackendKnobType_t>(numbers[i]));
    set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, numbers[i + 1]);
    finalized(knob, text("knob {} of engine {}", numbers[i], name));
  }
  const Descriptor config = create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  set(config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!knobs.empty()) set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, std::span<const Descriptor>(knobs));
  finalized(config, text("engine {}", name));
  knobs.push_back(engine);
  return described(owning(config, std::move(knobs)));
}

std::optional<Plan> make_plan(const OperationGraph& graph, const Engine& engine) {
  const Descriptor d = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine.config);
  set(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, graph.handle);
  if (cudnnBackendFinalize(d.get()) != CUDNN_STATUS_SUCCESS) return {};
  Plan plan{engine, owning(d, {engine.config, graph.operations})};
  plan.engine.workspace = get<int64_t>(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  return plan;
}

void execute(cudnnContext* handle, const Plan& plan, std::span<const Pointer> pointers, void* workspace) {
  std::vector<int64_t> ids;
  std::vector<void*> data;
  for (const Pointer& p : pointers) {
    ids.push_back(p.operand);
    data.push_back(const_cast<void*>(p.data));
  }
  const Descriptor pack = create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  set<void*>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, data);
  set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  finalized(pack, "a variant pack");
  check_cudnn(cudnnBackendExecute(handle, plan.plan.get(), pack.get()), text("running {}", plan.engine.name));
}

}  // namespace querent::cuda
