#include "al/findings.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "data/csv.h"
#include "data/masks.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

namespace fs = std::filesystem;

constexpr double jsrt_side = 2048, jsrt_mm = 0.175, nih_side = 1024;

const std::string* value_of(const data::Case& c, const char* key) {
  const auto it = c.extra.find(key);
  return it == c.extra.end() || it->second.empty() ? nullptr : &it->second;
}

double number(const std::string& s) { return std::strtod(s.c_str(), nullptr); }

// By case id. The header is "Image Index,Finding Label,Bbox [x,y,w,h],,,", whose brackets hold commas.
std::map<std::string, FindingBoxes> nih_boxes(const data::Dataset& d) {
  std::map<std::string, FindingBoxes> boxes;
  const fs::path file = fs::path(d.root) / "BBox_List_2017.csv";
  if (d.layout != "nih" || !fs::exists(file)) return boxes;
  const data::Csv csv = data::read_csv(file);
  const int image = csv.column({"Image Index"}), finding = csv.column({"Finding Label"}), x = csv.column({"Bbox [x"});
  check(image >= 0 && finding >= 0 && x >= 0 && static_cast<size_t>(x) + 3 < csv.header.size(),
        "{}: the columns 'Image Index', 'Finding Label' and 'Bbox [x,y,w,h]' are needed; use the file as NIH publishes "
        "it",
        csv.path);
  for (const std::vector<std::string>& row : csv.rows) {
    std::array<double, 4> v;  // x, y, w, h
    for (size_t i = 0; i < 4; ++i) v[i] = number(row[static_cast<size_t>(x) + i]) / nih_side;
    const std::string& name = row[static_cast<size_t>(finding)];
    check(v[2] > 0 && v[3] > 0, "{}: the box of {} has no area", csv.path, row[static_cast<size_t>(image)]);
    boxes[fs::path(row[static_cast<size_t>(image)]).stem().string()][name == "Infiltrate" ? "Infiltration" : name]
        .push_back({v[0], v[1], v[0] + v[2], v[1] + v[3]});
  }
  return boxes;
}

}  // namespace

std::vector<std::string> findings_of(const data::Case& c) {
  const std::string* finding = value_of(c, "finding");
  std::vector<std::string> all = data::split_list(finding ? *finding : c.label, '|');
  std::erase_if(all, [](const std::string& f) { return f == "normal" || f == "No Finding" || f == "non_nodule"; });
  return all;
}

std::vector<std::string> all_findings(const data::Dataset& d) {
  std::set<std::string> all;
  for (const data::Case& c : d.cases)
    for (std::string& f : findings_of(c)) all.insert(std::move(f));
  return {all.begin(), all.end()};
}

std::vector<Nodule> nodules_of(const data::Case& c) {
  std::vector<Nodule> nodules;
  if (const std::string* list = value_of(c, "nodules")) {
    for (const std::string& one : data::split_list(*list, ';')) {
      std::istringstream in(one);
      Nodule n;
      in >> n.x >> n.y >> n.radius;
      check(!in.fail(), "{}: nodules must be 'x y radius subtlety;...' in fractions of the side, got '{}'", c.id, one);
      in >> n.subtlety;
      nodules.push_back(n);
    }
  }
  const std::string *x = value_of(c, "nodule_x"), *y = value_of(c, "nodule_y"), *mm = value_of(c, "size_mm");
  if (x && y && mm)
    nodules.push_back({number(*x) / jsrt_side, number(*y) / jsrt_side, number(*mm) / 2 / jsrt_mm / jsrt_side, 0});
  return nodules;
}

Image opacity_mask(const data::Dataset& d, const data::Case& c) {
  const std::string* file = value_of(c, "opacity_mask");
  return file ? data::load_mask((fs::path(d.root) / *file).string()).image : Image();
}

std::vector<FindingBoxes> true_boxes(const data::Dataset& d, std::span<const int64_t> cases) {
  const std::map<std::string, FindingBoxes> listed = nih_boxes(d);
  std::vector<FindingBoxes> all;
  for (const int64_t i : cases) {
    const data::Case& c = d.cases.at(static_cast<size_t>(i));
    const auto it = listed.find(c.id);
    FindingBoxes boxes = it == listed.end() ? FindingBoxes{} : it->second;
    for (const Nodule& n : nodules_of(c))
      boxes["nodule"].push_back({n.x - n.radius, n.y - n.radius, n.x + n.radius, n.y + n.radius});
    const std::vector<Box> opacities = boxes_of(opacity_mask(d, c), 0.5);
    if (!opacities.empty()) boxes["opacity"] = opacities;
    all.push_back(std::move(boxes));
  }
  return all;
}

}  // namespace querent::al
