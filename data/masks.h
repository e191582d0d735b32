// Masks come in many conventions; this recognises them and says so, and turns them to 0 and 1.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/decode.h"

namespace querent::data {

enum class MaskKind {
  empty,       // no foreground at all
  full,        // nothing but foreground
  binary,      // two values: 0 and 1, 0 and 255 ... ; the larger is foreground
  ignore,      // 0, a middle value (often 127 for "ignore") and the largest: only the largest is foreground
  labels,      // small whole numbers 0, 1, 2 ...: everything but 0 is foreground
  antialiased  // many values: from half of the largest on is foreground
};
const char* name_of(MaskKind kind);

struct MaskInfo {
  MaskKind kind = MaskKind::empty;
  bool colour = false, palette = false;  // stored as RGB with differing channels; as a colour table
  std::vector<int64_t> values;           // distinct grey values, at most 16 of them
  int64_t distinct = 0;                  // how many there are
  int64_t height = 0, width = 0;
  double foreground = 0;         // fraction of the pixels
  std::string describe() const;  // "0/255, palette" for reports
};

struct Mask {
  Image image;  // [H,W,1] of 0 and 1
  MaskInfo info;
};

// Colour: the background is black, or where there is none the most frequent colour on the border; all else is
// foreground.
Mask to_mask(const Raster& raster);
// Reads the mask of a case: several paths joined with '|' are united and must agree in size.
Mask load_mask(const std::string& paths);

// True when both have the same shape up to scale (within one pixel of the smaller): 1024 x 1024 fits 2048 x 2048.
bool sizes_match(const ImageInfo& image, int64_t mask_height, int64_t mask_width);

}  // namespace querent::data
