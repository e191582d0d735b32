// Errors as values with fields. check() reports what the user got wrong; internal_check() reports our own bug.
//
//   check(x.rank() == 4, "conv2d: x must be [N,H,W,C], got {}", x.shape());
//
// The text before the first ':' is the op or part that speaks. Messages state the rule, the actual values and, where
// there is one fix, the fix.
#pragma once
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace querent {

enum class ErrorKind { bad_input, internal };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::source_location where = std::source_location::current())
      : std::runtime_error(message), kind_(kind), op_(message.substr(0, message.find(':'))), where_(where) {}
  ErrorKind kind() const { return kind_; }
  const std::string& op() const { return op_; }  // the part that speaks, e.g. "conv2d"
  const std::source_location& where() const { return where_; }

 private:
  ErrorKind kind_;
  std::string op_;
  std::source_location where_;
};

// A format string that remembers the place it was written.
struct Text {
  std::string_view format;
  std::source_location where;
  template <class S>
  Text(const S& s, std::source_location w = std::source_location::current()) : format(s), where(w) {}  // NOLINT
};

inline void append_text(std::ostream& os, std::string_view format) { os << format; }
// Writes `format` with each "{}" replaced by the next value (anything with operator<<).
template <class A, class... Rest>
void append_text(std::ostream& os, std::string_view format, const A& value, const Rest&... rest) {
  const size_t hole = format.find("{}");
  os << format.substr(0, hole);
  if (hole == std::string_view::npos) return;
  os << value;
  append_text(os, format.substr(hole + 2), rest...);
}
template <class... A>
std::string text(std::string_view format, const A&... values) {
  std::ostringstream os;
  append_text(os, format, values...);
  return os.str();
}

template <class... A>
[[noreturn]] void fail(const Text& t, const A&... values) {
  throw Error(ErrorKind::bad_input, text(t.format, values...), t.where);
}
// Throws a bad_input Error unless `ok`.
template <class... A>
void check(bool ok, const Text& t, const A&... values) {
  if (!ok) [[unlikely]]
    fail(t, values...);
}
// Throws an internal Error unless `ok`: a broken promise of our own code.
template <class... A>
void internal_check(bool ok, const Text& t, const A&... values) {
  if (!ok) [[unlikely]] {
    throw Error(ErrorKind::internal, text(t.format, values...) + " (this is a bug in Querent)", t.where);
  }
}

}  // namespace querent
