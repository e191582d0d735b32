#include "app/report.h"

#include "tensor/error.h"

namespace querent::app {

std::string write_report(const std::string& run_folder) { return run_folder + "/report/index.html"; }

}  // namespace querent::app
