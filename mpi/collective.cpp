// The ranks of a training by MPI: libquerent_mpi.so, which the engine loads under mpirun alone.
#include <mpi.h>

#include <cstdlib>
#include <numeric>

#include "tensor/collective.h"
#include "tensor/error.h"

namespace querent::mpi {
namespace {

std::vector<std::string> exchange(const std::vector<std::string>& pieces) {
  const size_t size = pieces.size();
  std::vector<int> to(size), from(size), to_at(size), from_at(size);
  std::string outgoing;
  for (size_t k = 0; k < size; ++k) {
    internal_check(outgoing.size() + pieces[k].size() < size_t{1} << 31, "mpi: more than 2 GiB at once");
    to[k] = static_cast<int>(pieces[k].size()), to_at[k] = static_cast<int>(outgoing.size());
    outgoing += pieces[k];
  }
  MPI_Alltoall(to.data(), 1, MPI_INT, from.data(), 1, MPI_INT, MPI_COMM_WORLD);
  std::exclusive_scan(from.begin(), from.end(), from_at.begin(), 0);
  std::string incoming(static_cast<size_t>(from_at.back()) + static_cast<size_t>(from.back()), '\0');
  MPI_Alltoallv(outgoing.data(), to.data(), to_at.data(), MPI_BYTE, incoming.data(), from.data(), from_at.data(),
                MPI_BYTE, MPI_COMM_WORLD);
  std::vector<std::string> theirs;
  for (size_t k = 0; k < size; ++k)
    theirs.push_back(incoming.substr(static_cast<size_t>(from_at[k]), static_cast<size_t>(from[k])));
  return theirs;
}

Collective start() {
  Collective all;
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &all.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &all.size);
  std::atexit([] { MPI_Finalize(); });
  all.exchange = exchange;
  all.abort = [](int exit_code) { MPI_Abort(MPI_COMM_WORLD, exit_code); };
  return all;
}

}  // namespace
}  // namespace querent::mpi

extern "C" const querent::Collective* querent_mpi() {
  static const querent::Collective all = querent::mpi::start();
  return &all;
}
