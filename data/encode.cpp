#include "data/encode.h"

#include <stb/stb_image_write.h>

#include <algorithm>

#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::data {

std::string encode_png(const Image& image) {
  check(image.channels == 1 || image.channels == 3, "encode_png: needs 1 or 3 channels, got {}", image.channels);
  check(image.height > 0 && image.width > 0, "encode_png: the image is empty");
  std::string bytes(image.pixels.size(), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    const float v = image.pixels[i];
    bytes[i] = static_cast<char>(static_cast<int>((v >= 0.0f ? std::min(v, 1.0f) : 0.0f) * 255.0f + 0.5f));
  }
  std::string png;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(size));
  };
  const int w = static_cast<int>(image.width), h = static_cast<int>(image.height), c = static_cast<int>(image.channels);
  internal_check(stbi_write_png_to_func(append, &png, w, h, c, bytes.data(), w * c) != 0, "encode_png: cannot encode");
  return png;
}

void write_png(const std::filesystem::path& path, const Image& image) { write_atomically(path, encode_png(image)); }

}  // namespace querent::data
