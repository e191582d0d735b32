// JSRT films (Shiraishi et al. 2000), the SCR masks (van Ginneken et al. 2006) and JSRT's clinical text. Three traps:
// the text files end lines with a bare CR in one distribution, ages may be '?', and organ folders have spaces in their
// names.
#include <algorithm>
#include <array>
#include <map>
#include <sstream>

#include "data/decode.h"
#include "data/layout_readers.h"
#include "data/pattern.h"
#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::data {
namespace {

using Facts = std::map<std::string, std::string>;
constexpr std::array<const char*, 9> nodule_columns = {"subtlety", "size_mm", "age",      "sex",      "nodule_x",
                                                       "nodule_y", "nodule",  "location", "diagnosis"};

std::string utf8_from_latin1(const std::string& s) {
  std::string out;
  for (const char ch : s) {
    const auto c = static_cast<unsigned char>(ch);
    if (c >= 128) out += static_cast<char>(0xC0 | c >> 6);
    out += c < 128 ? ch : static_cast<char>(0x80 | (c & 63));
  }
  return out;
}

std::vector<std::string> text_lines(const std::string& path) {
  std::string s = utf8_from_latin1(read_file(path, 1 << 22));
  std::replace(s.begin(), s.end(), '\r', '\n');
  return split_list(s, '\n');
}

// Tab-separated: file, subtlety 1..5, size in mm, age, sex, x, y (2048-pixel image), malignant|benign, location,
// diagnosis.
void read_nodule_text(const std::string& path, std::map<std::string, Facts>& facts) {
  for (const std::string& line : text_lines(path)) {
    std::vector<std::string> fields{""};
    for (const char c : line) {
      if (c == '\t')
        fields.emplace_back();
      else
        fields.back() += c;
    }
    if (fields.size() < 8) continue;
    Facts& f = facts[stem_of(fields[0])];
    for (size_t i = 1; i < fields.size(); ++i) {
      std::string& value = f[nodule_columns[std::min(i - 1, nodule_columns.size() - 1)]];
      value += (value.empty() || fields[i].empty() ? "" : " ") + fields[i];
    }
  }
}
// Blank-separated: file, age, sex, "non-nodule".
void read_normal_text(const std::string& path, std::map<std::string, Facts>& facts) {
  for (const std::string& line : text_lines(path)) {
    std::istringstream words(line);
    std::string file, age, sex;
    if (words >> file >> age >> sex) facts[stem_of(file)] = {{"age", age}, {"sex", sex}};
  }
}

}  // namespace

bool read_jsrt(const Listing& l, const Layout& layout, Dataset& d) {
  static const Pattern name(R"(^JPC([LN])N\d{3}$)", true);
  static const std::map<std::string, std::string> organs = {{"left lung", "lungs"},
                                                            {"right lung", "lungs"},
                                                            {"heart", "heart"},
                                                            {"left clavicle", "clavicles"},
                                                            {"right clavicle", "clavicles"}};
  std::map<std::string, std::string> films;                         // name -> file
  std::map<std::string, std::map<std::string, std::string>> masks;  // name -> organ -> joined paths
  std::map<std::string, std::string> folds;
  std::map<std::string, Facts> facts;
  for (const std::string& file : l.files) {
    const std::string stem = stem_of(file), base = lower(stem);
    if (base.starts_with("clndat")) read_nodule_text(l.full(file), facts);
    if (base.starts_with("cnndat")) read_normal_text(l.full(file), facts);
    if (!is_image_name(file) || !name.matches(stem)) continue;
    std::string organ, fold;
    for (const std::string& part : components(file)) {
      const auto o = organs.find(lower(part));
      if (o != organs.end()) organ = o->second;
      if (part == "fold1" || part == "fold2") fold = part.substr(4);
    }
    if (organ.empty()) {
      films.emplace(stem, file);
      continue;
    }
    std::string& joined = masks[stem][organ];
    joined += (joined.empty() ? "" : "|") + l.full(file);
    if (!fold.empty()) folds[stem] = fold;
  }
  if (films.empty()) return false;
  size_t without = 0;
  for (const auto& [stem, file] : films) {
    Case c;
    c.id = c.patient = stem;
    c.image = l.full(file);
    c.label = std::toupper(static_cast<unsigned char>(stem[3])) == 'L' ? "nodule" : "non_nodule";
    c.extra = facts[stem];
    if (folds.contains(stem)) c.extra["fold"] = folds[stem];
    const auto known = masks.find(stem);
    if (known != masks.end()) {
      for (const auto& [organ, paths] : known->second) {
        if (organ == layout.organ) c.mask = paths;
      }
    }
    without += c.mask.empty();
    const ImageInfo info = image_info(c.image);
    c.width = info.width;
    c.height = info.height;
    c.spacing_mm = 0.175 * 2048.0 / static_cast<double>(info.width);
    d.cases.push_back(std::move(c));
  }
  if (without) d.notes.push_back(text("{} of {} films have no {} mask", without, films.size(), layout.organ));
  d.layout = "jsrt";
  return true;
}

}  // namespace querent::data
