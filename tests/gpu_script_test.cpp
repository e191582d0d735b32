// bench/gpu_all.sh without a GPU: it does what it says, runs every case of cuda_test, and its table reads its logs.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tensor/files.h"

TEST_SUITE_BEGIN("gpu_script_test");
using namespace querent;
namespace fs = std::filesystem;

namespace {
const std::string source = QUERENT_SOURCE_DIR;

std::string said(const std::string& command) {
  std::string text;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  for (char part[4096]; std::fgets(part, sizeof part, pipe);) text += part;
  CHECK_MESSAGE(pclose(pipe) == 0, command, "\n", text);
  return text;
}
std::vector<std::string> parts(const std::string& text, char separator) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string one; std::getline(in, one, separator);) all.push_back(one);
  return all;
}
}  // namespace

TEST_CASE("the steps: every model at every batch in every mode of PyTorch, and every case of cuda_test") {
  const std::string listing = said("sh " + source + "/bench/gpu_all.sh --dry-run");
  std::set<std::string> names, patterns;
  for (const std::string& line : parts(listing, '\n')) {
    const std::string name = line.substr(0, line.find(' '));
    CHECK_MESSAGE(names.insert(name).second, name, " is there twice");
    const std::string flag = "--test-case=";
    if (const size_t at = line.find(flag); at != std::string::npos)
      for (const std::string& p : parts(line.substr(at + flag.size()), ',')) patterns.insert(p.substr(0, p.find('*')));
  }
  for (const std::string tool : {"memcheck", "racecheck", "initcheck", "synccheck"}) CHECK(names.contains(tool));
  for (const std::string model : {"unet_train_256_b32", "unet_train_256_b1-8-128", "unet_train_512_b8", "unet_train_512_b1-32-128",
                            "resnet18_train_224_b32", "vgg16_train_224_b32", "pix2pix_train_256_b1",
                            "pix2pix_train_256_b8-32-128", "unet_mc_256_b8", "unet_mc_256_b1-32-128"}) {
    CHECK_MESSAGE(names.contains("ours_" + model + "_bf16"), model);
    for (const std::string mode : {"eager", "channels_last", "compile", "reduce-overhead", "max-autotune"})
      CHECK_MESSAGE(names.contains("torch_" + model + "_" + mode + "_bf16"), model, " ", mode);
  }
  // Cases and patterns fit each other: doctest says nothing of a pattern without a case.
  std::vector<std::string> cases;
  const std::string begin = "TEST_CASE(\"", code = read_file(source + "/tests/cuda_test.cpp") + read_file(source + "/tests/cuda_norm_test.cpp");
  for (size_t at = code.find(begin); at != std::string::npos; at = code.find(begin, at + 1))
    cases.push_back(code.substr(at + begin.size(), code.find('"', at + begin.size()) - at - begin.size()));
  for (const std::string& p : patterns)
    CHECK_MESSAGE(std::any_of(cases.begin(), cases.end(), [&](const std::string& c) { return c.starts_with(p); }), p);
  for (const std::string& c : cases)
    CHECK_MESSAGE(std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return c.starts_with(p); }), c);
}

TEST_CASE("the table: shares of the roofline, the fastest peer, what is missing") {
  if (std::system("python3 -c pass >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: no Python");
    return;
  }
  const fs::path folder = fs::temp_directory_path() / ("querent_gpu_table_" + std::to_string(getpid()));
  fs::create_directories(folder);
  const auto log = [&](const std::string& name, const std::string& text) { write_atomically(folder / (name + ".log"), text); };
  const std::string shape = R"("model":"unet","phase":"train","batch":4,"size":32,"width":8,)",
                    spread = R"("ms_min":1,"ms_max":90,"ms_q1":2,"ms_q3":80,"repeats":5,"peak_mib":10)";
  log("peaks_bf16", R"({"model":"peaks","size":64,"policy":"deterministic tf32 bf16","gflops":1000,"gbytes":100})");
  // 10 GFLOP take 10 ms, twice 100 MB take 2 ms: 12 of 24.
  log("ours_unet", "{" + shape + R"("policy":"deterministic tf32 bf16 tuned","mode":"program","ms":24,"costs":[[10,1,1],[0.1,100,2]],)" + spread + "}\nbatch 128: no memory\n");
  for (const char* mode : {"compile", "eager"}) {
    log(std::string("torch_unet_") + mode, "a warning\n{" + shape + R"("policy":"any order tf32 bf16","torch":"2.9","mode":")" + mode +
                                               R"(","ms":)" + (mode[0] == 'c' ? "48," : "60,") + spread + "}\n");
  }
  log("torch_vgg16", "killed\n");
  log("bench_ops_bf16", R"(a warning
{
  "benchmarks": [{"name":"relu/8","real_time":1,"time_unit":"ms","calls":100,"FLOP/s":1e9,"B/s":50e9}]
})");
  const std::string page = said("python3 " + source + "/bench/gpu_table.py " + folder.string());
  fs::remove_all(folder);
  for (const std::string line : {"| bf16 (64 x 64) | 1 | 100 |",
                           "| unet train, 32 px, width 8 | 4 | bf16 | 24.00 | 48.00 | compile | 2.00 | 10 | 10 |",
                           "| Querent, deterministic tf32 bf16 tuned | 24.00 | 2.00, 80.00 | 1.00, 90.00 | 5 | 167 | 50 % | 10 |",
                           "| PyTorch 2.9 eager, any order tf32 bf16 | 60.00 | 2.00, 80.00 | 1.00, 90.00 | 5 | 67 | 20 % | 10 |",
                           "| relu/8 | 10.0 | 1 | 50 | 50 % |", "Not measured, see the logs: torch_vgg16"})
    CHECK_MESSAGE(page.find(line) != std::string::npos, line, "\n", page);
}
TEST_SUITE_END();
