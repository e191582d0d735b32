// From a file to pixels: PNG (8 and 16 bit, grey, palette, RGB, RGBA), JPEG, GIF (first frame), binary PNM, the raw
// .IMG of JSRT, and one item of an idx file ("train-images-idx3-ubyte.gz#123"). Files are not trusted: sizes are
// bounded before anything is decoded and the container is walked to its end first, so a truncated or hostile file is
// one Error that names the file and the fix.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/image.h"

namespace querent::data {

inline constexpr int64_t max_image_side = 16384;
inline constexpr int64_t max_image_pixels = int64_t{64} << 20;
inline constexpr uint64_t max_image_bytes = uint64_t{256} << 20;

struct ImageInfo {
  int64_t height = 0, width = 0, channels = 1;  // channels of the file: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA
  int depth = 8;                                // bits per channel: 8 or 16
  bool palette = false;                         // colours were indices into a table
};

// Whole numbers as stored, [height, width, channels]; alpha is dropped, so channels is 1 or 3.
struct Raster : ImageInfo {
  std::vector<uint16_t> values;
};

ImageInfo image_info(const std::filesystem::path& path);  // header only
Raster decode_raster(const std::filesystem::path& path);
// Scaled to [0,1]: values / (2^depth - 1). JSRT films are stored inverted (bone dark) and are turned to lungs-dark.
Image decode_image(const std::filesystem::path& path);

// Luma of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B); a pixel with R = G = B keeps its exact value. Grey stays as it
// is.
Image to_grey(const Image& image);

bool is_image_name(const std::filesystem::path& path);  // by its extension
// SHA-256 of the file's bytes; for "file#123" of that item's bytes.
std::string image_sha256(const std::filesystem::path& path);

}  // namespace querent::data
