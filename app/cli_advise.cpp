// Flags and help of querent advise, and what a label costs.
#include <CLI/CLI.hpp>

#include "app/cli_flags.h"

namespace querent::app {

void cost_flags(CLI::App* v, Options& o) {
  v->add_option("--minutes-per-label", o.rates.minutes_per_label, "What one label takes a reader (0: not known)");
  v->add_option("--seconds-per-contour-pixel", o.rates.seconds_per_contour_pixel,
                "seg: besides, for each pixel of outline at --size (0: not known)");
  v->add_option("--cost-per-label", o.rates.money_per_label, "Money for one label (0: not known)");
  v->add_option("--cost-per-hour", o.rates.money_per_hour, "Money for an hour of a reader (0: not known)");
  v->add_option("--currency", o.rates.currency, "Its name")->capture_default_str();
}

void add_advise_verb(CLI::App& app, Options& o) {
  auto* v = app.add_subcommand("advise", "Is it worth labelling more? Forecast, cost and stop rules of a run");
  common_flags(v, o);
  v->add_option("run,--out,-o", o.out, "The folder given to 'run' as --out")->required();
  v->add_option("--target", o.target, "Metric to reach (default: --share of the full-data figure)")
      ->check(CLI::Range(0.0, 1.0));
  v->add_option("--share", o.share, "Share of the full-data figure to reach")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  v->add_option("--more", o.more, "Tell the gain of so many more labels (0: as many as the last round added)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  v->add_option("--min-gain", o.min_gain, "A gain below this is not worth labelling for")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  v->add_option("--worth", o.worth,
                "Money that a gain of 0.01 is worth: then the gain must pay for its labels (0: not known)")
      ->check(CLI::NonNegativeNumber);
  cost_flags(v, o);
  v->footer(
      "The method, its assumptions and when it refuses: docs/advise.md.\n\n"
      "Example:\n  querent advise my-run --target 0.95 --minutes-per-label 5 --cost-per-hour 120");
}

}  // namespace querent::app
