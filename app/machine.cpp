#include "app/machine.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "tensor/backend.h"

namespace querent::app {
namespace {

// "MemTotal:  24000 kB" in bytes; 0 when there is no such line.
size_t meminfo(const std::string& field) {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field + ":")) return static_cast<size_t>(std::stoull(line.substr(field.size() + 1))) << 10;
  }
  return 0;
}
// A number of a control group, version 2; 0 when there is none ("max").
size_t group(const std::string& name) {
  std::ifstream in("/sys/fs/cgroup/" + name);
  size_t bytes = 0;
  return in >> bytes ? bytes : 0;
}

}  // namespace

MachineMemory machine_memory() {
  MachineMemory m{meminfo("MemTotal"), meminfo("MemAvailable")};
  if (const size_t limit = group("memory.max"); limit > 0 && limit < m.total) {
    m.total = limit;
    m.available = std::min(m.available, limit - std::min(limit, group("memory.current")));
  }
  return m;
}

MachineMemory memory_of(Device device) {
  if (device == Device::cpu()) return machine_memory();
  const DeviceMemory m = backend(device).memory(device.index);
  return {m.total, m.free};
}

}  // namespace querent::app
