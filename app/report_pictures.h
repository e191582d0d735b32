// Pictures inside the page: PNG files of the run folder as data URIs, outlines as SVG paths, within a limit of bytes.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/report_data.h"
#include "data/image.h"

namespace querent::app {

std::string base64(std::string_view bytes);

// The line around `image` >= 0.5 by marching squares, in pixels with (0.5, 0.5) the centre of the first pixel, as the
// "d" of an SVG path. Lines closed at the border of the picture; points nearer than 0.15 px to the straight line are
// left out.
std::string outline(const Image& image);

class Pictures {
 public:
  // Decides how many pictures of each query fit: at most `budget` bytes of PNG in the page.
  Pictures(const Results& results, uint64_t budget);

  int64_t per_query() const { return per_query_; }
  // The radiograph with the outlines of truth and prediction; "" as a path: none.
  std::string overlay(const ReportItem& item);
  // A grey map shown in colour: `kind` is "epistemic" or "aleatoric", each brightened by one factor for the whole page.
  std::string map(const std::string& path, const std::string& kind);
  // The value (standard deviation of the probability) at the bright end of the colours.
  double map_top(const std::string& kind) const;
  // Dice of the two mask pictures, when both can be read.
  std::optional<double> dice(const ReportItem& item) const;

 private:
  struct Loaded {
    std::string bytes;
    Image image;
  };
  const Loaded* load(const std::string& path) const;  // none when missing, damaged, outside of the run or too large
  std::string embed(const std::string& path, const std::string& css, const std::string& inside,
                    const std::string& title);

  std::string folder_;
  uint64_t left_;
  int64_t per_query_ = 4;
  std::map<std::string, double> top_;
  mutable std::map<std::string, std::optional<Loaded>> cache_;
};

}  // namespace querent::app
