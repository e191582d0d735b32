// normalized_mutual_information and its gradients: joint soft histograms in pieces, one for each image pair, then one
// pass over their bins, then (for the gradient) one over the pixels. In double throughout: NMI is a small difference of
// entropies, and for images that tell little about each other f32 would leave no digit of it.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

constexpr double tiny = 1e-12;  // as in tensor/ops
constexpr int most_bins = 128, tile = 16;

struct Window {
  int bins;
  double low, per_grey, sigma;
  explicit Window(const NmiAttrs& a)
      : bins(static_cast<int>(a.bins)),
        low(a.low),
        per_grey(static_cast<double>(a.bins) / (a.high - a.low)),
        sigma(a.sigma) {}

  // w[k] = w_k(v), k < bins, as Window::weigh of tensor/ops.
  __device__ void weigh(double v, double* w) const {
    const double u = (v - low) * per_grey - 0.5;
    const double nearest = u - fmin(fmax(rint(u), 0.0), bins - 1.0);
    double sum = 0;
    for (int k = 0; k < bins; ++k) {
      const double d = u - k;
      sum += w[k] = ::exp((nearest * nearest - d * d) / (2 * sigma * sigma));
    }
    for (int k = 0; k < bins; ++k) w[k] /= sum;
  }
};

}  // namespace

// A block for each piece of the pixels of an image pair: 16 pixels at a time, first their 32 windows, then every bin
// adds up its products. x the image, y the piece. Reads x and y once; writes bins^2 sums.
__global__ void joint_histogram(Window window, const float* x, const float* y, int64_t pixels, int64_t each,
                                double* partial) {
  __shared__ double w[2][tile][most_bins];
  const int64_t begin = blockIdx.y * each, end = begin + each < pixels ? begin + each : pixels;
  const int bins = window.bins;
  double* const sums = partial + (int64_t{blockIdx.x} * gridDim.y + blockIdx.y) * bins * bins;
  for (int e = static_cast<int>(threadIdx.x); e < bins * bins; e += static_cast<int>(blockDim.x)) sums[e] = 0;
  for (int64_t first = begin; first < end; first += tile) {
    const int count = static_cast<int>(end - first < tile ? end - first : tile);
    __syncthreads();
    const int t = static_cast<int>(threadIdx.x), pixel = t % tile;
    if (t < 2 * tile && pixel < count)
      window.weigh((t < tile ? x : y)[blockIdx.x * pixels + first + pixel], w[t / tile][pixel]);
    __syncthreads();
    for (int e = t; e < bins * bins; e += static_cast<int>(blockDim.x)) {
      double sum = 0;
      for (int i = 0; i < count; ++i) sum += w[0][i][e / bins] * w[1][i][e % bins];
      sums[e] += sum;
    }
  }
}

// Sum of one double of each thread of a block, for all of them, in a fixed order.
__device__ inline double block_sum(double value) {
  __shared__ double part[block_threads];
  __syncthreads();
  part[threadIdx.x] = value;
  for (unsigned half = block_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  __syncthreads();
  return part[0];
}
__device__ inline double log_or_zero(double p) { return p > 0 ? ::log(p) : 0; }

// A block for each image pair: from the pieces of its histogram to its NMI and, unless null, dNMI/dp.
__global__ void entropies(int bins, int64_t pieces, double pixels, const double* partial, double* joint, double* nmi,
                          double* slopes) {
  __shared__ double px[most_bins], py[most_bins];
  const int t = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x), all = bins * bins;
  double* const p = joint + int64_t{blockIdx.x} * all;
  for (int e = t; e < all; e += step) {
    double sum = 0;
    for (int64_t i = 0; i < pieces; ++i) sum += partial[(blockIdx.x * pieces + i) * all + e];
    p[e] = sum / pixels;
  }
  __syncthreads();
  for (int k = t; k < bins; k += step) {
    px[k] = py[k] = 0;
    for (int l = 0; l < bins; ++l) {
      px[k] += p[k * bins + l];
      py[k] += p[l * bins + k];
    }
  }
  __syncthreads();
  double margins = 0, both = 0;
  for (int k = t; k < bins; k += step) margins -= px[k] * log_or_zero(px[k]) + py[k] * log_or_zero(py[k]);
  for (int e = t; e < all; e += step) both -= p[e] * log_or_zero(p[e]);
  const double s = block_sum(margins), j = block_sum(both);
  if (t == 0) nmi[blockIdx.x] = 2 * (s - j) / (s + tiny);
  if (!slopes) return;
  const double of_joint = 2 / (s + tiny), of_margin = 2 * (j + tiny) / ((s + tiny) * (s + tiny));
  for (int e = t; e < all; e += step) {
    slopes[int64_t{blockIdx.x} * all + e] =
        of_joint * log_or_zero(p[e]) - of_margin * (log_or_zero(px[e / bins]) + log_or_zero(py[e % bins]));
  }
}

struct Histograms {
  Tensor nmi;     // f64 [N]
  Tensor slopes;  // f64 [N*bins*bins]
};
Histograms histograms(std::string_view op, const Call& c, bool with_slopes) {
  const auto& a = c.attrs.as<NmiAttrs>();
  check(a.bins <= most_bins, "{}: at most {} bins on the GPU, got {}", op, most_bins, a.bins);
  const int64_t images = c.in[0].dim(0), pixels = c.in[0].numel() / images, bins = a.bins * a.bins;
  const int64_t pieces = std::clamp<int64_t>(pixels / 1024, 1, 64), each = (pixels + pieces - 1) / pieces;
  const Tensor partial = scratch(c, images * pieces * bins, DType::f64), joint = scratch(c, images * bins, DType::f64);
  Histograms h{scratch(c, images, DType::f64), scratch(c, with_slopes ? images * bins : 0, DType::f64)};
  const dim3 grid(static_cast<unsigned>(images), static_cast<unsigned>(pieces));
  launch(op, c, joint_histogram, grid, block_threads, Window(a), input(c, 0), input(c, 1), pixels, each,
         partial.data<double>());
  launch(op, c, entropies, static_cast<unsigned>(images), block_threads, static_cast<int>(a.bins), pieces,
         static_cast<double>(pixels), partial.data<double>(), joint.data<double>(), h.nmi.data<double>(),
         with_slopes ? h.slopes.data<double>() : nullptr);
  return h;
}

void normalized_mutual_information(const Call& c) {
  constexpr const char* op = "normalized_mutual_information";
  const Histograms h = histograms(op, c, false);
  const double* nmi = h.nmi.data<double>();
  const int64_t images = h.nmi.numel();
  float* y = c.out[0].data<float>();
  reduce_all<1>(
      op, c, images, [=] __device__(int64_t i, int64_t, int64_t, double* sum) { *sum += nmi[i]; },
      [=] __device__(int64_t, const double* sum) { *y = static_cast<float>(*sum / static_cast<double>(images)); });
}

// One thread for each pixel; the slopes of its image come from the cache. Reads x and y, writes dx and dy.
void normalized_mutual_information_grad(const Call& c) {
  constexpr const char* op = "normalized_mutual_information_grad";
  const Histograms h = histograms(op, c, true);
  const float *x = input(c, 0), *y = input(c, 1), *dnmi = input(c, 2);
  const double* slopes = h.slopes.data<double>();
  float *dx = c.out[0].data<float>(), *dy = c.out[1].data<float>();
  const int64_t pixels = c.in[0].numel() / c.in[0].dim(0);
  const auto n = static_cast<double>(c.in[0].numel());
  const Window window(c.attrs.as<NmiAttrs>());
  for_each(op, c, c.in[0].numel(), [=] __device__(int64_t i) {
    double wx[most_bins], wy[most_bins];
    window.weigh(x[i], wx);
    window.weigh(y[i], wy);
    const int bins = window.bins;
    const double* g = slopes + split(i, pixels).quotient * bins * bins;
    double mean_k = 0, mean_l = 0, mean_g = 0, mean_kg = 0, mean_lg = 0;
    for (int k = 0; k < bins; ++k) {
      double row = 0, row_l = 0;
      for (int l = 0; l < bins; ++l) {
        const double term = g[k * bins + l] * wy[l];
        row += term;
        row_l += l * term;
      }
      mean_k += k * wx[k];
      mean_l += k * wy[k];
      mean_g += wx[k] * row;
      mean_kg += k * wx[k] * row;
      mean_lg += wx[k] * row_l;
    }
    const double factor = *dnmi / n * window.per_grey / (window.sigma * window.sigma);
    dx[i] = static_cast<float>(factor * (mean_kg - mean_k * mean_g));
    dy[i] = static_cast<float>(factor * (mean_lg - mean_l * mean_g));
  });
}

}  // namespace querent::cuda
