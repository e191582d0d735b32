#include "tensor/error.h"

namespace querent {

std::string text_of(std::string_view format, std::initializer_list<Piece> values) {
  std::ostringstream os;
  for (const Piece& value : values) {
    const size_t hole = format.find("{}");
    os << format.substr(0, hole);
    if (hole == std::string_view::npos) return os.str();
    value.write(os);
    format.remove_prefix(hole + 2);
  }
  os << format;
  return os.str();
}

void fail_with(ErrorKind kind, const Text& t, std::initializer_list<Piece> values) {
  const char* const note = kind == ErrorKind::internal ? " (this is a bug in Querent)" : "";
  throw Error(kind, text_of(t.format, values) + note, t.where);
}

}  // namespace querent
