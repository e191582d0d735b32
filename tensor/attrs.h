// Hyper-parameters of an op: any small struct with a fields() visitor, kept by value in an Attrs.
//
//   struct ScaleAttrs { double factor = 1; double shift = 0;
//     void fields(FieldVisitor& v) const { v.field("factor", factor); v.field("shift", shift); } };
//
// The visitor gives printing, hashing, equality and JSON once for all.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "tensor/error.h"
#include "tensor/shape.h"

namespace querent {

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void field(std::string_view name, int64_t value) = 0;
  virtual void field(std::string_view name, double value) = 0;
  virtual void field(std::string_view name, const Shape& value) = 0;
  void field(std::string_view name, bool value) { field(name, int64_t{value}); }
  void field(std::string_view name, uint64_t value) { field(name, static_cast<int64_t>(value)); }
};

// Sizes along the two image axes. Conv2dAttrs{.stride = 2} means {2,2}.
struct Pair {
  int64_t h = 0, w = 0;
  constexpr Pair(int64_t both) : h(both), w(both) {}  // NOLINT: meant to convert
  constexpr Pair(int64_t h_, int64_t w_) : h(h_), w(w_) {}
  operator Shape() const { return {h, w}; }  // NOLINT
  bool operator==(const Pair&) const = default;
};

class Attrs {
  static constexpr size_t capacity = 160;
  template <class P>
  static constexpr char type_tag = 0;

 public:
  Attrs() = default;
  template <class P>
  Attrs(const P& p)  // NOLINT: attribute structs convert
      : visit_([](const void* q, FieldVisitor& v) { static_cast<const P*>(q)->fields(v); }), type_(&type_tag<P>) {
    static_assert(sizeof(P) <= capacity && std::is_trivially_copyable_v<P>);
    std::memcpy(bytes_.data(), &p, sizeof p);
  }
  template <class P>
  const P& as() const {
    internal_check(type_ == &type_tag<P>, "attrs: the op was given attributes of another type");
    return *reinterpret_cast<const P*>(bytes_.data());
  }
  void visit(FieldVisitor& v) const { visit_(bytes_.data(), v); }
  std::string text() const;  // "stride=[2,2] padding=[1,1] ..."
  std::string json() const;  // {"stride":[2,2],...}
  bool operator==(const Attrs& o) const { return type_ == o.type_ && text() == o.text(); }

 private:
  alignas(16) std::array<std::byte, capacity> bytes_{};
  void (*visit_)(const void*, FieldVisitor&) = [](const void*, FieldVisitor&) {};
  const void* type_ = nullptr;
};

}  // namespace querent
