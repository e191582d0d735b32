// querent experiment strategies, yang2017, ceal2017, liguo2013: `run` with the strategies and seeds of a publication.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/options.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {

const std::vector<Published>& published() {
  static const std::vector<Published> all = {
      {"strategies",
       "Every family of choosing compared, on both tasks, with five seeds: suggestive annotation, CEAL, core-set, BADGE, "
       "BALD, entropy, Kendall and Gal, random and foreground-aware random",
       {"random", "foreground_random", "entropy", "bald", "kendall_gal", "coreset", "suggestive_annotation"},
       {"random", "entropy", "bald", "kendall_gal", "coreset", "badge", "ceal", "suggestive_annotation"}},
      {"yang2017",
       "Yang et al. (MICCAI 2017), suggestive annotation: a committee of four and maximum cover, against doubt alone, "
       "cover alone and random",
       {"random", "mean_std", "coreset", "suggestive_annotation"},
       {}},
      {"ceal2017",
       "Wang et al. (IEEE TCSVT 2017), cost-effective active learning: doubtful films are asked for, films beyond doubt "
       "label themselves for a round; against the same choice without those and random",
       {},
       {"random", "least_confidence", "margin", "entropy", "ceal"}},
      {"liguo2013",
       "Li and Guo (CVPR 2013), adaptive active learning: uncertainty times information density, the exponent chosen in "
       "each round, against each alone and random",
       {},
       {"random", "entropy", "information_density", "adaptive"}}};
  return all;
}

int experiment_published(const Options& options) {
  const std::string name = options.verb.substr(options.verb.find(' ') + 1);
  const Published* chosen = nullptr;
  for (const Published& p : published())
    if (p.name == name) chosen = &p;
  check(chosen, "experiment: {} is not one of the published comparisons", name);
  const std::string out = options.out.empty() ? "querent-" + name : options.out;
  nlohmann::json results;  // by task
  for (const auto& [task, strategies] : {std::pair("cls", &chosen->cls), {"seg", &chosen->seg}}) {
    if (strategies->empty() || (options.task != "both" && options.task != task)) continue;
    Options o = options;
    o.task = task;
    o.out = out + "/" + task;
    if (o.strategies.empty()) o.strategies = *strategies;
    o.json = false, o.quiet = options.quiet || options.json;
    if (!o.quiet) std::printf("%s, --task %s\n", chosen->name, task);
    if (const int code = run_experiment(o); code != 0) return code;
    results[task] = parse_json(read_file(o.out + "/results.json", size_t{256} << 20));
  }
  if (options.json) std::printf("%s", dump_json(results).c_str());
  return 0;
}

}  // namespace querent::app
