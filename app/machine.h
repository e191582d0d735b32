// What this machine has.
#pragma once
#include <cstddef>

#include "tensor/device.h"

namespace querent::app {

struct MachineMemory {
  size_t total = 0;      // bytes, of the machine or of the container that this process is in
  size_t available = 0;  // now, without pushing anything out
};
MachineMemory machine_memory();
MachineMemory memory_of(Device device);  // where tensors of the device lie

}  // namespace querent::app
