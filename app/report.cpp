#include "app/report.h"

#include "app/options.h"
#include "tensor/error.h"

namespace querent::app {

std::string write_report(const std::string& run_folder) { return run_folder + "/report/index.html"; }
int report(const Options& o) { write_report(o.out); return 0; }

}  // namespace querent::app
