// The safetensors file: u64 header length, a JSON header, then the bytes of all tensors without holes.
//
// This is the only weight format Querent reads: it cannot run code, every offset can be checked before a byte is
// trusted, and Python tools read it as it is. Layout of the format: github.com/huggingface/safetensors, README.
// Names, shapes and bytes here are exactly those of the file; layers/params turns them into the engine's axis order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/files.h"

namespace querent {

// One tensor's place in the file. `first` and `last` are byte offsets from the start of the data part.
struct SafetensorsEntry {
  std::string dtype;  // "F32", "I64", "BF16", ... as the file spells it
  std::vector<int64_t> shape;
  uint64_t first = 0, last = 0;
  uint64_t size() const { return last - first; }
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> entries;  // sorted by name
  std::map<std::string, std::string> metadata;
};

// Parses and checks the JSON header for `data_size` bytes that follow it: known dtypes, shapes that fit their bytes
// (checked for overflow), no duplicate names, no overlap, no hole, nothing past the end. `what` names the file in
// errors.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_size, const std::string& what);

// An opened file: the header is checked at once, tensor bytes are read on request.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(std::filesystem::path path);
  const std::map<std::string, SafetensorsEntry>& entries() const { return header_.entries; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const std::filesystem::path& path() const { return path_; }
  // The raw little-endian bytes of one tensor; bad_input if the name is unknown or the file has shrunk.
  std::vector<std::byte> bytes(const std::string& name) const;
  // Its bytes first .. first+into.size()-1 alone, put where they are wanted.
  void read(const std::string& name, uint64_t first, std::span<std::byte> into) const;
  // The values as f32 (from F64, F32, F16, BF16, I64, I32, U8 or BOOL).
  std::vector<float> floats(const std::string& name) const;
  // The values as f64 (same sources).
  std::vector<double> doubles(const std::string& name) const;

 private:
  std::filesystem::path path_;
  uint64_t data_start_ = 0;
  SafetensorsHeader header_;
};

// A tensor to be written; `bytes` must stay alive until write_safetensors returns. Or `content` gives them in pieces.
struct SafetensorsItem {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes = {};
  std::function<void(const Write&)> content = {};
};

// Writes the file atomically (temporary name in the same folder, fsync, rename). Items are ordered by element size,
// then name, so the same content always gives the same bytes.
void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsItem> items,
                       const std::map<std::string, std::string>& metadata = {});

// Bytes per element of a dtype name, 0 if unknown.
uint64_t safetensors_element_size(std::string_view dtype);

}  // namespace querent
