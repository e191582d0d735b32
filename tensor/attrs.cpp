#include "tensor/attrs.h"

namespace querent {
namespace {

struct TextVisitor final : FieldVisitor {
  std::ostringstream os;
  void name(std::string_view n) { os << (os.tellp() > 0 ? " " : "") << n << '='; }
  void field(std::string_view n, int64_t v) override { name(n), os << v; }
  void field(std::string_view n, double v) override {
    name(n);
    os.precision(17);
    os << v;
  }
  void field(std::string_view n, const Shape& v) override { name(n), os << v; }
};

struct JsonVisitor final : FieldVisitor {
  std::ostringstream os;
  void name(std::string_view n) { os << (os.tellp() > 0 ? "," : "") << '"' << n << "\":"; }
  void field(std::string_view n, int64_t v) override { name(n), os << v; }
  void field(std::string_view n, double v) override {
    name(n);
    os.precision(17);
    os << v;
  }
  void field(std::string_view n, const Shape& v) override { name(n), os << v; }
};

}  // namespace

std::string Attrs::text() const {
  TextVisitor v;
  visit(v);
  return v.os.str();
}
std::string Attrs::json() const {
  JsonVisitor v;
  visit(v);
  return "{" + v.os.str() + "}";
}

}  // namespace querent
