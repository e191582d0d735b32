#include "data/prefetch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "tensor/error.h"
#include "tensor/run.h"

namespace querent::data {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

}  // namespace

PrefetchOptions prefetching(size_t item_bytes) {
  constexpr size_t most_bytes = size_t{256} << 20;
  const auto fit = static_cast<int64_t>(most_bytes / std::max<size_t>(item_bytes, 1));
  const int64_t ahead = std::clamp<int64_t>(fit, 1, threads() + 1);
  return {.ahead = ahead, .threads = static_cast<int>(std::min<int64_t>(ahead, threads()))};
}

struct PrefetchQueue::State {
  struct Item {
    std::shared_ptr<void> value;
    std::exception_ptr error;
  };

  Make make;
  int64_t end, ahead;
  int64_t begun, taken;  // the steps below were given to a thread, to the consumer
  std::map<int64_t, Item> made = {};
  bool stopped = false;
  double waited = 0;
  Clock::time_point start = Clock::now();
  std::mutex mutex = {};
  std::condition_variable room = {}, ready = {};
  std::vector<std::thread> threads = {};

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
    }
    room.notify_all();
    for (std::thread& t : threads) t.join();
  }

  void work() {
    set_threads(1);  // a team of its own for each of these threads would crowd out those that compute
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [this] { return stopped || begun == end || begun - taken < ahead; });
      if (stopped || begun == end) return;
      const int64_t step = begun++;
      lock.unlock();
      Item item;
      try {
        item.value = make(step);
      } catch (...) {
        item.error = std::current_exception();
      }
      lock.lock();
      made.emplace(step, std::move(item));
      ready.notify_one();
    }
  }
};

PrefetchQueue::PrefetchQueue(int64_t first, int64_t end, Make make, const PrefetchOptions& o)
    : state_(new State{
          .make = std::move(make), .end = std::max(first, end), .ahead = o.ahead, .begun = first, .taken = first}) {
  internal_check(o.ahead > 0 && o.threads > 0, "prefetch: {} ahead by {} threads", o.ahead, o.threads);
  for (int i = 0; i < o.threads; ++i) state_->threads.emplace_back([s = state_.get()] { s->work(); });
}

PrefetchQueue::~PrefetchQueue() = default;

std::shared_ptr<void> PrefetchQueue::next() {
  State& s = *state_;
  const auto asked = Clock::now();
  std::unique_lock lock(s.mutex);
  internal_check(s.taken < s.end, "prefetch: there is no step {}", s.end);
  s.ready.wait(lock, [&] { return s.made.contains(s.taken); });
  const State::Item item = std::move(s.made.extract(s.taken).mapped());
  ++s.taken;
  s.waited += seconds_since(asked);
  lock.unlock();
  s.room.notify_one();
  if (item.error) std::rethrow_exception(item.error);
  return item.value;
}

LoopTime PrefetchQueue::time() const { return {seconds_since(state_->start), state_->waited}; }

}  // namespace querent::data
