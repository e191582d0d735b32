#include "data/decode.h"

#include <stb/stb_image.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "data/container.h"
#include "data/idx.h"
#include "data/pnm.h"
#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::data {
namespace fs = std::filesystem;
namespace {

constexpr int64_t jsrt_side = 2048;  // headerless 2048 x 2048 big-endian 16-bit words, 12 of them used
constexpr uint64_t jsrt_bytes = 2 * jsrt_side * jsrt_side;

std::string lower_extension(const fs::path& path) {
  std::string e = path.extension().string();
  std::transform(e.begin(), e.end(), e.begin(), [](unsigned char c) { return std::tolower(c); });
  return e;
}
bool is_jsrt(const fs::path& path) { return lower_extension(path) == ".img"; }

const unsigned char* raw(const std::string& bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

int64_t big32(const std::string& bytes, size_t at) {
  const unsigned char* p = raw(bytes) + at;
  return int64_t{p[0]} << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

std::string read_image_file(const fs::path& path) {
  std::error_code error;
  check(fs::exists(path, error), "{}: no such image file; check the path", path.string());
  const uint64_t size = fs::file_size(path, error);
  check(error || size <= max_image_bytes, "{}: {} bytes, at most {} are read; is this one image?", path.string(), size,
        max_image_bytes);
  return read_file(path, max_image_bytes);
}

void check_size(int64_t w, int64_t h, const fs::path& path) {
  check(w <= max_image_side && h <= max_image_side && w * h <= max_image_pixels,
        "{}: the image is {}x{} pixels, at most {} a side and {} in all are read; shrink it", path.string(), w, h,
        max_image_side, max_image_pixels);
}

ImageInfo bounded_info(const std::string& bytes, const fs::path& path) {
  if (bytes.starts_with("P5") || bytes.starts_with("P6")) {
    const PnmHeader header = read_pnm_header(bytes, path.string());
    check_size(header.width, header.height, path);
    return header;
  }
  const bool png = bytes.starts_with("\x89PNG") && bytes.size() >= 33;
  if (png)
    check_size(big32(bytes, 16), big32(bytes, 20), path);  // beyond 65536 stb only says that it knows no such image
  int w = 0, h = 0, c = 0;
  const auto size = static_cast<int>(bytes.size());
  if (!stbi_info_from_memory(raw(bytes), size, &w, &h, &c)) {
    const std::string why = stbi_failure_reason() ? stbi_failure_reason() : "unknown";
    fail("{}: not an image Querent reads ({}); convert it to PNG, JPEG, GIF or binary PNM", path.string(), why);
  }
  check_size(w, h, path);
  const bool palette = bytes.starts_with("GIF") || (png && bytes[25] == 3);
  return {h, w, c, stbi_is_16_bit_from_memory(raw(bytes), size) ? 16 : 8, palette};
}

Raster decode_idx(const IdxItem& item) {
  const auto idx = read_idx(item.file);
  check(idx->shape.size() == 3, "{}: holds labels, not images", item.file.string());
  const std::string_view pixels = idx->item(item.index);
  Raster r;
  r.height = idx->shape[1];
  r.width = idx->shape[2];
  r.values.reserve(pixels.size());
  for (const char p : pixels) r.values.push_back(static_cast<unsigned char>(p));
  return r;
}

Raster decode_jsrt(const fs::path& path) {
  const std::string bytes = read_image_file(path);
  check(bytes.size() == jsrt_bytes, "{}: a JSRT .IMG has {} bytes, this file has {}; copy it again", path.string(),
        jsrt_bytes, bytes.size());
  Raster r;
  r.height = r.width = jsrt_side;
  r.depth = 16;
  r.values.resize(jsrt_side * jsrt_side);
  for (size_t i = 0; i < r.values.size(); ++i) {
    r.values[i] = static_cast<uint16_t>(raw(bytes)[2 * i] << 8 | raw(bytes)[2 * i + 1]);
  }
  return r;
}

// Keeps the colour channels of n pixels and drops alpha.
template <class T>
void keep_colours(const T* from, int64_t n, int64_t stored, Raster& to) {
  to.channels = stored >= 3 ? 3 : 1;
  to.values.resize(static_cast<size_t>(n * to.channels));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < to.channels; ++c)
      to.values[static_cast<size_t>(i * to.channels + c)] = from[i * stored + c];
  }
}

Raster decode_stb(const fs::path& path) {
  const std::string bytes = read_image_file(path);
  const bool png = bytes.starts_with("\x89PNG") && bytes.size() >= 33;
  if (!png) check_container(bytes, path.string());
  Raster r;
  static_cast<ImageInfo&>(r) = bounded_info(bytes, path);
  if (png) check_container(bytes, path.string());  // inflates the pixels, so after the bound
  const int64_t n = r.width * r.height;
  if (bytes.starts_with("P")) return decode_pnm(bytes, read_pnm_header(bytes, path.string()), path.string());
  int w = 0, h = 0, c = 0;
  const auto size = static_cast<int>(bytes.size());
  const auto free_pixels = [](void* p) { stbi_image_free(p); };
  const std::unique_ptr<void, decltype(free_pixels)> pixels(
      r.depth == 16 ? static_cast<void*>(stbi_load_16_from_memory(raw(bytes), size, &w, &h, &c, 0))
                    : static_cast<void*>(stbi_load_from_memory(raw(bytes), size, &w, &h, &c, 0)),
      free_pixels);
  check(pixels != nullptr, "{}: the image is damaged ({}); copy or download it again", path.string(),
        stbi_failure_reason() ? stbi_failure_reason() : "unknown");
  internal_check(w == r.width && h == r.height, "{}: decoded size differs from the header's", path.string());
  if (r.depth == 16)
    keep_colours(static_cast<const uint16_t*>(pixels.get()), n, c, r);
  else
    keep_colours(static_cast<const uint8_t*>(pixels.get()), n, c, r);
  return r;
}

}  // namespace

ImageInfo image_info(const fs::path& path) {
  if (const auto item = parse_idx_item(path)) {
    const auto idx = read_idx(item->file);
    check(idx->shape.size() == 3, "{}: holds labels, not images", item->file.string());
    return {idx->shape[1], idx->shape[2], 1, 8, false};
  }
  if (is_jsrt(path)) return {jsrt_side, jsrt_side, 1, 16, false};
  std::string prefix(1 << 16, '\0');  // enough for the header of nearly every file
  std::ifstream file(path, std::ios::binary);
  file.read(prefix.data(), static_cast<std::streamsize>(prefix.size()));
  prefix.resize(static_cast<size_t>(file.gcount()));
  int w = 0, h = 0, c = 0;
  const bool enough = prefix.starts_with("P5") || prefix.starts_with("P6") ||
                      stbi_info_from_memory(raw(prefix), static_cast<int>(prefix.size()), &w, &h, &c) != 0;
  return bounded_info(enough ? prefix : read_image_file(path), path);
}

Raster decode_raster(const fs::path& path) {
  if (const auto item = parse_idx_item(path)) return decode_idx(*item);
  return is_jsrt(path) ? decode_jsrt(path) : decode_stb(path);
}

Image decode_image(const fs::path& path) {
  const Raster r = decode_raster(path);
  Image image(r.height, r.width, r.channels);
  const bool film = is_jsrt(path);
  const float top = film ? 4095.0f : r.depth == 16 ? 65535.0f : 255.0f;
  for (size_t i = 0; i < r.values.size(); ++i) {
    const float v = std::min(static_cast<float>(r.values[i]) / top, 1.0f);
    image.pixels[i] = film ? 1.0f - v : v;
  }
  return image;
}

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  check(image.channels == 3, "to_grey: needs 1 or 3 channels, got {}", image.channels);
  Image grey(image.height, image.width);
  for (size_t i = 0; i < grey.pixels.size(); ++i) {
    const float r = image.pixels[3 * i], g = image.pixels[3 * i + 1], b = image.pixels[3 * i + 2];
    grey.pixels[i] = r == g && g == b ? r : std::min(0.299f * r + 0.587f * g + 0.114f * b, 1.0f);
  }
  return grey;
}

bool is_image_name(const fs::path& path) {
  static constexpr const char* known[] = {".png", ".jpg", ".jpeg", ".gif", ".pgm", ".ppm", ".pnm", ".img"};
  const std::string e = lower_extension(path);
  return std::any_of(std::begin(known), std::end(known), [&](const char* k) { return e == k; });
}

std::string image_sha256(const fs::path& path) {
  if (const auto item = parse_idx_item(path)) return sha256_hex(read_idx(item->file)->item(item->index));
  return sha256_file(path);
}

}  // namespace querent::data
