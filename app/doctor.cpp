// querent doctor: what this machine offers, and whether every op computes right on it.
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/options.h"
#include "app/version.h"
#include "tensor/json.h"
#include "tensor/run.h"
#include "tensor/selftest.h"

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

}  // namespace

int doctor(const Options& o) {
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  struct statvfs disk {};
  const bool disk_known = statvfs(".", &disk) == 0;
  const double free_disk = disk_known ? static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) : 0;
  const SelfTest test = self_test();
  const bool right = test.worst <= 1;
  if (o.json) {
    const nlohmann::json j = {{"version", version},
                              {"cpu", cpu_name()},
                              {"cores", std::thread::hardware_concurrency()},
                              {"threads", threads()},
                              {"memory_gib", gib(memory)},
                              {"free_disk_gib", gib(free_disk)},
                              {"gpu", nullptr},
                              {"self_test",
                               {{"ops", op_table().size()},
                                {"fast_kernels", test.fast_kernels},
                                {"cases", test.cases},
                                {"worst_error_over_bound", test.worst},
                                {"worst_case", test.worst_case},
                                {"ok", right}}}};
    std::printf("%s\n", dump_json(j, 2).c_str());
    return right ? 0 : 1;
  }
  std::printf("querent %s\n", version);
  std::printf("  processor   %s, %u cores, %d threads in use\n", cpu_name().c_str(),
              std::thread::hardware_concurrency(), threads());
  std::printf("  memory      %.1f GiB\n", gib(memory));
  std::printf("  disk        %.1f GiB free here%s\n", gib(free_disk),
              gib(free_disk) < 1 ? "  (less than 1 GiB: make room)" : "");
  std::printf("  GPU         not used by this build\n");
  std::printf("  self-test   %zu ops (%ld with SIMD kernels), %ld cases against the float64 reference: %s\n",
              op_table().size(), static_cast<long>(test.fast_kernels), static_cast<long>(test.cases),
              right ? "all within their rounding bounds" : "WRONG");
  std::printf("              largest error: %.2f of its bound, in %s\n", test.worst, test.worst_case.c_str());
  if (right) std::printf("next: querent demo\n");
  return right ? 0 : 1;
}

}  // namespace querent::app
