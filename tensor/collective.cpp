#include "tensor/collective.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tensor/error.h"
#include "tensor/module.h"

namespace querent {
namespace {

thread_local const Collective* of_this_thread = nullptr;

template <class T>
std::string bytes_of(std::span<const T> values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

// Each rank adds up one piece of all, then gives it to the others.
template <class T>
void mean(std::span<const T> x, std::span<T> y) {
  const auto size = static_cast<size_t>(collective().size), each = (x.size() + size - 1) / size;
  const auto piece = [&](size_t rank) {
    const size_t first = std::min(x.size(), rank * each);
    return x.subspan(first, std::min(each, x.size() - first));
  };
  std::vector<std::string> pieces;
  for (size_t rank = 0; rank < size; ++rank) pieces.push_back(bytes_of(piece(rank)));
  const size_t n = piece(static_cast<size_t>(collective().rank)).size();
  std::vector<double> sum(n);
  std::vector<T> values(n);
  for (const std::string& theirs : collective().exchange(pieces)) {
    std::memcpy(values.data(), theirs.data(), theirs.size());
    for (size_t i = 0; i < n; ++i) sum[i] += double{values[i]};
  }
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<T>(sum[i] / static_cast<double>(size));
  char* to = reinterpret_cast<char*>(y.data());
  for (const std::string& done : gather(bytes_of(std::span<const T>(values)))) {
    std::memcpy(to, done.data(), done.size());
    to += done.size();
  }
}

const Module& message_passing() {
  static const Module module = open_module("libquerent_mpi.so", "querent_mpi");
  return module;
}

// What launchers leave in the environment: Open MPI, MPICH and its relatives, Slurm.
bool launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name)) return true;
  return false;
}

Collective of_process() {
  if (!launched() || !message_passing().entry) return {};
  return *reinterpret_cast<const Collective* (*)()>(message_passing().entry)();
}

}  // namespace

const Collective& collective() {
  if (of_this_thread) return *of_this_thread;
  static const Collective mine = of_process();
  return mine;
}

std::string ranks_missing() {
  const Module& m = message_passing();
  if (m.entry) return "";
  return m.built ? text("MPI cannot be loaded: {} (docs/install.md)", m.missing)
                 : "this build has no MPI, -DQUERENT_MPI=ON adds it";
}

UseCollective::UseCollective(const Collective& c) : before_(std::exchange(of_this_thread, &c)) {}
UseCollective::~UseCollective() { of_this_thread = before_; }

std::vector<std::string> gather(const std::string& mine) {
  const Collective& all = collective();
  if (all.size == 1) return {mine};
  return all.exchange(std::vector<std::string>(static_cast<size_t>(all.size), mine));
}

std::string broadcast(const std::string& bytes) { return gather(collective().rank == 0 ? bytes : std::string())[0]; }

bool any_rank(bool mine) {
  const std::vector<std::string> all = gather(mine ? "y" : "");
  return std::any_of(all.begin(), all.end(), [](const std::string& one) { return !one.empty(); });
}

void in_first_rank(const std::function<void()>& work) {
  gather("");
  if (collective().rank == 0) work();
  gather("");
}

void mean_of_ranks(std::span<const float> x, std::span<float> y) {
  collective().size == 1 ? static_cast<void>(std::copy(x.begin(), x.end(), y.begin())) : mean(x, y);
}
void mean_of_ranks(std::span<const double> x, std::span<double> y) {
  collective().size == 1 ? static_cast<void>(std::copy(x.begin(), x.end(), y.begin())) : mean(x, y);
}

}  // namespace querent
