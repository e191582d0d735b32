// Reports: one self-contained page each, OUT/report/index.html made from OUT/results.json and OUT/gallery/.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace querent::app {

struct Options;
// How every experiment ends: `results`, a JSON file, as it is with --json, else printed as a table with the path of the
// page, unless --quiet. The exit code.
int show_results(const Options& o, const std::string& results, const std::string& page,
                 void (*print)(const nlohmann::json& results));

// Writes run_folder/report/index.html and returns its path. Error when there are no results yet.
std::string write_report(const std::string& run_folder);
// The pages of whatever folder 'run' or 'experiment' wrote, as `querent report` does. Error when it says nothing of itself
// or when only the command that made it can write its page.
std::vector<std::string> write_reports(const std::string& folder);

// What run_folder/paper.json says, in sentences, the headline first: differences between the method and real films that
// are significant after Holm's correction, with their size; the annotation that the method saved.
std::vector<std::string> paper_summary(const nlohmann::json& results);
// The same for run_folder/paper.json: report/paper.html.
std::string write_paper_report(const std::string& run_folder);

// The curves and the table of run_folder/gal2017.json beside the published numbers: report/gal2017.html.
std::string write_gal2017_report(const std::string& run_folder, const std::string& command);

// Curves, tables and pictures of run_folder/mahapatra2013.json: report/mahapatra2013.html.
std::string write_mahapatra2013_report(const std::string& run_folder);

// The tables, box plots and Bland-Altman plots of folder/scr2006.json and films.json: report/scr2006.html.
std::string write_scr2006_report(const std::string& folder, const std::string& command);

// Figures and heat maps of run_folder/chestxray8.json: report/chestxray8.html.
std::string write_chestxray8_report(const std::string& run_folder, const std::string& command);

// Verdict, table and curves of run_folder/tajbakhsh2016.json: report/tajbakhsh2016.html.
std::string write_tajbakhsh2016_report(const std::string& run_folder, const std::string& command);

// Log-likelihoods, values and samples of run_folder/goodfellow2014.json: report/goodfellow2014.html.
std::string write_goodfellow2014_report(const std::string& run_folder, const std::string& command);

// Errors and pictures of run_folder/pathak2016.json: report/pathak2016.html.
std::string write_pathak2016_report(const std::string& run_folder, const std::string& command);

}  // namespace querent::app
