#include "data/layouts.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/decode.h"
#include "data/idx.h"
#include "data/layout_readers.h"
#include "data/pattern.h"
#include "tensor/error.h"

namespace querent::data {
namespace fs = std::filesystem;
namespace {

constexpr size_t max_files = 4000000;

Case image_case(const Listing& l, const std::string& file) {
  Case c;
  c.image = l.full(file);
  c.id = file.substr(0, file.size() - fs::path(file).extension().string().size());
  c.patient = guess_patient(stem_of(file));
  return c;
}

// Masks are the lungs where a layout tells no organs apart.
void forget_masks(Dataset& d) {
  for (Case& c : d.cases) c.mask.clear();
}

void finish(Dataset& d, const Layout& layout) {
  if (layout.organ != "lungs" && d.layout != "csv" && d.layout != "jsrt") forget_masks(d);
  const auto guessed = std::count_if(d.cases.begin(), d.cases.end(), [](const Case& c) { return !c.patient.empty(); });
  if (d.layout != "csv" && d.layout != "nih" && d.layout != "chexpert" && d.layout != "mnist" && guessed > 0)
    d.notes.push_back(text("patients of {} of {} cases were read from the file names", guessed, d.cases.size()));
  std::sort(d.cases.begin(), d.cases.end(), [](const Case& a, const Case& b) { return a.id < b.id; });
  check_unique_ids(d);
  refresh_classes(d);
}

}  // namespace

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}

std::string split_name(std::string_view name) {
  const std::string n = lower(std::string(name));
  if (n == "train" || n == "training") return "train";
  if (n == "val" || n == "valid" || n == "validation" || n == "dev") return "val";
  if (n == "test" || n == "testing") return "test";
  return "";
}

std::vector<std::string> components(const std::string& relative) { return split_list(relative, '/'); }
std::string stem_of(const std::string& relative) { return fs::path(relative).stem().string(); }

std::string guess_patient(const std::string& stem) {
  static const Pattern known(
      R"(^(?:(person\d+)_|(?:NORMAL2-)?(IM-\d+)-|(\d{8})_\d{3}$|((?:MCUCXR|CHNCXR)_\d+)_[01]))");
  const auto m = known.find(stem);
  for (size_t i = 1; i < m.size(); ++i) {
    if (!m[i].empty()) return (stem.starts_with("NORMAL2-") ? "NORMAL2-" : "") + m[i];
  }
  return "";
}

Listing list_folder(const fs::path& root) {
  Listing l{root, {}};
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
  fs::recursive_directory_iterator it(root, options, error);
  check(!error, "{}: cannot list the folder ({}); check its permissions", root.string(), error.message());
  for (const fs::recursive_directory_iterator end; it != end; it.increment(error)) {
    check(!error, "{}: cannot list the folder ({}); check its permissions", root.string(), error.message());
    const std::string name = it->path().filename().string();
    const bool folder = it->is_directory(error);
    if (name.starts_with('.') || name == "__MACOSX" || it.depth() > 10) {
      if (folder) it.disable_recursion_pending();
    } else if (!folder) {
      l.files.push_back(it->path().lexically_relative(root).generic_string());
      check(l.files.size() <= max_files, "{}: more than {} files; point at the data set itself", root.string(),
            max_files);
    }
  }
  std::sort(l.files.begin(), l.files.end());
  return l;
}

std::vector<std::string> Listing::images() const {
  std::vector<std::string> out;
  std::copy_if(files.begin(), files.end(), std::back_inserter(out), [](const auto& f) { return is_image_name(f); });
  return out;
}

bool read_folders(const Listing& l, const Layout&, Dataset& d) {
  std::vector<Case> cases;
  std::set<std::string> classes;
  size_t loose = 0;
  for (const std::string& file : l.images()) {
    const std::vector<std::string> path = components(file);
    const std::string split = split_name(path[0]);
    const size_t at = split.empty() ? 0 : 1;
    if (path.size() < at + 2) {
      ++loose;
      continue;
    }
    Case c = image_case(l, file);
    c.label = path[at];
    c.split = split;
    classes.insert(c.label);
    cases.push_back(std::move(c));
  }
  if (classes.size() < 2) return false;
  if (loose) d.notes.push_back(text("{} images outside the class folders were skipped", loose));
  d.layout = "folders";
  d.cases = std::move(cases);
  return true;
}

bool read_images(const Listing& l, const Layout&, Dataset& d) {
  for (const std::string& file : l.images()) d.cases.push_back(image_case(l, file));
  d.layout = "images";
  return !d.cases.empty();
}

bool read_mnist(const Listing& l, const Layout&, Dataset& d) {
  static const Pattern images_name(R"(^(.*/)?([A-Za-z0-9]+)[-.]images[-.]idx3[-.]ubyte(\.gz)?$)");
  for (const std::string& file : l.files) {
    const auto m = images_name.find(file);
    if (m.empty()) continue;
    std::string labels_file;
    for (const char* end : {".gz", ""}) {
      for (const std::string& f : l.files) {
        const bool fits = f == m[1] + m[2] + "-labels-idx1-ubyte" + end ||
                          f == m[1] + m[2] + "-labels.idx1-ubyte" + end;
        if (fits) labels_file = f;
      }
    }
    check(!labels_file.empty(), "{}: its labels {}-labels-idx1-ubyte[.gz] are missing; put them beside it",
          l.full(file), m[2]);
    const auto images = read_idx(l.full(file)), labels = read_idx(l.full(labels_file));
    check(images->shape.size() == 3 && labels->shape.size() == 1 && images->shape[0] == labels->shape[0],
          "{}: holds {} images, {} holds {} labels; download both again", l.full(file), images->shape[0], labels_file,
          labels->shape[0]);
    const std::string part = m[2];
    for (int64_t i = 0; i < images->shape[0]; ++i) {
      Case c;
      std::string number = std::to_string(i);
      c.id = part + "-" + std::string(number.size() < 5 ? 5 - number.size() : 0, '0') + number;
      c.image = l.full(file) + "#" + std::to_string(i);
      c.label = std::to_string(static_cast<int>(static_cast<unsigned char>(labels->values[static_cast<size_t>(i)])));
      c.split = part == "t10k" ? "test" : split_name(part);
      c.height = images->shape[1];
      c.width = images->shape[2];
      d.cases.push_back(std::move(c));
    }
  }
  d.layout = "mnist";
  return !d.cases.empty();
}

Dataset open_dataset(const fs::path& path, const Layout& layout) {
  std::error_code error;
  check(fs::exists(path, error), "{}: no such file or folder; check the path", path.string());
  check(layout.organ == "lungs" || layout.organ == "heart" || layout.organ == "clavicles",
        "organ: '{}' is unknown; choose lungs, heart or clavicles", layout.organ);
  Dataset d;
  if (!fs::is_directory(path, error)) {
    const std::string end = lower(path.extension().string());
    if (end == ".jsonl") {
      d = load_manifest(path);
      if (layout.organ != "lungs") forget_masks(d);
      return d;
    }
    d.root = path.has_parent_path() ? path.parent_path().string() : ".";
    if (is_image_name(path)) {
      read_images(Listing{path.has_parent_path() ? path.parent_path() : fs::path("."), {path.filename().string()}},
                  layout, d);
    } else {
      check(end == ".csv", "{}: not a data set; give a folder, a CSV, a manifest (.jsonl) or an image", path.string());
      read_csv_dataset(path, layout, d);
    }
    finish(d, layout);
    return d;
  }
  static const std::vector<std::pair<std::string, Reader>> readers = {
      {"nih", read_nih},     {"mnist", read_mnist},     {"csv", read_table},    {"jsrt", read_jsrt},
      {"pairs", read_pairs}, {"folders", read_folders}, {"images", read_images}};
  const Listing listing = list_folder(path);
  bool known = layout.name == "auto";
  for (const auto& [name, read] : readers) {
    const bool wanted = layout.name == name || (layout.name == "chexpert" && name == "csv");
    known |= wanted;
    if (layout.name != "auto" && !wanted) continue;
    d = {};
    d.root = path.string();
    if (read(listing, layout, d)) {
      finish(d, layout);
      return d;
    }
  }
  check(known, "layout: '{}' is unknown; choose auto, csv, folders, pairs, jsrt, nih, chexpert, mnist or images",
        layout.name);
  check(layout.name == "auto", "{}: not a data set of layout '{}'; leave the layout out to have it recognised",
        path.string(), layout.name);
  fail(
      "{}: no data set found ({} files, {} of them images); needed: a labels.csv with the columns image,label, or "
      "folders named by class, or images/ and masks/",
      path.string(), listing.files.size(), listing.images().size());
}

}  // namespace querent::data
