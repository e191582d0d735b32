#include "tensor/tape.h"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "tensor/ledger.h"
#include "tensor/ops.h"

TEST_SUITE_BEGIN("tape_test");
using namespace querent;

namespace {
Tensor vec(std::initializer_list<double> v) {
  return Tensor::from(std::vector<double>(v), {static_cast<int64_t>(v.size())});
}
}  // namespace

TEST_CASE("a value used twice gets the sum of both gradients") {
  const Tensor x = vec({1, 2, 3});
  Tape tape;
  tape.watch(x);
  const Tensor y = sum(add(mul(x, x), x));  // d/dx (x^2 + x) = 2x + 1
  CHECK(tape.backward(y, {}, std::vector{x})[0].host_f64() == std::vector<double>{3, 5, 7});
}

TEST_CASE("nothing is computed on paths that lead to no wanted tensor") {
  const Tensor a = vec({1, 2}), b = vec({3, 4});
  Tape tape;
  tape.watch(a);
  tape.watch(b);
  const Tensor y = sum(mul(mul(a, a), mul(b, b)));
  const Ledger ledger;
  const Tensors g = tape.backward(y, {}, std::vector{a});
  CHECK(g[0].host_f64() == std::vector<double>{18, 64});
  for (const Record& r : ledger.records()) {
    for (const Tensor& t : r.in) CHECK(t.id() != b.id());
  }
}

TEST_CASE("what does not depend on a watched tensor is not recorded") {
  const Tensor x = vec({1, 2});
  Tape tape;
  mul(x, x);
  CHECK(tape.size() == 0);
  tape.watch(x);
  mul(x, x);
  {
    const NoTape off;
    mul(x, x);
  }
  CHECK(tape.size() == 1);
}

TEST_CASE("an intermediate value can be asked for too; an unrelated one is none") {
  const Tensor x = vec({1, 2}), z = vec({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor h = mul(x, x);
  const Tensor y = sum(mul(h, h));
  const Tensors g = tape.backward(y, {}, std::vector{h, x, z});
  CHECK(g[0].host_f64() == std::vector<double>{2, 8});
  CHECK(g[1].host_f64() == std::vector<double>{4, 32});
  CHECK(!g[2]);
}

TEST_CASE("gradients of a parameter set lie in one buffer; unreached ones are zero") {
  Tensor p = vec({1, 2}), q = vec({5});
  p.as_parameter("p");
  q.as_parameter("q");
  const ParamSet set{{p, q}, {0, 2}, 3, {}};
  Tape tape;
  const Gradients g = tape.backward(sum(mul(p, p)), set);
  CHECK(g.flat.host_f64() == std::vector<double>{2, 4, 0});
  CHECK(g[p].host_f64() == std::vector<double>{2, 4});
  CHECK_THROWS_AS(g[vec({1})], Error);
}

namespace {
int64_t count(const Ledger& ledger, std::string_view op) {
  int64_t n = 0;
  for (const Record& r : ledger.records()) n += r.op->name == op;
  return n;
}
bool same_bits(const Tensor& a, const Tensor& b) { return std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }
Tensor ramp(Shape shape) {
  std::vector<double> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>((i * 37) % 101) / 50 - 1;
  return Tensor::from(v, shape, DType::f32);
}
}  // namespace

TEST_CASE("what is computed again has the same bits, is not kept, and changes nothing twice") {
  const Tensor x = ramp({2, 8, 8, 16}), w = ramp({16, 3, 3, 16}), gamma = ramp({16}), beta = ramp({16});
  const std::vector<int64_t> rows = {11, 0, 12, 0};
  const Tensor streams = Tensor::from(std::span<const int64_t>(rows), {2, 2});
  struct Outcome {
    Tensors gradients;
    Tensor mean;
    size_t held = 0;
    int64_t convolutions = 0, masks = 0, updates = 0;
  };
  const auto outcome = [&](bool again) {
    Outcome o{{}, Tensor::zeros({16}), 0, 0, 0, 0};
    const Tensor var = Tensor::zeros({16});
    const auto block = [&](const Tensor& in) {
      const auto body = [&] {
        const NormResult r = batch_norm_train(conv2d(in, w, {}, {.padding = 1}), gamma, beta);
        update_running_stats(o.mean, var, r.mean, r.var, {.momentum = 0.5, .count = 128});
        return dropout(relu(r.y), streams, {.p = 0.3, .site = 5});
      };
      return again ? recomputed(body) : body();
    };
    Tape tape;
    for (const Tensor& t : {w, gamma, beta}) tape.watch(t);
    const Ledger ledger;
    const size_t before = memory_stats().live;
    const Tensor y = block(block(x)), loss = sum(y);
    o.held = memory_stats().live - before;
    o.gradients = tape.backward(loss, {}, Tensors{w, gamma, beta});
    o.convolutions = count(ledger, "conv2d"), o.masks = count(ledger, "dropout");
    o.updates = count(ledger, "update_running_stats");
    return o;
  };
  const Outcome kept = outcome(false), again = outcome(true);
  for (size_t i = 0; i < 3; ++i) CHECK(same_bits(kept.gradients[i], again.gradients[i]));
  CHECK(same_bits(kept.mean, again.mean));
  CHECK(again.updates == 2);
  CHECK(kept.convolutions == 2);
  CHECK(again.convolutions == 4);
  CHECK(again.masks == kept.masks);  // y is there still: what leads to it alone is not computed again
  CHECK(kept.held - again.held >= 4 * x.bytes());  // before and behind each norm
}

TEST_CASE("a part that no wanted gradient goes through is not computed again; one inside of another is part of it") {
  const Tensor x = ramp({4, 6}), v = ramp({4, 6});
  const auto twice = [](const Tensor& t) { return mul(square(t), t); };
  Tape tape;
  tape.watch(x), tape.watch(v);
  const Tensor a = recomputed([&] { return twice(x); });
  const Tensor b = recomputed([&] { return twice(recomputed([&] { return twice(v); })); });
  const Tensor loss = sum(mul(a, b));
  const Ledger ledger;
  const Tensor dv = tape.backward(loss, {}, Tensors{v})[0];
  CHECK(count(ledger, "square") == 2);  // of v, and of its cube
  Tape plain;
  plain.watch(v);
  const Tensor same = plain.backward(sum(mul(twice(x), twice(twice(v)))), {}, Tensors{v})[0];
  CHECK(same_bits(dv, same));
}

TEST_CASE("the statistics of a norm are kept: it runs again only for what it wrote") {
  const Tensor x = ramp({6, 4}), gamma = ramp({4}), beta = ramp({4});
  Tape tape;
  tape.watch(x);
  const Tensor y = recomputed([&] { return relu(batch_norm_train(square(x), gamma, beta).y); });
  const Ledger ledger;
  tape.backward(sum(y), {}, Tensors{x});
  CHECK(count(ledger, "square") == 1);  // which the gradient of the norm reads
  CHECK(count(ledger, "batch_norm_train") == 0);
}

TEST_CASE("a loss must be one number") {
  const Tensor x = vec({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor y = mul(x, x);
  CHECK_THROWS_WITH_AS(tape.backward(y, {}, std::vector{x}),
                       "backward: the loss must have one element, got f64[2]; reduce it with mean() or sum()", Error);
}
TEST_SUITE_END();
