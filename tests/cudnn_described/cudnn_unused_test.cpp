// Graphs that Querent does not use: what the real cuDNN has for pooling and for batch norms in inference (the table in
// cuda/README.md), as 9.19 answers. Where a newer one answers otherwise, look at that table and at what follows from
// it.
#include <cudnn_graph.h>
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <array>
#include <set>

#include "cuda/cudnn_graph.h"

TEST_SUITE_BEGIN("cudnn_unused_test");
using namespace querent;
using namespace querent::cuda;

namespace {

using Raw = cudnnBackendDescriptor_t;  // never destroyed: the test ends soon
Raw create(cudnnBackendDescriptorType_t type) {
  Raw d = nullptr;
  REQUIRE(cudnnBackendCreateDescriptor(type, &d) == CUDNN_STATUS_SUCCESS);
  return d;
}
template <class... T>
void set(Raw d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T... values) {
  const std::array all{values...};
  REQUIRE(cudnnBackendSetAttribute(d, name, type, std::ssize(all), all.data()) == CUDNN_STATUS_SUCCESS);
}
void link(Raw d, cudnnBackendAttributeName_t name, Raw part) { set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, part); }
Raw finalized(Raw d) {
  REQUIRE(cudnnBackendFinalize(d) == CUDNN_STATUS_SUCCESS);
  return d;
}
Raw tensor(int64_t n, int64_t c, int64_t h, int64_t w, cudnnDataType_t type, bool by_value = false) {
  static int64_t id = 0;
  const Raw d = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, n, c, h, w);
  set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, h * w * c, int64_t{1}, w * c, c);
  set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, ++id);
  set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, int64_t{16});
  set(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
  return finalized(d);
}
// The notes of each engine that is proposed for the one operation.
std::set<std::string> notes_of(Raw operation) {
  const Raw graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  link(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, finalized(operation));
  set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, cudnnHandle_t{});
  std::set<std::string> notes;
  for (const Engine& e : proposed_engines({nullptr, Descriptor(finalized(graph), [](void*) {})}))
    notes.insert(note_names(e.notes));
  return notes;
}
// Windows of 2 x 2, side by side.
std::set<std::string> pooling(cudnnResampleMode_t mode, bool forward, bool with_index, cudnnDataType_t type) {
  const Raw window = create(CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
  constexpr cudnnFraction_t two{2, 1}, none{0, 1};
  set(window, CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, mode);
  set(window, CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  set(window, CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, CUDNN_PROPAGATE_NAN);
  set(window, CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE,
      mode == CUDNN_RESAMPLE_MAXPOOL ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD);
  set(window, CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, CUDNN_TYPE_INT64, int64_t{2});
  set(window, CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_FRACTION, two, two);
  set(window, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_FRACTION, none, none);
  set(window, CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_FRACTION, none, none);
  set(window, CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_FRACTION, two, two);
  const Raw op = create(forward ? CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR
                                : CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR);
  const auto part = [&](cudnnBackendAttributeName_t ahead, cudnnBackendAttributeName_t back, Raw d) {
    link(op, forward ? ahead : back, d);
  };
  part(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, finalized(window));
  part(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, tensor(8, 64, 64, 64, type));
  part(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, tensor(8, 64, 32, 32, type));
  if (with_index)
    part(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC,
         tensor(8, 64, 32, 32, CUDNN_DATA_INT8));
  return notes_of(op);
}

}  // namespace

TEST_CASE("pooling that leaves an index, and every gradient, has engines with the note of tensor cores only") {
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) && !dlopen(QUERENT_EMPTY_DRIVER, RTLD_NOW | RTLD_GLOBAL)) {
    MESSAGE("skipped: neither a driver nor the toolkit's empty one");
    return;
  }
  const std::set<std::string> cores{"tensor_core runtime_compilation"};
  const std::set<std::string> both{"tensor_core runtime_compilation", "runtime_compilation"};
  for (const cudnnDataType_t type : {CUDNN_DATA_FLOAT, CUDNN_DATA_BFLOAT16}) {
    CHECK(pooling(CUDNN_RESAMPLE_MAXPOOL, true, false, type) == both);
    CHECK(pooling(CUDNN_RESAMPLE_MAXPOOL, true, true, type) == cores);
    CHECK(pooling(CUDNN_RESAMPLE_MAXPOOL, false, true, type) == cores);
    CHECK(pooling(CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING, true, false, type) == both);
    CHECK(pooling(CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING, false, false, type) == cores);
  }
}

TEST_CASE("a batch norm in inference has none") {
  const Raw norm = create(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  const auto channels = [] { return tensor(1, 64, 1, 1, CUDNN_DATA_FLOAT); };
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, CUDNN_BATCH_NORM);
  set(norm, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, CUDNN_NORM_FWD_INFERENCE);
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, tensor(8, 64, 32, 32, CUDNN_DATA_FLOAT));
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, channels());
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, channels());
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, channels());
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, channels());
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, tensor(1, 1, 1, 1, CUDNN_DATA_FLOAT, true));
  link(norm, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, tensor(8, 64, 32, 32, CUDNN_DATA_FLOAT));
  CHECK(notes_of(norm).empty());
}
TEST_SUITE_END();
