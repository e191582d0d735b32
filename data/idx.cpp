#include "data/idx.h"

#include <zlib.h>

#include <array>
#include <deque>
#include <mutex>

#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::data {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t max_values = uint64_t{1} << 30;

std::string gunzip(const std::string& packed, const std::string& path) {
  z_stream stream{};
  internal_check(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK, "idx: cannot start zlib");
  std::string out;
  std::array<char, 65536> block;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int result = Z_OK;
  while (result == Z_OK && out.size() <= max_values + 1024) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(block.data(), block.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  check(out.size() <= max_values + 1024, "{}: inflates to more than {} bytes; not an idx file Querent reads", path,
        max_values);
  check(result == Z_STREAM_END, "{}: gzip file is truncated or damaged; download it again", path);
  return out;
}

std::shared_ptr<const Idx> parse(const fs::path& path) {
  const std::string name = path.string();
  std::string bytes = read_file(path, max_values + 1024);
  if (bytes.starts_with("\x1f\x8b")) bytes = gunzip(bytes, name);
  check(bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8,
        "{}: not an idx file of unsigned bytes (it must begin 00 00 08); check the file", name);
  const size_t axes = static_cast<unsigned char>(bytes[3]);
  check((axes == 1 || axes == 3) && bytes.size() >= 4 + 4 * axes,
        "{}: idx file has {} axes; [N] labels or [N,H,W] images are needed", name, axes);
  auto idx = std::make_shared<Idx>();
  uint64_t count = 1;
  for (size_t a = 0; a < axes; ++a) {
    uint64_t extent = 0;
    for (size_t b = 0; b < 4; ++b) extent = extent << 8 | static_cast<unsigned char>(bytes[4 + 4 * a + b]);
    check(extent > 0 && extent <= max_values / count, "{}: idx header asks for too many values; check the file", name);
    count *= extent;
    idx->shape.push_back(static_cast<int64_t>(extent));
  }
  check(bytes.size() - 4 - 4 * axes == count,
        "{}: idx header promises {} bytes of values, the file has {}; download it again", name, count,
        bytes.size() - 4 - 4 * axes);
  idx->values = bytes.substr(4 + 4 * axes);
  return idx;
}

}  // namespace

std::string_view Idx::item(int64_t i) const {
  check(i >= 0 && i < shape[0], "idx: item {} of {} does not exist", i, shape[0]);
  const size_t size = values.size() / static_cast<size_t>(shape[0]);
  return std::string_view(values).substr(static_cast<size_t>(i) * size, size);
}

std::shared_ptr<const Idx> read_idx(const fs::path& path) {
  struct Kept {
    fs::path path;
    fs::file_time_type time;
    std::shared_ptr<const Idx> idx;
  };
  static std::mutex mutex;
  static std::deque<Kept> kept;  // newest first
  const std::lock_guard lock(mutex);
  std::error_code ignored;
  const fs::file_time_type time = fs::last_write_time(path, ignored);
  for (const Kept& k : kept) {
    if (k.path == path && k.time == time) return k.idx;
  }
  std::erase_if(kept, [&](const Kept& k) { return k.path == path; });
  kept.push_front({path, time, parse(path)});
  if (kept.size() > 4) kept.pop_back();
  return kept.front().idx;
}

std::optional<IdxItem> parse_idx_item(const fs::path& path) {
  const std::string s = path.string();
  const size_t hash = s.rfind('#');
  if (hash == s.npos || hash == 0 || hash + 1 == s.size() || s.size() - hash > 12) return {};
  if (s.find_first_not_of("0123456789", hash + 1) != s.npos) return {};
  if (s.substr(0, hash).find("idx") == s.npos) return {};
  return IdxItem{s.substr(0, hash), std::stoll(s.substr(hash + 1))};
}

}  // namespace querent::data
