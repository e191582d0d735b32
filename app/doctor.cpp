// querent doctor: what this machine offers, and whether every op computes right on it.
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/machine.h"
#include "app/options.h"
#include "app/version.h"
#include "tensor/backend.h"
#include "tensor/collective.h"
#include "tensor/json.h"
#include "tensor/run.h"
#include "tensor/selftest.h"
#include "tensor/simd.h"

namespace querent::app {
namespace {

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}
double gib(double bytes) { return bytes / (1 << 30); }

// In both types that networks compute in.
using SelfTests = std::array<SelfTest, 2>;
SelfTests self_tests(Device device) { return {self_test(device, DType::f32), self_test(device, DType::bf16)}; }
bool is_right(const SelfTests& tests) {
  return std::all_of(tests.begin(), tests.end(), [](const SelfTest& t) { return t.worst <= 1; });
}
nlohmann::json self_test_json(const SelfTests& tests) {
  nlohmann::json j = {{"ops", op_table().size()}, {"fast_kernels", tests[0].fast_kernels}, {"ok", is_right(tests)}};
  for (const SelfTest& t : tests)
    j[dtype_name(t.dtype)] = {{"cases", t.cases}, {"worst_error_over_bound", t.worst}, {"worst_case", t.worst_case}};
  return j;
}
void print_self_tests(const SelfTests& tests, const char* kernels) {
  std::printf("  self-test   %zu ops (%ld with %s kernels) against the float64 reference: %s\n", op_table().size(),
              static_cast<long>(tests[0].fast_kernels), kernels,
              is_right(tests) ? "all within their rounding bounds" : "WRONG");
  for (const SelfTest& t : tests) {
    std::printf("              %-5s %ld cases, largest error %.2f of its bound, in %s%s\n", dtype_name(t.dtype),
                static_cast<long>(t.cases), t.worst, t.worst_case.c_str(), t.worst <= 1 ? "" : "  WRONG");
  }
}

struct Gpu {
  Device device;
  std::string name;
  DeviceMemory memory;
  SelfTests tests;
};
std::vector<Gpu> gpus() {
  std::vector<Gpu> all;
  for (const Device& d : devices()) {
    if (d.kind == Device::Kind::cpu) continue;
    const Backend& b = backend(d);
    all.push_back({d, b.name(d.index), b.memory(d.index), self_tests(d)});
  }
  return all;
}

}  // namespace

int doctor(const Options& o) {
  const MachineMemory machine = machine_memory();
  const auto memory = static_cast<double>(machine.total), available = static_cast<double>(machine.available);
  struct statvfs disk {};
  const bool disk_known = statvfs(".", &disk) == 0;
  const double free_disk = disk_known ? static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) : 0;
  const SelfTests tests = self_tests(Device::cpu());
  const Backend& cuda = cuda::backend();
  const std::vector<Gpu> found = gpus();
  const bool right =
      is_right(tests) && std::all_of(found.begin(), found.end(), [](const Gpu& g) { return is_right(g.tests); });
  if (o.json) {
    nlohmann::json j = {{"version", version},
                        {"cpu", cpu_name()},
                        {"cores", std::thread::hardware_concurrency()},
                        {"threads", threads()},
                        {"simd", simd_target()},
                        {"simd_available", simd_targets()},
                        {"memory_gib", gib(memory)},
                        {"available_memory_gib", gib(available)},
                        {"free_disk_gib", gib(free_disk)},
                        {"gpus", nlohmann::json::array()},
                        {"mpi", ranks_missing().empty()},
                        {"self_test", self_test_json(tests)}};
    if (!cuda.versions.empty()) j["cuda"] = cuda.versions;
    for (const Gpu& g : found) {
      j["gpus"].push_back({{"device", text("{}", g.device)},
                           {"name", g.name},
                           {"memory_gib", gib(static_cast<double>(g.memory.total))},
                           {"self_test", self_test_json(g.tests)}});
    }
    std::printf("%s\n", dump_json(j, 2).c_str());
    return right ? 0 : 1;
  }
  std::printf("querent %s\n", version);
  std::printf("  processor   %s, %u cores, %d threads in use\n", cpu_name().c_str(),
              std::thread::hardware_concurrency(), threads());
  std::string targets;
  for (const std::string& t : simd_targets()) targets += (targets.empty() ? "" : ", ") + t;
  std::printf("  SIMD        %s in use; compiled for this processor: %s\n", simd_target().c_str(), targets.c_str());
  std::printf("  memory      %.1f GiB, %.1f GiB free\n", gib(memory), gib(available));
  std::printf("  disk        %.1f GiB free here%s\n", gib(free_disk),
              gib(free_disk) < 1 ? "  (less than 1 GiB: make room)" : "");
  std::printf("  GPU         %s%s%s\n",
              found.empty() ? text("everything runs on the CPU: {}", cuda.missing).c_str() : "CUDA",
              cuda.versions.empty() ? "" : "; ", cuda.versions.c_str());
  const std::string alone = ranks_missing();
  std::printf("  processes   %s\n", alone.empty() ? "several may share a training, by mpirun" : ("one: " + alone).c_str());
  print_self_tests(tests, "SIMD");
  for (const Gpu& g : found) {
    std::printf("  %-11s %s, %.1f GiB\n", text("{}", g.device).c_str(), g.name.c_str(),
                gib(static_cast<double>(g.memory.total)));
    print_self_tests(g.tests, "CUDA");
  }
  if (right) std::printf("next: querent demo\n");
  return right ? 0 : 1;
}

}  // namespace querent::app
