#include "app/report_pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "app/html.h"
#include "data/decode.h"
#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::app {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t largest_picture = uint64_t{4} << 20;
constexpr double map_white = 0.5;  // the standard deviation that al/gallery.cpp draws as white

struct Spot {
  double x, y;
};

double distance_to_line(Spot p, Spot a, Spot b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = std::hypot(dx, dy);
  return length == 0 ? std::hypot(p.x - a.x, p.y - a.y) : std::abs(dx * (a.y - p.y) - (a.x - p.x) * dy) / length;
}

// Leaves out points that a straight line between the kept ones passes within 0.15 px.
std::vector<Spot> thinned(const std::vector<Spot>& line) {
  std::vector<Spot> kept = {line.front()};
  size_t from = 0;
  for (size_t i = 2; i < line.size(); ++i) {
    bool straight = i - from < 16;
    for (size_t k = from + 1; straight && k < i; ++k) straight = distance_to_line(line[k], line[from], line[i]) < 0.15;
    if (straight) continue;
    kept.push_back(line[i - 1]);
    from = i - 1;
  }
  kept.push_back(line.back());
  return kept;
}

std::vector<std::string> paths_of(const ReportItem& item) { return {item.image, item.epistemic, item.aleatoric}; }

}  // namespace

std::string base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : digits[word >> (18 - 6 * k) & 63];
  }
  return out;
}

// The picture is framed by zeros, so that every line closes. A node is a grid edge between two neighbouring pixels, one
// above and one below 0.5; inside each cell of four pixels, nodes are joined so that the pixels >= 0.5 lie on the left.
std::string outline(const Image& image) {
  const int64_t h = image.height, w = image.width, stride = w + 2;
  const auto value = [&](int64_t y, int64_t x) {
    return y < 0 || x < 0 || y >= h || x >= w ? 0.0 : double{image.at(y, x)};
  };
  const auto in = [&](int64_t y, int64_t x) { return value(y, x) >= 0.5; };
  // Node numbers: 2 * (y, x) for the edge to the right of pixel (y, x), + 1 for the edge below it.
  const auto node = [&](int64_t y, int64_t x, bool down) { return 2 * ((y + 1) * stride + x + 1) + (down ? 1 : 0); };
  const auto spot = [&](int64_t number) {
    const int64_t y = number / 2 / stride - 1, x = number / 2 % stride - 1;
    const bool down = number % 2 == 1;
    const double a = value(y, x), b = down ? value(y + 1, x) : value(y, x + 1);
    const double t = std::clamp((0.5 - a) / (b - a), 0.0, 1.0);
    return down ? Spot{static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5 + t}
                : Spot{static_cast<double>(x) + 0.5 + t, static_cast<double>(y) + 0.5};
  };
  std::map<int64_t, int64_t> next;  // every node is left once: lines are closed loops
  for (int64_t y = -1; y < h; ++y) {
    for (int64_t x = -1; x < w; ++x) {
      const int64_t top = node(y, x, false), bottom = node(y + 1, x, false), left = node(y, x, true),
                    right = node(y, x + 1, true);
      const int corners =
          (in(y, x) ? 1 : 0) | (in(y, x + 1) ? 2 : 0) | (in(y + 1, x + 1) ? 4 : 0) | (in(y + 1, x) ? 8 : 0);
      switch (corners) {
        case 1:
          next[top] = left;
          break;
        case 2:
          next[right] = top;
          break;
        case 3:
          next[right] = left;
          break;
        case 4:
          next[bottom] = right;
          break;
        case 5:
          next[top] = left;
          next[bottom] = right;
          break;
        case 6:
          next[bottom] = top;
          break;
        case 7:
          next[bottom] = left;
          break;
        case 8:
          next[left] = bottom;
          break;
        case 9:
          next[top] = bottom;
          break;
        case 10:
          next[right] = top;
          next[left] = bottom;
          break;
        case 11:
          next[right] = bottom;
          break;
        case 12:
          next[left] = right;
          break;
        case 13:
          next[top] = right;
          break;
        case 14:
          next[left] = top;
          break;
        default:
          break;
      }
    }
  }
  std::string path;
  while (!next.empty()) {
    std::vector<Spot> line;
    for (auto at = next.begin(); at != next.end();) {
      line.push_back(spot(at->first));
      const int64_t to = at->second;
      next.erase(at);
      at = next.find(to);
    }
    char command = 'M';
    for (const Spot& p : thinned(line)) {
      path += text("{}{},{}", command, fixed(p.x, 1), fixed(p.y, 1));
      command = 'L';
    }
    path += "Z";
  }
  return path;
}

Pictures::Pictures(const Results& results, uint64_t budget) : folder_(results.folder), left_(budget) {
  std::array<uint64_t, 5> bytes{};  // [n]: with n pictures of each query
  uint64_t worst = 0;
  std::map<std::string, std::vector<double>> bright;
  const auto size = [&](const std::string& path) {
    const Loaded* picture = load(path);
    return picture == nullptr ? 0 : uint64_t{picture->bytes.size()} * 4 / 3;
  };
  for (const ReportItem& item : results.worst) worst += size(item.image);
  for (const ReportQuery& q : results.queries) {
    for (size_t k = 0; k < std::min<size_t>(q.items.size(), 4); ++k) {
      for (const std::string& path : paths_of(q.items[k])) {
        const uint64_t s = size(path);
        for (size_t n = k + 1; n < bytes.size(); ++n) bytes[n] += s;
      }
      for (const auto& [kind, path] :
           {std::pair("epistemic", q.items[k].epistemic), std::pair("aleatoric", q.items[k].aleatoric)}) {
        const Loaded* picture = load(path);
        if (picture == nullptr) continue;
        std::vector<float> pixels = picture->image.pixels;
        const auto at = pixels.begin() + static_cast<int64_t>(pixels.size() * 995 / 1000);
        std::nth_element(pixels.begin(), at, pixels.end());
        bright[kind].push_back(*at);
      }
    }
  }
  while (per_query_ > 1 && bytes[static_cast<size_t>(per_query_)] + worst > budget) --per_query_;
  for (auto& [kind, values] : bright) {
    top_[kind] = std::clamp(*std::max_element(values.begin(), values.end()), 0.04, 1.0);
  }
}

double Pictures::map_top(const std::string& kind) const {
  const auto found = top_.find(kind);
  return map_white * (found == top_.end() ? 1.0 : found->second);
}

const Pictures::Loaded* Pictures::load(const std::string& path) const {
  if (path.empty()) return nullptr;
  const auto known = cache_.find(path);
  if (known != cache_.end()) return known->second ? &*known->second : nullptr;
  std::optional<Loaded>& entry = cache_[path];
  const fs::path clean = fs::path(path).lexically_normal();
  if (clean.is_absolute() || clean.empty() || *clean.begin() == ".." || clean.extension() != ".png") return nullptr;
  try {
    Loaded loaded{read_file(fs::path(folder_) / clean, largest_picture),
                  data::to_grey(data::decode_image(fs::path(folder_) / clean))};
    entry = std::move(loaded);
  } catch (const Error&) {
    return nullptr;  // the page says which picture is missing
  }
  return &*entry;
}

std::string Pictures::embed(const std::string& path, const std::string& css, const std::string& inside,
                            const std::string& title) {
  const Loaded* picture = load(path);
  if (picture == nullptr) return "<div class=\"gone\">picture missing</div>";
  const uint64_t size = uint64_t{picture->bytes.size()} * 4 / 3;
  if (size > left_) return "<div class=\"gone\">left out to keep the page small</div>";
  left_ -= size;
  const int64_t h = picture->image.height, w = picture->image.width;
  return text(
      "<svg class=\"picture\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><image class=\"{}\" width=\"{}\" "
      "height=\"{}\" "
      "href=\"data:image/png;base64,{}\"/>{}</svg>",
      w, h, escape(title), css, w, h, base64(picture->bytes), inside);
}

std::string Pictures::overlay(const ReportItem& item) {
  std::string lines;
  const Loaded* image = load(item.image);
  for (const auto& [path, css] : {std::pair(item.truth, "truth"), std::pair(item.prediction, "guess")}) {
    const Loaded* mask = load(path);
    if (image == nullptr || mask == nullptr || mask->image.height != image->image.height ||
        mask->image.width != image->image.width)
      continue;
    lines += text("<path class=\"outline {}\" d=\"{}\"/>", css, outline(mask->image));
  }
  return embed(item.image, "xray", lines, "X-ray " + item.id);
}

std::string Pictures::map(const std::string& path, const std::string& kind) {
  return embed(path, kind, "", kind + " uncertainty");
}

std::optional<double> Pictures::dice(const ReportItem& item) const {
  const Loaded *truth = load(item.truth), *guess = load(item.prediction);
  if (truth == nullptr || guess == nullptr || truth->image.pixels.size() != guess->image.pixels.size())
    return std::nullopt;
  double both = 0, sum = 0;
  for (size_t i = 0; i < truth->image.pixels.size(); ++i) {
    const double a = truth->image.pixels[i] >= 0.5f, b = guess->image.pixels[i] >= 0.5f;
    both += a * b;
    sum += a + b;
  }
  return sum == 0 ? 1.0 : 2 * both / sum;
}

}  // namespace querent::app
