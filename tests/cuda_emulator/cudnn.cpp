#include <algorithm>
#include <cstdio>

#include "tests/cuda_emulator/cudnn_objects.h"

namespace cuda_emulator {
size_t heuristics_count = 0;
size_t heuristics_asked() { return heuristics_count; }
}  // namespace cuda_emulator

using namespace cuda_emulator;

namespace {

size_t kept = 0;  // descriptors that no caller made
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
void put(Descriptor& d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const std::vector<T>& v) {
  Values values{type, static_cast<int64_t>(v.size()), std::vector<std::byte>(v.size() * sizeof(T))};
  if (!v.empty()) std::memcpy(values.bytes.data(), v.data(), values.bytes.size());
  d.values[name] = std::move(values);
}

// ---- engines
// The patterns that have any: a convolution, forward also with a bias; the norms of cuda/cudnn_graph.h.
bool has_engines(const std::vector<Descriptor*>& ops) {
  std::string pattern;
  const Descriptor* x = nullptr;
  for (const Descriptor* op : ops) {
    if (op->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) pattern += "conv ";
    if (op->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
        op->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)
      pattern += "conv_grad ";
    if (op->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) {
      const int mode = one<int>(child(*op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR), CUDNN_ATTR_POINTWISE_MODE);
      pattern += mode == CUDNN_POINTWISE_ADD ? "add " : mode == CUDNN_POINTWISE_MUL ? "mul " : "relu ";
    }
    if (op->type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR)
      pattern += "norm ", x = &child(*op, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC);
    if (op->type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR)
      pattern += "norm_grad ", x = &child(*op, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC);
  }
  if (x) {
    const int64_t pack = one<int>(*x, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_FLOAT ? 4 : 8;
    if (list<int64_t>(*x, CUDNN_ATTR_TENSOR_DIMENSIONS)[1] % pack != 0) return false;
    // dy times the mask has the type of x.
    if (pattern == "mul norm_grad " &&
        one<int>(child(*ops[1], CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC), CUDNN_ATTR_TENSOR_DATA_TYPE) !=
            one<int>(*x, CUDNN_ATTR_TENSOR_DATA_TYPE))
      return false;
  }
  const std::set<std::string> known = {"conv ",      "conv add ",      "conv_grad ", "norm ",
                                       "norm relu ", "norm add relu ", "norm_grad ", "mul norm_grad "};
  return known.contains(pattern);
}

cudnnStatus_t propose(Descriptor& d) {
  ++heuristics_count;
  const auto ops = list<Descriptor*>(child(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH), CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (!has_engines(ops)) return refuse("no engine for this pattern", CUDNN_STATUS_NOT_SUPPORTED);
  const bool fallback = one<int>(d, CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK;
  const bool is_norm = ops.back()->type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR ||
                       ops[0]->type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR;
  std::vector<int64_t> kinds;
  if (is_norm && !fallback) kinds.push_back(computes_else);
  for (int64_t i = fallback ? right : 0; i <= (fallback ? right_too : right); ++i) kinds.push_back(i);
  put(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_INT64, kinds);
  return CUDNN_STATUS_SUCCESS;
}

// ---- what a descriptor needs
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
      CUDNN_ATTR_OPERATION_POINTWISE_YDESC}},
    {CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC,
      CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC,
      CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC,
      CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC}},
    {CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC,
      CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC,
      CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC,
      CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC}},
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
