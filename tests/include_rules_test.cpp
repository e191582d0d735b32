// Who may include whom (docs/architecture.md), and how long a file may be.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

TEST_SUITE_BEGIN("include_rules_test");
namespace fs = std::filesystem;

namespace {

const fs::path root = QUERENT_SOURCE_DIR;
const std::map<std::string, std::set<std::string>> may_include = {
    {"tensor", {"tensor"}},
    {"cuda", {"cuda", "tensor"}},
    {"mpi", {"tensor"}},
    {"data", {"data", "tensor"}},
    {"layers", {"layers", "tensor"}},
    {"models", {"models", "layers", "tensor"}},
    {"al", {"al", "models", "layers", "data", "tensor"}},
    {"audit", {"audit", "al", "models", "layers", "data", "tensor"}},
    {"app", {"app", "audit", "al", "models", "layers", "data", "tensor"}},
};

std::vector<fs::path> sources() {
  std::vector<fs::path> files;
  for (const char* folder : {"tensor", "cuda", "mpi", "data", "layers", "models", "al", "audit", "app", "tests", "bench"}) {
    if (!fs::is_directory(root / folder)) continue;
    for (const auto& f : fs::recursive_directory_iterator(root / folder)) {
      const std::string ext = f.path().extension();
      if (ext == ".h" || ext == ".cpp" || ext == ".cu" || ext == ".cuh") files.push_back(f.path());
    }
  }
  return files;
}
std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
std::string path_of(const fs::path& file) { return fs::relative(file, root).generic_string(); }

}  // namespace

TEST_CASE("folders include only what lies below them") {
  for (const fs::path& file : sources()) {
    const std::string path = path_of(file), folder = path.substr(0, path.find('/'));
    const auto rule = may_include.find(folder);
    for (const std::string& line : lines_of(file)) {
      if (!line.starts_with("#include")) continue;
      const bool own = line.find('"') != std::string::npos;
      const size_t from = line.find_first_of("\"<") + 1;
      const std::string target = line.substr(from, line.find_first_of("\">", from) - from);
      const std::string top = target.substr(0, target.find('/'));
      if (rule != may_include.end() && own && !(folder == "tensor" && target == path)) {
        CHECK_MESSAGE(rule->second.contains(top), path, " may not include ", target);
      }
      if (top == "hwy") CHECK_MESSAGE(path.starts_with("tensor/cpu/"), path, ": SIMD headers belong in tensor/cpu/");
      if (target.starts_with("cuda_") || target.starts_with("cudnn") || target.starts_with("cublas") ||
          target == "nccl.h") {
        CHECK_MESSAGE((folder == "cuda" || path.starts_with("tests/cudnn_described/")), path,
                      ": CUDA headers belong in cuda/");
      }
      if (target == "mpi.h") CHECK_MESSAGE(folder == "mpi", path, ": MPI's header belongs in mpi/");
      const bool third_party = top == "nlohmann" || top == "CLI" || top == "stb" || top == "toml++" || top == "doctest";
      if (third_party && path.ends_with(".h")) {
        CHECK_MESSAGE((target == "nlohmann/json_fwd.hpp" || folder == "tests"), path, ": ", target,
                      " is slow to compile; include it in the .cpp");
      }
    }
  }
}

TEST_CASE("no file is longer than a person can hold in mind") {
  std::vector<std::pair<size_t, std::string>> sizes;
  for (const fs::path& file : sources()) sizes.emplace_back(lines_of(file).size(), path_of(file));
  std::sort(sizes.rbegin(), sizes.rend());
  for (const auto& [lines, path] : sizes) CHECK_MESSAGE(lines <= 500, path, " has ", lines, " lines");
  std::string largest;
  for (size_t i = 0; i < std::min<size_t>(10, sizes.size()); ++i) {
    largest += "\n  " + std::to_string(sizes[i].first) + "  " + sizes[i].second;
  }
  MESSAGE("the ten largest files:", largest);
}
TEST_SUITE_END();
