// conv2d_epilogue: y = relu(batch_norm_eval(conv2d(x, w, b), gamma, beta, mean, var)); norm and relu may be left out.
// x [N,H,W,C]   w [O,Kh,Kw,C/groups]   b, gamma, beta, mean, var [O] or none   y [N,H',W',O]
// filters: winograd_filters of w, or none; what is computed is the same
//
// No network runs it eagerly: a Program puts it in the place of the three ops (fuse.cpp), with the same bits, so that y
// is written once instead of three times. It has no gradient.
#include "tensor/cpu/conv_plan.h"
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/program_attrs.h"
#include "tensor/run.h"

namespace querent {

extern const Op conv2d_op, batch_norm_eval_op, relu_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<Conv2dEpilogueAttrs>();
  std::vector<TensorSpec> y = conv2d_op.infer(in.first(3), a.conv);
  constexpr const char* names[] = {"gamma", "beta", "mean", "var"};
  for (size_t i = 0; i < 4; ++i) {
    check(static_cast<bool>(in[3 + i]) == static_cast<bool>(in[3]),
          "conv2d_epilogue: gamma, beta, mean and var are given together or not at all; gamma={} {}={}", in[3],
          names[i], in[3 + i]);
    check(!in[3 + i] || in[3 + i].shape() == Shape{y[0].shape[3]}, "conv2d_epilogue: {} must be [O] with O={}, got {}",
          names[i], y[0].shape[3], in[3 + i]);
  }
  check(!in[7] || in[7].shape() == cpu::filters_shape(in[7].dim(0) == 36 ? 4 : 2, in[1].shape()),
        "conv2d_epilogue: filters must be winograd_filters of w; filters={} w={}", in[7], in[1]);
  return y;
}

Cost cost(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<Conv2dEpilogueAttrs>();
  const Cost conv = conv2d_op.cost(in.first(3), a.conv);
  const auto y = static_cast<double>(infer(in, attrs)[0].shape.numel());
  return {conv.flops + (in[3] ? 2 * y : 0) + (a.relu ? y : 0), conv.bytes + traffic(in.subspan(3, 4))};
}

// The three definitions one after another, each value rounded as if it were stored.
void ref(const Call& c) {
  const auto& a = c.attrs.as<Conv2dEpilogueAttrs>();
  const Tensor& y = c.out[0];
  conv2d_op.kernel.ref({c.in.first(3), c.out, Attrs(a.conv)});
  if (c.in[3]) {
    const Tensor x = y.clone();
    batch_norm_eval_op.kernel.ref({Tensors{x, c.in[3], c.in[4], c.in[5], c.in[6]}, c.out, Attrs(NormAttrs{a.eps})});
  }
  if (a.relu) relu_op.kernel.ref({Tensors{y.clone()}, c.out, Attrs()});
}

std::vector<Case> cases() {
  struct Layer {
    const char* name;
    Shape x, w;
    Conv2dAttrs a;
  };
  const Sample none{{}, Sample::none};
  std::vector<Case> all;
  for (const Layer& l : {Layer{"3x3", {2, 8, 9, 16}, {17, 3, 3, 16}, {.padding = 1}},
                         {"3x3, narrow", {2, 5, 5, 3}, {20, 3, 3, 3}, {.padding = 1}},
                         {"1x1", {1, 9, 10, 17}, {5, 1, 1, 17}, {}},
                         {"1x1, few outputs", {1, 5, 6, 19}, {3, 1, 1, 19}, {}},
                         {"2x2 stride 2", {1, 6, 8, 17}, {37, 2, 2, 17}, {.stride = 2}},
                         {"7x7 stride 2", {1, 15, 13, 3}, {8, 7, 7, 3}, {.stride = 2, .padding = 3}},
                         {"groups", {2, 8, 9, 6}, {4, 3, 3, 3}, {.padding = 1, .groups = 2}}}) {
    const Sample o{{l.w[0]}}, var{{l.w[0]}, Sample::uniform, 1.0, 0.5};
    all.push_back(
        {text("{}, bias", l.name), {{l.x}, {l.w}, o, none, none, none, none, none}, Conv2dEpilogueAttrs{.conv = l.a}});
    all.push_back(
        {text("{}, norm", l.name), {{l.x}, {l.w}, none, o, o, o, var, none}, Conv2dEpilogueAttrs{.conv = l.a}});
    all.push_back({text("{}, norm alone", l.name),
                   {{l.x}, {l.w}, o, o, o, o, var, none},
                   Conv2dEpilogueAttrs{.conv = l.a, .eps = 0.1, .relu = false}});
  }
  const Shape x{1, 5, 5, 3}, w{4, 3, 3, 3};
  all.push_back(
      {"half a norm", {{x}, {w}, none, {{4}}, none, none, none, none}, Conv2dEpilogueAttrs{}, "given together"});
  all.push_back(
      {"gamma", {{x}, {w}, none, {{3}}, {{4}}, {{4}}, {{4}}, none}, Conv2dEpilogueAttrs{}, "gamma must be [O]"});
  all.push_back({"filters",
                 {{x}, {w}, none, none, none, none, none, {{36, 1, 4, 32}}},
                 Conv2dEpilogueAttrs{},
                 "winograd_filters of w"});
  return all;
}

}  // namespace

extern constinit const Op conv2d_epilogue_op{
    .name = "conv2d_epilogue",
    .formula = "y = max(0, gamma (conv2d(x, w, b) - mean) / sqrt(var + eps) + beta)",
    .inputs = {{"x", "[N,H,W,C]"},
               {"w", "[O,Kh,Kw,C/groups]"},
               {"b", "[O]", Arg::optional},
               {"gamma", "[O]", Arg::optional},
               {"beta", "[O]", Arg::optional},
               {"mean", "[O]", Arg::optional | Arg::constant},
               {"var", "[O]", Arg::optional | Arg::constant},
               {"filters", "[T*T,O/32,C,32]", Arg::optional | Arg::constant}},
    .outputs = {{"y", "[N,H',W',O]"}},
    .infer = infer,
    .cost = cost,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref, .cpu = cpu::conv2d_epilogue, .cuda = nullptr},
    .cases = cases};

}  // namespace querent
