// The `querent` command: parse, dispatch, turn errors into one line and an exit code.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <map>
#include <string_view>

#include "app/options.h"
#include "app/ranks.h"
#include "app/stop.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/run.h"

namespace {

// Threads that wait should not take the processor from those of other programs that compute: with the long spin that
// OpenMP's runtime has by default, two trainings side by side take several times as long as one after the other. The
// runtime reads this setting when the program is loaded, so the program starts itself once more; not to print a help.
void wait_briefly(int argc, char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  const auto asks_for_help = [](std::string_view word) { return word == "--help" || word == "-h"; };
  if (argc < 2 || std::any_of(argv + 1, argv + argc, asks_for_help)) return;
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv("/proc/self/exe", argv);  // on failure: as it was
}

}  // namespace

int main(int argc, char** argv) {
  using namespace querent;
  using namespace querent::app;
  wait_briefly(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  join_ranks();
  Options options;
  int exit_code = 0;
  if (!parse_command_line(argc, argv, options, exit_code)) return exit_code;
  std::map<std::string, int (*)(const Options&)> verbs = {
      {"demo", demo},
      {"run", run_experiment},
      {"experiment paper", experiment_paper},
      {"experiment gal2017", experiment_gal2017},
      {"experiment mahapatra2013", experiment_mahapatra2013},
      {"experiment scr2006", experiment_scr2006},
      {"experiment chestxray8", experiment_chestxray8},
      {"experiment tajbakhsh2016", experiment_tajbakhsh2016},
      {"experiment goodfellow2014", experiment_goodfellow2014},
      {"experiment pathak2016", experiment_pathak2016},
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
  for (const Published& p : published()) verbs[text("experiment {}", p.name)] = experiment_published;
  try {
    check_ranks(options.verb);
    set_threads(options.threads);
    set_conv_algorithm(parse_conv_algorithm(options.conv));
    set_compute_device(parse_device(options.device));
    watch_for_interrupts();
    return verbs.at(options.verb)(options);
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::bad_input) return fail_ranks(2, e.what());
    return fail_ranks(1, text("{}\n  at {}:{}", e.what(), e.where().file_name(), e.where().line()));
  } catch (const std::bad_alloc&) {
    return fail_ranks(1, "out of memory; use a smaller --batch or --size");
  } catch (const std::exception& e) {
    return fail_ranks(1, e.what());
  }
}
