#include "data/container.h"

#include <zlib.h>

#include <array>
#include <cstdint>

#include "tensor/error.h"

namespace querent::data {
namespace {

constexpr const char* again = "copy or download the file again";

uint32_t byte(std::string_view s, size_t i) { return static_cast<unsigned char>(s[i]); }
uint32_t big32(std::string_view s, size_t i) {
  return byte(s, i) << 24 | byte(s, i + 1) << 16 | byte(s, i + 2) << 8 | byte(s, i + 3);
}

struct PngHeader {
  uint64_t width = 0, height = 0;
  uint32_t depth = 0, colour = 0, interlace = 0;
};

// Bytes of the filtered scan lines: one filter byte and the packed pixels per row, for each pass when interlaced
// (Adam7).
uint64_t scan_bytes(const PngHeader& h) {
  constexpr std::array<uint64_t, 7> channels = {1, 0, 3, 1, 2, 0, 4};
  const uint64_t bits = channels[h.colour] * h.depth;
  const auto plane = [&](uint64_t w, uint64_t rows) { return w && rows ? rows * (1 + (w * bits + 7) / 8) : 0; };
  if (!h.interlace) return plane(h.width, h.height);
  constexpr uint64_t x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
  constexpr uint64_t dx[] = {8, 8, 4, 4, 2, 2, 1}, dy[] = {8, 8, 8, 4, 4, 2, 2};
  uint64_t total = 0;
  for (int p = 0; p < 7; ++p) {
    total += plane((h.width - x0[p] + dx[p] - 1) / dx[p] * (h.width > x0[p]),
                   (h.height - y0[p] + dy[p] - 1) / dy[p] * (h.height > y0[p]));
  }
  return total;
}

// Inflates a stream given in pieces, keeping only the count of bytes, and stops beyond a bound.
class Inflated {
 public:
  Inflated() { internal_check(inflateInit(&stream_) == Z_OK, "png: cannot start zlib"); }
  ~Inflated() { inflateEnd(&stream_); }
  Inflated(const Inflated&) = delete;
  Inflated& operator=(const Inflated&) = delete;
  uint64_t bytes() const { return bytes_; }
  bool add(std::string_view piece, uint64_t bound) {  // false: not a zlib stream, or more than `bound` bytes
    std::array<unsigned char, 16384> block;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    while (!done_ && bytes_ <= bound) {
      stream_.next_out = block.data();
      stream_.avail_out = static_cast<uInt>(block.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      bytes_ += block.size() - stream_.avail_out;
      if (result == Z_BUF_ERROR) break;  // needs the next piece
      if (result != Z_OK && result != Z_STREAM_END) return false;
      done_ = result == Z_STREAM_END;
    }
    return bytes_ <= bound;
  }

 private:
  z_stream stream_{};
  uint64_t bytes_ = 0;
  bool done_ = false;
};

void check_png(std::string_view s, const std::string& path) {
  PngHeader header;
  Inflated pixels;
  uint64_t expected = 0;
  for (size_t at = 8;;) {
    check(at + 12 <= s.size(), "{}: PNG is truncated after {} bytes; {}", path, s.size(), again);
    const uint64_t length = big32(s, at);
    const std::string_view type = s.substr(at + 4, 4);
    check(length <= s.size() - at - 12, "{}: PNG is truncated after {} bytes; {}", path, s.size(), again);
    const std::string_view body = s.substr(at + 8, length);
    const bool critical = (type[0] & 32) == 0;
    const auto* checked = reinterpret_cast<const Bytef*>(s.data() + at + 4);
    check(!critical || crc32(0, checked, static_cast<uInt>(length + 4)) == big32(s, at + 8 + length),
          "{}: PNG is damaged (the checksum of a part differs); {}", path, again);
    if (type == "IHDR") {
      check(length == 13 && !expected, "{}: PNG has a wrong header; {}", path, again);
      header = {big32(body, 0), big32(body, 4), byte(body, 8), byte(body, 9), byte(body, 12)};
      const uint32_t d = header.depth;
      check(header.width && header.height && (header.colour <= 4 || header.colour == 6) && header.colour != 1 &&
                (d == 1 || d == 2 || d == 4 || d == 8 || d == 16) && header.interlace <= 1,
            "{}: PNG has a wrong header; {}", path, again);
      expected = scan_bytes(header);
    } else if (type == "IDAT") {
      check(expected > 0, "{}: PNG has no header; {}", path, again);
      check(pixels.add(body, expected + 65536), "{}: PNG is damaged (its pixels cannot be inflated); {}", path, again);
    } else if (type == "IEND") {
      check(pixels.bytes() >= expected && expected > 0, "{}: PNG is truncated ({} of {} bytes of pixels); {}", path,
            pixels.bytes(), expected, again);
      return;
    }
    at += 12 + length;
  }
}

// Marker segments up to the scan data, then the end marker.
void check_jpeg(std::string_view s, const std::string& path) {
  size_t at = 2;
  while (at + 4 <= s.size() && byte(s, at) == 0xFF) {
    const uint32_t marker = byte(s, at + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    const size_t length = byte(s, at + 2) << 8 | byte(s, at + 3);
    at += 2 + length;
    if (marker != 0xDA) continue;
    check(at <= s.size() && s.find("\xFF\xD9", at) != s.npos, "{}: JPEG is truncated (its end marker is missing); {}",
          path, again);
    return;
  }
  fail("{}: JPEG is truncated or damaged (no image data after {} bytes); {}", path, s.size(), again);
}

// Blocks up to the end of the first picture.
void check_gif(std::string_view s, const std::string& path) {
  const auto need = [&](size_t end) {
    check(end <= s.size(), "{}: GIF is truncated after {} bytes; {}", path, s.size(), again);
  };
  const auto table = [](uint32_t flags) { return flags & 0x80 ? size_t{3} << ((flags & 7) + 1) : 0; };
  const auto skip_blocks = [&](size_t at) {
    for (;;) {
      need(at + 1);
      const size_t length = byte(s, at);
      at += 1 + length;
      if (!length) return at;
    }
  };
  need(13);
  size_t at = 13 + table(byte(s, 10));
  for (;;) {
    need(at + 2);
    const uint32_t kind = byte(s, at);
    if (kind == 0x21) {
      at = skip_blocks(at + 2);
    } else if (kind == 0x2C) {
      need(at + 10);
      skip_blocks(at + 10 + table(byte(s, at + 9)) + 1);
      return;
    } else {
      fail("{}: GIF is damaged or has no picture; {}", path, again);
    }
  }
}

}  // namespace

Container check_container(std::string_view s, const std::string& path) {
  check(!s.empty(), "{}: the file is empty; {}", path, again);
  if (s.starts_with("\x89PNG\r\n\x1a\n")) {
    check_png(s, path);
    return Container::png;
  }
  if (s.starts_with("\xFF\xD8\xFF")) {
    check_jpeg(s, path);
    return Container::jpeg;
  }
  if (s.starts_with("GIF87a") || s.starts_with("GIF89a")) {
    check_gif(s, path);
    return Container::gif;
  }
  check(s.starts_with("P5") || s.starts_with("P6"),
        "{}: not an image Querent reads; convert it to PNG, JPEG, GIF or binary PNM", path);
  return Container::pnm;
}

}  // namespace querent::data
