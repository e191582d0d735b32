#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/tensor.h"
#include "tests/cuda_emulator/cublasLt.h"
#include "tests/cuda_emulator/cudnn_graph.h"

using namespace querent;
namespace {

enum { cannot_run = 2, adds_as_it_comes = 3, wants_alignment = 5, right = 21 };
constexpr size_t right_workspace = 48;

// A setting of the wrong size is refused, as by the real one.
size_t size_of(cublasLtMatmulAlgoConfigAttributes_t which) {
  return which >= CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID ? 2 : 4;
}
cublasLtMatmulAlgo_t algorithm(int id) {
  cublasLtMatmulAlgo_t a{};
  a.settings[CUBLASLT_ALGO_CONFIG_ID] = static_cast<uint32_t>(id);
  a.settings[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = 1;
  return a;
}
size_t workspace_of(const cublasLtMatmulAlgo_t& a) {
  return a.settings[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] ? right_workspace : 0;
}
bool fits(const cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
          cublasLtMatrixLayout_t d) {
  const uint64_t m = desc->transpose_a ? a->columns : a->rows, ka = desc->transpose_a ? a->rows : a->columns,
                 kb = desc->transpose_b ? b->columns : b->rows, n = desc->transpose_b ? b->rows : b->columns;
  return m == d->rows && n == d->columns && ka == kb;
}
// A bias is one number of the type of d for each of its rows. This cuBLASLt adds only one that lies at a multiple of 16.
bool adds(const cublasLtMatmulDesc_t desc) {
  return desc->epilogue == CUBLASLT_EPILOGUE_DEFAULT ||
         (desc->epilogue == CUBLASLT_EPILOGUE_BIAS && desc->bias && reinterpret_cast<uintptr_t>(desc->bias) % 16 == 0);
}
// Room on the host for a matrix with this layout.
Tensor host_of(const cublasLtMatrixLayoutOpaque_t& l) {
  return Tensor::empty({l.leading * static_cast<int64_t>(l.columns)}, l.type == CUDA_R_32F ? DType::f32 : DType::bf16);
}
std::vector<float> fetched(const void* device, const cublasLtMatrixLayoutOpaque_t& l) {
  const Tensor t = host_of(l);
  cudaMemcpyAsync(t.raw(), device, t.bytes(), cudaMemcpyDeviceToHost, nullptr);
  return t.host();
}

}  // namespace

const char* cublasLtGetStatusString(cublasStatus_t s) { return s == CUBLAS_STATUS_SUCCESS ? "success" : "refused"; }
size_t cublasLtGetVersion() { return 130100; }
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static int anything;
  *handle = reinterpret_cast<cublasLtHandle_t>(&anything);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  if (rows == 0 || columns == 0 || (type != CUDA_R_32F && type != CUDA_R_16BF) || static_cast<uint64_t>(leading) < rows)
    return CUBLAS_STATUS_INVALID_VALUE;
  *layout = new cublasLtMatrixLayoutOpaque_t{type, rows, columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t) {
  *desc = new cublasLtMatmulDescOpaque_t{compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which,
                                              const void* value, size_t size) {
  const bool pointer = which == CUBLASLT_MATMUL_DESC_BIAS_POINTER;
  if (size != (pointer ? sizeof(void*) : sizeof(int32_t))) return CUBLAS_STATUS_INVALID_VALUE;
  void* const to = pointer                                   ? static_cast<void*>(&desc->bias)
                   : which == CUBLASLT_MATMUL_DESC_EPILOGUE  ? static_cast<void*>(&desc->epilogue)
                   : which == CUBLASLT_MATMUL_DESC_TRANSA    ? &desc->transpose_a
                                                             : &desc->transpose_b;
  std::memcpy(to, value, size);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t{0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t which, const void* value,
                                                    size_t size) {
  const bool large = which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
  if (size != (large ? sizeof(uint64_t) : sizeof(uint32_t))) return CUBLAS_STATUS_INVALID_VALUE;
  void* const to = large ? static_cast<void*>(&p->workspace)
                   : which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
                       ? &p->reductions
                       : &p->alignment[which - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES];
  std::memcpy(to, value, size);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int room,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  ++cuda_emulator::heuristics_count;
  if (!fits(desc, a, b, d)) return CUBLAS_STATUS_INVALID_VALUE;
  *count = 0;
  if (!adds(desc)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto offer = [&](cublasLtMatmulAlgo_t algo) {
    if (*count < room && workspace_of(algo) <= preference->workspace)
      results[(*count)++] = {algo, workspace_of(algo), CUBLAS_STATUS_SUCCESS, 1};
  };
  offer(algorithm(cannot_run));
  cublasLtMatmulAlgo_t split = algorithm(adds_as_it_comes);
  split.settings[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = 4;
  split.settings[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] = CUBLASLT_REDUCTION_SCHEME_INPLACE;
  if (preference->reductions & CUBLASLT_REDUCTION_SCHEME_INPLACE) offer(split);
  if (*std::min_element(preference->alignment, preference->alignment + 4) >= 16) offer(algorithm(wants_alignment));
  cublasLtMatmulAlgo_t good = algorithm(right);
  good.settings[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = 2;
  good.settings[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  good.settings[CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID] = 3;
  if (preference->reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) offer(good);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t, int id,
                                      cublasLtMatmulAlgo_t* algo) {
  if (id != cannot_run && id != adds_as_it_comes && id != wants_alignment && id != right) return CUBLAS_STATUS_INVALID_VALUE;
  *algo = algorithm(id);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algo, cublasLtMatmulHeuristicResult_t* result) {
  if (!fits(desc, a, b, d)) return CUBLAS_STATUS_INVALID_VALUE;
  if (!adds(desc) || algo->settings[CUBLASLT_ALGO_CONFIG_ID] == cannot_run) return CUBLAS_STATUS_NOT_SUPPORTED;
  *result = {{}, workspace_of(*algo), CUBLAS_STATUS_SUCCESS, 1};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t which, const void* value,
                                                    size_t size) {
  if (size != size_of(which) || which == CUBLASLT_ALGO_CONFIG_ID) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&algo->settings[which], value, size);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t which, void* value,
                                                    size_t size, size_t* written) {
  if (size != size_of(which)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &algo->settings[which], size);
  *written = size;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t la, const void* b, cublasLtMatrixLayout_t lb, const void* beta,
                              const void*, cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_size, cudaStream_t) {
  const bool settings_kept =
      algo->settings[CUBLASLT_ALGO_CONFIG_ID] != right || algo->settings[CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID] == 3;
  if (!fits(desc, la, lb, ld) || !adds(desc) || !settings_kept || workspace_size < workspace_of(*algo) ||
      *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (algo->settings[CUBLASLT_ALGO_CONFIG_ID] == wants_alignment) {
    for (const void* p : {a, b, static_cast<const void*>(d)}) {
      if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
  }
  const size_t scratch = workspace_of(*algo);
  cuda_emulator::give([=, la = *la, lb = *lb, ld = *ld, desc = *desc] {
    if (scratch) cudaMemsetAsync(workspace, 0xee, scratch, nullptr);
    const std::vector<float> va = fetched(a, la), vb = fetched(b, lb),
                             bias = desc.epilogue == CUBLASLT_EPILOGUE_BIAS ? fetched(desc.bias, {ld.type, ld.rows, 1, ld.leading})
                                                                            : std::vector<float>(ld.rows);
    std::vector<float> vd(static_cast<size_t>(ld.leading) * ld.columns);
    const auto at = [](const std::vector<float>& v, const cublasLtMatrixLayoutOpaque_t& l, bool transpose, uint64_t row,
                       uint64_t column) {
      return static_cast<double>(
          v[(transpose ? row : column) * static_cast<uint64_t>(l.leading) + (transpose ? column : row)]);
    };
    const uint64_t inner = desc.transpose_a ? la.rows : la.columns;
    for (uint64_t j = 0; j < ld.columns; ++j)
      for (uint64_t i = 0; i < ld.rows; ++i) {
        double sum = bias[i];
        for (uint64_t k = 0; k < inner; ++k)
          sum += at(va, la, desc.transpose_a, i, k) * at(vb, lb, desc.transpose_b, k, j);
        vd[j * static_cast<uint64_t>(ld.leading) + i] = static_cast<float>(sum);
      }
    const Tensor result =
        Tensor::from(std::span<const float>(vd), {static_cast<int64_t>(vd.size())}, host_of(ld).dtype());
    cudaMemcpyAsync(d, result.raw(), result.bytes(), cudaMemcpyHostToDevice, nullptr);
  });
  return CUBLAS_STATUS_SUCCESS;
}
