#include "app/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace querent::app {
namespace {

int columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string clock_text(double seconds) {
  const long s = static_cast<long>(seconds + 0.5);
  char text[32];
  if (s >= 3600) std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else std::snprintf(text, sizeof text, "%02ld:%02ld", s / 60, s % 60);
  return text;
}

std::string stall_text(double stall_share) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %% waiting for images", 100 * stall_share);
  return text;
}

Terminal::Terminal(bool silent, bool no_color)
    : silent_(silent), moving_(!silent && isatty(STDERR_FILENO)), color_(moving_ && !no_color) {}

void Terminal::line(const std::string& text) {
  if (silent_) return;
  end();
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
  said_ = std::chrono::steady_clock::now();
}

std::string Terminal::time_left(double share, std::chrono::steady_clock::time_point now) const {
  const double spent = std::chrono::duration<double>(now - begun_).count();
  return share > 0.02 && share < 1 ? "  eta " + clock_text(spent * (1 - share) / share) : "";
}

std::string Terminal::bar(double share) const {
  constexpr int width = 24;
  const int full = static_cast<int>(share * width + 0.5);
  std::string s = color_ ? "\033[36m" : "";
  for (int i = 0; i < width; ++i) s += i < full ? "█" : "░";
  return s + (color_ ? "\033[0m" : "");
}

void Terminal::progress(const std::string& what, int64_t done, int64_t total, const std::string& note) {
  if (silent_) return;
  const auto now = std::chrono::steady_clock::now();
  if (what != label_ || done <= 1) begun_ = now, label_ = what;
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0;
  char percent[16];
  std::snprintf(percent, sizeof percent, " %3.0f%%", 100 * share);
  std::string tail = "  " + note + time_left(share, now);
  if (!moving_) {
    if (now - said_ >= std::chrono::minutes(1)) line("  " + what + percent + tail);
    return;
  }
  if (shown_ && done < total && now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  shown_ = true;
  // Cut to the width of the terminal so that the line never wraps; the bar counts as 24 columns.
  const size_t room = static_cast<size_t>(std::max(10, columns() - 31));
  std::string head = what.substr(0, room);
  tail = tail.substr(0, room - std::min(room, head.size()));
  std::fprintf(stderr, "\r\033[K%s %s%s%s", head.c_str(), bar(share).c_str(), percent, tail.c_str());
  std::fflush(stderr);
}

void Terminal::end() {
  if (!shown_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace querent::app
