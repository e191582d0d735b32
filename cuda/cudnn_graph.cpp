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

// ---- the graph of a convolution
cudnnDataType_t data_type(DType t) {
  check(t == DType::f32 || t == DType::bf16, "cudnn: convolutions take f32 or bf16, not {}", t);
  return t == DType::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

constexpr int64_t inner_sum = 100;  // the id of a convolution that a bias is still to be added to

// cuDNN names axes in the order N,C,H,W whatever the layout; the strides say that C lies innermost.
Descriptor tensor(int64_t id, const Shape& nhwc, DType dtype, int64_t alignment, bool is_virtual = false) {
  const int64_t n = nhwc[0], h = nhwc[1], w = nhwc[2], c = nhwc[3];
  const Descriptor d = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(dtype));
  set<int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS, std::array{n, c, h, w});
  set<int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES, std::array{h * w * c, int64_t{1}, w * c, c});
  set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
  set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
  return finalized(d, text("a tensor of shape {}", nhwc));
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

std::vector<Engine> heuristics(const ConvGraph& graph, cudnnBackendHeurMode_t mode) {
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

ConvGraph conv_graph(const ConvProblem& p, cudnnContext* handle) {
  const ConvOperation names = operation_names(p.kind);
  const ConvOperand result = p.kind == ConvKind::forward ? conv_y : p.kind == ConvKind::grad_input ? conv_x : conv_w;
  const Shape& shape = result == conv_y ? p.y : result == conv_x ? p.x : p.w;
  std::vector<Descriptor> parts;
  const auto operand = [&](ConvOperand id, const Shape& s) {
    const bool inside = p.bias && id == result;  // the sum lives only inside the graph; what leaves it has the bias
    return parts.emplace_back(tensor(inside ? inner_sum : id, s, inside ? DType::f32 : p.dtype, p.alignment, inside));
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
    const Descriptor add = create(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(add, CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_ADD);
    set(add, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    const Descriptor sum = parts[static_cast<size_t>(result)];  // parts: convolution, x, w, y
    const Descriptor op2 = create(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set(op2, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, finalized(add, "a pointwise descriptor"));
    set(op2, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, sum);
    set(op2, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
        parts.emplace_back(tensor(conv_bias, {1, 1, 1, shape[3]}, p.dtype, p.alignment)));
    set(op2, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, parts.emplace_back(tensor(result, shape, p.dtype, p.alignment)));
    parts.push_back(add);
    operations.push_back(finalized(op2, "adding the bias"));
  }
  const Descriptor graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(operations));
  set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  finalized(graph, p.text());
  parts.insert(parts.end(), operations.begin(), operations.end());
  return {handle, owning(graph, std::move(parts))};
}

std::vector<Engine> proposed_engines(const ConvGraph& graph) {
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

Engine named_engine(const ConvGraph& graph, std::string_view name) {
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

std::optional<Plan> make_plan(const ConvGraph& graph, const Engine& engine) {
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
