#include "tensor/run.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <optional>
#include <utility>

#include "tensor/ledger.h"
#include "tensor/program.h"
#include "tensor/tape.h"

namespace querent {
namespace {
thread_local bool reference_only = false;
KernelWatch kernel_watch;
double processor_ms() { return static_cast<double>(std::clock()) * 1e3 / CLOCKS_PER_SEC; }

// Where the inputs lie, which is where the results will.
Device device_of(const Op& op, Inputs in) {
  const Tensor* first = nullptr;
  for (const Tensor& t : in) {
    if (!t) continue;
    if (!first) first = &t;
    check(t.device() == first->device(), "{}: inputs lie on different devices: {} on {}, {} on {}; move one with to()",
          op.name, *first, first->device(), t, t.device());
  }
  return first ? first->device() : Device::cpu();
}

bool any_is(DType type, Inputs in, std::span<const Tensor> out) {
  const auto is = [&](const Tensor& t) { return t && t.dtype() == type; };
  return std::any_of(in.begin(), in.end(), is) || std::any_of(out.begin(), out.end(), is);
}

KernelKind choose_kernel(const Op& op, Inputs in, std::span<const Tensor> out, Device device) {
  // The plan of a GPU's Program is another than the CPU's (fuse.cpp), and is made where there is none as well.
  if (DryRun::active()) return device.kind == Device::Kind::cuda ? KernelKind::cuda : KernelKind::none;
  if (device.kind == Device::Kind::cuda) {
    check(op.kernel.cuda && !reference_only, "{}: has no {} for {}; move the inputs to the CPU with to()", op.name,
          reference_only ? "reference kernel" : "kernel", device);
    return KernelKind::cuda;
  }
  // The fast kernels compute in f32: some tensor must be f32 or bf16 and none f64.
  const bool fast = op.kernel.cpu && !reference_only && !any_is(DType::f64, in, out) &&
                    (any_is(DType::f32, in, out) || any_is(DType::bf16, in, out));
  return fast ? KernelKind::cpu : KernelKind::ref;
}

bool is_bf16(const Tensor& t) { return t && t.dtype() == DType::bf16; }
// Does this call need f32 copies?
bool widens(KernelKind kind, const Call& c) { return kind != KernelKind::cuda && any_is(DType::bf16, c.in, c.out); }
}  // namespace

Kernel* kernel_of(const Op& op, KernelKind kind) {
  return kind == KernelKind::cpu ? op.kernel.cpu : kind == KernelKind::cuda ? op.kernel.cuda : op.kernel.ref;
}

void watch_kernels(KernelWatch watch) { kernel_watch = std::move(watch); }

void compute(const Op& op, KernelKind kind, const Call& c) {
  if (kernel_watch) {
    const KernelWatch watch = std::exchange(kernel_watch, nullptr);
    const double start = processor_ms();
    compute(op, kind, c);
    watch(op, c, processor_ms() - start);
    kernel_watch = watch;
    return;
  }
  Kernel* const kernel = kernel_of(op, kind);
  if (!widens(kind, c)) return kernel(c);
  Tensors in, out;
  for (const Tensor& t : c.in) in.push_back(is_bf16(t) ? t.cast(DType::f32) : t);
  for (const Tensor& t : c.out) out.push_back(is_bf16(t) ? Tensor::empty(t.shape()) : t);
  kernel({in, out, c.attrs});
  const auto round = [](const Tensor& to, const Tensor& from) {
    if (is_bf16(to)) to.copy_from(from.cast(DType::bf16));
  };
  for (size_t i = 0; i < out.size(); ++i) round(c.out[i], out[i]);
  for (size_t i = 0; i < in.size(); ++i) {
    if (op.inputs[std::min(i, op.inputs.size() - 1)].is(Arg::mutated)) round(c.in[i], in[i]);
  }
}

size_t widened_bytes(KernelKind kind, const Call& c) {
  size_t bytes = 0, largest_result = 0;
  if (!widens(kind, c)) return bytes;
  for (const Tensor& t : c.in) bytes += is_bf16(t) ? 2 * t.bytes() : 0;
  for (const Tensor& t : c.out) {
    bytes += is_bf16(t) ? 2 * t.bytes() : 0;
    largest_result = std::max(largest_result, is_bf16(t) ? t.bytes() : 0);
  }
  return bytes + largest_result;
}

Tensors run(const Op& op, Tensors in, const Attrs& attrs) {
  const HostAccess kernels_may(true);
  // 1. Check the arguments and infer the results.
  check_arguments(op, in);
  const Device device = device_of(op, in);
  const std::vector<TensorSpec> specs = op.infer(in, attrs);
  // 2. Allocate.
  Tensors out;
  out.reserve(specs.size());
  const bool captured = Program::is_capturing();  // then the first replay computes
  {
    std::optional<DryRun> no_bytes;
    if (captured) no_bytes.emplace();
    for (const TensorSpec& s : specs) out.push_back(Tensor::empty(s.shape, s.dtype, device));
  }
  // 3. Choose a kernel.
  const KernelKind kind = choose_kernel(op, in, out, device);
  // 4. Compute.
  if (!DryRun::active() && !captured) compute(op, kind, {in, out, attrs});
  // 5. Record.
  if (Ledger* ledger = Ledger::current(); ledger && !captured) ledger->add({&op, attrs, in, out, kind});
  Program::record(op, attrs, in, out, kind);
  if (Tape* tape = Tape::current()) tape->add({&op, attrs, std::move(in), out, kind});
  return out;
}

const char* kernel_kind_name(KernelKind kind) {
  constexpr const char* names[] = {"none", "ref", "cpu", "cuda"};
  return names[static_cast<int>(kind)];
}

ReferenceKernels::ReferenceKernels() : before_(reference_only) { reference_only = true; }
ReferenceKernels::~ReferenceKernels() { reference_only = before_; }

namespace {
std::atomic<ConvAlgorithm> chosen_conv_algorithm{ConvAlgorithm::automatic};
}
void set_conv_algorithm(ConvAlgorithm a) { chosen_conv_algorithm = a; }
ConvAlgorithm conv_algorithm() { return chosen_conv_algorithm; }
ConvAlgorithm parse_conv_algorithm(std::string_view name) {
  constexpr std::string_view names[] = {"auto", "direct", "winograd2", "winograd4"};
  for (int i = 0; i < 4; ++i) {
    if (names[i] == name) return static_cast<ConvAlgorithm>(i);
  }
  fail("conv: unknown algorithm '{}'; valid: auto, direct, winograd2, winograd4", name);
}

void set_threads(int n) { omp_set_num_threads(n > 0 ? n : omp_get_num_procs()); }
int threads() { return omp_get_max_threads(); }

Tensors no_gradient(const GradCall&) { fail("backward: this op has no gradient"); }
Tensors zero_gradient(const GradCall& g) { return Tensors(g.in.size()); }

std::vector<TensorSpec> like_first(Inputs in, const Attrs&) { return {{in[0].shape(), in[0].dtype()}}; }

void check_arguments(const Op& op, Inputs in) {
  const size_t n = op.inputs.size();
  const bool variadic = n > 0 && op.inputs[n - 1].is(Arg::variadic);
  check(variadic ? in.size() >= n : in.size() == n, "{}: takes {}{} inputs, got {}", op.name,
        variadic ? "at least " : "", n, in.size());
  DType floating = DType::u8;
  for (size_t i = 0; i < in.size(); ++i) {
    const Arg& arg = op.inputs[std::min(i, n - 1)];
    check(in[i] || arg.is(Arg::optional), "{}: input {} must be given", op.name, arg.name);
    if (!in[i] || !is_floating(in[i].dtype())) continue;
    if (floating == DType::u8) floating = in[i].dtype();
    const DType wanted = arg.is(Arg::wide) && floating == DType::bf16 ? DType::f32 : floating;
    check(in[i].dtype() == wanted, "{}: inputs mix element types {} and {}; {}={}", op.name, wanted, in[i].dtype(),
          arg.name, in[i]);
  }
}

const Op& find_op(std::string_view name) {
  for (const Op* op : op_table()) {
    if (op->name == name) return *op;
  }
  fail("ops: there is no op named '{}'", name);
}

}  // namespace querent
