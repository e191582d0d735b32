// A parallel loop whose body may throw: the error of the lowest index is rethrown, whatever the number of threads.
#pragma once
#include <cstdint>
#include <exception>
#include <mutex>

namespace querent::data {

template <class F>
void parallel_for(int64_t count, const F& body) {
  std::exception_ptr error;
  int64_t error_at = count;
  std::mutex mutex;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < error_at) {
        error_at = i;
        error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace querent::data
