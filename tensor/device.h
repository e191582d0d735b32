// Where bytes live.
#pragma once
#include <ostream>

namespace querent {

struct Device {
  enum class Kind { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int index = 0) { return {Kind::cuda, index}; }
};
inline std::ostream& operator<<(std::ostream& os, Device d) {
  return d.kind == Device::Kind::cpu ? os << "cpu" : os << "cuda:" << d.index;
}

}  // namespace querent
