// querent doctor: what this machine offers, and whether every op computes right on it.
#include <sys/statvfs.h>

#include <algorithm>
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

nlohmann::json self_test_json(const SelfTest& t) {
  return {{"ops", op_table().size()},          {"fast_kernels", t.fast_kernels}, {"cases", t.cases},
          {"worst_error_over_bound", t.worst}, {"worst_case", t.worst_case},     {"ok", t.worst <= 1}};
}
void print_self_test(const SelfTest& t, const char* kernels) {
  std::printf("  self-test   %zu ops (%ld with %s kernels), %ld cases against the float64 reference: %s\n",
              op_table().size(), static_cast<long>(t.fast_kernels), kernels, static_cast<long>(t.cases),
              t.worst <= 1 ? "all within their rounding bounds" : "WRONG");
  std::printf("              largest error: %.2f of its bound, in %s\n", t.worst, t.worst_case.c_str());
}

struct Gpu {
  Device device;
  std::string name;
  DeviceMemory memory;
  SelfTest test;
};
std::vector<Gpu> gpus() {
  std::vector<Gpu> all;
  for (const Device& d : devices()) {
    if (d.kind == Device::Kind::cpu) continue;
    const Backend& b = backend(d);
    all.push_back({d, b.name(d.index), b.memory(d.index), self_test(d)});
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
  const SelfTest test = self_test();
  const Backend& cuda = cuda::backend();
  const std::vector<Gpu> found = gpus();
  const bool right =
      test.worst <= 1 && std::all_of(found.begin(), found.end(), [](const Gpu& g) { return g.test.worst <= 1; });
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
                        {"self_test", self_test_json(test)}};
    if (!cuda.versions.empty()) j["cuda"] = cuda.versions;
    for (const Gpu& g : found) {
      j["gpus"].push_back({{"device", text("{}", g.device)},
                           {"name", g.name},
                           {"memory_gib", gib(static_cast<double>(g.memory.total))},
                           {"self_test", self_test_json(g.test)}});
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
  print_self_test(test, "SIMD");
  for (const Gpu& g : found) {
    std::printf("  %-11s %s, %.1f GiB\n", text("{}", g.device).c_str(), g.name.c_str(),
                gib(static_cast<double>(g.memory.total)));
    print_self_test(g.test, "CUDA");
  }
  if (right) std::printf("next: querent demo\n");
  return right ? 0 : 1;
}

}  // namespace querent::app
