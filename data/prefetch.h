// Makes the items of a stream ahead of their use. Background threads call make(step); the items come out in the order
// of the steps, so that what comes out does not depend on the threads when `make` is a pure function of the step.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace querent::data {

// Where the time of a loop went: from the making of its Prefetcher, and of that, waiting for the next item.
struct LoopTime {
  double seconds = 0, waited = 0;
  double stall_share() const { return seconds > 0 ? waited / seconds : 0; }
};

struct PrefetchOptions {
  int64_t ahead = 2;  // items that exist or are being made, besides the one that was taken last
  int threads = 1;    // each makes a whole item, by itself
};
// For items of so many bytes: as many ahead as 256 MiB hold, but one at least and no more than serve the threads.
PrefetchOptions prefetching(size_t item_bytes);

// Items of any type, for Prefetcher.
class PrefetchQueue {
 public:
  using Make = std::function<std::shared_ptr<void>(int64_t step)>;
  PrefetchQueue(int64_t first, int64_t end, Make make, const PrefetchOptions& options);
  ~PrefetchQueue();
  std::shared_ptr<void> next();
  LoopTime time() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class T>
class Prefetcher {
 public:
  // The items of the steps first .. end-1. `make` is called by several threads at once, each time once for a step.
  Prefetcher(int64_t first, int64_t end, std::function<T(int64_t step)> make, const PrefetchOptions& options)
      : queue_(
            first, end, [make = std::move(make)](int64_t step) { return std::make_shared<T>(make(step)); }, options) {}
  // The item of the next step, or the exception that making it threw. The destructor waits for calls under way.
  T next() { return std::move(*std::static_pointer_cast<T>(queue_.next())); }
  LoopTime time() const { return queue_.time(); }

 private:
  PrefetchQueue queue_;
};

}  // namespace querent::data
