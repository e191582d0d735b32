// The report: OUT/report/index.html, one self-contained page made from OUT/results.json and OUT/gallery/.
#pragma once
#include <string>

namespace querent::app {

// Writes run_folder/report/index.html and returns its path. Error when there are no results yet.
std::string write_report(const std::string& run_folder);

}  // namespace querent::app
