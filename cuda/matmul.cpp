// The matrix product, by cuBLASLt. It counts in columns: y = op(a) op(b) by rows is y^T = op(b)^T op(a)^T by columns,
// and a matrix by rows is its own transpose by columns, so b comes first and nothing is moved. A bias of the columns of y
// is one of the rows of y^T, which cuBLASLt adds to the sums before it rounds them.
#include <cublasLt.h>

#include <array>
#include <map>
#include <optional>
#include <sstream>

#include "cuda/plans.h"
#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

void check_cublas(cublasStatus_t status, std::string_view call) {
  check(status == CUBLAS_STATUS_SUCCESS, "cublas: {} failed with {}", call, cublasLtGetStatusString(status));
}

struct Problem {
  int64_t m, n, k;  // y is [M,N]
  bool transpose_a, transpose_b;
  DType dtype;
  bool bias;
  uint32_t alignment;  // bytes, of every pointer
  std::string text() const {
    return querent::text("matmul {} m={} n={} k={} transpose={},{}{} align={}", dtype, m, n, k, transpose_a, transpose_b,
                         bias ? " bias" : "", alignment);
  }
};

using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy<cublasLtMatrixLayoutDestroy>>;
Layout layout(cudaDataType_t type, int64_t rows, int64_t columns) {  // by columns, without gaps
  cublasLtMatrixLayout_t l = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&l, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), rows),
               "cublasLtMatrixLayoutCreate");
  return Layout(l);
}

// All that a product is told but the algorithm and the pointers. `first` is b and `second` is a.
struct Product {
  Problem problem;
  cudaDataType_t type;
  cublasComputeType_t compute;
  std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy<cublasLtMatmulDescDestroy>> desc;
  Layout first, second, result;

  explicit Product(const Problem& p)
      : problem(p),
        type(p.dtype == DType::f32 ? CUDA_R_32F : CUDA_R_16BF),
        compute(p.dtype == DType::f32 && plan_policy().tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F),
        first(p.transpose_b ? layout(type, p.k, p.n) : layout(type, p.n, p.k)),
        second(p.transpose_a ? layout(type, p.m, p.k) : layout(type, p.k, p.m)),
        result(layout(type, p.n, p.m)) {
    cublasLtMatmulDesc_t d = nullptr;
    check_cublas(cublasLtMatmulDescCreate(&d, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
    desc.reset(d);
    set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t{p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N});
    set(CUBLASLT_MATMUL_DESC_TRANSB, int32_t{p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N});
    if (p.bias) set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
  }
  // Of the type of y. Proposals are made for the alignment of the pointer that is there.
  void add(const void* bias) const { set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias); }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t which, T value) const {
    check_cublas(cublasLtMatmulDescSetAttribute(desc.get(), which, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
};

// ---- an algorithm by name: "algo21_tile20_splitk1_..."
struct Setting {
  const char* name;
  cublasLtMatmulAlgoConfigAttributes_t attribute;
  size_t size;
};
constexpr std::array<Setting, 8> settings{{{"tile", CUBLASLT_ALGO_CONFIG_TILE_ID, 4},
                                           {"splitk", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
                                           {"reduce", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4},
                                           {"swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
                                           {"custom", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},
                                           {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
                                           {"inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},
                                           {"cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2}}};

uint32_t read_setting(const cublasLtMatmulAlgo_t& algo, cublasLtMatmulAlgoConfigAttributes_t which, size_t size) {
  uint32_t value = 0;  // the shorter ones fill its low bytes
  size_t written = 0;
  check_cublas(cublasLtMatmulAlgoConfigGetAttribute(&algo, which, &value, size, &written),
               "cublasLtMatmulAlgoConfigGetAttribute");
  return value;
}
std::string algorithm_name(const cublasLtMatmulAlgo_t& algo) {
  std::string name = text("algo{}", read_setting(algo, CUBLASLT_ALGO_CONFIG_ID, 4));
  for (const Setting& s : settings) name += text("_{}{}", s.name, read_setting(algo, s.attribute, s.size));
  return name;
}

struct Algorithm {
  cublasLtMatmulAlgo_t algo;
  size_t workspace;
};
Algorithm named_algorithm(cublasLtHandle_t handle, const Product& p, const std::string& name) {
  std::istringstream in(name);
  const auto number_after = [&](std::string_view word) {
    std::string found(word.size(), ' ');
    uint32_t value = 0;
    in.read(found.data(), std::ssize(found));
    in >> value;
    check(in && found == word, "cublas: '{}' is no algorithm of a matrix product; delete the file of plans", name);
    return value;
  };
  Algorithm a{};
  check_cublas(cublasLtMatmulAlgoInit(handle, p.compute, CUDA_R_32F, p.type, p.type, p.type, p.type,
                                      static_cast<int>(number_after("algo")), &a.algo),
               "cublasLtMatmulAlgoInit");
  for (const Setting& s : settings) {
    const uint32_t value = number_after(text("_{}", s.name));
    check_cublas(cublasLtMatmulAlgoConfigSetAttribute(&a.algo, s.attribute, &value, s.size),
                 "cublasLtMatmulAlgoConfigSetAttribute");
  }
  cublasLtMatmulHeuristicResult_t result{};
  check_cublas(cublasLtMatmulAlgoCheck(handle, p.desc.get(), p.first.get(), p.second.get(), p.result.get(),
                                       p.result.get(), &a.algo, &result),
               text("checking {}", name));
  a.workspace = result.workspaceSize;
  return a;
}

std::vector<Algorithm> proposed_algorithms(cublasLtHandle_t handle, const Product& p) {
  cublasLtMatmulPreference_t made = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, Destroy<cublasLtMatmulPreferenceDestroy>> preference(made);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(made, which, &value, sizeof value),
                 "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(largest_workspace));
  for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                           CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    prefer(which, p.problem.alignment);
  }
  // Parts of a split sum must be f32, which in the place of a bf16 result they are not, and added in an order of their
  // own, not as they come in.
  if (plan_policy().deterministic || p.problem.dtype != DType::f32) {
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  }
  std::array<cublasLtMatmulHeuristicResult_t, 16> results{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle, p.desc.get(), p.first.get(), p.second.get(), p.result.get(), p.result.get(), preference.get(),
      static_cast<int>(results.size()), results.data(), &count);
  std::vector<Algorithm> algorithms;
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return algorithms;
  check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
  for (const auto& r : std::span(results).first(static_cast<size_t>(count))) {
    if (r.state == CUBLAS_STATUS_SUCCESS) algorithms.push_back({r.algo, r.workspaceSize});
  }
  return algorithms;
}

// ---- what a device keeps for matrix products
struct ProductPlan {
  Product product;
  std::optional<Algorithm> algorithm;  // none only where cuBLASLt cannot add the bias
};
using Key = std::array<int64_t, 11>;
struct Cublas {
  cublasLtHandle_t handle = nullptr;
  std::string machine;
  std::map<Key, ProductPlan> plans;
  std::mutex mutex;  // held from choosing a plan to handing the product over: the pointer of the bias lies in the plan
};

void multiply(cublasLtHandle_t handle, const Product& p, const Algorithm& a, const Tensor& ta, const Tensor& tb,
              const Tensor& bias, const Tensor& y) {
  const float one = 1, zero = 0;
  if (bias) p.add(bias.raw());
  const Device device = y.device();
  check_cublas(cublasLtMatmul(handle, p.desc.get(), &one, tb.raw(), p.first.get(), ta.raw(), p.second.get(), &zero,
                              y.raw(), p.result.get(), y.raw(), p.result.get(), &a.algo,
                              workspace(device, static_cast<int64_t>(a.workspace)), a.workspace, stream(device)),
               p.problem.text());
}

std::optional<Algorithm> choose_algorithm(const Cublas& c, Device device, const Product& p) {
  const std::string problem = p.problem.text();
  const auto& [m, n, k, ta, tb, dtype, with_bias, alignment] = p.problem;
  // A bias lies in trials as it does in use: proposals depend on its alignment.
  const int64_t shift = alignment < 16 ? alignment / static_cast<int64_t>(dtype_size(dtype)) : 0;
  const Tensor bias = with_bias ? random_operand({n + shift}, dtype, device).batch(shift, n) : Tensor{};
  if (bias) p.add(bias.raw());
  const auto kept = known_choice(c.machine, problem);
  if (kept && kept->engine != "none") return named_algorithm(c.handle, p, kept->engine);
  if (kept && with_bias) return std::nullopt;
  const Tensor a = random_operand(ta ? Shape{k, m} : Shape{m, k}, dtype, device),
               b = random_operand(tb ? Shape{n, k} : Shape{k, n}, dtype, device), y = Tensor::empty({m, n}, dtype, device);
  std::vector<Trial> trials;
  for (const Algorithm& proposed : proposed_algorithms(c.handle, p)) {
    const std::string name = algorithm_name(proposed.algo);
    trials.push_back({name, [&, name, algorithm = std::optional<Algorithm>()]() mutable {
                        if (!algorithm) algorithm = named_algorithm(c.handle, p, name);  // as it will be used
                        multiply(c.handle, p, *algorithm, a, b, bias, y);
                        return true;
                      }});
  }
  const PlanChoice choice = choose(c.machine, problem, trials, {&y, 1});
  check(with_bias || choice.engine != "none", "cublas: no algorithm computes '{}' under the policy '{}'", problem,
        plan_policy().text());
  if (choice.engine == "none") return std::nullopt;
  return named_algorithm(c.handle, p, choice.engine);
}

const ProductPlan& plan_for(Cublas& c, Device device, const Problem& p) {
  const PlanPolicy policy = plan_policy();
  const Key key{p.m,           p.n,
                p.k,           p.transpose_a,
                p.transpose_b, static_cast<int64_t>(p.dtype),
                p.bias,        p.alignment,
                policy.deterministic, policy.tf32, policy.tune};
  if (!c.handle) {
    check_cublas(cublasLtCreate(&c.handle), "cublasLtCreate");
    c.machine = text("{}, cuBLASLt {}", backend(device).name(device.index), cublasLtGetVersion());
  }
  const auto known = c.plans.find(key);
  if (known != c.plans.end()) return known->second;
  Product product(p);
  const std::optional<Algorithm> algorithm = choose_algorithm(c, device, product);
  return c.plans.emplace(key, ProductPlan{std::move(product), algorithm}).first->second;
}

}  // namespace

void matmul(const Call& c) {
  const Tensor &a = c.in[0], &b = c.in[1], &bias = c.in[2], &y = c.out[0];
  check(y.dtype() == DType::f32 || y.dtype() == DType::bf16,
        "matmul: the GPU computes in f32 or bf16, not {}; a={} b={}", y.dtype(), a, b);
  const auto& attrs = c.attrs.as<MatmulAttrs>();
  if (a.numel() == 0 || b.numel() == 0) {  // cuBLAS takes no empty matrices; a sum of nothing is 0
    fill_bytes(y.raw(), 0, y.bytes(), y.device());
    if (bias) bias_add({std::array{y, bias}, std::array{y}, {}});
    return;
  }
  Problem p{.m = y.dim(0),
            .n = y.dim(1),
            .k = a.dim(attrs.transpose_a ? 0 : 1),
            .transpose_a = attrs.transpose_a,
            .transpose_b = attrs.transpose_b,
            .dtype = y.dtype(),
            .bias = static_cast<bool>(bias),
            .alignment = static_cast<uint32_t>(alignment_of({&a, &b, &bias, &y}))};
  Cublas& cublas = per_device<Cublas>(y.device());
  const std::lock_guard lock(cublas.mutex);
  if (const ProductPlan& plan = plan_for(cublas, y.device(), p); plan.algorithm) {
    multiply(cublas.handle, plan.product, *plan.algorithm, a, b, bias, y);
    return;
  }
  p.bias = false;
  const ProductPlan& plan = plan_for(cublas, y.device(), p);
  multiply(cublas.handle, plan.product, *plan.algorithm, a, b, {}, y);
  bias_add({std::array{y, bias}, std::array{y}, {}});
}

}  // namespace querent::cuda
