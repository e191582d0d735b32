#include "data/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <unordered_map>

#include "data/decode.h"
#include "data/parallel.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::data {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

std::string joined(const std::vector<std::string>& names, const char* separator) {
  std::string out;
  for (const std::string& n : names) out += (out.empty() ? "" : separator) + n;
  return out;
}

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Paths below root are kept relative to it.
std::string relative_to(const std::string& root, const std::string& path) {
  const std::string prefix = root.empty() || root.ends_with('/') ? root : root + "/";
  return !prefix.empty() && path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}
std::string map_paths(const std::string& list, const auto& change) {
  std::vector<std::string> parts;
  for (const std::string& p : split_list(list, '|')) parts.push_back(change(p));
  return joined(parts, "|");
}

json to_json(const Dataset& d, const Case& c) {
  const auto relative = [&](const std::string& p) { return relative_to(d.root, p); };
  json j = {{"id", c.id}, {"image", relative(c.image)}, {"image_sha256", c.image_sha256}};
  if (!c.mask.empty()) {
    j["mask"] = map_paths(c.mask, relative);
    j["mask_sha256"] = c.mask_sha256;
  }
  if (!c.label.empty()) j["label"] = c.label;
  if (!c.patient.empty()) j["patient"] = c.patient;
  if (!c.split.empty()) j["split"] = c.split;
  if (c.width) j["width"] = c.width;
  if (c.height) j["height"] = c.height;
  if (c.spacing_mm > 0) j["spacing_mm"] = c.spacing_mm;
  if (!c.extra.empty()) j["extra"] = c.extra;
  return j;
}

}  // namespace

const std::string& patient_key(const Case& c) { return c.patient.empty() ? c.id : c.patient; }

int64_t class_index(const Dataset& d, const Case& c) {
  const auto at = std::find(d.classes.begin(), d.classes.end(), c.label);
  return c.label.empty() || at == d.classes.end() ? -1 : at - d.classes.begin();
}

std::vector<std::string> split_list(std::string_view s, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= s.size();) {
    const size_t end = std::min(s.find(separator, at), s.size());
    if (end > at) parts.emplace_back(s.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

void refresh_classes(Dataset& d) {
  std::set<std::string> names;
  for (const Case& c : d.cases) {
    if (!c.label.empty()) names.insert(c.label);
  }
  d.classes.assign(names.begin(), names.end());
}

void add_merge(Filters& filters, std::string_view rule) {
  const size_t equals = rule.find('=');
  const std::vector<std::string> from =
      split_list(equals == rule.npos ? std::string_view() : rule.substr(equals + 1), '+');
  check(equals != rule.npos && equals > 0 && !from.empty(), "merge: '{}' is not of the form new=old1+old2", rule);
  filters.merge[std::string(rule.substr(0, equals))] = from;
}

void apply_filters(Dataset& d, const Filters& filters) {
  std::set<std::string> known;
  for (const Case& c : d.cases) {
    for (const std::string& part : split_list(c.label, '|')) known.insert(part);
  }
  const std::string list = joined({known.begin(), known.end()}, ", ");
  const auto require = [&](const std::string& name, const char* flag) {
    check(known.contains(name), "{}: no case has the label '{}'; the labels are: {}", flag, name,
          list.empty() ? "none" : list);
  };
  std::map<std::string, std::string> renamed;
  for (const std::string& name : filters.exclude) require(name, "exclude-label");
  for (const auto& [to, from] : filters.merge) {
    for (const std::string& name : from) {
      require(name, "merge");
      renamed[name] = to;
    }
  }
  for (const auto& [to, from] : filters.merge) known.insert(to);
  for (const std::string& name : filters.classes) require(name, "classes");
  if (filters.classes.empty() && filters.merge.empty() && filters.exclude.empty()) return;

  std::vector<Case> kept;
  for (Case& c : d.cases) {
    std::vector<std::string> parts = split_list(c.label, '|');
    if (std::any_of(parts.begin(), parts.end(), [&](const std::string& p) { return has(filters.exclude, p); }))
      continue;
    std::vector<std::string> names;
    for (const std::string& p : parts) {
      const auto to = renamed.find(p);
      const std::string& name = to == renamed.end() ? p : to->second;
      if ((filters.classes.empty() || has(filters.classes, name)) && !has(names, name)) names.push_back(name);
    }
    if (!filters.classes.empty() && names.size() != 1) continue;
    c.label = joined(names, "|");
    kept.push_back(std::move(c));
  }
  d.cases = std::move(kept);
  check(!d.cases.empty(), "filters: no case is left; the labels before filtering were: {}", list);
  refresh_classes(d);
  if (!filters.classes.empty()) d.classes = filters.classes;
}

void check_unique_ids(const Dataset& d) {
  std::unordered_map<std::string, const Case*> seen;
  for (const Case& c : d.cases) {
    const auto [at, fresh] = seen.emplace(c.id, &c);
    check(fresh, "{}: two cases have the id '{}' ({} and {}); ids must be unique", d.root, c.id, at->second->image,
          c.image);
  }
}

std::string mask_sha256(const std::string& paths) {
  const std::vector<std::string> parts = split_list(paths, '|');
  if (parts.size() == 1) return image_sha256(parts[0]);
  std::string all;
  for (const std::string& p : parts) all += image_sha256(p);
  return sha256_hex(all);
}

void hash_files(Dataset& d) {
  const auto fill = [](std::string& known, const std::string& now, const std::string& path) {
    check(known.empty() || known == now,
          "{}: the file has changed since the manifest was written; restore it, or open the data set again", path);
    known = now;
  };
  parallel_for(static_cast<int64_t>(d.cases.size()), [&](int64_t i) {
    Case& c = d.cases[static_cast<size_t>(i)];
    fill(c.image_sha256, image_sha256(c.image), c.image);
    if (!c.mask.empty()) fill(c.mask_sha256, mask_sha256(c.mask), c.mask);
  });
}

void save_manifest(Dataset& d, const fs::path& path) {
  hash_files(d);
  std::string out = dump_json(json{{"querent_manifest", 1}, {"root", d.root}, {"layout", d.layout}, {"classes", d.classes}});
  out += '\n';
  for (const Case& c : d.cases) out += dump_json(to_json(d, c)) + '\n';
  write_atomically(path, out);
}

Dataset load_manifest(const fs::path& path) {
  std::istringstream lines(read_file(path));
  Dataset d;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    try {
      const json j = parse_json(line);
      if (number == 1) {
        check(j.value("querent_manifest", 0) == 1, "{}: not a manifest of this version of Querent", path.string());
        d.root = j.at("root").get<std::string>();
        d.layout = j.at("layout").get<std::string>();
        d.classes = j.at("classes").get<std::vector<std::string>>();
        continue;
      }
      const auto absolute = [&](const std::string& p) { return (fs::path(d.root) / p).string(); };
      Case c;
      c.id = j.at("id").get<std::string>();
      c.image = absolute(j.at("image").get<std::string>());
      c.mask = map_paths(j.value("mask", ""), absolute);
      c.label = j.value("label", "");
      c.patient = j.value("patient", "");
      c.split = j.value("split", "");
      c.width = j.value("width", int64_t{0});
      c.height = j.value("height", int64_t{0});
      c.spacing_mm = j.value("spacing_mm", 0.0);
      c.extra = j.value("extra", std::map<std::string, std::string>{});
      c.image_sha256 = j.value("image_sha256", "");
      c.mask_sha256 = j.value("mask_sha256", "");
      d.cases.push_back(std::move(c));
    } catch (const json::exception& e) {
      fail("{}: line {} is not a line of a manifest; restore the file or open the data set again", path.string(),
           number);
    }
  }
  check(number > 0, "{}: the manifest is empty", path.string());
  check_unique_ids(d);
  return d;
}

}  // namespace querent::data
