#include "tensor/tensor.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tensor/ledger.h"
#include "tensor/ops.h"
#include "tensor/run.h"

TEST_SUITE_BEGIN("tensor_test");
using namespace querent;

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps NaN") {
  const auto rounded = [](float f) { return static_cast<float>(bf16(f)); };
  CHECK(rounded(1.0f) == 1.0f);
  CHECK(rounded(1.00390625f) == 1.0f);       // 1 + 2^-8: a tie, goes to the even neighbour
  CHECK(rounded(1.01171875f) == 1.015625f);  // 1 + 3*2^-8: a tie, up to even
  CHECK(rounded(1.005f) == 1.0078125f);      // past the tie
  CHECK(rounded(-3.4028235e38f) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("handles share bytes; views share bytes; clones do not") {
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor row = x.batch(1, 1), flat = x.reshaped({6}), copy = x.clone();
  x.data<float>()[2] = 9;
  CHECK(row.host() == std::vector<float>{9, 4});
  CHECK(flat.host()[2] == 9);
  CHECK(copy.host()[2] == 3);
  CHECK(row.id() != x.id());
  CHECK_THROWS_WITH_AS(x.batch(2, 2), "batch: rows 2..4 are outside f32[3,2]", Error);
  CHECK_THROWS_WITH_AS(x.reshaped({4}), "reshape: 6 elements cannot become [4]; x=f32[3,2]", Error);
}

TEST_CASE("reading a husk or the wrong type is our bug, not a crash") {
  const Tensor x = Tensor::full({2}, 3);
  CHECK(x.husk().id() == x.id());
  CHECK_THROWS_AS(x.husk().data<float>(), Error);
  CHECK_THROWS_AS(x.data<double>(), Error);
}

TEST_CASE("the pool reuses blocks and counts bytes") {
  const MemoryStats before = memory_stats();
  const void* first = nullptr;
  {
    const Tensor t = Tensor::empty({1000, 1000});
    first = t.raw();
    CHECK(memory_stats().live == before.live + 4'000'000);
  }
  CHECK(memory_stats().live == before.live);
  const Tensor again = Tensor::empty({1000, 1000});
  CHECK(again.raw() == first);
}

TEST_CASE("zeros that nobody wrote and bytes that are forgotten take no memory") {
  const auto resident_mib = [] {
    long pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * sysconf(_SC_PAGESIZE) / (1 << 20);
  };
  release_free_memory();
  const long before = resident_mib();
  const Tensor t = Tensor::zeros({64 << 18});
  CHECK(resident_mib() < before + 16);
  t.fill(1);
  CHECK(resident_mib() > before + 48);
  t.storage()->forget(0, t.bytes() / 2);
  CHECK(resident_mib() < before + 48);
  CHECK(t.batch(t.numel() / 2, 1).item() == 1);
  {
    const Tensor used = Tensor::full({3, 5}, 7);
  }
  CHECK(Tensor::zeros({3, 5}).host() == std::vector<float>(15, 0));  // where something else lay
}

TEST_CASE("guard bytes catch a write past the end") {
  set_memory_debug(true);
  const size_t before = guard_violations();
  {
    const Tensor t = Tensor::empty({16});
    t.data<float>()[16] = 1;
  }
  CHECK(guard_violations() == before + 1);
  set_memory_debug(false);
}

TEST_CASE("a dry run has shapes and costs but no bytes") {
  const DryRun dry;
  const Ledger ledger;
  const Tensor y = matmul(Tensor::empty({1000, 2000}), Tensor::empty({2000, 3000}));
  CHECK(y.shape() == Shape{1000, 3000});
  CHECK(!y.has_data());
  CHECK(ledger.totals().flops == 2.0 * 1000 * 2000 * 3000);
  CHECK(ledger.records()[0].kernel == KernelKind::none);
}

TEST_CASE("the ledger lists what ran") {
  const Ledger ledger;
  const Tensor w = Tensor::full({3, 4}, 1).named("fc.weight");
  matmul(Tensor::full({2, 3}, 1), w);
  CHECK(ledger.listing().find("matmul(f32[2,3], 'fc.weight' f32[3,4], none) -> f32[2,4]") != std::string::npos);
  CHECK(ledger.json_lines().find(R"("op":"matmul")") != std::string::npos);
}
TEST_SUITE_END();
