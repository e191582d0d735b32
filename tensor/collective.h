// Processes that compute one training together, each on its share of every batch: ranks 0, 1, ..., started by mpirun.
// All of them make the same calls in the same order. A process of its own is rank 0 of 1; there each call returns at
// once.
//
// A library of message passing has to offer one thing, exchange(); mpi/ does. All else is built on it here.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace querent {

struct Collective {
  int rank = 0, size = 1;
  // pieces[k] goes to rank k; returns what each rank sent to this one, by rank. A piece is smaller than 2 GiB.
  std::function<std::vector<std::string>(const std::vector<std::string>& pieces)> exchange;
  std::function<void(int exit_code)> abort;  // ends all ranks
};
const Collective& collective();

// Why processes of mpirun cannot be ranks of this program; empty where they can. The library of message passing is in a
// module, loaded when this is asked or when a launcher started the process.
std::string ranks_missing();

// While one lives, this thread is the rank it is told to be: tests run ranks as threads.
class UseCollective {
 public:
  explicit UseCollective(const Collective& c);
  ~UseCollective();
  UseCollective(const UseCollective&) = delete;
  UseCollective& operator=(const UseCollective&) = delete;

 private:
  const Collective* before_;
};

std::vector<std::string> gather(const std::string& mine);  // what each rank gave, by rank, to all
std::string broadcast(const std::string& bytes);           // what rank 0 gave, to all
bool any_rank(bool mine);
// Does `work` in rank 0 alone: when all ranks have come here, and before any goes on.
void in_first_rank(const std::function<void()>& work);
// y = the mean over ranks of x, element by element: added up in f64 in the order of ranks, so that all ranks have the
// same bits every time.
void mean_of_ranks(std::span<const float> x, std::span<float> y);
void mean_of_ranks(std::span<const double> x, std::span<double> y);

}  // namespace querent
