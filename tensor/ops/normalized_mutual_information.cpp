// normalized_mutual_information: how much the grey values of one image tell about those of the other. Soft histograms
// of K bins make it differentiable; a pixel's value v is counted in every bin k by a Gaussian (Parzen) window:
//   u = K (v - low)/(high - low) - 1/2              v in bins: the middle of bin k is u = k
//   w_k(v) = exp(-((u - k)/sigma)^2 / 2) / sum_l exp(-((u - l)/sigma)^2 / 2)
//   p_kl = mean over pixels of w_k(x) w_l(y),       its margins p_k, q_l;   H = -sum p log p
//   NMI  = 2 (H_x + H_y - H_xy) / (H_x + H_y)       in [0,1]; the mean over images is returned
// x, y [N,H,W,1]   nmi []
// normalized_mutual_information_grad, with S = H_x + H_y, J = H_xy:
//   dx[n,i] = dnmi/N sum_kl G_kl w'_k(x_i) w_l(y_i) / pixels,   dy alike,   w'_k(v) = w_k (k - sum_l l w_l)/sigma^2
//   du/dv G_kl = dNMI/dp_kl = 2/S log p_kl - 2 J/S^2 (log p_k + log q_l)
// The windows of a value add up to 1, so w' adds up to 0 and what is constant in G (the "+ 1" of d(p log p)) drops out.
#include <algorithm>
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op normalized_mutual_information_grad_op;

namespace {

// Added to S, which is zero only when sigma is so small that two flat images have one-point histograms.
constexpr double tiny = 1e-12;

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<NmiAttrs>();
  check(in[0].rank() == 4 && in[0].dim(3) == 1 && in[0].numel() > 0,
        "normalized_mutual_information: x must be [N,H,W,1], not empty; got {}", in[0]);
  check_same_shape("normalized_mutual_information", "y", in[1], "x", in[0]);
  check(a.bins >= 2, "normalized_mutual_information: bins must be at least 2, got {}", a.bins);
  check(a.low < a.high, "normalized_mutual_information: low must be less than high, got {} and {}", a.low, a.high);
  check(a.sigma > 0, "normalized_mutual_information: sigma must be positive, got {}", a.sigma);
  return {{{}, in[0].dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  infer(in, attrs);
  check_scalar("normalized_mutual_information", "dnmi", in[2]);
  return {{in[0].shape(), in[0].dtype()}, {in[1].shape(), in[1].dtype()}};
}
// Per pixel: two windows, and `products` multiply-adds for each of the K*K bins.
double flops(Inputs in, const Attrs& attrs, double products) {
  const auto bins = static_cast<double>(attrs.as<NmiAttrs>().bins);
  return static_cast<double>(in[0].numel()) * (2 * 6 * bins + 2 * products * bins * bins);
}
Cost cost(Inputs in, const Attrs& attrs) {
  return {flops(in, attrs, 1), traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_grad(Inputs in, const Attrs& attrs) {
  return {flops(in, attrs, 3), traffic(in) + 2 * static_cast<double>(in[0].bytes())};
}

struct Window {
  NmiAttrs a;
  double per_grey = static_cast<double>(a.bins) / (a.high - a.low);  // du/dv

  // w[k] = w_k(v). The nearest bin's exponent is taken from all, so that values far outside the range count in the
  // first or last bin instead of dividing zero by zero.
  void weigh(double v, std::vector<double>& w) const {
    const double u = (v - a.low) * per_grey - 0.5, last = static_cast<double>(a.bins - 1);
    const double nearest = u - std::clamp(std::round(u), 0.0, last);
    double sum = 0;
    for (size_t k = 0; k < w.size(); ++k) {
      const double d = u - static_cast<double>(k);
      sum += w[k] = std::exp((nearest * nearest - d * d) / (2 * a.sigma * a.sigma));
    }
    for (double& value : w) value /= sum;
  }
  // sum_k g_k w'_k(v) for the windows w of v.
  double slope(const std::vector<double>& w, const std::vector<double>& g) const {
    double mean_k = 0, mean_g = 0, mean_kg = 0;
    for (size_t k = 0; k < w.size(); ++k) {
      const auto at = static_cast<double>(k);
      mean_k += at * w[k], mean_g += g[k] * w[k], mean_kg += at * g[k] * w[k];
    }
    return (mean_kg - mean_k * mean_g) / (a.sigma * a.sigma) * per_grey;
  }
};

double log_or_zero(double p) { return p > 0 ? std::log(p) : 0; }  // p log p is 0 at p = 0
double entropy(const std::vector<double>& p) {
  double sum = 0;
  for (const double value : p) sum -= value * log_or_zero(value);
  return sum;
}

struct Histogram {  // of one pair of images
  std::vector<double> p, px, py;
  double s = 0, j = 0;  // H_x + H_y, H_xy

  template <class T>
  Histogram(const Window& window, const T* x, const T* y, int64_t pixels) {
    const auto bins = static_cast<size_t>(window.a.bins);
    p.resize(bins * bins), px.resize(bins), py.resize(bins);
    std::vector<double> wx(bins), wy(bins);
    for (int64_t i = 0; i < pixels; ++i) {
      window.weigh(static_cast<double>(x[i]), wx);
      window.weigh(static_cast<double>(y[i]), wy);
      for (size_t k = 0; k < bins; ++k)
        for (size_t l = 0; l < bins; ++l) p[k * bins + l] += wx[k] * wy[l];
    }
    for (double& value : p) value /= static_cast<double>(pixels);
    for (size_t k = 0; k < bins; ++k)
      for (size_t l = 0; l < bins; ++l) px[k] += p[k * bins + l], py[l] += p[k * bins + l];
    s = entropy(px) + entropy(py);
    j = entropy(p);
  }
  double nmi() const { return 2 * (s - j) / (s + tiny); }
  std::vector<double> slopes() const {  // G
    const double joint = 2 / (s + tiny), margin = 2 * (j + tiny) / ((s + tiny) * (s + tiny));
    std::vector<double> g(p.size());
    for (size_t k = 0; k < px.size(); ++k)
      for (size_t l = 0; l < py.size(); ++l) {
        const size_t at = k * py.size() + l;
        g[at] = joint * log_or_zero(p[at]) - margin * (log_or_zero(px[k]) + log_or_zero(py[l]));
      }
    return g;
  }
};

void ref(const Call& c) {
  const int64_t images = c.in[0].dim(0), pixels = c.in[0].numel() / images;
  const Window window{c.attrs.as<NmiAttrs>()};
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *x = c.in[0].data<T>(), *y = c.in[1].data<T>();
    double sum = 0;
    for (int64_t n = 0; n < images; ++n) sum += Histogram(window, x + n * pixels, y + n * pixels, pixels).nmi();
    *c.out[0].data<T>() = static_cast<T>(sum / static_cast<double>(images));
  });
}

void ref_grad(const Call& c) {
  const int64_t images = c.in[0].dim(0), pixels = c.in[0].numel() / images;
  const Window window{c.attrs.as<NmiAttrs>()};
  const auto bins = static_cast<size_t>(window.a.bins);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const double factor = static_cast<double>(*c.in[2].data<T>()) / static_cast<double>(images * pixels);
    std::vector<double> wx(bins), wy(bins), gx(bins), gy(bins);
    for (int64_t n = 0; n < images; ++n) {
      const T *x = c.in[0].data<T>() + n * pixels, *y = c.in[1].data<T>() + n * pixels;
      T *dx = c.out[0].data<T>() + n * pixels, *dy = c.out[1].data<T>() + n * pixels;
      const std::vector<double> g = Histogram(window, x, y, pixels).slopes();
      for (int64_t i = 0; i < pixels; ++i) {
        window.weigh(static_cast<double>(x[i]), wx);
        window.weigh(static_cast<double>(y[i]), wy);
        std::fill(gy.begin(), gy.end(), 0.0);
        for (size_t k = 0; k < bins; ++k) {
          gx[k] = 0;
          for (size_t l = 0; l < bins; ++l) gx[k] += g[k * bins + l] * wy[l], gy[l] += g[k * bins + l] * wx[k];
        }
        dx[i] = static_cast<T>(factor * window.slope(wx, gx));
        dy[i] = static_cast<T>(factor * window.slope(wy, gy));
      }
    }
  });
}

Tensors grad(const GradCall& g) {
  return run(normalized_mutual_information_grad_op, {g.in[0], g.in[1], g.dy[0]}, g.attrs);
}

std::vector<Case> cases() {
  const auto u = [](Shape s, double scale = 1, double shift = 0) { return Sample{s, Sample::uniform, scale, shift}; };
  return {
      {"images", {u({2, 5, 7, 1}), u({2, 5, 7, 1})}, NmiAttrs{}},
      {"tanh range, few bins", {u({3, 4, 3, 1}, 2, -1), u({3, 4, 3, 1}, 2, -1)}, NmiAttrs{.bins = 5, .low = -1}},
      {"narrow windows", {u({1, 6, 5, 1}), u({1, 6, 5, 1})}, NmiAttrs{.bins = 9, .sigma = 0.5}},
      {"outside the range", {u({2, 3, 5, 1}, 3, -1), u({2, 3, 5, 1})}, NmiAttrs{.bins = 8}},
      {"far outside the range", {{{1, 3, 5, 1}, Sample::normal, 30}, u({1, 3, 5, 1})}, NmiAttrs{.bins = 4}},
      {"two bins", {u({2, 3, 3, 1}), u({2, 3, 3, 1})}, NmiAttrs{.bins = 2}},
      {"channels", {u({2, 3, 5, 2}), u({2, 3, 5, 2})}, NmiAttrs{}, "x must be [N,H,W,1]"},
      {"empty", {u({0, 3, 5, 1}), u({0, 3, 5, 1})}, NmiAttrs{}, "x must be [N,H,W,1]"},
      {"shapes", {u({2, 3, 5, 1}), u({2, 5, 3, 1})}, NmiAttrs{}, "y must have the shape of x"},
      {"bins", {u({2, 3, 5, 1}), u({2, 3, 5, 1})}, NmiAttrs{.bins = 1}, "bins must be at least 2"},
      {"range", {u({2, 3, 5, 1}), u({2, 3, 5, 1})}, NmiAttrs{.low = 1}, "low must be less than high"},
      {"sigma", {u({2, 3, 5, 1}), u({2, 3, 5, 1})}, NmiAttrs{.sigma = 0}, "sigma must be positive"},
  };
}
std::vector<Case> cases_grad() {
  std::vector<Case> all = cases();
  for (Case& c : all) c.in.push_back({});
  all.push_back({"dnmi", {{{1, 2, 3, 1}}, {{1, 2, 3, 1}}, {{1}}}, NmiAttrs{}, "dnmi must be a scalar"});
  return all;
}

}  // namespace

extern constinit const Op normalized_mutual_information_op{
    .name = "normalized_mutual_information",
    .formula = "nmi = mean_n 2 (H_x + H_y - H_xy) / (H_x + H_y) of soft histograms",
    .inputs = {{"x", "[N,H,W,1]"}, {"y", "[N,H,W,1]"}},
    .outputs = {{"nmi", "[]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"x", "y"},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::normalized_mutual_information},
    .cases = cases};
extern constinit const Op normalized_mutual_information_grad_op{
    .name = "normalized_mutual_information_grad",
    .formula =
        "dx = dnmi/N mean_i sum_kl G_kl w'_k(x_i) w_l(y_i), dy alike; G = 2/S log p_kl - 2 J/S^2 (log p_k + log q_l)",
    .inputs = {{"x", "[N,H,W,1]"}, {"y", "[N,H,W,1]"}, {"dnmi", "[]"}},
    .outputs = {{"dx", "[N,H,W,1]"}, {"dy", "[N,H,W,1]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = nullptr, .cuda = cuda::normalized_mutual_information_grad},
    .cases = cases_grad};

Tensor normalized_mutual_information(const Tensor& x, const Tensor& y, const NmiAttrs& a) {
  return run(normalized_mutual_information_op, {x, y}, a)[0];
}

}  // namespace querent
