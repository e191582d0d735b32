#include "tensor/tape.h"

#include <doctest/doctest.h>

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

TEST_CASE("a loss must be one number") {
  const Tensor x = vec({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor y = mul(x, x);
  CHECK_THROWS_WITH_AS(tape.backward(y, {}, std::vector{x}),
                       "backward: the loss must have one element, got f64[2]; reduce it with mean() or sum()", Error);
}
TEST_SUITE_END();
