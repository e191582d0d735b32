// Times ops at the shapes that U-Net and ResNet18 meet: GFLOP/s and GB/s from the costs in the op table, and which
// kernel ran.   build/bench/bench_ops [cuda] --benchmark_filter=conv2d
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

std::vector<Timed> timed() {
  std::vector<Timed> t;
  struct Layer {
    int64_t n, size, c, o, k, stride;
  };
  const Layer layers[] = {{8, 128, 1, 16, 3, 1},  {8, 128, 16, 16, 3, 1},  {8, 64, 32, 32, 3, 1},
                          {8, 32, 64, 64, 3, 1},  {8, 16, 128, 128, 3, 1}, {8, 8, 256, 256, 3, 1},
                          {8, 128, 32, 16, 3, 1}, {8, 128, 16, 1, 1, 1},   {8, 128, 1, 64, 7, 2},
                          {8, 32, 64, 128, 3, 2}, {8, 32, 64, 128, 1, 2},  {1, 256, 64, 64, 3, 1}};
  for (const Layer& l : layers) {
    const int64_t pad = l.k / 2, out = (l.size + 2 * pad - l.k) / l.stride + 1;
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
  for (const int64_t c : {16, 64, 256}) {
    const int64_t size = 2048 / c;
    const Sample x = image(8, size, c), channel{{c}, Sample::uniform, 1, 0.5};
    const std::string name = text("8x{}x{}x{}", size, size, c);
    t.push_back({"batch_norm_train", {name, {x, channel, channel}, NormAttrs{}}});
    t.push_back({"batch_norm_eval", {name, {x, channel, channel, channel, channel}, NormAttrs{}}});
    t.push_back({"relu", {name, {x}, {}}});
    t.push_back({"sigmoid", {name, {x}, {}}});
    t.push_back({"add", {name, {x, x}, {}}});
    t.push_back({"max_pool2d", {name, {x}, Pool2dAttrs{}}});
    t.push_back({"dropout", {name, {x, {{8, 2}, Sample::streams}}, DropoutAttrs{.p = 0.2}}});
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

void time_op(benchmark::State& state, const Op& op, const Case& c, Device device) {
  Tensors in = draw_inputs(op, c, DType::f32);
  for (Tensor& t : in) t = t ? t.to(device) : t;
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
  const bool named = argc > 1 && argv[1][0] != '-';
  const Device device = named ? parse_device(argv[1]) : Device::cpu();
  for (const Timed& t : timed()) {
    const Op& op = find_op(t.op);
    benchmark::RegisterBenchmark((t.op + "/" + t.shape.name).c_str(),
                                 [&op, c = t.shape, device](benchmark::State& s) { time_op(s, op, c, device); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  if (named) argv[1] = argv[0], ++argv, --argc;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
