// A matrix product on the CPU, in the form that serves every transposition. Plain numbers, no SIMD.
#pragma once
#include <cstdint>

namespace querent::cpu {

// y[m,n] = sum over k of a[m*a_row + k*a_col] b[k,n], where b lies as [K,N] or, `b_transposed`, as [N,K].
struct MatmulJob {
  const float* a;
  int64_t a_row, a_col;
  const float* b;
  bool b_transposed;
  float* y;  // [M,N]
  int64_t m, n, k;
};
// Each element is one sum in the order of k, whatever the number of threads. Takes a few hundred KB at most for each
// thread: b is read once for every 224 rows of a and never copied as a whole.
void run_matmul(const MatmulJob& job);

}  // namespace querent::cpu
