#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tensor/op.h"
#include "tensor/op_attrs.h"
#include "tensor/run.h"
#include "tests/cuda_emulator/cudnn_graph.h"

namespace cuda_emulator {
size_t heuristics_count = 0;
size_t heuristics_asked() { return heuristics_count; }
}  // namespace cuda_emulator

using namespace querent;
namespace querent {
extern const Op conv2d_op, conv2d_grad_input_op, conv2d_grad_weight_op;
}

namespace {

struct Values {
  cudnnBackendAttributeType_t type;
  int64_t count;
  std::vector<std::byte> bytes;
};
struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<cudnnBackendAttributeName_t, Values> values;
};
std::set<Descriptor*> living;
size_t kept = 0;  // descriptors that no caller made
std::string last_error;

cudnnStatus_t refuse(const std::string& why, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  last_error = why;
  return status;
}
size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
      return 1;
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    default:
      return 4;
  }
}
template <class T>
std::vector<T> list(const Descriptor& d, cudnnBackendAttributeName_t name) {
  const auto it = d.values.find(name);
  if (it == d.values.end()) return {};
  std::vector<T> v(static_cast<size_t>(it->second.count));
  std::memcpy(v.data(), it->second.bytes.data(), it->second.bytes.size());
  return v;
}
template <class T>
T one(const Descriptor& d, cudnnBackendAttributeName_t name) {
  T value{};
  const auto it = d.values.find(name);
  if (it != d.values.end() && it->second.count > 0) std::memcpy(&value, it->second.bytes.data(), sizeof value);
  return value;
}
Descriptor& child(const Descriptor& d, cudnnBackendAttributeName_t name) { return *one<Descriptor*>(d, name); }
template <class T>
void put(Descriptor& d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const std::vector<T>& v) {
  Values values{type, static_cast<int64_t>(v.size()), std::vector<std::byte>(v.size() * sizeof(T))};
  if (!v.empty()) std::memcpy(values.bytes.data(), v.data(), values.bytes.size());
  d.values[name] = std::move(values);
}

// ---- what an engine is
struct EngineKind {
  int64_t index, knob;  // knob 0: none
  std::vector<cudnnBackendNumericalNote_t> notes;
  int64_t workspace;
};
enum { on_tensor_cores, admits_disorder, hides_disorder, cannot_run, right, right_too };
const std::vector<EngineKind> engine_kinds = {{on_tensor_cores, 0, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 0},
                                              {admits_disorder, 4, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, 32},
                                              {cannot_run, 0, {}, 0},
                                              {hides_disorder, 1, {}, 0},
                                              {right, -7, {CUDNN_NUMERICAL_NOTE_WINOGRAD}, 64},
                                              {right_too, 0, {}, 0}};

bool is_convolution(const Descriptor& d) {
  return d.type >= CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR &&
         d.type <= CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
}

cudnnStatus_t propose(Descriptor& d) {
  ++cuda_emulator::heuristics_count;
  const auto ops = list<Descriptor*>(child(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH), CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (ops.size() > 1 && ops[0]->type != CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
    return refuse("no engine for this pattern", CUDNN_STATUS_NOT_SUPPORTED);
  const bool fallback = one<int>(d, CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK;
  std::vector<int64_t> kinds;
  for (int64_t i = fallback ? right : 0; i <= (fallback ? right_too : right); ++i) kinds.push_back(i);
  put(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_INT64, kinds);
  return CUDNN_STATUS_SUCCESS;
}
const EngineKind& kind_of(const Descriptor& engine) {
  const auto index = one<int64_t>(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  return *std::find_if(engine_kinds.begin(), engine_kinds.end(), [&](const EngineKind& k) { return k.index == index; });
}

// ---- what a descriptor needs
using Name = cudnnBackendAttributeName_t;
const std::map<cudnnBackendDescriptorType_t, std::vector<Name>> needs = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
     {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_ATTR_TENSOR_UNIQUE_ID,
      CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT}},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
     {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS,
      CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
      CUDNN_ATTR_CONVOLUTION_POST_PADDINGS}},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y}},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY}},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, {CUDNN_ATTR_POINTWISE_MODE, CUDNN_ATTR_POINTWISE_MATH_PREC}},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
      CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC}},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_ATTR_OPERATIONGRAPH_OPS}},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_ENGINEHEUR_MODE}},
    {CUDNN_BACKEND_ENGINE_DESCRIPTOR, {CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_ATTR_ENGINE_GLOBAL_INDEX}},
    {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, {CUDNN_ATTR_ENGINECFG_ENGINE}},
    {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, {CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE}},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
     {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG}},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
     {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS}},
};

void fill_config(Descriptor& config, const Descriptor& graph, const EngineKind& kind) {
  auto* engine = new Descriptor{CUDNN_BACKEND_ENGINE_DESCRIPTOR, true, {}};  // lives on, as the library's own would
  living.insert(engine);
  ++kept;
  put(*engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector{&graph});
  put(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, std::vector{kind.index});
  put(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector{engine});
  std::vector<Descriptor*> knobs;
  if (kind.knob != 0) {
    knobs.push_back(new Descriptor{CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, true, {}});
    living.insert(knobs[0]);
    ++kept;
    put(*knobs[0], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, std::vector{CUDNN_KNOB_TYPE_TILE_SIZE});
    put(*knobs[0], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, std::vector{kind.knob});
  }
  put(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, knobs);
  config.finalized = true;
}

// ---- execution
struct Operand {
  Shape shape;  // [N,H,W,C]
  std::byte* device = nullptr;
  Tensor host;
};
float to_tf32(float x) { return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u); }

struct Execution {
  const std::vector<int64_t> ids;
  const std::vector<std::byte*> pointers;
  std::string error;

  Operand operand(const Descriptor& tensor) {
    const auto nchw = list<int64_t>(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS),
               strides = list<int64_t>(tensor, CUDNN_ATTR_TENSOR_STRIDES);
    const Shape s{nchw[0], nchw[2], nchw[3], nchw[1]};
    if (strides != std::vector<int64_t>{s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]}) error = "strides are not NHWC";
    const int type = one<int>(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE);
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16) error = "only f32 and bf16 are emulated";
    Operand o{s, nullptr, Tensor::empty(s, type == CUDNN_DATA_FLOAT ? DType::f32 : DType::bf16)};
    if (one<bool>(tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL)) return o;
    const auto at = std::find(ids.begin(), ids.end(), one<int64_t>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID));
    if (at == ids.end()) {
      error = "the variant pack lacks a tensor of the graph";
      return o;
    }
    o.device = pointers[static_cast<size_t>(at - ids.begin())];
    const auto alignment = static_cast<uintptr_t>(one<int64_t>(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT));
    if (reinterpret_cast<uintptr_t>(o.device) % alignment != 0)
      error = "a pointer is less aligned than its tensor says";
    cudaMemcpyAsync(o.host.raw(), o.device, o.host.bytes(), cudaMemcpyDeviceToHost, nullptr);
    return o;
  }
};

}  // namespace

size_t cuda_emulator::living_descriptors() { return living.size() - kept; }

size_t cudnnGetVersion() { return 91900; }
const char* cudnnGetErrorString(cudnnStatus_t s) { return s == CUDNN_STATUS_SUCCESS ? "success" : "refused"; }
void cudnnGetLastErrorString(char* message, size_t size) { std::snprintf(message, size, "%s", last_error.c_str()); }
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = reinterpret_cast<cudnnHandle_t>(&living);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t stream) {
  return stream ? CUDNN_STATUS_SUCCESS : refuse("no stream");
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* descriptor) {
  auto* d = new Descriptor{type, false, {}};
  living.insert(d);
  *descriptor = d;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  auto* d = static_cast<Descriptor*>(descriptor);
  if (living.erase(d) == 0) return refuse("destroyed twice");
  delete d;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  auto& d = *static_cast<Descriptor*>(descriptor);
  if (d.finalized) return refuse("an attribute is set after finalizing");
  const auto* from = static_cast<const std::byte*>(values);
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; ++i) {
      auto* c = static_cast<Descriptor* const*>(values)[i];
      if (!living.contains(c) || !c->finalized) return refuse("an attribute is a descriptor that is not finalized");
    }
  }
  d.values[name] = {type, count, {from, from + static_cast<size_t>(count) * size_of(type)}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  auto& d = *static_cast<Descriptor*>(descriptor);
  for (const Name name : needs.at(d.type)) {
    if (!d.values.contains(name)) return refuse("attribute " + std::to_string(name) + " is missing");
  }
  for (const auto& [name, v] : d.values) {
    if (v.type != CUDNN_TYPE_BACKEND_DESCRIPTOR) continue;
    for (Descriptor* c : list<Descriptor*>(d, name)) {
      if (!living.contains(c)) return refuse("what attribute " + std::to_string(name) + " names was destroyed");
    }
  }
  if (d.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) {
    if (const cudnnStatus_t s = propose(d); s != CUDNN_STATUS_SUCCESS) return s;
  }
  if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    const Descriptor& engine = child(child(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG), CUDNN_ATTR_ENGINECFG_ENGINE);
    if (kind_of(engine).index == cannot_run) return refuse("not on this device", CUDNN_STATUS_NOT_SUPPORTED);
    put(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, std::vector{kind_of(engine).workspace});
  }
  d.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t* count, void* values) {
  auto& d = *static_cast<Descriptor*>(descriptor);
  if (!d.finalized) return refuse("read before finalizing");
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    const auto kinds = list<int64_t>(d, name);
    *count = static_cast<int64_t>(kinds.size());
    for (int64_t i = 0; i < std::min(room, *count); ++i) {
      fill_config(**(static_cast<Descriptor**>(values) + i), child(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH),
                  engine_kinds[static_cast<size_t>(kinds[static_cast<size_t>(i)])]);
    }
    return CUDNN_STATUS_SUCCESS;
  }
  if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE)
    put(d, name, CUDNN_TYPE_NUMERICAL_NOTE, kind_of(d).notes);
  else if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE)
    put(d, name, CUDNN_TYPE_BEHAVIOR_NOTE, std::vector<int>{});
  else if (name == CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE)
    put(d, name, CUDNN_TYPE_INT64, std::vector{kind_of(child(d, CUDNN_ATTR_ENGINECFG_ENGINE)).workspace});
  const auto it = d.values.find(name);
  if (it == d.values.end() && name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES) {
    *count = 0;
    return CUDNN_STATUS_SUCCESS;
  }
  if (it == d.values.end() || it->second.type != type) return refuse("no such attribute, or of another type");
  const Values& v = it->second;
  // Of knobs the real library counts none unless it is given room.
  *count = name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES ? std::min(room, v.count) : v.count;
  const auto n = static_cast<size_t>(std::min(room, v.count));
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    if (n > 0) std::memcpy(values, v.bytes.data(), n * size_of(type));
    return CUDNN_STATUS_SUCCESS;
  }
  for (size_t i = 0; i < n; ++i) {
    auto* to = static_cast<Descriptor**>(values)[i];
    const Descriptor* from = list<Descriptor*>(d, name)[i];
    if (to->type != from->type) return refuse("a descriptor of another type was given to be filled");
    *to = *from;
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack_) {
  const auto& pack = *static_cast<Descriptor*>(pack_);
  const Descriptor& config = child(*static_cast<Descriptor*>(plan), CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const Descriptor& engine = child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
  const auto ops = list<Descriptor*>(child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH), CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (!living.contains(ops[0]) || !is_convolution(*ops[0])) return refuse("the graph of the plan was destroyed");
  const Descriptor& op = *ops[0];
  Execution e{list<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS),
              list<std::byte*>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS),
              {}};

  // The attributes of the three directions lie at equal distances.
  const bool forward = op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
             data = op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const Name x_name = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X
                      : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX
                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
             w_name = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W
                      : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W
                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
             y_name = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y
                      : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY
                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
             alpha = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA
                     : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA
                             : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
  const auto beta = static_cast<Name>(alpha + 1), conv_name = static_cast<Name>(alpha + 2);
  if (one<double>(op, alpha) != 1 || one<double>(op, beta) != 0) e.error = "alpha is not 1 or beta not 0";
  Operand x = e.operand(child(op, x_name)), w = e.operand(child(op, w_name)), y = e.operand(child(op, y_name)), bias;
  if (ops.size() > 1) {
    const Descriptor& add = *ops[1];
    if (&child(add, CUDNN_ATTR_OPERATION_POINTWISE_XDESC) != &child(op, y_name))
      e.error = "the bias is not added to the result of the convolution";
    bias = e.operand(child(add, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
    y = e.operand(child(add, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
  }
  const Descriptor& conv = child(op, conv_name);
  const auto pair = [&](Name name) {
    const auto v = list<int64_t>(conv, name);
    return Pair(v[0], v[1]);
  };
  const Conv2dAttrs a{pair(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), pair(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
                      pair(CUDNN_ATTR_CONVOLUTION_DILATIONS), x.shape[3] / w.shape[3]};
  if (!(pair(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS) == a.padding)) e.error = "only equal paddings are emulated";
  if (one<int>(conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
    e.error = "the filter is turned round";
  const int64_t workspace = kind_of(engine).workspace;
  auto* const scratch = one<std::byte*>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  if (workspace > 0 && !scratch) e.error = "no workspace";
  if (!e.error.empty()) return refuse(e.error);
  const auto index = kind_of(engine).index;
  cuda_emulator::give([=]() mutable {
    for (const Operand* o : {&x, &w, &y, &bias}) {
      if (o->device) cudaMemcpyAsync(o->host.raw(), o->device, o->host.bytes(), cudaMemcpyDeviceToHost, nullptr);
    }
    Operand& result = forward ? y : data ? x : w;
    if (workspace > 0) cudaMemsetAsync(scratch, 0xee, static_cast<size_t>(workspace), nullptr);
    if (index == on_tensor_cores) {
      for (Operand* o : {&x, &w, &y}) {
        if (o == &result || o->host.dtype() != DType::f32) continue;
        float* v = o->host.data<float>();
        std::transform(v, v + o->host.numel(), v, to_tf32);
      }
    }
    const Tensor b = bias.device ? bias.host.reshaped({bias.host.numel()}) : Tensor{};
    const auto reference = [](const Op& row, const Tensors& in, const Tensor& out, const Attrs& attrs) {
      compute(row, KernelKind::ref, {in, std::array{out}, attrs});
    };
    if (forward)
      reference(conv2d_op, {x.host, w.host, b}, y.host, a);
    else if (data)
      reference(conv2d_grad_input_op, {y.host, w.host}, x.host, Conv2dGradInputAttrs{a, {x.shape[1], x.shape[2]}});
    else
      reference(conv2d_grad_weight_op, {x.host, y.host}, w.host, Conv2dGradWeightAttrs{a, {w.shape[1], w.shape[2]}});
    if (index == admits_disorder || index == hides_disorder) {
      static bool up = false;
      up = !up;
      auto& first = *static_cast<uint8_t*>(result.host.raw());  // the last bits of the first element
      if (up) ++first;
    }
    cudaMemcpyAsync(result.device, result.host.raw(), result.host.bytes(), cudaMemcpyHostToDevice, nullptr);
  });
  return CUDNN_STATUS_SUCCESS;
}
