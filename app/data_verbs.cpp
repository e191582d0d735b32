// querent data check, querent data phantom.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/options.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/terminal.h"
#include "data/check.h"
#include "data/phantom.h"
#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::app {

int data_check(const Options& o) {
  data::Dataset dataset = open_filtered(o);
  data::CheckOptions c;
  c.task = o.task == "seg" ? data::Task::segmentation : data::Task::classification;
  if (o.size > 0) c.size = o.size;
  c.allow_empty_masks = o.allow_empty_masks;
  const data::CheckReport r = data::check_dataset(dataset, c);
  const int code = r.ok() ? 0 : 3;
  if (o.json) {
    std::printf("%s\n", r.json().c_str());
    return code;
  }
  const auto list = [](const char* title, const std::map<std::string, int64_t>& m) {
    if (m.empty()) return;
    std::printf("  %-13s", title);
    for (const auto& [name, n] : m) std::printf(" %s %ld ", name.empty() ? "(none)" : name.c_str(), static_cast<long>(n));
    std::printf("\n");
  };
  std::printf("%s (%s): %ld images of %ld patients, %ld with a mask, %ld with a label\n", o.data.c_str(), r.layout.c_str(),
              static_cast<long>(r.cases), static_cast<long>(r.patients), static_cast<long>(r.with_mask), static_cast<long>(r.with_label));
  list("classes", r.classes);
  list("splits", r.splits);
  list("masks", r.mask_conventions);
  list("sizes", r.image_sizes);
  if (r.with_mask > 0) std::printf("  foreground    %.1f %% of the pixels on average\n", 100 * r.mean_foreground);
  size_t shown = 0;
  for (const data::Problem& p : r.problems) {
    if (++shown > 40 && !o.quiet) break;
    std::printf("%s: %s%s%s%s%s\n", data::name_of(p.severity), p.id.c_str(), p.id.empty() ? "" : ": ", p.message.c_str(),
                p.fix.empty() ? "" : "; ", p.fix.c_str());
  }
  if (r.problems.size() > 40) std::printf("... and %zu more (--json lists all)\n", r.problems.size() - 40);
  std::printf("%ld errors, %ld warnings\n", static_cast<long>(r.count(data::Severity::error)),
              static_cast<long>(r.count(data::Severity::warning)));
  if (r.ok()) std::printf("next: querent run --data %s --task %s\n", o.data.c_str(), o.task.c_str());
  return code;
}

int data_phantom(const Options& o) {
  const std::string out = o.out.empty() ? "phantom" : o.out;
  check(o.force || !std::filesystem::exists(out + "/labels.csv"),
        "data phantom: '{}' holds a data set; choose another --out, or --force to write over it", out);
  PhantomOptions p;
  p.size = o.size > 0 ? o.size : 128;
  p.seed = o.seed;
  Terminal terminal(o.quiet || o.json, o.no_color);
  const int64_t written =
      write_phantom_dataset(out, o.count, p, [&](int64_t done, int64_t total) { terminal.progress("drawing", done, total, ""); }, interrupted);
  terminal.end();
  if (written < o.count) {
    std::fprintf(stderr, "stopped after %ld of %ld images\n", static_cast<long>(written), static_cast<long>(o.count));
    return 130;
  }
  if (o.json) {
    std::printf("%s\n", dump_json(nlohmann::json{{"labels", out + "/labels.csv"}, {"count", written}, {"size", p.size}}).c_str());
  } else if (!o.quiet) {
    std::printf("%ld phantom chest X-rays: %s/labels.csv\nnext: querent data check --data %s/labels.csv\n",
                static_cast<long>(written), out.c_str(), out.c_str());
  }
  return 0;
}

}  // namespace querent::app
