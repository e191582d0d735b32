#include "app/stop.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tensor/collective.h"

namespace querent::app {
namespace {

volatile std::sig_atomic_t interrupts = 0;

void on_signal(int) {
  if (interrupts) _exit(130);
  interrupts = 1;
  constexpr char message[] = "\nstopping at the next safe point (again to stop now)\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, message, sizeof message - 1);
}

}  // namespace

void watch_for_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}
bool interrupted() { return interrupts != 0; }
bool should_stop(const std::string& run_folder) {
  return any_rank(interrupts != 0 || (!run_folder.empty() && access((run_folder + "/STOP").c_str(), F_OK) == 0));
}

int stopped(const std::string& run_folder, const std::string& command_line) {
  std::fprintf(stderr,
               "stopped; everything so far is in %s\nnext: %s    (the same command continues where it stopped)\n",
               run_folder.c_str(), command_line.c_str());
  return 130;
}

}  // namespace querent::app
