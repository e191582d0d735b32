// Eigenvalues and eigenvectors of a real symmetric matrix: Householder reduction to tridiagonal form, then implicit QL
// (Golub and Van Loan, "Matrix Computations", sections 8.3.1 and 8.3.3). O(d^3); error of an eigenvalue about
// d * 1e-16 * the largest.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

struct Eigen {
  std::vector<double> values;   // ascending
  std::vector<double> vectors;  // [d,d], row i belongs to values[i]; empty unless asked for
};
// a [d,d]; only its lower triangle is read. Errors: sizes, values that are not finite.
Eigen symmetric_eigen(std::span<const double> a, int64_t d, bool vectors = true);

// The symmetric root of a positive semi-definite matrix, V diag(sqrt(max(values, 0))) V^T: [d,d]. Rank may be below d.
std::vector<double> symmetric_root(std::span<const double> a, int64_t d);

}  // namespace querent::al
