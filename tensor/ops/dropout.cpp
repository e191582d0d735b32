// dropout: y[n,e] = x[n,e] keep[n,e] / (1-p),   keep[n,e] = word(n,e) >= round(p 2^32)
// x, y [N,*], e counting the elements of row n.   streams i64 [N,2] = (key, counter) of each row
//
// word(n,e) is lane e%4 of stream_block(key, counter, site, e/4) in rng.h: a pure function of the row's stream, the
// site and the element. So a mask is never stored (the gradient is the same op on dy), does not change with the batch a
// row is in, and is the same bits on every backend. The comparison is of integers: no rounding enters.
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/rng.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<DropoutAttrs>();
  check(a.p >= 0 && a.p < 1, "dropout: p, the probability of zero, must be in [0,1), got {}", a.p);
  check_streams("dropout", in[1], in[0]);
  check(in[0].numel() / std::max<int64_t>(in[0].dim(0), 1) <= int64_t{1} << 34,
        "dropout: a row may have at most 2^34 elements; x={}", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}

Cost cost(Inputs in, const Attrs&) {
  return {2.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(in[0].bytes())};
}

void ref(const Call& c) {
  const auto& a = c.attrs.as<DropoutAttrs>();
  const int64_t rows = c.in[0].dim(0), each = rows ? c.in[0].numel() / rows : 0;
  const auto threshold = static_cast<uint64_t>(std::llround(a.p * 0x1p32));
  const int64_t* streams = c.in[1].data<int64_t>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    for (int64_t n = 0; n < rows; ++n) {
      const T* x = c.in[0].data<T>() + n * each;
      T* y = c.out[0].data<T>() + n * each;
      for (int64_t e = 0; e < each; ++e) {
        const PhiloxCounter words = stream_block(streams[2 * n], streams[2 * n + 1], a.site, e / 4);
        const bool keep = words[static_cast<size_t>(e % 4)] >= threshold;
        y[e] = keep ? static_cast<T>(static_cast<double>(x[e]) / (1 - a.p)) : T(0);
      }
    }
  });
}

Tensors grad(const GradCall& g) { return {dropout(g.dy[0], g.in[1], g.attrs.as<DropoutAttrs>()), {}}; }

std::vector<Case> cases() {
  const auto streams = [](int64_t n) { return Sample{{n, 2}, Sample::streams}; };
  return {
      {"image", {{{2, 3, 5, 7}}, streams(2)}, DropoutAttrs{.p = 0.5, .site = 12345}},
      {"rows", {{{3, 5}}, streams(3)}, DropoutAttrs{.p = 0.2, .site = -1}},
      {"long", {{{1, 1031}}, streams(1)}, DropoutAttrs{.p = 0.9, .site = 7}},
      {"several pieces", {{{2, 4131}}, streams(2)}, DropoutAttrs{.p = 0.3, .site = 1}},
      {"p = 0", {{{3, 7}}, streams(3)}, DropoutAttrs{.p = 0, .site = 7}},
      {"p = 1", {{{3, 7}}, streams(3)}, DropoutAttrs{.p = 1}, "must be in [0,1)"},
      {"a stream too few", {{{3, 7}}, streams(2)}, DropoutAttrs{}, "streams must be i64 [N,2]"},
      {"type of streams", {{{3, 7}}, {{3, 2}}}, DropoutAttrs{}, "streams must be i64 [N,2]"},
  };
}

}  // namespace

extern constinit const Op dropout_op{.name = "dropout",
                                     .formula = "y = x keep(stream, site) / (1-p)",
                                     .inputs = {{"x", "[N,*]"}, {"streams", "i64 [N,2]", Arg::constant}},
                                     .outputs = {{"y", "[N,*]"}},
                                     .infer = infer,
                                     .cost = cost,
                                     .grad = grad,
                                     .keep = {"streams"},
                                     .kernel = {.ref = ref, .cpu = cpu::dropout, .cuda = cuda::dropout},
                                     .cases = cases};

Tensor dropout(const Tensor& x, const Tensor& streams, const DropoutAttrs& a) {
  return run(dropout_op, {x, streams}, a)[0];
}

}  // namespace querent
