#include "al/realism/eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/error.h"

namespace querent::al {
namespace {

using Row = std::vector<double>;
constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr int most_steps = 100;  // of QL for one eigenvalue; two or three are usual

struct Tridiagonal {
  Row diagonal, beside;  // beside[i] couples i and i+1; its last entry is 0
  Row basis;             // [d,d]: row i is the i-th basis vector; empty unless asked for
};

// A <- H A H with H = I - beta v v^T, on the rows and columns after k, until column k holds one entry below the
// diagonal.
Tridiagonal reduce(Row a, size_t d, bool vectors) {
  Tridiagonal t{Row(d), Row(d), {}};
  std::vector<Row> reflections;  // v scaled by sqrt(beta), so that H = I - v v^T
  for (size_t k = 0; k + 2 < d; ++k) {
    const size_t first = k + 1, n = d - first;
    Row v(n);
    double square = 0, below = 0;
    for (size_t i = 0; i < n; ++i) {
      v[i] = a[(first + i) * d + k];
      square += v[i] * v[i];
      if (i > 0) below = std::max(below, std::abs(v[i]));
    }
    t.diagonal[k] = a[k * d + k];
    if (below == 0) {  // nothing to remove
      t.beside[k] = v[0];
      reflections.emplace_back();
      continue;
    }
    t.beside[k] = -std::copysign(std::sqrt(square), v[0]);
    const double head = v[0] - t.beside[k], root_beta = std::sqrt(2 / (square - v[0] * v[0] + head * head));
    v[0] = head;
    for (double& x : v) x *= root_beta;
    Row p(n, 0.0);
    for (size_t i = 0; i < n; ++i) {
      const double* row = &a[(first + i) * d + first];
      for (size_t j = 0; j < n; ++j) p[i] += row[j] * v[j];
    }
    const double half = 0.5 * std::inner_product(v.begin(), v.end(), p.begin(), 0.0);
    for (size_t i = 0; i < n; ++i) p[i] -= half * v[i];
    for (size_t i = 0; i < n; ++i) {
      double* row = &a[(first + i) * d + first];
      for (size_t j = 0; j < n; ++j) row[j] -= v[i] * p[j] + p[i] * v[j];
    }
    reflections.push_back(std::move(v));
  }
  for (size_t k = d >= 2 ? d - 2 : 0; k < d; ++k) t.diagonal[k] = a[k * d + k];
  if (d >= 2) t.beside[d - 2] = a[(d - 1) * d + d - 2];
  if (!vectors) return t;
  t.basis.assign(d * d, 0.0);
  for (size_t i = 0; i < d; ++i) t.basis[i * d + i] = 1;
  for (size_t k = reflections.size(); k-- > 0;) {
    const Row& v = reflections[k];
    if (v.empty()) continue;
    const size_t first = k + 1;
    for (size_t i = first; i < d; ++i) {
      double* row = &t.basis[i * d + first];
      const double dot = std::inner_product(v.begin(), v.end(), row, 0.0);
      for (size_t j = 0; j < v.size(); ++j) row[j] -= dot * v[j];
    }
  }
  return t;
}

void rotate(Tridiagonal& t, size_t d, size_t i, double c, double s) {
  if (t.basis.empty()) return;
  double *a = &t.basis[i * d], *b = a + d;
  for (size_t k = 0; k < d; ++k) {
    const double x = a[k], y = b[k];
    b[k] = s * x + c * y;
    a[k] = c * x - s * y;
  }
}

void implicit_ql(Tridiagonal& t, size_t size) {
  Row &d = t.diagonal, &e = t.beside;
  double norm = 0;
  for (size_t i = 0; i < size; ++i) norm = std::max(norm, std::abs(d[i]) + 2 * std::abs(e[i]));
  const auto negligible = [&](size_t i) {
    return std::abs(e[i]) <= epsilon * std::max(std::abs(d[i]) + std::abs(d[i + 1]), norm / 16);
  };
  for (size_t l = 0; l < size; ++l) {
    for (int step = 0;; ++step) {
      size_t m = l;
      while (m + 1 < size && !negligible(m)) ++m;
      if (m == l) break;
      internal_check(step < most_steps, "eigen: no convergence at eigenvalue {} of {}", l, size);
      const double spread = (d[l + 1] - d[l]) / (2 * e[l]);
      double g = d[m] - d[l] + e[l] / (spread + std::copysign(std::hypot(spread, 1.0), spread));
      double s = 1, c = 1, p = 0;
      bool whole = true;
      for (size_t i = m; i-- > l;) {
        const double f = s * e[i], b = c * e[i], r = std::hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {  // the chase ended early: the matrix has fallen apart here
          d[i + 1] -= p;
          e[m] = 0;
          whole = false;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        const double q = (d[i] - g) * s + 2 * c * b;
        p = s * q;
        d[i + 1] = g + p;
        g = c * q - b;
        rotate(t, size, i, c, s);
      }
      if (!whole) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
}

}  // namespace

Eigen symmetric_eigen(std::span<const double> a, int64_t d, bool vectors) {
  check(d >= 1 && a.size() == static_cast<size_t>(d * d), "eigen: {} numbers are no {} x {} matrix", a.size(), d, d);
  const auto size = static_cast<size_t>(d);
  Row full(a.begin(), a.end());
  for (size_t i = 0; i < size; ++i)
    for (size_t j = 0; j <= i; ++j) {
      check(std::isfinite(full[i * size + j]), "eigen: entry ({},{}) is {}", i, j, full[i * size + j]);
      full[j * size + i] = full[i * size + j];
    }
  Tridiagonal t = reduce(std::move(full), size, vectors);
  implicit_ql(t, size);
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return t.diagonal[i] < t.diagonal[j]; });
  Eigen out;
  for (const size_t i : order) {
    out.values.push_back(t.diagonal[i]);
    if (!vectors) continue;
    const auto row = t.basis.begin() + static_cast<int64_t>(i * size);
    out.vectors.insert(out.vectors.end(), row, row + d);
  }
  return out;
}

std::vector<double> symmetric_root(std::span<const double> a, int64_t d) {
  const Eigen e = symmetric_eigen(a, d);
  const auto size = static_cast<size_t>(d);
  std::vector<double> root(size * size, 0.0);
  for (size_t k = 0; k < size; ++k) {
    const double s = std::sqrt(std::max(0.0, e.values[k]));
    const double* v = &e.vectors[k * size];
    for (size_t i = 0; s > 0 && i < size; ++i)
      for (size_t j = 0; j < size; ++j) root[i * size + j] += s * v[i] * v[j];
  }
  return root;
}

}  // namespace querent::al
