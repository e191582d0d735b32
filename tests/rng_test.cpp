#include "tensor/rng.h"

#include <doctest/doctest.h>

TEST_SUITE_BEGIN("rng_test");
using namespace querent;

// Known answers published with the Random123 library (kat_vectors, philox4x32 10).
TEST_CASE("Philox4x32-10 known answers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream can be resumed at any position") {
  Rng a(7);
  for (int i = 0; i < 13; ++i) a.next();
  Rng b(a.key(), a.position());
  for (int i = 0; i < 9; ++i) CHECK(a.next() == b.next());
  CHECK(Rng(7).fork("x").next() != Rng(7).fork("y").next());
}

TEST_CASE("uniform and normal have the right moments") {
  Rng r(1);
  double m = 0, v = 0, u = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double x = r.normal();
    m += x / n;
    v += x * x / n;
    u += r.uniform() / n;
  }
  CHECK(std::abs(m) < 4 / std::sqrt(n));
  CHECK(std::abs(v - 1) < 4 * std::sqrt(2.0 / n));
  CHECK(std::abs(u - 0.5) < 4 * std::sqrt(1.0 / 12 / n));
}
TEST_SUITE_END();
