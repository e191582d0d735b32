// Errors as values with fields. check() reports what the user got wrong; internal_check() reports our own bug.
//
//   check(x.rank() == 4, "conv2d: x must be [N,H,W,C], got {}", x.shape());
//
// The text before the first ':' is the op or part that speaks. Messages state the rule, the actual values and, where
// there is one fix, the fix.
#pragma once
#include <initializer_list>
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

// Any value with operator<<, as one type: messages are put together in error.cpp, not anew at each of their places.
class Piece {
 public:
  template <class T>
  Piece(const T& value)  // NOLINT: meant to convert
      : value_(&value), write_([](std::ostream& os, const void* v) { os << *static_cast<const T*>(v); }) {}
  void write(std::ostream& os) const { write_(os, value_); }

 private:
  const void* value_;
  void (*write_)(std::ostream&, const void*);
};
// `format` with each "{}" replaced by the next value.
std::string text_of(std::string_view format, std::initializer_list<Piece> values);
template <class... A>
std::string text(std::string_view format, const A&... values) {
  return text_of(format, {Piece(values)...});
}

[[noreturn]] void fail_with(ErrorKind kind, const Text& t, std::initializer_list<Piece> values);
template <class... A>
[[noreturn]] void fail(const Text& t, const A&... values) {
  fail_with(ErrorKind::bad_input, t, {Piece(values)...});
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
    fail_with(ErrorKind::internal, t, {Piece(values)...});
  }
}

}  // namespace querent
