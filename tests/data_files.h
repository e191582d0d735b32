// Tiny files in the formats of real collections, made by the tests themselves.
#pragma once
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::test {
namespace fs = std::filesystem;

struct TempFolder {
  fs::path path;
  TempFolder() {
    static std::atomic<int> serial{0};
    path = fs::temp_directory_path() / text("querent_data_{}_{}", ::getpid(), serial++);
    fs::create_directories(path);
  }
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  // Writes a file below the folder and returns its path.
  std::string put(const fs::path& relative, const std::string& bytes) const {
    make_folder((path / relative).parent_path());
    std::ofstream(path / relative, std::ios::binary) << bytes;  // write_atomically waits for the disk
    return (path / relative).string();
  }
};

// The message of the bad_input Error that `action` throws, or what it did instead.
inline std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.kind() == ErrorKind::bad_input ? e.what() : std::string("internal: ") + e.what();
  }
  return "no error";
}
inline bool contains(const std::string& s, const std::string& part) { return s.find(part) != std::string::npos; }

inline std::string big(uint64_t value, int bytes) {
  std::string s;
  for (int b = bytes - 1; b >= 0; --b) s += static_cast<char>(value >> (8 * b));
  return s;
}
inline std::string little16(unsigned v) { return {static_cast<char>(v & 255), static_cast<char>(v >> 8)}; }

inline std::string deflated(const std::string& s) {
  uLongf size = compressBound(s.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(s.data()), s.size());
  out.resize(size);
  return out;
}
inline std::string png_chunk(const std::string& type, const std::string& body) {
  const std::string both = type + body;
  const uint32_t sum =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(both.data()), static_cast<uInt>(both.size())));
  return big(body.size(), 4) + both + big(sum, 4);
}
// colour: 0 grey, 2 RGB, 3 palette, 6 RGBA. `rows` are the scan lines without filter bytes.
inline std::string png(uint32_t width, uint32_t height, int depth, int colour, const std::vector<std::string>& rows,
                       const std::string& palette = "") {
  std::string scan;
  for (const std::string& r : rows) scan += '\0' + r;
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", big(width, 4) + big(height, 4) + static_cast<char>(depth) + static_cast<char>(colour) +
                               std::string(3, '\0')) +
         (palette.empty() ? "" : png_chunk("PLTE", palette)) + png_chunk("IDAT", deflated(scan)) +
         png_chunk("IEND", "");
}
// A grey 8-bit PNG of any size from a function of (y, x).
inline std::string grey_png(int height, int width, const std::function<int(int, int)>& f) {
  std::vector<std::string> rows;
  for (int y = 0; y < height; ++y) {
    rows.emplace_back();
    for (int x = 0; x < width; ++x) rows.back() += static_cast<char>(f(y, x));
  }
  return png(static_cast<uint32_t>(width), static_cast<uint32_t>(height), 8, 0, rows);
}
// A GIF of palette indices below 4. LZW without compression: 3-bit codes, a clear code before the table can grow.
inline std::string gif(int height, int width, const std::string& palette12, const std::function<int(int, int)>& f) {
  std::string codes;
  unsigned bits = 0, held = 0;
  const auto emit = [&](unsigned code) {
    bits |= code << held;
    for (held += 3; held >= 8; held -= 8, bits >>= 8) codes += static_cast<char>(bits & 255);
  };
  int run = 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x, ++run) {
      if (run % 2 == 0) emit(4);
      emit(static_cast<unsigned>(f(y, x)));
    }
  }
  emit(5);
  if (held) codes += static_cast<char>(bits & 255);
  std::string blocks;
  for (size_t at = 0; at < codes.size(); at += 255) {
    const std::string part = codes.substr(at, 255);
    blocks += static_cast<char>(part.size()) + part;
  }
  const std::string size = little16(static_cast<unsigned>(width)) + little16(static_cast<unsigned>(height));
  return "GIF89a" + size + std::string("\x91\0\0", 3) + palette12 + "," + std::string(4, '\0') + size + '\0' + '\2' +
         blocks + '\0' + ";";
}
inline std::string gzipped(const std::string& s) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, s.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(s.data()));
  z.avail_in = static_cast<uInt>(s.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}
inline const std::string grey_palette = std::string("\0\0\0\x55\x55\x55\xAA\xAA\xAA\xFF\xFF\xFF", 12);

}  // namespace querent::test
