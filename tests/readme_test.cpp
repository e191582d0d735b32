// The README's example compiles, trains and saves: the block between its ```cpp fences must be the one below, word for
// word.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

// The example starts here.
#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/optim.h"
#include "tensor/ops.h"
#include "tensor/tape.h"
using namespace querent;

struct TinyNet {
  Conv2d conv1, conv2;
  Linear fc;
  explicit TinyNet(const Scope& s)
      : conv1(s.sub("conv1"), 1, 8, {.kernel = 3, .stride = 2, .padding = 1}),
        conv2(s.sub("conv2"), 8, 16, {.kernel = 3, .stride = 2, .padding = 1}),
        fc(s.sub("fc"), 16, 2) {}
  Tensor operator()(const Tensor& x) const { return fc(global_avg_pool(relu(conv2(relu(conv1(x)))))); }
};

void train(const Tensor& images, const Tensor& labels) {  // [N,H,W,1] f32, [N] i64
  Params params(Device::cpu(), /*seed=*/1);
  const TinyNet net(params.root());
  Optimizer adam(params.all(), {.kind = OptimOptions::adam, .lr = 1e-3});
  for (int step = 0; step < 100; ++step) {
    Tape tape;
    const Tensor loss = cross_entropy(net(images), labels);
    adam.step(tape.backward(loss, params.all()));
  }
  params.save("tiny.safetensors");
}
// The example ends here.

namespace {
std::string contents(const std::string& path) {
  std::ifstream in(std::string(QUERENT_SOURCE_DIR) + "/" + path);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}
std::string between(const std::string& s, const std::string& begin, const std::string& end) {
  const size_t a = s.find(begin);
  REQUIRE(a != std::string::npos);
  const size_t b = s.find(end, a + begin.size());
  REQUIRE(b != std::string::npos);
  return s.substr(a + begin.size(), b - a - begin.size());
}
}  // namespace

TEST_SUITE("readme_test") {
  TEST_CASE("the example in README.md is the one compiled here") {
    CHECK(between(contents("README.md"), "```cpp\n", "```") ==
          between(contents("tests/readme_test.cpp"), "// The example starts here.\n", "// The example ends here."));
  }
  TEST_CASE("the example trains and writes its weights") {
    const auto before = std::filesystem::current_path();
    const auto folder = std::filesystem::temp_directory_path() / "querent_readme_test";
    std::filesystem::create_directories(folder);
    std::filesystem::current_path(folder);
    std::vector<float> pixels(4 * 16 * 16);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 7) / 7;
    train(Tensor::from(pixels, {4, 16, 16, 1}), Tensor::from(std::vector<int64_t>{0, 1, 0, 1}, {4}));
    CHECK(std::filesystem::file_size("tiny.safetensors") > 1000);
    std::filesystem::current_path(before);
    std::filesystem::remove_all(folder);
  }
}
