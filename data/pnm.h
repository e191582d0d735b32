// Binary PGM (P5) and PPM (P6): "P5", width, height, largest value (comments from # to the line's end), one blank, then
// rows of big-endian bytes or, when the largest value is above 255, 16-bit words.
#pragma once
#include <string>
#include <string_view>

#include "data/decode.h"

namespace querent::data {

// The sizes; `pixels` is where the values begin and `largest` what stands for white.
struct PnmHeader : ImageInfo {
  int64_t largest = 255;
  size_t pixels = 0;
};
PnmHeader read_pnm_header(std::string_view bytes, const std::string& path);
// Values scaled so that the largest becomes 2^depth - 1. The size must have been bounded before.
Raster decode_pnm(std::string_view bytes, const PnmHeader& header, const std::string& path);

}  // namespace querent::data
