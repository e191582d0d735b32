// The idx format of MNIST, plain or gzip-compressed: two zero bytes, type (8 = u8), number of axes, the axes as
// big-endian u32, then the values.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace querent::data {

struct Idx {
  std::vector<int64_t> shape;  // [N] labels, [N,H,W] images
  std::string values;          // u8
  std::string_view item(int64_t i) const;
};

// Bounded to 1 GiB of values; the last few files stay in memory. Safe from several threads.
std::shared_ptr<const Idx> read_idx(const std::filesystem::path& path);

// "dir/train-images-idx3-ubyte.gz#123" -> {file, 123}; nothing for other paths.
struct IdxItem {
  std::filesystem::path file;
  int64_t index = 0;
};
std::optional<IdxItem> parse_idx_item(const std::filesystem::path& path);

}  // namespace querent::data
