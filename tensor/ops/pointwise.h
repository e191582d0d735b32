// Scalar functions and their gradients, as functor pairs: the one text that the reference, the SIMD and the CUDA
// kernels compile.
//   f(x)          -> y
//   df(s, dy)     -> dx, where s is what the gradient reads: y where that gives the derivative cheaply, else x
//   reads_y          which of the two it is
//   flops            of f; a transcendental function counts as one
#pragma once
#include <cmath>

#ifdef __CUDACC__
#define QUERENT_SCALAR __host__ __device__ inline
#else
#define QUERENT_SCALAR inline
#endif

namespace querent::pointwise {

struct Relu {  // NaN stays NaN
  static constexpr bool reads_y = true;
  static constexpr double flops = 1;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  QUERENT_SCALAR T df(T y, T dy) const {
    return y > T(0) ? dy : T(0);
  }
};

struct LeakyRelu {
  static constexpr bool reads_y = false;
  static constexpr double flops = 2;
  double slope = 0.01;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    return x < T(0) ? T(slope) * x : x;
  }
  template <class T>
  QUERENT_SCALAR T df(T x, T dy) const {
    return x > T(0) ? dy : T(slope) * dy;
  }
};

struct Sigmoid {  // the exponential is of a number <= 0: no overflow
  static constexpr bool reads_y = true;
  static constexpr double flops = 4;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    using std::exp;
    const T e = exp(x < T(0) ? x : -x);
    return (x < T(0) ? e : T(1)) / (T(1) + e);
  }
  template <class T>
  QUERENT_SCALAR T df(T y, T dy) const {
    return dy * y * (T(1) - y);
  }
};

struct Tanh {
  static constexpr bool reads_y = true;
  static constexpr double flops = 1;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    using std::tanh;
    return tanh(x);
  }
  template <class T>
  QUERENT_SCALAR T df(T y, T dy) const {
    return dy * (T(1) - y * y);
  }
};

struct Exp {
  static constexpr bool reads_y = true;
  static constexpr double flops = 1;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    using std::exp;
    return exp(x);
  }
  template <class T>
  QUERENT_SCALAR T df(T y, T dy) const {
    return dy * y;
  }
};

struct Log {
  static constexpr bool reads_y = false;
  static constexpr double flops = 1;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    using std::log;
    return log(x);
  }
  template <class T>
  QUERENT_SCALAR T df(T x, T dy) const {
    return dy / x;
  }
};

struct Softplus {  // log(1 + e^x) = max(x,0) + log(1 + e^-|x|)
  static constexpr bool reads_y = false;
  static constexpr double flops = 4;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    using std::exp, std::log1p;
    return (x < T(0) ? T(0) : x) + log1p(exp(x < T(0) ? x : -x));
  }
  template <class T>
  QUERENT_SCALAR T df(T x, T dy) const {
    return dy * Sigmoid{}.f(x);
  }
};

struct Square {
  static constexpr bool reads_y = false;
  static constexpr double flops = 1;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    return x * x;
  }
  template <class T>
  QUERENT_SCALAR T df(T x, T dy) const {
    return T(2) * x * dy;
  }
};

struct Sqrt {
  static constexpr bool reads_y = true;
  static constexpr double flops = 1;
  template <class T>
  QUERENT_SCALAR T f(T x) const {
    using std::sqrt;
    return sqrt(x);
  }
  template <class T>
  QUERENT_SCALAR T df(T y, T dy) const {
    return dy / (T(2) * y);
  }
};

}  // namespace querent::pointwise
