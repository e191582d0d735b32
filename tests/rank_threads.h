// Ranks (tensor/collective.h) as threads of one process.
#pragma once
#include <barrier>
#include <string>
#include <thread>
#include <vector>

#include "tensor/collective.h"

namespace querent::test {

// work(rank) in each of `size` threads, which exchange by a table.
template <class Work>
void with_ranks(int size, const Work& work) {
  std::vector<std::vector<std::string>> sent(static_cast<size_t>(size));
  std::barrier meet(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      const auto exchange = [&](const std::vector<std::string>& pieces) {
        sent[static_cast<size_t>(rank)] = pieces;
        meet.arrive_and_wait();
        std::vector<std::string> theirs;
        for (const auto& of_one : sent) theirs.push_back(of_one.at(static_cast<size_t>(rank)));
        meet.arrive_and_wait();
        return theirs;
      };
      const Collective mine{rank, size, exchange, {}};
      const UseCollective here(mine);
      work(rank);
    });
  }
  for (std::thread& t : threads) t.join();
}
// What work(rank) returns, by rank.
template <class Work>
auto of_ranks(int size, const Work& work) {
  std::vector<decltype(work(0))> results(static_cast<size_t>(size));
  with_ranks(size, [&](int rank) { results[static_cast<size_t>(rank)] = work(rank); });
  return results;
}

}  // namespace querent::test
