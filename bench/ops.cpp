// Times ops at the shapes that U-Net and ResNet18 meet: GFLOP/s and GB/s from the costs in the op table, and which
// kernel ran.   build/bench/bench_ops [cpu|cuda [f32|bf16]] --benchmark_filter=conv2d
#include <benchmark/benchmark.h>

#include "tensor/backend.h"
#include "tensor/ledger.h"
#include "tensor/op_attrs.h"
#include "tensor/selftest.h"

namespace {
using namespace querent;

struct Timed {
  std::string op;
  Case shape;
};

Sample image(int64_t n, int64_t size, int64_t c) { return {{n, size, size, c}}; }
Sample filter(int64_t o, int64_t k, int64_t c) { return {{o, k, k, c}, Sample::normal, 0.1}; }

std::vector<Timed> timed(Device device) {
  std::vector<Timed> t;
  struct Layer {
    int64_t n, size, c, o, k, stride;
  };
  const Layer layers[] = {{8, 128, 1, 16, 3, 1},  {8, 128, 16, 16, 3, 1},  {8, 64, 32, 32, 3, 1},
                          {8, 32, 64, 64, 3, 1},  {8, 16, 128, 128, 3, 1}, {8, 8, 256, 256, 3, 1},
                          {8, 128, 32, 16, 3, 1}, {8, 128, 16, 1, 1, 1},   {8, 128, 1, 64, 7, 2},
                          {8, 32, 64, 128, 3, 2}, {8, 32, 64, 128, 1, 2},  {1, 256, 64, 64, 3, 1},
                          {4, 224, 3, 64, 7, 2},  {8, 56, 128, 256, 3, 2}, {8, 28, 512, 512, 1, 1},
                          {1, 64, 128, 256, 4, 2}};
  for (const Layer& l : layers) {
    const int64_t pad = (l.k - 1) / 2, out = (l.size + 2 * pad - l.k) / l.stride + 1;
    const Conv2dAttrs conv{.stride = l.stride, .padding = pad};
    const std::string name = text("{}x{}x{}x{} -> {} k{} s{}", l.n, l.size, l.size, l.c, l.o, l.k, l.stride);
    t.push_back({"conv2d", {name, {image(l.n, l.size, l.c), filter(l.o, l.k, l.c), {{}, Sample::none}}, conv}});
    if (l.c > 1) {
      t.push_back({"conv2d_grad_input",
                   {name, {image(l.n, out, l.o), filter(l.o, l.k, l.c)}, Conv2dGradInputAttrs{conv, l.size}}});
    }
    t.push_back({"conv2d_grad_weight",
                 {name, {image(l.n, l.size, l.c), image(l.n, out, l.o)}, Conv2dGradWeightAttrs{conv, l.k}}});
  }
  struct Map {
    int64_t n, size, c;
  };
  std::vector<Map> maps = {{8, 128, 16}, {8, 32, 64}, {8, 8, 256}, {2, 32, 512}};
  if (device != Device::cpu()) maps.push_back({16, 128, 64});  // more than a GPU's cache holds
  for (const auto& [n, size, c] : maps) {
    const Sample x = image(n, size, c), channel{{c}, Sample::uniform, 1, 0.5};
    const std::string name = text("{}x{}x{}x{}", n, size, size, c);
    t.push_back({"batch_norm_train", {name, {x, channel, channel}, NormAttrs{}}});
    t.push_back({"batch_norm_eval", {name, {x, channel, channel, channel, channel}, NormAttrs{}}});
    t.push_back({"batch_norm_relu", {name, {x, channel, channel, x}, NormAttrs{}}});
    t.push_back({"batch_norm_grad", {name, {x, channel, x, channel, channel, x}, NormAttrs{}}});
    t.push_back({"relu", {name, {x}, {}}});
    t.push_back({"add_relu", {name, {x, x}, {}}});
    t.push_back({"add_relu_grad", {name, {x, x, x}, {}}});
    t.push_back({"crop", {name, {x}, CropAttrs{{0, 0, 0, c / 2}, {n, size, size, c / 2}}}});
    t.push_back({"sigmoid", {name, {x}, {}}});
    t.push_back({"add", {name, {x, x}, {}}});
    t.push_back({"max_pool2d", {name, {x}, Pool2dAttrs{}}});
    t.push_back({"dropout", {name, {x, {{n, 2}, Sample::streams}}, DropoutAttrs{.p = 0.2}}});
    t.push_back({"concat", {name, {x, x}, AxisAttrs{}}});
    t.push_back({"sum", {name, {x}, ReduceAttrs{.axes = {0, 1, 2}}}});
    t.push_back({"conv_transpose2d",
                 {name, {x, {{c, 2, 2, c / 2}, Sample::normal, 0.1}, {{c / 2}}}, ConvTranspose2dAttrs{.stride = 2}}});
  }
  for (const int64_t n : {64, 256, 1024})
    t.push_back({"matmul", {text("{}", n), {{{n, n}}, {{n, n}}}, MatmulAttrs{}}});
  t.push_back({"softmax", {"8192x64", {{{8192, 64}}}, {}}});
  const int64_t parameters = 2'000'000;
  t.push_back({"adam_update",
               {"2M",
                {{{parameters}},
                 {{parameters}},
                 {{parameters}},
                 {{parameters}, Sample::uniform},
                 {{7}, Sample::uniform, 0.1, 0.5}},
                AdamAttrs{}}});
  return t;
}

// Inputs of the case that is timed: Google Benchmark asks a few times for each, and drawing takes longer than the op.
struct Drawn {
  const Case* of = nullptr;
  Tensors in;
};

void time_op(benchmark::State& state, const Op& op, const Case& c, Device device, DType type, Drawn& drawn) {
  Tensors& in = drawn.in;
  if (drawn.of != &c) {
    in = draw_inputs(op, c, type);
    for (Tensor& t : in) t = t ? t.to(device) : t;
    drawn.of = &c;
  }
  std::string kernel;
  {
    const Ledger ledger;
    run(op, in, c.attrs);
    kernel = kernel_kind_name(ledger.records().at(0).kernel);
  }
  // A GPU is waited for after many calls only: one call is too short to be timed from the host.
  const int calls = device == Device::cpu() ? 1 : 100;
  for (auto _ : state) {
    for (int i = 0; i < calls; ++i) {
      const Tensors out = run(op, in, c.attrs);
      benchmark::DoNotOptimize(out.data());
      benchmark::ClobberMemory();
    }
    if (device != Device::cpu()) backend(device).synchronize(device.index);
  }
  const Cost cost = op.cost(in, c.attrs);
  const auto per_second = [&](double x) {
    return benchmark::Counter(x * calls, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["FLOP/s"] = per_second(cost.flops);
  state.counters["B/s"] = per_second(cost.bytes);
  state.counters["calls"] = calls;  // in one iteration
  state.SetLabel(kernel);
}

}  // namespace

int main(int argc, char** argv) {
  // What is named before the flags: a device, then a type.
  std::vector<std::string> named;
  for (; argc > 1 && argv[1][0] != '-'; --argc, ++argv) {
    named.push_back(argv[1]);
    argv[1] = argv[0];
  }
  const Device device = named.empty() ? Device::cpu() : parse_device(named[0]);
  const DType type = named.size() > 1 && named[1] == "bf16" ? DType::bf16 : DType::f32;
  const std::vector<Timed> all = timed(device);
  Drawn drawn;
  for (const Timed& t : all) {
    const Op& op = find_op(t.op);
    if (type == DType::bf16 && !takes_bf16(op, device.kind)) continue;
    benchmark::RegisterBenchmark(
        (t.op + "/" + t.shape.name).c_str(),
        [&, device, type](benchmark::State& s) { time_op(s, op, t.shape, device, type, drawn); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
