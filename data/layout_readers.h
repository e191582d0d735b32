// One reader per layout; layouts.cpp chooses. Private to data/.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/layouts.h"

namespace querent::data {

// All files below a folder, relative to it with '/', sorted; hidden ones and archives' leftovers skipped.
struct Listing {
  std::filesystem::path root;
  std::vector<std::string> files;

  std::string full(const std::string& relative) const { return (root / relative).string(); }
  std::vector<std::string> images() const;
};
Listing list_folder(const std::filesystem::path& root);

std::vector<std::string> components(const std::string& relative);  // "a/b/c.png" -> {a, b, c.png}
std::string stem_of(const std::string& relative);                  // "a/b/c.png" -> c
std::string lower(std::string s);
std::string guess_patient(const std::string& stem);  // from the file names of public collections; "" when unknown

// Each returns true when it recognised the layout and filled `d`.
using Reader = std::function<bool(const Listing&, const Layout&, Dataset& d)>;
bool read_folders(const Listing&, const Layout&, Dataset&);
bool read_pairs(const Listing&, const Layout&, Dataset&);
bool read_images(const Listing&, const Layout&, Dataset&);
bool read_mnist(const Listing&, const Layout&, Dataset&);
bool read_jsrt(const Listing&, const Layout&, Dataset&);
bool read_nih(const Listing&, const Layout&, Dataset&);
bool read_table(const Listing&, const Layout&, Dataset&);  // the labels.csv of a folder
void read_csv_dataset(const std::filesystem::path& csv, const Layout&, Dataset&);

}  // namespace querent::data
