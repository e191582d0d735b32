#include "app/ranks.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string_view>

#include "tensor/collective.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

int spoken_errors = STDERR_FILENO;

}  // namespace

void join_ranks() {
  if (collective().rank == 0) return;
  spoken_errors = dup(STDERR_FILENO);
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  close(nowhere);
}

void check_ranks(const std::string& verb) {
  const char* launched = std::getenv("OMPI_COMM_WORLD_SIZE");
  const std::string missing = launched && std::string_view(launched) != "1" ? ranks_missing() : "";
  check(missing.empty(), "mpirun: {}; its processes cannot work together", missing);
  const std::set<std::string_view> shared = {"train",
                                             "eval",
                                             "predict",
                                             "run",
                                             "synth train",
                                             "synth sample",
                                             "synth check",
                                             "experiment paper",
                                             "experiment gal2017"};
  check(collective().size == 1 || shared.contains(verb), "{}: works in one process; start it without mpirun", verb);
}

int fail_ranks(int exit_code, const std::string& message) {
  const Collective& all = collective();
  if (all.rank > 0) sleep(1);  // most often the first rank fails in the same way, says so and ends all
  dprintf(spoken_errors, "error: %s%s\n", all.rank > 0 ? text("rank {}: ", all.rank).c_str() : "", message.c_str());
  if (all.size > 1) all.abort(exit_code);
  return exit_code;
}

}  // namespace querent::app
