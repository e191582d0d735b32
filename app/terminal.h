// Progress on a terminal: one line that redraws itself, with a bar and the time left. Elsewhere: plain lines, few of
// them; while nothing else is said, one a minute.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace querent::app {

class Terminal {
 public:
  Terminal(bool silent, bool no_color);
  // A line that stays.
  void line(const std::string& text);
  // The moving line: "training ███░░░ 62%  note  eta 00:48". Redrawn at most ten times a second; shown only on a terminal.
  void progress(const std::string& what, int64_t done, int64_t total, const std::string& note);
  void end();  // clears the moving line
  bool moving() const { return moving_; }

 private:
  std::string bar(double share) const;
  std::string time_left(double share, std::chrono::steady_clock::time_point now) const;
  bool silent_, moving_, color_;
  std::string label_;
  std::chrono::steady_clock::time_point begun_, drawn_, said_ = std::chrono::steady_clock::now();
  bool shown_ = false;
};

std::string clock_text(double seconds);      // "00:48", "1:02:03"
std::string stall_text(double stall_share);  // "0.4 % waiting for images" (data/prefetch.h)

}  // namespace querent::app
