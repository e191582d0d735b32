// Winograd convolutions, forced for every shape that allows them: against the float64 reference, and the same bits for any
// number of threads.
#include <doctest/doctest.h>

#include "tensor/ledger.h"
#include "tensor/op_attrs.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/selftest.h"
#include "tests/op_samples.h"

using namespace querent;

namespace {

struct Forced {
  explicit Forced(ConvAlgorithm a) { set_conv_algorithm(a); }
  ~Forced() { set_conv_algorithm(ConvAlgorithm::automatic); }
};

struct Filter {
  int64_t side, stride;
};

Case shape(std::string_view op, Filter f, int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, int64_t padding) {
  const Conv2dAttrs conv{.stride = f.stride, .padding = padding};
  const auto positions = [&](int64_t size) { return (size + 2 * padding - f.side) / f.stride + 1; };
  const Shape x{n, h, w, c}, filter{o, f.side, f.side, c}, y{n, positions(h), positions(w), o};
  const std::string name = text("{}x{} stride {}: {}x{}x{} {} to {} padding {}", f.side, f.side, f.stride, n, h, w, c, o, padding);
  if (op == "conv2d") return {name, {{x}, {filter}, {{o}}}, conv};
  if (op == "conv2d_grad_input") return {name, {{y}, {filter}}, Conv2dGradInputAttrs{conv, {h, w}}};
  if (op == "conv_transpose2d")  // from y to x
    return {name, {{y}, {filter}, {{c}}},
            ConvTranspose2dAttrs{.stride = f.stride, .padding = padding,
                                 .output_padding = {(h + 2 * padding - f.side) % f.stride, (w + 2 * padding - f.side) % f.stride}}};
  return {name, {{x}, {y}}, Conv2dGradWeightAttrs{conv, f.side}};
}

}  // namespace

TEST_SUITE_BEGIN("winograd_test");

TEST_CASE("forced Winograd agrees with the float64 reference and does not depend on threads") {
  struct Algorithm {
    ConvAlgorithm kind;
    double amplification;  // of rounding errors by the transforms, against the direct sum: about |A'| |B'| |G| in norms
  };
  for (const Algorithm& algorithm : {Algorithm{ConvAlgorithm::winograd2, 4}, {ConvAlgorithm::winograd4, 40}}) {
    const Forced forced(algorithm.kind);
    for (const char* name : {"conv2d", "conv2d_grad_input", "conv_transpose2d", "conv2d_grad_weight"}) {
      const Op& op = find_op(name);
      for (const Filter f : {Filter{3, 1}, {4, 1}, {4, 2}}) {
        for (int64_t padding = 0; padding < f.side; ++padding) {
          for (const Case& c :
               {shape(name, f, 1, f.side, f.side, 1, 1, padding), shape(name, f, 2, 5, 7, 3, 5, padding),
                shape(name, f, 1, 8, 8, 16, 16, padding), shape(name, f, 3, 13, 10, 17, 33, padding),
                shape(name, f, 1, 21, 34, 40, 24, padding), shape(name, f, 16, 6, 6, 64, 48, padding),
                shape(name, f, 1, 8, 8, 128, 40, padding)}) {
            set_threads(1);
            const Tensors one = run_case(op, c, DType::f32);
            set_threads(3);
            const Tensors three = run_case(op, c, DType::f32);
            set_threads(0);
            CHECK_MESSAGE(std::ranges::equal(one[0].host(), three[0].host()), name, " / ", c.name);
            const double ratio = error_over_bound(op, c, one, run_case(op, c, DType::f64));
            CHECK_MESSAGE(ratio < algorithm.amplification, name, " / ", c.name, ": ", ratio,
                          " times the bound of a direct sum");
          }
        }
      }
    }
  }
}

TEST_CASE("shapes without a Winograd form are computed directly, to the same bits") {
  const Op& op = find_op("conv2d");
  for (const Case& c : op.cases()) {
    if (!c.throws.empty() || c.attrs.as<Conv2dAttrs>().groups == 1) continue;
    const Tensors before = run_case(op, c, DType::f32);
    const Forced forced(ConvAlgorithm::winograd4);
    CHECK(std::ranges::equal(before[0].host(), run_case(op, c, DType::f32)[0].host()));
  }
}

TEST_CASE("the ledger says how each convolution was computed") {
  const Tensor x = Tensor::zeros({1, 32, 32, 64}), w = Tensor::zeros({64, 3, 3, 64});
  const auto said = [&] {
    const Ledger ledger;
    conv2d(x, w, {}, {.padding = 1});
    relu(x);
    return std::pair(ledger.listing(), ledger.json_lines());
  };
  const auto [text_of, json_of] = said();
  CHECK(text_of.find("[cpu winograd F(4,3), ") != std::string::npos);
  CHECK(json_of.find(R"x("kernel":"cpu","algorithm":"winograd F(4,3)","flops")x") != std::string::npos);
  CHECK(json_of.find(R"("kernel":"cpu","flops")") != std::string::npos);  // the ReLU chooses nothing
  const Forced forced(ConvAlgorithm::direct);
  CHECK(said().second.find(R"("algorithm":"direct")") != std::string::npos);
}

TEST_CASE("names of algorithms") {
  CHECK(parse_conv_algorithm("winograd4") == ConvAlgorithm::winograd4);
  CHECK_THROWS_WITH_AS(parse_conv_algorithm("fft"), "conv: unknown algorithm 'fft'; valid: auto, direct, winograd2, winograd4", Error);
}

TEST_SUITE_END();
