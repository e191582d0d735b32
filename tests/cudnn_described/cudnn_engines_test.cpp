// The real cuDNN, asked for plans on an H100 (described_device.cpp): does it accept every graph we make, is there an
// engine for every convolution under every policy, and which batch norms have any?
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "cuda/cudnn_graph.h"
#include "tensor/op.h"

TEST_SUITE_BEGIN("cudnn_engines_test");
using namespace querent;
using namespace querent::cuda;

namespace {

constexpr PlanPolicy strict{}, tf32{.tf32 = true};

ConvProblem problem(ConvKind kind, const Shape& x, const Shape& w, const Shape& y, const Conv2dAttrs& conv) {
  return {kind, x, w, y, conv, DType::f32, false, 16};
}
// The layers of the op table's test cases, and those of a U-Net and a ResNet18.
std::vector<ConvProblem> forward_problems() {
  std::vector<ConvProblem> all;
  const Op& op = find_op("conv2d");
  for (const Case& c : op.cases()) {
    if (!c.throws.empty()) continue;
    Tensors in;
    const DryRun shapes_only;
    for (const Sample& s : c.in) in.push_back(s.fill == Sample::none ? Tensor{} : Tensor::empty(s.shape));
    const Shape y = op.infer(in, c.attrs)[0].shape;
    all.push_back(problem(ConvKind::forward, in[0].shape(), in[1].shape(), y, c.attrs.as<Conv2dAttrs>()));
  }
  struct Layer {
    int64_t n, size, c, o, k, stride;
  };
  for (const Layer& l : {Layer{8, 128, 16, 16, 3, 1},
                         {8, 64, 32, 32, 3, 1},
                         {32, 256, 64, 64, 3, 1},
                         {32, 16, 1024, 512, 3, 1},
                         {8, 128, 16, 1, 1, 1},
                         {8, 128, 1, 64, 7, 2},
                         {8, 32, 64, 128, 3, 2},
                         {8, 32, 64, 128, 1, 2}}) {
    const int64_t padding = l.k / 2, out = (l.size + 2 * padding - l.k) / l.stride + 1;
    all.push_back(problem(ConvKind::forward, {l.n, l.size, l.size, l.c}, {l.o, l.k, l.k, l.c}, {l.n, out, out, l.o},
                          {.stride = l.stride, .padding = padding}));
  }
  return all;
}
// The first engine that the policy allows and an H100 can run.
std::optional<Plan> first_plan(const ConvProblem& p, const PlanPolicy& policy) {
  const OperationGraph graph = conv_graph(p, nullptr);
  for (const Engine& e : proposed_engines(graph)) {
    if (!is_allowed(e, p.dtype, policy)) continue;
    if (auto plan = make_plan(graph, e)) return plan;
  }
  return {};
}

}  // namespace

TEST_CASE("every convolution has an engine in strict f32, in TF32 and in bf16") {
  int engines = 0, without_bias = 0;
  for (ConvProblem p : forward_problems()) {
    for (const ConvKind kind : {ConvKind::forward, ConvKind::grad_input, ConvKind::grad_weight}) {
      p.kind = kind;
      for (const auto& [dtype, policy] : {std::pair(DType::f32, strict), {DType::f32, tf32}, {DType::bf16, strict}}) {
        p.dtype = dtype;
        CHECK_MESSAGE(first_plan(p, policy), p.text(), " under ", policy.text());
        ++engines;
      }
    }
    p.kind = ConvKind::forward, p.dtype = DType::f32, p.bias = true;
    without_bias += !first_plan(p, strict);
  }
  MESSAGE(engines, " problems; ", without_bias, " forward convolutions need their bias added apart");
}

TEST_CASE("an engine is found again by its name") {
  const ConvProblem p = problem(ConvKind::forward, {8, 64, 64, 32}, {32, 3, 3, 32}, {8, 64, 64, 32}, {.padding = 1});
  const OperationGraph graph = conv_graph(p, nullptr);
  const std::vector<Engine> engines = proposed_engines(graph);
  REQUIRE(engines.size() > 10);
  for (const Engine& e : engines) {
    const Engine again = named_engine(graph, e.name);
    CHECK(again.name == e.name);
    CHECK(again.notes == e.notes);
    CHECK(again.workspace == e.workspace);
  }
}

TEST_CASE("pointers that are not aligned to 16 bytes have engines too") {
  ConvProblem p = problem(ConvKind::forward, {1, 8, 8, 4}, {4, 3, 3, 4}, {1, 8, 8, 4}, {.padding = 1});
  p.alignment = 4;
  for (const ConvKind kind : {ConvKind::forward, ConvKind::grad_input, ConvKind::grad_weight}) {
    p.kind = kind;
    CHECK_MESSAGE(first_plan(p, strict), p.text());
  }
}

TEST_CASE("a bias on a gradient is a pattern cuDNN does not know: cuda/conv2d.cpp relies on asking for none") {
  ConvProblem p = problem(ConvKind::grad_input, {8, 64, 64, 32}, {32, 3, 3, 32}, {8, 64, 64, 32}, {.padding = 1});
  p.bias = true;
  CHECK(proposed_engines(conv_graph(p, nullptr)).empty());
}

// The engines of batch norms are compiled when a plan is made, and none is proposed unless there is a driver to load
// them. The toolkit's empty one is enough for the proposals; plans need a real one.
TEST_CASE("batch norms in training have engines, deterministic ones, where C is a multiple of 4, in bf16 of 8") {
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) && !dlopen(QUERENT_EMPTY_DRIVER, RTLD_NOW | RTLD_GLOBAL)) {
    MESSAGE("skipped: neither a driver nor the toolkit's empty one");
    return;
  }
  const auto engines = [&](NormKind kind, const Shape& x, DType dtype) {
    return proposed_engines(norm_graph({kind, x, dtype}, nullptr));
  };
  // Layers of a U-Net and a ResNet18, and rows that are no images.
  const Shape shapes[] = {{8, 256, 256, 64}, {8, 16, 16, 1024}, {32, 7, 7, 512}, {128, 1, 1, 256}};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const NormKind kind : {NormKind::forward, NormKind::forward_relu, NormKind::forward_add_relu,
                                NormKind::backward, NormKind::backward_relu}) {
      for (const Shape& x : shapes) {
        size_t allowed = 0;
        for (const Engine& e : engines(kind, x, dtype)) allowed += is_allowed(e, dtype, strict);
        CHECK(allowed > 10);
      }
      for (const int64_t channels : {1, 6}) CHECK(engines(kind, {8, 16, 16, channels}, dtype).empty());
      CHECK(engines(kind, {8, 16, 16, 12}, dtype).empty() == (dtype == DType::bf16));
    }
  }
  const OperationGraph graph = norm_graph({NormKind::backward_relu, {8, 32, 32, 64}, DType::bf16}, nullptr);
  const Engine first = proposed_engines(graph)[0];
  CHECK(named_engine(graph, first.name).name == first.name);
}

TEST_CASE("what cuDNN refuses is an error with its reason and the problem") {
  const ConvProblem p = problem(ConvKind::forward, {1, 8, 8, 4}, {4, 3, 3, 4}, {1, 9, 8, 4}, {.padding = 1});
  std::string message;
  try {
    conv_graph(p, nullptr);
  } catch (const Error& e) {
    message = e.what();
  }
  CHECK_MESSAGE(message.starts_with("cudnn: conv2d f32 x=[1,8,8,4] w=[4,3,3,4] y=[1,9,8,4]"), message);
  CHECK_MESSAGE(message.find("CUDNN_STATUS_BAD_PARAM") != std::string::npos, message);
}
TEST_SUITE_END();
