#include "app/report.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/options.h"
#include "app/report_data.h"
#include "app/report_pictures.h"
#include "app/report_sections.h"
#include "app/report_verdict.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

constexpr uint64_t picture_budget = uint64_t{9} << 20;  // bytes of base64; the page stays below 12 MB

constexpr uint64_t largest_shown = uint64_t{256} << 20;

}  // namespace

int show_results(const Options& o, const std::string& results, const std::string& page, void (*print)(const nlohmann::json&)) {
  const std::string json = read_file(results, largest_shown);
  if (o.json) {
    std::printf("%s", json.c_str());
  } else if (!o.quiet) {
    print(parse_json(json));
    std::printf("report: %s\n", page.c_str());
  }
  return 0;
}

std::string write_report(const std::string& run_folder) {
  const Results results = read_results(run_folder);
  const Analysis analysis = analyse(results);
  Pictures pictures(results, picture_budget);
  const std::string classes = classes_section(results), tests = tests_section(results, analysis), cost = cost_section(results),
                    doubt = doubt_section(results);
  // The hardest cases take their share of the bytes first: they are few.
  const std::string worst = worst_section(results, pictures);
  const std::string body = header_section(results, analysis) + curves_section(results, analysis) +
                           table_section(results, analysis) + tests + advice_section(results) + cost + gallery_section(results, pictures) + classes +
                           calibration_section(results) + doubt + worst + reproduction_section(results) +
                           glossary_section(results);
  PageOptions options;
  const auto link = [&](const char* id, const char* name, bool there = true) {
    if (there) options.links.emplace_back(id, name);
  };
  link("curves", "Curves"), link("labels", "Labels needed"), link("tests", "Tests", !tests.empty());
  link("advice", "More labels?"), link("cost", "Cost", !cost.empty()), link("gallery", "Queries");
  link("classes", "Who", !classes.empty()), link("calibration", "Calibration"), link("doubt", "Doubt", !doubt.empty());
  link("worst", "Hardest cases"), link("reproduction", "Reproduction"), link("glossary", "Words");
  options.epistemic_gain = 0.5 / pictures.map_top("epistemic");
  options.aleatoric_gain = 0.5 / pictures.map_top("aleatoric");
  const std::string folder = run_folder + "/report";
  make_folder(folder);
  write_atomically(folder + "/index.html", page(results.name + " – Querent report", body, options));
  return folder + "/index.html";
}

std::vector<std::string> write_reports(const std::string& folder) {
  const auto holds = [&](const std::string& name) { return std::filesystem::exists(folder + "/" + name); };
  if (holds("paper.json")) return {write_paper_report(folder)};
  if (holds("mahapatra2013.json")) return {write_mahapatra2013_report(folder)};
  for (const char* name : {"gal2017", "scr2006", "chestxray8", "tajbakhsh2016", "goodfellow2014", "pathak2016"})
    check(!holds(std::string(name) + ".json"),
          "report: '{}' is of 'experiment {}'; its command, given again, writes the page from what is there", folder, name);
  std::vector<std::string> pages;
  if (!holds("results.json"))  // a comparison on both tasks, app/published.cpp
    for (const char* task : {"cls", "seg"})
      if (holds(std::string(task) + "/results.json")) pages.push_back(write_report(folder + "/" + task));
  return pages.empty() ? std::vector{write_report(folder)} : pages;
}

int report(const Options& o) {
  check(!o.out.empty(), "report: which run? give its folder: querent report RUN");
  const std::vector<std::string> pages = write_reports(o.out);
  if (o.json) {
    std::printf("%s\n", dump_json(nlohmann::json{{"report", pages.front()}, {"reports", pages}}).c_str());
  } else {
    for (const std::string& page : pages) std::printf("%s\n", page.c_str());
    if (!o.quiet) std::printf("next: open it in a browser; it is one file and needs no network\n");
  }
  return 0;
}

}  // namespace querent::app
