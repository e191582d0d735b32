// Small pieces of HTML: escaped text and numbers as people read them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace querent::app {

// Text that is safe between tags and inside double-quoted attributes.
std::string escape(std::string_view text);

std::string fixed(double value, int digits);         // "0.960"; not finite: an en dash
std::string signed_fixed(double value, int digits);  // "+0.012", "−0.003"
std::string thousands(int64_t value);                // "1,047"
std::string percent(double share);                   // 0.0306 -> "3.1&nbsp;%", 1 -> "100&nbsp;%"
std::string duration(double seconds);                // "1 min 15 s"
std::string metric_title(std::string_view metric);   // "Hausdorff distance (px)"
bool lower_is_better(std::string_view metric);
int metric_digits(std::string_view metric);  // 3 for shares, 1 for distances

}  // namespace querent::app
