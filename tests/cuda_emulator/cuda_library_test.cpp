// What cuda/ asks of cuDNN and cuBLASLt, with the emulator's stand-ins for both (tests/cuda_emulator): the choice of
// engines, the file of choices, and the arithmetic of every convolution and product of the op table.
#include <doctest/doctest.h>

#include <functional>

#include "cuda/cudnn_graph.h"
#include "cuda/plans.h"
#include "tensor/backend.h"
#include "tensor/ops.h"
#include "tensor/plans.h"
#include "tensor/program.h"
#include "tensor/run.h"
#include "tensor/selftest.h"
#include "tensor/tape.h"
#include "tests/cuda_emulator/cudnn_graph.h"
#include "tests/norm_cases.h"

TEST_SUITE_BEGIN("cuda_library_test");
using namespace querent;
using namespace querent::test;

namespace {

const Device gpu = Device::cuda();

double error_on_gpu(const Op& op, const Case& c) {
  return error_over_bound(op, c, run_case(op, c, DType::f32, 1, gpu), run_case(op, c, DType::f64));
}
// What the book of the process says of the one problem that contains `part`.
std::string engine_of(const std::string& part) {
  const std::string json = PlanBook::of_process().json();
  const size_t problem = json.find(part), engine = json.find("\"engine\": \"", problem) + 11;
  return problem == std::string::npos ? "nothing" : json.substr(engine, json.find('"', engine) - engine);
}
Tensor small_conv(int64_t size) {  // each size is a problem of its own
  const Tensor x = Tensor::full({1, size, size, 3}, 0.1, DType::f32, gpu),
               w = Tensor::full({2, 3, 3, 3}, 0.3, DType::f32, gpu);
  return conv2d(x, w, {}, {.padding = 1});
}
const std::string emulated_machine = "emulated device, compute capability 0.0, cuDNN 91900";
struct Policy {  // back to the default at the end of a test
  explicit Policy(const PlanPolicy& p) { set_plan_policy(p); }
  ~Policy() { set_plan_policy({}); }
};
std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("every convolution and product of the op table agrees with the f64 reference") {
  for (const char* name : {"conv2d", "conv2d_grad_input", "conv2d_grad_weight", "conv_transpose2d", "matmul"}) {
    const Op& op = find_op(name);
    for (const Case& c : op.cases()) {
      if (!c.throws.empty()) continue;
      const double ratio = error_on_gpu(op, c);
      CHECK_MESSAGE(ratio <= 1, name, " / ", c.name, ": the error is ", ratio, " times its bound");
    }
  }
}

TEST_CASE("a transposed convolution with an output padding of a stride") {
  const Case c{"",
               {{{1, 3, 3, 2}}, {{2, 2, 2, 3}}, {{3}}},
               ConvTranspose2dAttrs{.stride = 1, .output_padding = 1, .dilation = 2}};
  CHECK(error_on_gpu(find_op("conv_transpose2d"), c) <= 1);
}

TEST_CASE("sums of nothing are zero") {
  const auto zeros = [](Shape s) { return Tensor::zeros(s, DType::f32, gpu); };
  const Tensor w = zeros({2, 3, 3, 3}), b = Tensor::full({2}, 7, DType::f32, gpu);
  CHECK(conv2d(zeros({0, 5, 5, 3}), w, b, {}).shape() == Shape{0, 3, 3, 2});
  const Tensor dw = run(find_op("conv2d_grad_weight"), {zeros({0, 5, 5, 3}), zeros({0, 3, 3, 2})},
                        Conv2dGradWeightAttrs{{}, 3})[0];
  CHECK(dw.host() == std::vector<float>(54, 0.0f));
  CHECK(matmul(zeros({2, 0}), zeros({0, 3})).host() == std::vector<float>(6, 0.0f));
  CHECK(matmul(zeros({0, 2}), zeros({2, 3})).shape() == Shape{0, 3});
}

TEST_CASE("tensors that lie at odd places compute the same") {
  const Tensor flat = Tensor::full({1 + 5 * 5 * 3}, 0.5, DType::f32, gpu);
  const Tensor x = flat.batch(1, 75).reshaped({1, 5, 5, 3}), w = Tensor::full({2, 3, 3, 3}, 0.3, DType::f32, gpu);
  CHECK(conv2d(x, w, {}, {.padding = 1}).host()[24] == doctest::Approx(27 * 0.15));
  CHECK(engine_of("x=[1,5,5,3] w=[2,3,3,3] y=[1,5,5,2] stride=[1,1] padding=[1,1] dilation=[1,1] groups=1 align=4") !=
        "nothing");
  const Tensor a = flat.batch(1, 6).reshaped({2, 3}), b = Tensor::full({3, 2}, 2, DType::f32, gpu);
  CHECK(matmul(a, b).host() == std::vector<float>(4, 3.0f));
}

TEST_CASE("the policy decides which engines may serve") {
  // Proposed, best first: 0 on tensor cores, 1 admits that it is nondeterministic, 3 does not run here, 2 is
  // nondeterministic and does not say so, 4 and 5 are right.
  small_conv(7);
  CHECK(engine_of("x=[1,7,7,3]") == "eng4_k2=-7");
  {
    const Policy any_order({.deterministic = false});
    small_conv(8);
    CHECK(engine_of("x=[1,8,8,3]") == "eng1_k2=4");
  }
  {
    const Policy tf32({.tf32 = true});
    small_conv(9);
    CHECK(engine_of("x=[1,9,9,3]") == "eng0");
  }
  matmul(Tensor::zeros({4, 5}, DType::f32, gpu), Tensor::zeros({5, 6}, DType::f32, gpu));
  CHECK(engine_of("m=4 n=6 k=5").starts_with("algo5_"));
  const Policy any_order({.deterministic = false});
  matmul(Tensor::zeros({4, 5}, DType::f32, gpu), Tensor::zeros({5, 7}, DType::f32, gpu));
  CHECK(engine_of("m=4 n=7 k=5").starts_with("algo3_tile0_splitk4_reduce1_"));
  // What is added up in place of a bf16 result is added in bf16.
  matmul(Tensor::zeros({4, 5}, DType::bf16, gpu), Tensor::zeros({5, 7}, DType::bf16, gpu));
  CHECK(engine_of("matmul bf16 m=4 n=7 k=5").starts_with("algo5_"));
}

TEST_CASE("what is on file is used as it is, and the library is not asked") {
  const auto problem = [](int64_t size) {
    return text(
        "conv2d f32 x=[1,{},{},3] w=[2,3,3,3] y=[1,{},{},2] stride=[1,1] padding=[1,1] dilation=[1,1] groups=1 "
        "align=16 deterministic strict",
        size, size, size, size);
  };
  PlanBook& book = PlanBook::of_process();
  book.keep(emulated_machine, problem(11), {"eng5", 0});
  book.keep(emulated_machine, problem(12), {"eng3", 0});  // does not run here
  const size_t asked = cuda_emulator::heuristics_asked();
  small_conv(11);
  CHECK(message_of([] { small_conv(12); }).find("does not run here: eng3; delete the file of plans") !=
        std::string::npos);
  CHECK(cuda_emulator::heuristics_asked() == asked);
  CHECK(engine_of("x=[1,11,11,3]") == "eng5");
}

TEST_CASE("a proposal that refuses to run is passed over, unless all do or the device itself is at fault") {
  const Tensor y = Tensor::zeros({2}, DType::f32, gpu);
  const cuda::Trial refuses{"a", []() -> bool { fail("cudnn: running a failed"); }},
      breaks{"c", []() -> bool {
               internal_check(false, "cuda: an illegal access");
               return true;
             }},
      good{"b", [&] {
             fill_bytes(y.raw(), 0, y.bytes(), gpu);
             return true;
           }};
  CHECK(cuda::choose("M", "refused", {refuses, good}, {&y, 1}).engine == "b");
  CHECK(message_of([&] { cuda::choose("M", "all refused", {refuses}, {&y, 1}); }) == "cudnn: running a failed");
  CHECK_FALSE(PlanBook::of_process().find("M", "all refused deterministic strict"));
  CHECK(message_of([&] { cuda::choose("M", "broken", {breaks, good}, {&y, 1}); }).find("illegal access") != std::string::npos);
}

TEST_CASE("tuning does not take what heuristics chose") {
  PlanBook& book = PlanBook::of_process();
  book.keep("M", "p deterministic strict", {"eng1", 0});
  book.keep("M", "q deterministic strict", {"eng1", 0.5});
  CHECK(cuda::known_choice("M", "p"));
  const Policy tune({.tune = true});
  CHECK_FALSE(cuda::known_choice("M", "p"));
  CHECK(cuda::known_choice("M", "q"));
}

TEST_CASE("tuning measures, once, and keeps the time") {
  const Policy tune({.tune = true});
  small_conv(10);
  const size_t asked = cuda_emulator::heuristics_asked();
  const PlanBook& book = PlanBook::of_process();
  const size_t at = book.json().find("x=[1,10,10,3]");
  CHECK(book.json().substr(at, 250).find("\"ms\"") != std::string::npos);
  small_conv(10);
  CHECK(cuda_emulator::heuristics_asked() == asked);
  CHECK(std::string("eng4_k2=-7 eng5").find(engine_of("x=[1,10,10,3]")) != std::string::npos);
}

TEST_CASE("a bias is added in the graph of a convolution, and after it where cuDNN has no engine for that") {
  const Op& transposed = find_op("conv_transpose2d");
  const Case c{"", {{{1, 4, 3, 2}}, {{2, 2, 2, 5}}, {{5}}}, ConvTranspose2dAttrs{.stride = 2}};
  CHECK(error_on_gpu(transposed, c) <= 1);
  CHECK(engine_of("conv2d_grad_input f32 x=[1,8,6,5]") == "eng4_k2=-7");
  CHECK(engine_of("x=[1,8,6,5] w=[2,2,2,5] y=[1,4,3,2] stride=[2,2] padding=[0,0] dilation=[1,1] groups=1 bias") ==
        "nothing");
  CHECK(error_on_gpu(find_op("conv2d"), {"", {{{1, 4, 3, 2}}, {{5, 3, 3, 2}}, {{5}}}, Conv2dAttrs{.padding = 1}}) <= 1);
  CHECK(engine_of("conv2d f32 x=[1,4,3,2] w=[5,3,3,2] y=[1,4,3,5] stride=[1,1] padding=[1,1] dilation=[1,1] groups=1 "
                  "bias align=16") == "eng4_k2=-7");
}

TEST_CASE("a bias is added to the sums of a product, and after it where cuBLASLt does not do that") {
  const Op& op = find_op("matmul");
  const Case c{"", {{{6, 21}}, {{21, 8}}, {{8}}}, MatmulAttrs{}};
  CHECK(error_on_gpu(op, c) <= 1);
  CHECK(engine_of("matmul f32 m=6 n=8 k=21 transpose=0,0 bias align=16") != "nothing");
  CHECK(engine_of("matmul f32 m=6 n=8 k=21 transpose=0,0 align=16") == "nothing");
  const Tensor a = Tensor::full({6, 21}, 0.5, DType::f32, gpu), b = Tensor::full({21, 9}, 0.25, DType::f32, gpu),
               numbers = Tensor::full({10}, 3, DType::f32, gpu);
  CHECK(matmul(a, b, numbers.batch(1, 9), {}).host() == std::vector<float>(54, 21 * 0.125f + 3));
  CHECK(engine_of("matmul f32 m=6 n=9 k=21 transpose=0,0 bias align=4") == "none");
  CHECK(engine_of("matmul f32 m=6 n=9 k=21 transpose=0,0 align=4") != "nothing");
}

TEST_CASE("batch norms are right by our own kernels and by every engine of cuDNN's that may serve") {
  int64_t height = 3;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const NormRow& row : norm_rows) {
      for (const char* engine : {"", "own", "eng4_k2=-7", "eng5"}) {  // "": nothing is on file
        for (const int64_t channels : {8, 72}) {
          const Op& op = find_op(row.op);
          const Case c = norm_case(row, {2, ++height, 3, channels});
          const std::string problem = text("{} {} x=[2,{},3,{}]", row.problem, dtype, height, channels);
          CAPTURE(problem);
          CAPTURE(engine);
          if (*engine) PlanBook::of_process().keep(emulated_machine, problem + " deterministic strict", {engine, 0});
          const size_t before = cuda_emulator::norms_computed();
          const double ratio = error_over_bound(op, c, run_case(op, c, dtype, 1, gpu), run_exactly(op, c, dtype),
                                                rounded_between(op, c, dtype));
          CHECK(ratio <= 1);
          CHECK(cuda_emulator::norms_computed() - before == (std::string_view(engine).starts_with("eng") ? 1 : 0));
          CHECK(engine_of(problem + " ") == (*engine ? engine : "nothing"));
        }
      }
    }
  }
}

TEST_CASE("tuning measures our batch norm beside cuDNN's, and takes none that computes something else") {
  const Policy tune({.tune = true});
  const std::string right = "own eng4_k2=-7 eng5";  // and not eng6, which does, nor eng3, whose bits change
  for (int64_t height = 3; height < 5; ++height) {
    for (const NormRow& row : norm_rows) {
      const Op& op = find_op(row.op);
      CHECK(error_on_gpu(op, norm_case(row, {2, height, 3, 4})) <= 1);
      const std::string engine = engine_of(text("{} f32 x=[2,{},3,4] ", row.problem, height));
      CHECK_MESSAGE(right.find(engine) != std::string::npos, std::string(row.problem), " by ", engine);
    }
  }
  // Where cuDNN has no engine, and where it would have to read and write at odd places, there is ours.
  CHECK(error_on_gpu(find_op("batch_norm_train"), norm_case(norm_rows[0], {2, 3, 3, 6})) <= 1);
  CHECK(engine_of("batch_norm_train f32 x=[2,3,3,6] ") == "own");
  const Tensor flat = Tensor::full({1 + 10 * 4}, 0.5, DType::f32, gpu), one = Tensor::full({4}, 1, DType::f32, gpu);
  CHECK(batch_norm_train(flat.batch(1, 40).reshaped({10, 4}), one, one).y.host() == std::vector<float>(40, 1.0f));
  CHECK(engine_of("batch_norm_train f32 x=[10,1,1,4] ") == "nothing");
}

TEST_CASE("in a captured step too, where dx lies in the place of dy and the sum in that of what is added") {
  const auto normal = [](Shape s, uint64_t seed) {
    return draw_sample({s}, {"x", "[*]"}, DType::f32, Rng(seed)).to(gpu);
  };
  Tensor gamma = normal({8}, 1), beta = normal({8}, 2);
  gamma.as_parameter("gamma"), beta.as_parameter("beta");
  const auto step = [&](Inputs in) {
    Tape tape;
    tape.watch(in[0]);
    const Tensor z = scale(in[0], 2), a = relu(batch_norm_train(square(in[0]), gamma, beta).y);
    const Tensor y = relu(add(batch_norm_train(a, gamma, beta).y, z));
    Tensors out = tape.backward(sum(square(y)), {}, Tensors{in[0], gamma, beta});
    out.push_back(y);
    return out;
  };
  const Tensor x = normal({2, 5, 5, 8}, 3);
  Tensors expected;
  for (const Tensor& t : step({&x, 1})) expected.push_back(t.to(Device::cpu()));
  PlanBook& book = PlanBook::of_process();
  for (const char* kind : {"batch_norm_add_relu", "batch_norm_relu_grad"}) {
    book.keep(emulated_machine, text("{} f32 x=[2,5,5,8] in place deterministic strict", kind), {"eng5", 0});
  }
  const size_t before = cuda_emulator::norms_computed();
  Program p = Program::capture(step, {x});
  CHECK(cuda_emulator::norms_computed() == before + 4);  // at first kernel by kernel, then recorded
  p({x});
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::vector<float> a = p.results()[i].host(), b = expected[i].host();
    double worst = 0;
    for (size_t k = 0; k < a.size(); ++k) worst = std::max<double>(worst, std::abs(a[k] - b[k]) / (1 + std::abs(b[k])));
    CHECK(worst < 1e-4);
  }
}

TEST_CASE("f64 on the GPU is an error that names the op") {
  const Tensor x = Tensor::zeros({1, 5, 5, 3}, DType::f64, gpu), w = Tensor::zeros({2, 3, 3, 3}, DType::f64, gpu);
  CHECK(message_of([&] { conv2d(x, w, {}, {}); }).find("conv2d: the GPU computes in f32 or bf16, not f64") == 0);
  const Tensor a = Tensor::zeros({2, 2}, DType::f64, gpu);
  CHECK(message_of([&] { matmul(a, a); }).find("matmul: the GPU computes in f32 or bf16, not f64") == 0);
}

TEST_CASE("an engine is found again by its name, and a name that is none is an error") {
  using namespace cuda;
  cudnnHandle_t handle = nullptr;
  cudnnCreate(&handle);
  const ConvProblem p{ConvKind::forward, {1, 6, 6, 4}, {8, 3, 3, 4}, {1, 4, 4, 8}};
  const OperationGraph graph = conv_graph(p, handle);
  const std::vector<Engine> engines = proposed_engines(graph);
  CHECK(engines.size() == 6);  // the fallback list repeats one of them
  for (const Engine& e : engines) {
    const Engine again = named_engine(graph, e.name);
    CHECK(again.name == e.name);
    CHECK(again.notes == e.notes);
    CHECK(again.workspace == e.workspace);
  }
  for (const char* bad : {"", "eng", "engine4", "eng4_k2", "eng4_k2=", "eng4_k2=7x", "eng-4", "eng4_k2=7_"}) {
    CHECK(message_of([&] { named_engine(graph, bad); }) ==
          text("cudnn: '{}' is no engine name; it reads like eng12_k2=7", bad));
  }
  CHECK(note_names(tensor_core | winograd) == "tensor_core winograd");
}

TEST_CASE("versions as people read them") {
  CHECK(backend(Device::cuda()).versions == "driver for CUDA 13.0, CUDA 13.0, cuDNN 9.19.0, cuBLASLt 13.1.0");
}

TEST_CASE("descriptors go when their owners go") {
  const auto before = cuda_emulator::living_descriptors();
  small_conv(7);
  small_conv(7);
  CHECK(cuda_emulator::living_descriptors() == before);
}
TEST_SUITE_END();
