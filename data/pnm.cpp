#include "data/pnm.h"

#include <algorithm>
#include <cctype>

#include "tensor/error.h"

namespace querent::data {

PnmHeader read_pnm_header(std::string_view s, const std::string& path) {
  PnmHeader h;
  h.channels = s[1] == '6' ? 3 : 1;
  size_t at = 2;
  int64_t* fields[] = {&h.width, &h.height, &h.largest};
  for (int64_t* field : fields) {
    while (at < s.size() && (std::isspace(static_cast<unsigned char>(s[at])) || s[at] == '#')) {
      if (s[at] == '#') at = std::min(s.find('\n', at), s.size() - 1);
      ++at;
    }
    int64_t value = 0;
    const size_t first = at;
    while (at < s.size() && std::isdigit(static_cast<unsigned char>(s[at])) && at - first < 9) {
      value = value * 10 + (s[at++] - '0');
    }
    check(at > first && at < s.size(), "{}: PNM header is truncated or damaged; copy or download the file again", path);
    *field = value;
  }
  check(h.width > 0 && h.height > 0 && h.largest > 0 && h.largest <= 65535,
        "{}: PNM header has a wrong size or largest value; copy or download the file again", path);
  h.pixels = at + 1;
  h.depth = h.largest > 255 ? 16 : 8;
  return h;
}

Raster decode_pnm(std::string_view s, const PnmHeader& h, const std::string& path) {
  const auto values = static_cast<size_t>(h.width * h.height * h.channels);
  const size_t word = h.depth == 16 ? 2 : 1;
  check(s.size() >= h.pixels && s.size() - h.pixels >= values * word,
        "{}: PNM is truncated ({} bytes, {} are needed); copy or download the file again", path, s.size(),
        h.pixels + values * word);
  Raster r;
  static_cast<ImageInfo&>(r) = h;
  r.values.resize(values);
  const int64_t white = h.depth == 16 ? 65535 : 255;
  for (size_t i = 0; i < values; ++i) {
    const auto* p = reinterpret_cast<const unsigned char*>(s.data()) + h.pixels + i * word;
    const int64_t v = word == 2 ? p[0] << 8 | p[1] : p[0];
    r.values[i] = static_cast<uint16_t>((std::min(v, h.largest) * white + h.largest / 2) / h.largest);
  }
  return r;
}

}  // namespace querent::data
