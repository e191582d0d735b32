// What a data set is to the rest of Querent: a list of cases with paths, label, patient and split. open_dataset()
// (layouts.h) makes one from any supported folder or file; the manifest file keeps it, with a SHA-256 of every file, so
// that a run can state exactly what it was made from.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace querent::data {

struct Case {
  std::string id;                 // unique in the data set
  std::string image;              // path that opens as it is, or "file-idx3-ubyte.gz#123"
  std::string mask;               // path, several joined with '|' whose union is the mask, or empty
  std::string label;              // class name, several findings joined with '|', or empty
  std::string patient;            // empty: unknown, then every case counts as a patient of its own
  std::string split;              // "train", "val", "test" or empty
  int64_t width = 0, height = 0;  // of the image, 0 unknown
  double spacing_mm = 0;          // millimetres per pixel of the image, 0 unknown
  std::map<std::string, std::string> extra;
  std::string image_sha256, mask_sha256;  // empty until hash_files()
  bool operator==(const Case&) const = default;
};

struct Dataset {
  std::string root;    // the folder the paths of a saved manifest are relative to
  std::string layout;  // how it was read: "csv", "folders", "pairs", "jsrt", "nih", "chexpert", "mnist", "images"
  std::vector<Case> cases;
  std::vector<std::string> classes;  // class i has name classes[i]; sorted by name unless Filters gave an order
  std::vector<std::string> notes;    // what was skipped or assumed while opening, one line each
};

// The key patients are told apart by: the patient, or the case's id when that is unknown.
const std::string& patient_key(const Case& c);
// Index of the case's label in classes, or -1.
int64_t class_index(const Dataset& d, const Case& c);
std::vector<std::string> split_list(std::string_view joined, char separator);  // "a,b" -> {a, b}; empty parts dropped

// Narrowing a data set to a task. Labels with several findings ("A|B") count as each of them; a case that fits none of
// `classes`, or more than one, is dropped.
struct Filters {
  std::vector<std::string> classes;                       // keep these, in this order; empty: all
  std::map<std::string, std::vector<std::string>> merge;  // new name <- old names
  std::vector<std::string> exclude;                       // drop cases with any of these labels (before merging)
};
// "pneumonia=bacterial_pneumonia+viral_pneumonia"
void add_merge(Filters& filters, std::string_view rule);
// A name that no case has is an Error listing the labels that exist; so is an empty result.
void apply_filters(Dataset& d, const Filters& filters);
void refresh_classes(Dataset& d);  // classes = sorted distinct labels

void check_unique_ids(const Dataset& d);
std::string mask_sha256(const std::string& paths);  // of one file, or over the hashes of several joined with '|'
// Fills every empty sha256, and throws at a file whose content is no longer what its sha256 says; reads all files, in
// parallel.
void hash_files(Dataset& d);

// JSON lines: a header, then one case per line; paths relative to root. Hashes are filled in and compared first.
void save_manifest(Dataset& d, const std::filesystem::path& path);
Dataset load_manifest(const std::filesystem::path& path);

}  // namespace querent::data
