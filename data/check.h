// Looks at every file of a data set before any training does, and says what is wrong and how to mend it.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace querent::data {

enum class Task { segmentation, classification };
enum class Severity { note, warning, error };  // an error will stop training; a warning is worth a look
const char* name_of(Severity s);

struct Problem {
  Severity severity = Severity::note;
  std::string id;       // the case, or "" for the data set as a whole
  std::string message;  // what is wrong
  std::string fix;      // what to do
};

struct CheckReport {
  std::string root, layout;
  int64_t cases = 0, patients = 0, with_mask = 0, with_label = 0;
  std::map<std::string, int64_t> classes, splits, mask_conventions, image_sizes;  // name -> cases
  double mean_foreground = 0;  // of the readable masks, fraction of the pixels
  std::vector<Problem> problems;

  int64_t count(Severity s) const;
  bool ok() const { return count(Severity::error) == 0; }
  std::string json() const;
};

struct CheckOptions {
  Task task = Task::segmentation;
  bool allow_empty_masks = false;
  int64_t size = 128;          // the side images will be scaled to
  int64_t smallest_side = 16;  // as LoaderOptions::smallest_side
};

// Reads every file, in parallel; finds missing, truncated and damaged files, files that have changed since the manifest
// was written, masks of another size or without any foreground, classes with one or no case, patients or images in two
// splits, exact duplicates (SHA-256) and near duplicates (difference hash of 16 x 16 pixels). Fills the data set's
// hashes, widths and heights. Memory: the pictures being read, and 32 bytes a case.
CheckReport check_dataset(Dataset& d, const CheckOptions& options);

// The quick part, for the start of every run: throws at the first case whose files do not exist, at a task without
// masks or with fewer than two classes, at leaks.
void require_usable(const Dataset& d, Task task);

}  // namespace querent::data
