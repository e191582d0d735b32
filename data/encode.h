// From pixels to a PNG file.
#pragma once
#include <filesystem>
#include <string>

#include "data/image.h"

namespace querent::data {

// 8-bit grey (1 channel) or RGB (3 channels); values are clamped to [0,1] and rounded to the nearest of 256 levels.
std::string encode_png(const Image& image);
void write_png(const std::filesystem::path& path, const Image& image);  // atomic; the folder must exist

}  // namespace querent::data
