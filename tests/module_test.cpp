// Parts of the command that are loaded when they are needed (tensor/module.h): found, missing and broken.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/json.h"

TEST_SUITE_BEGIN("module_test");
using namespace querent;
namespace fs = std::filesystem;

namespace {

struct Said {
  int code = -1;
  std::string text;
};
Said shell(const std::string& command) {
  Said said;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  for (char part[4096]; std::fgets(part, sizeof part, pipe);) said.text += part;
  const int status = pclose(pipe);
  said.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return said;
}

// The command without what lies beside it.
struct Alone {
  fs::path folder = fs::temp_directory_path() / ("querent_module_" + std::to_string(getpid()));
  std::string command = (folder / "querent").string();
  Alone() {
    fs::remove_all(folder);
    fs::create_directories(folder);
    fs::copy_file(QUERENT_BINARY, command);
  }
  ~Alone() { fs::remove_all(folder); }
};

}  // namespace

TEST_CASE("nothing of a module is loaded before it is needed") {
  const Said said = shell("LD_DEBUG=files " QUERENT_BINARY " explain metrics");
  REQUIRE(said.code == 0);
  for (const char* library : {"libquerent_", "libcudnn", "libcublas", "libnccl", "libmpi"})
    CHECK_MESSAGE(said.text.find(library) == std::string::npos, library);
}

TEST_CASE("without modules all works but what needs them, and that says so") {
  const Alone alone;
  for (const char* use : {" explain metrics", " explain metrics --device auto", " doctor"})
    CHECK_MESSAGE(shell(alone.command + use).code == 0, use);
  CHECK(shell(alone.command + " doctor").text.find("this build has no CUDA backend") != std::string::npos);
  CHECK(shell(alone.command + " doctor").text.find("this build has no MPI") != std::string::npos);
  const Said gpu = shell(alone.command + " explain metrics --device cuda");
  CHECK(gpu.code == 2);
  CHECK(gpu.text ==
        "error: device: cuda:0 is not available: this build has no CUDA backend, -DQUERENT_CUDA=ON makes one; use cpu, "
        "or see 'querent doctor'\n");
  const Said ranks = shell("OMPI_COMM_WORLD_SIZE=2 " + alone.command + " explain metrics");
  CHECK(ranks.code == 2);
  CHECK(ranks.text ==
        "error: mpirun: this build has no MPI, -DQUERENT_MPI=ON adds it; its processes cannot work together\n");
  CHECK(shell("OMPI_COMM_WORLD_SIZE=1 " + alone.command + " explain metrics").code == 0);
}

TEST_CASE("a module that cannot be loaded matters to nobody but who asks for it") {
  const Alone alone;
  for (const char* part : {"cuda", "mpi"})
    std::ofstream(alone.folder / (std::string("libquerent_") + part + ".so")) << "no library";
  CHECK(shell(alone.command + " explain metrics").code == 0);
  const Said doctor = shell(alone.command + " doctor");
  CHECK(doctor.code == 0);
  CHECK(doctor.text.find("the CUDA backend cannot be loaded: ") != std::string::npos);
  CHECK(doctor.text.find("MPI cannot be loaded: ") != std::string::npos);
  const Said gpu = shell(alone.command + " explain metrics --device cuda");
  CHECK(gpu.code == 2);
  CHECK(gpu.text.find("libquerent_cuda.so: file too short (docs/install.md); use cpu") != std::string::npos);
}

// The module of a machine with a GPU, which is emulated (cuda_emulator/).
TEST_CASE("every kernel of the module is found by name and computes right") {
  const Said said = shell("LD_LIBRARY_PATH=" QUERENT_EMULATED " " QUERENT_BINARY " doctor --json");
  REQUIRE_MESSAGE(said.code == 0, said.text);
  const nlohmann::json doctor = parse_json(said.text);
  REQUIRE(doctor.at("gpus").size() == 2);
  CHECK(doctor.at("gpus")[0].at("self_test").at("ok") == true);
  CHECK(doctor.at("gpus")[0].at("self_test").at("fast_kernels") > 70);
  CHECK(doctor.at("gpus")[0].at("self_test").at("bf16").at("cases") > 200);
  CHECK(doctor.at("cuda") == "driver for CUDA 13.0, CUDA 13.0, cuDNN 9.19.0, cuBLASLt 13.1.0");
}
TEST_SUITE_END();
