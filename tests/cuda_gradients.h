// Gradients by the tape on a device, and rows of the op table again and again: shared by cuda_test and the emulated one.
#pragma once
#include <functional>

#include "tensor/ledger.h"
#include "tensor/tape.h"
#include "tests/cuda_checks.h"

namespace querent::test {

// dx of u . y for each input that has a gradient, on the host; `in` and `u` as they were drawn, computed where
// `device` is and in `exact` if wanted. `totals` tells what forward and backward did.
inline Tensors tape_gradients(const Op& op, const Case& c, const Tensors& drawn, const Tensor& u, Device device,
                              bool exact, Totals* totals = nullptr) {
  const auto there = [&](const Tensor& t) {
    return !t ? t : (exact && is_floating(t.dtype()) ? t.cast(DType::f64) : t).to(device);
  };
  Tensors in, wanted;
  const Ledger ledger;
  Tape tape;
  for (size_t i = 0; i < drawn.size(); ++i) {
    in.push_back(there(drawn[i]));
    const Arg& arg = op.inputs[std::min(i, op.inputs.size() - 1)];
    if (!in[i] || !is_floating(in[i].dtype()) || arg.is(Arg::constant) || arg.is(Arg::mutated)) continue;
    tape.watch(in[i]);
    wanted.push_back(in[i]);
  }
  const Tensor y = run(op, in, c.attrs)[0];
  if (!is_floating(y.dtype()) || wanted.empty()) return {};
  const Tensor gradient = u.dtype() == y.dtype() || exact ? there(u) : u.cast(y.dtype()).to(device);
  const Tensors dx = tape.backward(y, gradient, wanted);
  if (totals) *totals = ledger.totals();
  return moved(dx, Device::cpu());
}

// The largest error of the device's gradients as a share of its bound, which is that of rows (tensor/selftest.h) for a
// chain of them: K+8 roundings of an element, K being the operations per element of all that was run, and half a step of
// bf16 for each result that was stored in it on the way. What a row amplifies (a logarithm near 0) the CPU amplifies
// too: 8 times its own error is allowed besides, as for PyTorch's in golden.h.
inline double check_gradients(Device device, DType dtype) {
  double worst = 0;
  int rows = 0;
  const Op* last = nullptr;
  for_each_good_case([&](const Op& op, const Case& c) {
    if (op.grad == no_gradient || op.grad == zero_gradient || op.outputs.size() == 0 || !op.kernel.cuda) return;
    if (dtype == DType::bf16 && !takes_bf16(op, device.kind)) return;
    const Tensors drawn = draw_inputs(op, c, dtype);
    Shape shape;
    {
      const NoTape none;
      shape = run(op, drawn, c.attrs)[0].shape();
    }
    const Tensor u = draw_sample({shape, Sample::normal}, Arg{}, dtype, Rng(1).fork(op.name).fork(c.name));
    Totals totals;
    const Tensors got = tape_gradients(op, c, drawn, u, device, false, &totals),
                  want = tape_gradients(op, c, drawn, u, Device::cpu(), true),
                  cpu = tape_gradients(op, c, drawn, u, Device::cpu(), false);
    REQUIRE(got.size() == want.size());
    rows += &op != std::exchange(last, &op);
    for (size_t i = 0; i < got.size(); ++i) {
      if (!want[i]) continue;
      const std::vector<double> a = got[i].host_f64(), b = want[i].host_f64(), h = cpu[i].host_f64();
      double largest = 0, error = 0, of_cpu = 0;
      for (size_t k = 0; k < a.size(); ++k) {
        largest = std::max(largest, std::abs(b[k]));
        error = std::max(error, std::isfinite(a[k]) ? std::abs(a[k] - b[k]) : INFINITY);
        of_cpu = std::max(of_cpu, std::abs(h[k] - b[k]));
      }
      const double roundings = totals.flops / static_cast<double>(a.size()) + 8,
                   stored = dtype == DType::bf16 ? 0x1p-8 * static_cast<double>(totals.ops) : 0;
      const double bound = (roundings * 0x1p-24 + stored) * largest + 8 * of_cpu;
      CHECK_MESSAGE(error <= bound, op.name, " / ", c.name, ": gradient ", i, " is off by ", error, " of ", bound);
      if (bound > 0) worst = std::max(worst, error / bound);
    }
  });
  CHECK(rows > 20);
  MESSAGE("gradients of ", rows, " rows in ", std::string(dtype_name(dtype)), ", largest error ", worst, " of its bound");
  return worst;
}

// Each case of the op table so many times on the same bytes: the same bits. `before(k)` is told of each run.
inline void check_repeats(Device device, DType dtype, int runs, const std::function<void(int)>& before = [](int) {}) {
  int cases = 0;
  for_each_good_case([&](const Op& op, const Case& c) {
    if (!op.kernel.cuda || (dtype == DType::bf16 && !takes_bf16(op, device.kind))) return;
    ++cases;
    const Tensors drawn = draw_inputs(op, c, dtype), there = moved(drawn, device);
    Tensors first;
    for (int k = 0; k < runs; ++k) {
      before(k);
      Tensors in = there;
      for (size_t i = 0; i < in.size(); ++i) {  // what the op changes is laid out anew
        if (in[i] && op.inputs[std::min(i, op.inputs.size() - 1)].is(Arg::mutated)) in[i] = drawn[i].to(device);
      }
      Tensors results = run(op, in, c.attrs);
      for (size_t i = 0; i < in.size(); ++i) {
        if (in[i] && op.inputs[std::min(i, op.inputs.size() - 1)].is(Arg::mutated)) results.push_back(in[i]);
      }
      results = moved(results, Device::cpu());
      if (k == 0) first = results;
      if (same_bytes(first, results)) continue;
      FAIL_CHECK(op.name, " / ", c.name, " differs on run ", k + 1);
      break;
    }
  });
  CHECK(cases > 100);
}

// Each kernel once or twice: its first case of the op table and its first large one. For tools that make a launch a
// thousand times slower. Blocks come from the driver and go back to it, so that a tool sees each tensor's own bounds and
// what was never written.
inline void check_selection(Device device) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    std::set<std::pair<const Op*, bool>> seen;
    const auto once = [&](const Op& op, const Case& c, bool large) {
      if (!op.kernel.cuda || (dtype == DType::bf16 && !takes_bf16(op, device.kind))) return;
      if (!seen.emplace(&op, large).second) return;
      release_free_memory();
      const double ratio = error_over_bound(op, c, run_on(device, op, c, false, dtype), run_exactly(op, c, dtype),
                                            rounded_between(op, c, dtype));
      CHECK_MESSAGE(ratio <= 1, op.name, " / ", c.name, ": the error is ", ratio, " times its bound");
    };
    for_each_good_case([&](const Op& op, const Case& c) { once(op, c, false); });
    for (const LargeCase& l : large_cases()) once(find_op(l.op), l.c, true);
    CHECK(seen.size() > 60);
  }
}

}  // namespace querent::test
