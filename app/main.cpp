// The `querent` command: parse, dispatch, turn errors into one line and an exit code.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>

#include "app/options.h"
#include "app/stop.h"
#include "tensor/error.h"
#include "tensor/run.h"

namespace {

// Threads that wait should not take the processor from those of other programs that compute: with the long spin that
// OpenMP's runtime has by default, two trainings side by side take several times as long as one after the other. The
// runtime reads this setting when the program is loaded, so the program starts itself once more.
void wait_briefly(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv("/proc/self/exe", argv);  // on failure: as it was
}

}  // namespace

int main(int argc, char** argv) {
  using namespace querent;
  using namespace querent::app;
  wait_briefly(argv);
  std::signal(SIGPIPE, SIG_IGN);
  Options options;
  int exit_code = 0;
  if (!parse_command_line(argc, argv, options, exit_code)) return exit_code;
  const std::map<std::string, int (*)(const Options&)> verbs = {
      {"demo", demo},
      {"run", run_experiment},
      {"experiment paper", experiment_paper},
      {"experiment gal2017", experiment_gal2017},
      {"experiment mahapatra2013", experiment_mahapatra2013},
      {"experiment scr2006", experiment_scr2006},
      {"train", train},
      {"eval", eval},
      {"predict", predict},
      {"report", report},
      {"advise", advise},
      {"doctor", doctor},
      {"explain", explain},
      {"data check", data_check},
      {"data phantom", data_phantom},
      {"synth train", synth_train},
      {"synth sample", synth_sample},
      {"synth check", synth_check},
  };
  try {
    set_threads(options.threads);
    set_conv_algorithm(parse_conv_algorithm(options.conv));
    watch_for_interrupts();
    return verbs.at(options.verb)(options);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    if (e.kind() == ErrorKind::bad_input) return 2;
    std::fprintf(stderr, "  at %s:%u\n", e.where().file_name(), static_cast<unsigned>(e.where().line()));
    return 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: out of memory; use a smaller --batch or --size\n");
    return 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
