// The choke point: every operation of the engine goes through run().
#pragma once
#include <functional>

#include "tensor/op.h"

namespace querent {

enum class KernelKind : uint8_t { none, ref, cpu, cuda };
const char* kernel_kind_name(KernelKind kind);
Kernel* kernel_of(const Op& op, KernelKind kind);
// Runs a kernel. bf16 is a way to store: on every device a kernel reads it as f32, computes in f32 and rounds what it
// writes. Kernels of the GPU do so themselves; those of the CPU get f32 copies, widened_bytes() of the pool.
void compute(const Op& op, KernelKind kind, const Call& call);
size_t widened_bytes(KernelKind kind, const Call& call);
// Who is told of every kernel that compute() ran and of the milliseconds of processor time it took; none by default
// (bench/models.cpp). Of a GPU, which is not waited for, it hears nothing true.
using KernelWatch = std::function<void(const Op& op, const Call& call, double ms)>;
void watch_kernels(KernelWatch watch);

// One executed operation. The tape reads records backwards (gradients); the ledger prints them (audit).
struct Record {
  const Op* op;
  Attrs attrs;
  Tensors in, out;  // husks wherever no gradient reads the bytes
  KernelKind kernel;
};

// infer, allocate, choose kernel, compute, record.
Tensors run(const Op& op, Tensors in, const Attrs& attrs = {});

// While one lives, this thread runs reference kernels only (fixtures, parity tests, teaching).
class ReferenceKernels {
 public:
  ReferenceKernels();
  ~ReferenceKernels();
  ReferenceKernels(const ReferenceKernels&) = delete;
  ReferenceKernels& operator=(const ReferenceKernels&) = delete;

 private:
  bool before_;
};

// How the CPU computes 3x3 convolutions of stride 1 and 4x4 ones: by a table of shapes (the default), or always in one
// way where that way exists. `direct` for other shapes. Results differ by rounding.
enum class ConvAlgorithm : uint8_t { automatic, direct, winograd2, winograd4 };
void set_conv_algorithm(ConvAlgorithm a);
ConvAlgorithm conv_algorithm();
ConvAlgorithm parse_conv_algorithm(std::string_view name);  // auto | direct | winograd2 | winograd4

// Threads that kernels use. Results do not depend on it. 0 means all cores.
void set_threads(int n);
int threads();

}  // namespace querent
