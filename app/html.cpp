#include "app/html.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "tensor/error.h"

namespace querent::app {
namespace {

struct Metric {
  std::string_view name, title;
  bool lower;
  int digits;
};
constexpr std::array metrics = {
    Metric{"dice", "Dice", false, 3},
    Metric{"iou", "IoU", false, 3},
    Metric{"hausdorff_px", "Hausdorff distance (px)", true, 1},
    Metric{"hausdorff95_px", "Hausdorff 95 % (px)", true, 1},
    Metric{"hausdorff_mm", "Hausdorff distance (mm)", true, 1},
    Metric{"hausdorff95_mm", "Hausdorff 95 % (mm)", true, 1},
    Metric{"auc", "AUC", false, 3},
    Metric{"sensitivity", "Sensitivity", false, 3},
    Metric{"specificity", "Specificity", false, 3},
    Metric{"accuracy", "Accuracy", false, 3},
    Metric{"ece", "Calibration error (ECE)", true, 3},
    Metric{"nll", "Negative log-likelihood", true, 3},
    Metric{"brier", "Brier score", true, 3},
};
const Metric* find(std::string_view name) {
  for (const Metric& m : metrics) {
    if (m.name == name) return &m;
  }
  return nullptr;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), std::abs(value) < 1e15 ? "%.*f" : "%.*g", digits, value);
  return buffer.data();
}

std::string signed_fixed(double value, int digits) {
  const std::string size = fixed(std::abs(value), digits);
  if (size.find_first_of("123456789") == std::string::npos) return size;
  return text("{}{}", value < 0 ? "−" : "+", size);
}

std::string thousands(int64_t value) {
  std::string digits = std::to_string(value);
  const int64_t first = value < 0 ? 1 : 0;
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > first; i -= 3)
    digits.insert(static_cast<size_t>(i), 1, ',');
  return digits;
}

std::string percent(double share) {
  const double p = 100 * share;
  const bool whole = std::abs(p - std::round(p)) < 0.05 || p >= 20;
  return fixed(p, whole ? 0 : 1) + "\u00a0%";
}

std::string duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "–";
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s < 60) return text("{} s", s);
  if (s < 3600) return s % 60 == 0 ? text("{} min", s / 60) : text("{} min {} s", s / 60, s % 60);
  return text("{} h {} min", s / 3600, s % 3600 / 60);
}

std::string metric_title(std::string_view metric) {
  if (const Metric* m = find(metric)) return std::string(m->title);
  std::string title(metric);
  for (char& c : title) c = c == '_' ? ' ' : c;
  return title;
}
bool lower_is_better(std::string_view metric) {
  const Metric* m = find(metric);
  return m != nullptr && m->lower;
}
int metric_digits(std::string_view metric) {
  const Metric* m = find(metric);
  return m == nullptr ? 3 : m->digits;
}

}  // namespace querent::app
