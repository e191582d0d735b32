// winograd_filters: u[xi,q,c,k] = (G g G')[xi], g the 3x3 weights from input c to output 32 q + k, zero beyond the last
// output w [O,3,3,C]   u [T*T, ceil(O/32), C, 32], T = tile + 2
//
// What Winograd's convolution (cpu/winograd.cpp) makes of its filters first. A Program makes it once where the weights
// stay as they are for many replays (fuse.cpp). It has no gradient.
#include <array>

#include "tensor/cpu/conv_plan.h"
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/program_attrs.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const int64_t tile = attrs.as<WinogradAttrs>().tile;
  check(tile == 2 || tile == 4, "winograd_filters: tile must be 2 or 4, got {}", tile);
  check(in[0].rank() == 4 && in[0].dim(1) == 3 && in[0].dim(2) == 3, "winograd_filters: w must be [O,3,3,C], got {}",
        in[0]);
  return {{cpu::filters_shape(tile, in[0].shape()), in[0].dtype()}};
}

Cost cost(Inputs in, const Attrs& attrs) {
  const auto n = static_cast<double>(infer(in, attrs)[0].shape.numel());
  return {6 * n, n * dtype_size(in[0].dtype()) + static_cast<double>(in[0].bytes())};
}

constexpr std::array<std::array<double, 3>, 4> g2 = {{{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}};
constexpr std::array<std::array<double, 3>, 6> g4 = {{{1. / 4, 0, 0},
                                                      {-1. / 6, -1. / 6, -1. / 6},
                                                      {-1. / 6, 1. / 6, -1. / 6},
                                                      {1. / 24, 1. / 12, 1. / 6},
                                                      {1. / 24, -1. / 12, 1. / 6},
                                                      {0, 0, 1}}};

template <class Points>
void transform(const Call& c, const Points& G) {
  const int64_t outputs = c.in[0].dim(0), channels = c.in[0].dim(3), panels = c.out[0].dim(1),
                T = static_cast<int64_t>(G.size());
  visit_float(c.out[0].dtype(), [&]<class Number>() {
    const Number* w = c.in[0].data<Number>();
    Number* u = c.out[0].data<Number>();
    for (int64_t xi = 0; xi < T * T; ++xi)
      for (int64_t o = 0; o < panels * cpu::filter_panel; ++o)
        for (int64_t k = 0; k < channels; ++k) {
          double sum = 0;
          for (int64_t i = 0; i < 3 && o < outputs; ++i)
            for (int64_t j = 0; j < 3; ++j)
              sum += G[static_cast<size_t>(xi / T)][static_cast<size_t>(i)] *
                     G[static_cast<size_t>(xi % T)][static_cast<size_t>(j)] *
                     static_cast<double>(w[((o * 3 + i) * 3 + j) * channels + k]);
          const int64_t q = o / cpu::filter_panel;
          u[((xi * panels + q) * channels + k) * cpu::filter_panel + o % cpu::filter_panel] = static_cast<Number>(sum);
        }
  });
}
void ref(const Call& c) {
  if (c.attrs.as<WinogradAttrs>().tile == 4)
    transform(c, g4);
  else
    transform(c, g2);
}

std::vector<Case> cases() {
  return {
      {"one panel", {{{16, 3, 3, 16}}}, WinogradAttrs{4}},
      {"tails", {{{37, 3, 3, 19}}}, WinogradAttrs{4}},
      {"tile of 2", {{{33, 3, 3, 5}}}, WinogradAttrs{2}},
      {"one by one", {{{1, 3, 3, 1}}}, WinogradAttrs{2}},
      {"tile of 3", {{{4, 3, 3, 4}}}, WinogradAttrs{3}, "tile must be 2 or 4"},
      {"1x1", {{{4, 1, 1, 4}}}, WinogradAttrs{4}, "w must be [O,3,3,C]"},
  };
}

}  // namespace

extern constinit const Op winograd_filters_op{.name = "winograd_filters",
                                              .formula = "u[xi,q,c,k] = (G g G')[xi], g = w[32 q + k,:,:,c]",
                                              .inputs = {{"w", "[O,3,3,C]"}},
                                              .outputs = {{"u", "[T*T,O/32,C,32]"}},
                                              .infer = infer,
                                              .cost = cost,
                                              .grad = no_gradient,
                                              .keep = {},
                                              .kernel = {.ref = ref, .cpu = cpu::winograd_filters, .cuda = nullptr},
                                              .cases = cases};

}  // namespace querent
