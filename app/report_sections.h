// The sections of the report, each a piece of HTML. A section whose data are missing says so in one line.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/report_data.h"
#include "app/report_verdict.h"
#include "app/svg.h"

namespace querent::app {

class Pictures;

std::string header_section(const Results&, const Analysis&);  // verdict, key figures
std::string curves_section(const Results&, const Analysis&);  // metrics against labels
std::string table_section(const Results&, const Analysis&);   // labels needed, factor, area
std::string tests_section(const Results&, const Analysis&);   // every strategy against every other
std::string advice_section(const Results&);                   // is it worth labelling more?
std::string cost_section(const Results&);                     // metric against patients, outlines, time, money
std::string gallery_section(const Results&, Pictures&);       // what was asked, with uncertainty maps
std::string classes_section(const Results&);                  // which classes and patients were asked for
std::string calibration_section(const Results&);              // reliability diagrams
std::string doubt_section(const Results&);                    // does it know when it is wrong?
std::string worst_section(const Results&, Pictures&);         // where the full-data model failed
std::string reproduction_section(const Results&);             // command, versions, hashes
std::string glossary_section(const Results&);

// One series per strategy: mean, lowest and highest over the seeds at each round; x is the mean of x_of over them.
using XOf = std::function<std::optional<double>(const ReportPoint&)>;
std::vector<ChartSeries> series_of(const Results& r, const std::string& metric, const XOf& x_of = {});
bool is_share(const std::string& metric);

// <section id=..><h2>title</h2><p class="lead">lead</p> body </section>; `lead` and `body` are HTML.
std::string section(const std::string& id, const std::string& title, const std::string& lead, const std::string& body);
// The whole document around `body`: style, colours for light and dark, filters for the maps, navigation.
struct PageOptions {
  std::vector<std::pair<std::string, std::string>> links;  // section id, name
  double epistemic_gain = 1, aleatoric_gain = 1;           // how much the maps are brightened
  std::string made_from = "results.json and the pictures of this run";
};
std::string page(const std::string& title, const std::string& body, const PageOptions& options);

}  // namespace querent::app
