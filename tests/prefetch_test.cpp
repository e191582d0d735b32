// What comes out of a Prefetcher does not depend on its threads, is no more than its bound, and ends with it.
#include "data/prefetch.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "data/loader.h"
#include "data_files.h"
#include "tensor/error.h"

TEST_SUITE_BEGIN("prefetch_test");
using namespace querent;
using namespace querent::data;
using namespace querent::test;

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto a_while = std::chrono::milliseconds(10);

// Sleeps until it holds; false when that takes too long to be right.
template <class F>
bool comes_true(const F& condition) {
  for (int i = 0; i < 20000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

// An item that is counted while it lives.
struct Counted {
  struct Count {
    std::atomic<int64_t> now = 0, most = 0;
  };
  explicit Counted(Count& c) : count(&c) {
    const int64_t n = ++c.now;
    for (int64_t m = c.most; n > m && !c.most.compare_exchange_weak(m, n);) continue;
  }
  Counted(Counted&& other) : count(std::exchange(other.count, nullptr)) {}
  ~Counted() {
    if (count) --count->now;
  }
  Count* count;
};

struct Row {
  std::vector<float> x, mask;
  std::vector<int64_t> label, index;
  bool operator==(const Row&) const = default;
};
Row row_of(const Batch& b) {
  return {b.x.host(), b.mask.host(), {b.label.data<int64_t>(), b.label.data<int64_t>() + b.label.numel()}, b.index};
}

}  // namespace

TEST_CASE("items come in the order of the steps, each made once, by threads that compute alone") {
  for (const int threads : {1, 3}) {
    std::array<std::atomic<int>, 40> made{};
    std::atomic<int> teams = 0;
    const auto make = [&](int64_t step) {
      ++made[static_cast<size_t>(step)];
      teams += omp_get_max_threads() != 1;
      if (step % 3 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // others overtake it
      return 10 * step;
    };
    Prefetcher<int64_t> items(7, 40, make, {.ahead = 4, .threads = threads});
    for (int64_t step = 7; step < 40; ++step) CHECK(items.next() == 10 * step);
    CHECK_THROWS_WITH_AS(items.next(), doctest::Contains("there is no step 40"), Error);
    for (size_t i = 0; i < made.size(); ++i) CHECK(made[i] == (i >= 7));
    CHECK(teams == 0);
  }
  Prefetcher<int64_t> none(5, 5, [](int64_t step) { return step; }, {});
  CHECK_THROWS_AS(none.next(), Error);
}

TEST_CASE("it runs ahead as far as it may and no farther") {
  for (const int threads : {1, 4}) {
    Counted::Count count;
    std::atomic<int64_t> asked = 0, begun = 0, too_early = 0;
    {
      const auto make = [&](int64_t step) {
        too_early += step >= asked + 3;
        ++begun;
        return Counted(count);
      };
      Prefetcher<Counted> items(0, 1000, make, {.ahead = 3, .threads = threads});
      CHECK(comes_true([&] { return begun == 3; }));
      for (; asked < 200;) {
        ++asked;
        const Counted item = items.next();
      }
      CHECK(comes_true([&] { return begun == 203; }));
    }
    CHECK(too_early == 0);
    CHECK(count.most <= 4);  // one of them with the consumer
    CHECK(count.now == 0);
  }
  const int64_t team = omp_get_max_threads();
  CHECK(prefetching(1 << 10).ahead == team + 1);
  CHECK(prefetching(1 << 10).threads == team);
  CHECK(prefetching(size_t{256} << 20).ahead == 1);
  CHECK(prefetching(size_t{1} << 40).ahead == 1);
  CHECK(prefetching(size_t{1} << 40).threads == 1);
  CHECK(prefetching(0).ahead == team + 1);
}

TEST_CASE("an exception comes at its step, after the items before it") {
  for (const int threads : {1, 4}) {
    const auto make = [](int64_t step) {
      if (step == 4) std::this_thread::sleep_for(a_while);
      check(step < 5, "case {} is damaged", step);
      return step;
    };
    Prefetcher<int64_t> items(0, 100, make, {.ahead = 5, .threads = threads});
    for (int64_t step = 0; step < 5; ++step) CHECK(items.next() == step);
    CHECK_THROWS_WITH_AS(items.next(), "case 5 is damaged", Error);
  }
}

TEST_CASE("when it is gone, nothing is being made") {
  std::atomic<int> begun = 0, ended = 0;
  {
    const auto make = [&](int64_t step) {
      ++begun;
      std::this_thread::sleep_for(a_while);
      ++ended;
      return step;
    };
    const Prefetcher<int64_t> items(0, 100, make, {.ahead = 8, .threads = 2});
    CHECK(comes_true([&] { return begun >= 2; }));
  }
  const int then = begun;
  CHECK(ended == then);
  CHECK(then < 100);
  std::this_thread::sleep_for(2 * a_while);
  CHECK(begun == then);
}

TEST_CASE("waiting is what next() took, and nothing else") {
  Prefetcher<int64_t> items(0, 3,
                            [](int64_t step) {
                              std::this_thread::sleep_for(a_while);
                              return step;
                            },
                            {.ahead = 1, .threads = 1});
  double in_next = 0;
  for (int i = 0; i < 3; ++i) {
    const auto asked = Clock::now();
    items.next();
    in_next += std::chrono::duration<double>(Clock::now() - asked).count();
    std::this_thread::sleep_for(a_while);
  }
  const LoopTime t = items.time();
  CHECK(t.waited > 0);
  CHECK(t.waited <= in_next);
  CHECK(t.seconds >= t.waited + 3 * std::chrono::duration<double>(a_while).count());
  CHECK(t.stall_share() == t.waited / t.seconds);
  CHECK(LoopTime{}.stall_share() == 0);
}

TEST_CASE("batches of a loader: the same bits as without, from any step, whatever it keeps in memory") {
  TempFolder folder;
  Dataset d;
  for (int k = 0; k < 7; ++k) {
    Case c;
    c.id = text("c{}", k);
    c.image = folder.put(c.id + ".png", grey_png(32, 32, [=](int y, int x) { return (13 * k + 3 * y + 5 * x) & 255; }));
    c.mask =
        folder.put(c.id + "_mask.png", grey_png(32, 32, [=](int y, int x) { return y > 8 + k && x > 6 ? 255 : 0; }));
    c.label = k % 2 ? "odd" : "even";
    d.cases.push_back(c);
  }
  refresh_classes(d);
  std::vector<int64_t> cases(7);
  std::iota(cases.begin(), cases.end(), 0);
  LoaderOptions o{.size = 16, .masks = true, .augmentation = chest_augmentation(), .seed = 3};
  std::vector<Row> rows;
  {
    const Loader plain(d, o);
    CHECK(plain.batch_bytes(5) == 5 * (2 * 16 * 16 * 4 + 8));
    for (int64_t step = 0; step < 20; ++step) {
      const Batch b = plain.train_batch(cases, step, 5);
      CHECK(b.x.bytes() + b.mask.bytes() + b.label.bytes() == plain.batch_bytes(5));
      rows.push_back(row_of(b));
    }
  }
  for (const uint64_t kept : {uint64_t{0}, uint64_t{2000}, uint64_t{1} << 20}) {
    for (const int threads : {1, 4}) {
      for (const int64_t first : {0, 9}) {
        o.cache_bytes = kept;
        const Loader loader(d, o);
        const auto make = [&](int64_t step) { return loader.train_batch(cases, step, 5); };
        Prefetcher<Batch> batches(first, 20, make, {.ahead = 4, .threads = threads});
        for (int64_t step = first; step < 20; ++step)
          CHECK((row_of(batches.next()) == rows[static_cast<size_t>(step)]));
      }
    }
  }
  std::filesystem::remove(d.cases[6].image);
  const Loader loader(d, o);
  Prefetcher<Batch> batches(0, 20, [&](int64_t step) { return loader.train_batch(cases, step, 5); },
                            {.ahead = 4, .threads = 2});
  CHECK_THROWS_WITH_AS((batches.next(), batches.next()), doctest::Contains("c6.png"), Error);
}

TEST_SUITE_END();
