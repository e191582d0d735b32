// What the stand-in of cuDNN is made of: descriptors with their attributes, and the kinds of engines. Shared by
// cudnn.cpp (the calls) and cudnn_execute.cpp (the arithmetic).
#pragma once
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/cuda_emulator/cudnn_graph.h"

namespace cuda_emulator {

using Name = cudnnBackendAttributeName_t;

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
inline std::set<Descriptor*> living;
inline std::string last_error;

inline cudnnStatus_t refuse(const std::string& why, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  last_error = why;
  return status;
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
inline Descriptor& child(const Descriptor& d, cudnnBackendAttributeName_t name) { return *one<Descriptor*>(d, name); }

// ---- what an engine is
struct EngineKind {
  int64_t index, knob;  // knob 0: none
  std::vector<cudnnBackendNumericalNote_t> notes;
  int64_t workspace;
};
enum { on_tensor_cores, admits_disorder, hides_disorder, cannot_run, right, right_too, computes_else };
inline const std::vector<EngineKind> engine_kinds = {{on_tensor_cores, 0, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 0},
                                                     {admits_disorder, 4, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, 32},
                                                     {cannot_run, 0, {}, 0},
                                                     {hides_disorder, 1, {}, 0},
                                                     {right, -7, {CUDNN_NUMERICAL_NOTE_WINOGRAD}, 64},
                                                     {right_too, 0, {}, 0},
                                                     {computes_else, 0, {}, 0}};
inline const EngineKind& kind_of(const Descriptor& engine) {
  const auto index = one<int64_t>(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  return *std::find_if(engine_kinds.begin(), engine_kinds.end(), [&](const EngineKind& k) { return k.index == index; });
}

}  // namespace cuda_emulator
