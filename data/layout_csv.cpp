// Tables: our own labels.csv, NIH ChestX-ray14 (whose header has commas inside brackets) and CheXpert.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "data/csv.h"
#include "data/decode.h"
#include "data/idx.h"
#include "data/layout_readers.h"
#include "data/pattern.h"
#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::data {
namespace fs = std::filesystem;
namespace {

double number(const std::string& s) {
  try {
    return s.empty() ? 0.0 : std::stod(s);
  } catch (const std::exception&) {
    return 0.0;
  }
}

std::string resolve(const fs::path& folder, const std::string& list) {
  std::string out;
  for (const std::string& p : split_list(list, '|')) out += (out.empty() ? "" : "|") + (folder / p).string();
  return out;
}

void note_missing(Dataset& d, const std::string& where) {
  const auto missing = std::count_if(d.cases.begin(), d.cases.end(), [](const Case& c) {
    const auto item = parse_idx_item(c.image);
    std::error_code error;
    return !fs::exists(item ? item->file : fs::path(c.image), error);
  });
  check(missing < static_cast<int64_t>(d.cases.size()),
        "{}: none of its {} images exists (first: {}); paths are relative to the CSV", where, d.cases.size(),
        d.cases[0].image);
  if (missing) d.notes.push_back(text("{} of {} images named in the table do not exist", missing, d.cases.size()));
}

// Two columns "a[x", "y]" are one name with a comma in it: NIH writes OriginalImage[Width,Height].
bool is_nih(const Csv& csv) { return csv.column({"Image Index"}) >= 0 && csv.column({"Finding Labels"}) >= 0; }
bool is_chexpert(const Csv& csv) { return csv.column({"Path"}) >= 0 && csv.column({"Frontal/Lateral"}) >= 0; }

void nih_cases(const Csv& csv, const Listing& l, Dataset& d) {
  std::unordered_map<std::string, std::string> files;
  std::map<std::string, std::string> splits;
  for (const std::string& f : l.files) {
    const std::string name = fs::path(f).filename().string();
    if (is_image_name(f)) files.emplace(name, f);
    if (name != "train_val_list.txt" && name != "test_list.txt") continue;
    std::string names = read_file(l.full(f));
    std::replace(names.begin(), names.end(), '\r', '\n');
    for (const std::string& line : split_list(names, '\n')) splits[line] = name[1] == 'r' ? "train" : "test";
  }
  const int image = csv.column({"Image Index"}), label = csv.column({"Finding Labels"}),
            patient = csv.column({"Patient ID"}), width = csv.column({"OriginalImage[Width"}),
            spacing = csv.column({"OriginalImagePixelSpacing[x"});
  check(patient >= 0, "{}: the column 'Patient ID' is missing; use the table as NIH publishes it", csv.path);
  const std::pair<const char*, int> extras[] = {{"age", csv.column({"Patient Age"})},
                                                {"sex", csv.column({"Patient Gender", "Patient Sex"})},
                                                {"view", csv.column({"View Position"})},
                                                {"follow_up", csv.column({"Follow-up #"})}};
  size_t missing = 0;
  for (const auto& row : csv.rows) {
    const std::string& name = row[static_cast<size_t>(image)];
    const auto file = files.find(name);
    if (file == files.end()) {
      ++missing;
      continue;
    }
    Case c;
    c.id = stem_of(name);
    c.image = l.full(file->second);
    c.label = row[static_cast<size_t>(label)];
    c.patient = row[static_cast<size_t>(patient)];
    if (splits.contains(name)) c.split = splits[name];
    if (width >= 0 && spacing >= 0) {  // the published PNG is the original scaled to 1024 pixels
      c.spacing_mm = number(row[static_cast<size_t>(spacing)]) * number(row[static_cast<size_t>(width)]) / 1024.0;
    }
    for (const auto& [key, column] : extras) {
      if (column >= 0) c.extra[key] = row[static_cast<size_t>(column)];
    }
    d.cases.push_back(std::move(c));
  }
  check(!d.cases.empty(), "{}: none of its {} images is below {}; unpack the images there", csv.path, csv.rows.size(),
        l.root.string());
  if (missing)
    d.notes.push_back(text("{} of {} images of the table are not here and were skipped", missing, csv.rows.size()));
  d.layout = "nih";
}

void chexpert_cases(const Csv& csv, Dataset& d) {
  static const Pattern patient(R"(patient\d+)");
  const int path = csv.column({"Path"}), first = csv.column({"No Finding"}), view = csv.column({"Frontal/Lateral"});
  check(first >= 0, "{}: the column 'No Finding' is missing; use the table as CheXpert publishes it", csv.path);
  const fs::path folder = fs::path(csv.path).parent_path();
  for (const auto& row : csv.rows) {
    const std::string& p = row[static_cast<size_t>(path)];
    Case c;
    c.id = p.substr(0, p.find_last_of('.'));
    const size_t slash = p.find('/');  // paths begin with the data set's own folder
    std::error_code error;
    c.image = (folder / p).string();
    if (!fs::exists(c.image, error) && slash != p.npos) c.image = (folder / p.substr(slash + 1)).string();
    const auto m = patient.find(p);
    if (!m.empty()) c.patient = m[0];
    if (view >= 0) c.extra["view"] = row[static_cast<size_t>(view)];
    for (size_t i = static_cast<size_t>(first); i < row.size(); ++i) {
      if (number(row[i]) == 1.0) c.label += (c.label.empty() ? "" : "|") + csv.header[i];
    }
    d.cases.push_back(std::move(c));
  }
  d.layout = "chexpert";
}

int mask_column(const Csv& csv, const std::string& organ) {
  if (organ == "heart") return csv.column({"heart_mask"});
  if (organ == "clavicles") return csv.column({"clavicle_mask", "clavicles_mask"});
  return csv.column({"mask", "mask_path"});
}

void own_cases(const Csv& csv, const Layout& layout, Dataset& d) {
  const int image = csv.column({"image", "path", "image_path", "filename", "file"});
  std::string found;
  for (const std::string& name : csv.header) found += (found.empty() ? "" : ", ") + name;
  check(image >= 0,
        "{}: no column named image or path; found: {}; needed: image, and label or mask (optional: patient_id, "
        "split, id)",
        csv.path, found);
  const int mask = mask_column(csv, layout.organ), label = csv.column({"label", "class"}),
            patient = csv.column({"patient_id", "patient", "patientid"}), split = csv.column({"split"}),
            id = csv.column({"id"}), width = csv.column({"width"}), height = csv.column({"height"}),
            spacing = csv.column({"spacing_mm"});
  const std::set<int> used = {image, mask, label, patient, split, id, width, height, spacing};
  const fs::path folder = fs::path(csv.path).parent_path();
  for (size_t r = 0; r < csv.rows.size(); ++r) {
    const auto field = [&](int column) {
      return column < 0 ? std::string() : csv.rows[r][static_cast<size_t>(column)];
    };
    check(!field(image).empty(), "{}: row {} names no image; fill the column '{}'", csv.path, r + 1,
          csv.header[static_cast<size_t>(image)]);
    Case c;
    const std::string file = field(image);
    c.id = id >= 0 ? field(id) : file.substr(0, file.size() - fs::path(file).extension().string().size());
    check(!c.id.empty(), "{}: row {} has an empty id; fill it or remove the column", csv.path, r + 1);
    c.image = (folder / file).string();
    c.mask = resolve(folder, field(mask));
    c.label = field(label);
    c.patient = field(patient);
    c.split = split_name(field(split));
    check(field(split).empty() || !c.split.empty(), "{}: row {} has the split '{}'; use train, val, test or nothing",
          csv.path, r + 1, field(split));
    c.width = static_cast<int64_t>(number(field(width)));
    c.height = static_cast<int64_t>(number(field(height)));
    c.spacing_mm = number(field(spacing));
    for (size_t k = 0; k < csv.header.size(); ++k) {
      if (!used.contains(static_cast<int>(k)) && !csv.rows[r][k].empty()) c.extra[csv.header[k]] = csv.rows[r][k];
    }
    d.cases.push_back(std::move(c));
  }
  d.layout = "csv";
}

}  // namespace

bool read_nih(const Listing& l, const Layout&, Dataset& d) {
  for (const std::string& f : l.files) {
    if (!fs::path(f).filename().string().starts_with("Data_Entry_2017") || !f.ends_with(".csv")) continue;
    const Csv csv = read_csv(l.full(f));
    check(is_nih(csv), "{}: the columns 'Image Index' and 'Finding Labels' are missing", csv.path);
    nih_cases(csv, l, d);
    return true;
  }
  return false;
}

void read_csv_dataset(const fs::path& path, const Layout& layout, Dataset& d) {
  const Csv csv = read_csv(path);
  if (is_nih(csv)) return nih_cases(csv, list_folder(path.has_parent_path() ? path.parent_path() : fs::path(".")), d);
  is_chexpert(csv) ? chexpert_cases(csv, d) : own_cases(csv, layout, d);
  check(!d.cases.empty(), "{}: has no rows below its header; nothing to read", csv.path);
  note_missing(d, csv.path);
}

bool read_table(const Listing& l, const Layout& layout, Dataset& d) {
  std::vector<std::string> tables;
  for (const std::string& f : l.files) {
    if (f.find('/') == f.npos && lower(f).ends_with(".csv")) tables.push_back(f);
  }
  for (const char* known : {"labels.csv", "train.csv", "metadata.csv"}) {
    if (std::find(tables.begin(), tables.end(), known) != tables.end()) tables = {known};
  }
  if (tables.empty()) return false;
  check(tables.size() == 1, "{}: several tables ({}, {} ...); give the path of the one to read", l.root.string(),
        tables[0], tables.back());
  read_csv_dataset(l.root / tables[0], layout, d);
  return true;
}

}  // namespace querent::data
