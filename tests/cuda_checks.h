// What must hold on any CUDA device: shared by cuda_test (a real one) and the emulated one.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <set>

#include "tensor/backend.h"
#include "tensor/ops.h"
#include "tensor/pool_attrs.h"
#include "tensor/run.h"
#include "tests/op_samples.h"

namespace querent::test {

inline Tensors moved(const Tensors& all, Device device) {
  Tensors there;
  for (const Tensor& t : all) there.push_back(t ? t.to(device) : t);
  return there;
}
inline bool same_bytes(const Tensors& a, const Tensors& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].shape() != b[i].shape() || std::memcmp(a[i].raw(), b[i].raw(), a[i].bytes()) != 0) return false;
  }
  return a.size() == b.size();
}
// A copy of `t` on the device that lies one element beside what packs of 16 bytes need.
inline Tensor moved_aside(const Tensor& t, Device device) {
  const size_t offset = dtype_size(t.dtype());
  const Tensor there = Tensor::on(Storage::allocate(t.bytes() + offset, device), offset, t.shape(), t.dtype());
  there.copy_from(t);
  return there;
}

// The case on a device; the results back on the host: the outputs, then the inputs it mutated.
inline Tensors run_on(Device device, const Op& op, const Case& c, bool aside = false, DType dtype = DType::f32) {
  Tensors in;
  for (const Tensor& t : draw_inputs(op, c, dtype))
    in.push_back(!t ? t : aside ? moved_aside(t, device) : t.to(device));
  Tensors results = run(op, in, c.attrs);
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] && op.inputs[std::min(i, op.inputs.size() - 1)].is(Arg::mutated)) results.push_back(in[i]);
  }
  return moved(results, Device::cpu());
}

// Shapes of more than one block, beside the small ones of the op table.
struct LargeCase {
  const char* op;
  Case c;
};
inline std::vector<LargeCase> large_cases() {
  const auto labels = [](int64_t n, double classes) { return Sample{{n}, Sample::index, classes}; };
  const auto u = [](Shape s) { return Sample{s, Sample::uniform, 1.0, 0.5}; };
  const Sample none{{}, Sample::none};
  return {
      {"sum", {"all, many pieces", {{{77, 401}}}, ReduceAttrs{}}},
      {"sum", {"channels, many pieces", {{{3, 1111, 37}}}, ReduceAttrs{.axes = {0, 1}}}},
      {"mean", {"apart, many rows", {{{57, 3, 61}}}, ReduceAttrs{.axes = {0, 2}}}},
      {"sum", {"more columns than a block", {{{999, 5}}}, ReduceAttrs{.axes = {1}}}},
      {"add", {"many blocks", {{{7, 1031}}, {{7, 1031}}}, {}}},
      {"mul", {"row, many blocks", {{{70, 103}}, {{103}}}, {}}},
      {"sub", {"row in packs", {{{70, 104}}, {{104}}}, {}}},
      {"mul", {"scalar in packs", {{{7, 1031}}, {{1}}}, {}}},
      {"div", {"both repeat, many blocks", {{{40, 1, 31}}, u({9, 1})}, {}}},
      {"concat", {"packs", {{{3, 5, 8}}, {{3, 5, 12}}}, AxisAttrs{.axis = 2}}},
      {"crop", {"packs", {{{2, 5, 7, 24}}}, CropAttrs{{0, 0, 0, 8}, {2, 5, 7, 16}}}},
      {"crop", {"packs, two axes", {{{2, 5, 7, 24}}}, CropAttrs{{0, 1, 2, 0}, {2, 3, 4, 24}}}},
      {"pad", {"packs", {{{2, 3, 5, 16}}}, PadAttrs{{0, 1, 0, 8}, {0, 0, 2, 8}, 2.5}}},
      {"dropout", {"packs", {{{3, 512}}, {{3, 2}, Sample::streams}}, DropoutAttrs{.p = 0.4, .site = 3}}},
      {"max_pool2d", {"packs", {{{2, 7, 9, 16}, Sample::distinct}}, Pool2dAttrs{.kernel = 3, .stride = 2, .padding = 1}}},
      {"max_pool2d_grad", {"packs", {{{2, 4, 5, 16}}, {{2, 4, 5, 16}, Sample::index, 9}}, PoolGradAttrs{{.kernel = 3, .stride = 2, .padding = 1}, {2, 7, 9, 16}}}},
      {"upsample_nearest", {"packs", {{{2, 3, 5, 16}}}, SizeAttrs{{2, 3}}}},
      {"upsample_nearest_grad", {"packs", {{{2, 6, 15, 16}}}, SizeAttrs{{2, 3}}}},
      {"upsample_bilinear", {"packs", {{{2, 3, 5, 16}}}, SizeAttrs{{7, 11}}}},
      {"upsample_bilinear_grad", {"packs", {{{2, 7, 11, 16}}}, BilinearGradAttrs{{{7, 11}}, {3, 5}}}},
      {"softmax", {"long rows", {{{70, 133}}}, {}}},
      {"batch_norm_train", {"many pieces", {{{3, 40, 41, 5}, Sample::normal, 1, 10}, {{5}}, {{5}}}, NormAttrs{}}},
      {"batch_norm_grad", {"many pieces", {{{3, 30, 31, 6}}, {{6}}, {{3, 30, 31, 6}}, {{6}}, u({6}), {{3, 30, 31, 6}}}, NormAttrs{}}},
      {"batch_norm_train", {"packs", {{{3, 11, 13, 24}}, {{24}}, {{24}}}, NormAttrs{}}},
      {"batch_norm_relu", {"packs", {{{3, 30, 31, 16}}, {{16}}, {{16}}, {{3, 30, 31, 16}}}, NormAttrs{}}},
      {"batch_norm_grad", {"packs", {{{3, 30, 31, 16}}, {{16}}, {{3, 30, 31, 16}}, {{16}}, u({16}), {{3, 30, 31, 16}}}, NormAttrs{}}},
      {"instance_norm_grad", {"packs", {{{3, 13, 17, 24}}, {{24}}, {{3, 13, 17, 24}}, {{3, 24}}, u({3, 24})}, NormAttrs{}}},
      {"sum", {"packs", {{{5, 13, 40}}}, ReduceAttrs{.axes = {0, 1}}}},
      {"add_relu", {"many blocks", {{{7, 1031}}, {{7, 1031}}}, {}}},
      {"add_relu_grad", {"many blocks", {{{7, 1031}}, {{7, 1031}}, {{7, 1031}}}, {}}},
      {"instance_norm", {"many pieces", {{{3, 40, 41, 5}}, none, none}, NormAttrs{}}},
      {"cross_entropy", {"many pieces", {{{5003, 3}}, labels(5003, 3), u({3})}, {}}},
      {"cross_entropy_grad", {"many pieces", {{{5003, 3}}, labels(5003, 3), u({3}), {{}}}, {}}},
      {"soft_dice_loss", {"many pieces", {u({2, 50, 51, 3}), u({2, 50, 51, 3})}, DiceAttrs{}}},
      {"normalized_mutual_information", {"many pieces", {u({2, 50, 51, 1}), u({2, 50, 51, 1})}, NmiAttrs{.bins = 20}}},
      {"dropout", {"many blocks", {{{3, 2047}}, {{3, 2}, Sample::streams}}, DropoutAttrs{.p = 0.4, .site = 3}}},
  };
}

struct DeviceChecks {
  std::set<std::string_view> kernels;
  double worst = 0;
};
// Every kernel against the float64 reference, in f32 or bf16; with NaN in new memory and guard bytes round it, and with
// inputs that lie aside if wanted. `also(op, case, results)` sees what came out.
template <class F>
DeviceChecks check_kernels(Device device, DType dtype, bool with_aside, F also) {
  set_memory_debug(true);
  const size_t before = guard_violations();
  DeviceChecks done;
  const auto check_case = [&](const Op& op, const Case& c) {
    if (!op.kernel.cuda || (dtype == DType::bf16 && !takes_bf16(op, device.kind))) return;
    done.kernels.insert(op.name);
    const Tensors expected = run_exactly(op, c, dtype);
    for (const bool aside : {false, true}) {
      if (aside && !with_aside) continue;
      const Tensors results = run_on(device, op, c, aside, dtype);
      const double ratio = error_over_bound(op, c, results, expected, rounded_between(op, c, dtype));
      CHECK_MESSAGE(ratio <= 1, op.name, " / ", c.name, ": the error is ", ratio, " times its bound");
      CHECK_MESSAGE(guard_violations() == before, op.name, " / ", c.name, " wrote outside its output");
      done.worst = std::max(done.worst, ratio);
      if (!aside) also(op, c, results);
    }
  };
  for_each_good_case(check_case);
  for (const LargeCase& l : large_cases()) check_case(find_op(l.op), l.c);
  set_memory_debug(false);
  return done;
}

// Bad cases throw what they promise, at the latest when the results come to the host.
inline void check_bad_cases(Device device) {
  for (const Op* op : op_table()) {
    for (const Case& c : op->cases()) {
      if (c.throws.empty() || !op->kernel.cuda) continue;
      std::string message = "nothing was thrown";
      try {
        run_on(device, *op, c);
      } catch (const Error& e) {
        message = e.what();
      }
      // Kernels of the reference refuse what has no floating-point numbers by a text of their own.
      const bool refused = message.find("elements of a i64 tensor") != std::string::npos;
      CHECK_MESSAGE((message.find(c.throws) != std::string::npos || refused), op->name, " / ", c.name, ": '", message,
                    "'");
    }
  }
}

// Masks are the same bits as on the CPU.
inline void check_dropout(Device device) {
  const Tensor x = Tensor::full({5, 1021}, 1.0);
  std::vector<int64_t> keys(10);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<int64_t>(i * i) - 7;
  const Tensor streams = Tensor::from(keys, {5, 2});
  const DropoutAttrs a{.p = 0.37, .site = 99};
  const std::vector<float> here = dropout(x, streams, a).host(),
                           there = dropout(x.to(device), streams.to(device), a).host();
  size_t differ = 0;
  for (size_t i = 0; i < here.size(); ++i) differ += (here[i] == 0) != (there[i] == 0);
  CHECK(differ == 0);
}

}  // namespace querent::test
