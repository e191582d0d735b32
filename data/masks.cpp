#include "data/masks.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/manifest.h"
#include "tensor/error.h"

namespace querent::data {
namespace {

constexpr int64_t small_label = 32;  // whole numbers below this are class numbers, not grey levels

bool is_grey(const Raster& r) {
  if (r.channels == 1) return true;
  for (size_t i = 0; i + 2 < r.values.size(); i += 3) {
    if (r.values[i] != r.values[i + 1] || r.values[i] != r.values[i + 2]) return false;
  }
  return true;
}

// One whole number per pixel: the grey value, or for colours 0 for the background and 1 .. for the others.
std::vector<int64_t> pixel_values(const Raster& r, bool grey) {
  const auto n = static_cast<size_t>(r.height * r.width);
  const auto stride = static_cast<size_t>(r.channels);
  std::vector<int64_t> v(n);
  const auto colour = [&](size_t i) {
    return int64_t{r.values[i * 3]} << 32 | int64_t{r.values[i * 3 + 1]} << 16 | int64_t{r.values[i * 3 + 2]};
  };
  if (grey) {
    for (size_t i = 0; i < n; ++i) v[i] = r.values[i * stride];
    return v;
  }
  std::map<int64_t, int64_t> border;
  bool black = false;
  for (size_t i = 0; i < n; ++i) {
    v[i] = colour(i);
    black |= v[i] == 0;
    const int64_t y = static_cast<int64_t>(i) / r.width, x = static_cast<int64_t>(i) % r.width;
    if (y == 0 || x == 0 || y == r.height - 1 || x == r.width - 1) ++border[v[i]];
  }
  const auto common =
      std::max_element(border.begin(), border.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const int64_t background = black ? 0 : common->first;
  for (int64_t& value : v) value = value != background;
  return v;
}

}  // namespace

const char* name_of(MaskKind kind) {
  constexpr const char* names[] = {"empty", "full", "binary", "ignore", "labels", "antialiased"};
  return names[static_cast<int>(kind)];
}

std::string MaskInfo::describe() const {
  std::string s;
  if (distinct <= 8) {
    for (const int64_t v : values) s += (s.empty() ? "" : "/") + std::to_string(v);
  } else {
    s = std::to_string(distinct) + " values";
  }
  if (colour) s = "colours";
  if (kind == MaskKind::ignore) s += " (the middle value is taken as background)";
  if (kind == MaskKind::antialiased) s += " (cut at half of the largest)";
  if (kind == MaskKind::labels) s += " (all but 0 is taken as foreground)";
  return s + (palette ? ", palette" : "");
}

Mask to_mask(const Raster& r) {
  check(r.height > 0 && r.width > 0, "mask: the image is empty");
  Mask m;
  MaskInfo& info = m.info;
  info.height = r.height;
  info.width = r.width;
  info.palette = r.palette;
  info.colour = !is_grey(r);
  const std::vector<int64_t> v = pixel_values(r, !info.colour);
  std::vector<bool> seen(65536, false);
  for (const int64_t value : v) seen[static_cast<size_t>(value)] = true;
  int64_t largest = 0;
  for (int64_t value = 0; value < 65536; ++value) {
    if (!seen[static_cast<size_t>(value)]) continue;
    ++info.distinct;
    largest = value;
    if (info.values.size() < 16) info.values.push_back(value);
  }
  int64_t from = 1;  // foreground is everything from this value on
  if (info.distinct == 1) {
    info.kind = largest == 0 ? MaskKind::empty : MaskKind::full;
  } else if (info.distinct == 2) {
    info.kind = MaskKind::binary;
    from = largest;
  } else if (largest < small_label) {
    info.kind = MaskKind::labels;
  } else {
    info.kind = info.distinct == 3 ? MaskKind::ignore : MaskKind::antialiased;
    from = info.distinct == 3 ? largest : (largest + 1) / 2;
  }
  m.image = Image(r.height, r.width);
  int64_t count = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    const bool in = v[i] >= from;
    m.image.pixels[i] = in ? 1.0f : 0.0f;
    count += in;
  }
  info.foreground = static_cast<double>(count) / static_cast<double>(v.size());
  return m;
}

Mask load_mask(const std::string& paths) {
  const std::vector<std::string> files = split_list(paths, '|');
  check(!files.empty(), "mask: the case has none");
  Mask m = to_mask(decode_raster(files[0]));
  for (size_t f = 1; f < files.size(); ++f) {
    const Mask next = to_mask(decode_raster(files[f]));
    check(next.info.height == m.info.height && next.info.width == m.info.width,
          "{}: {}x{} pixels, but {} has {}x{}; the parts of a mask must have one size", files[f], next.info.width,
          next.info.height, files[0], m.info.width, m.info.height);
    if (m.info.kind == MaskKind::empty) m.info.kind = next.info.kind;
    m.info.colour |= next.info.colour;
    m.info.palette |= next.info.palette;
    double sum = 0;
    for (size_t i = 0; i < m.image.pixels.size(); ++i) {
      m.image.pixels[i] = std::max(m.image.pixels[i], next.image.pixels[i]);
      sum += static_cast<double>(m.image.pixels[i]);
    }
    m.info.foreground = sum / static_cast<double>(m.image.pixels.size());
    for (const int64_t v : next.info.values) {
      if (std::find(m.info.values.begin(), m.info.values.end(), v) == m.info.values.end()) {
        m.info.values.push_back(v);
        ++m.info.distinct;
      }
    }
  }
  return m;
}

bool sizes_match(const ImageInfo& image, int64_t mask_height, int64_t mask_width) {
  const auto cross = std::abs(image.width * mask_height - image.height * mask_width);
  return cross <= std::max(std::max(image.width, image.height), std::max(mask_width, mask_height));
}

}  // namespace querent::data
