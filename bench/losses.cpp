// Trains from given weights on given batches and prints the loss of each step; bench/losses.py does the same in PyTorch.
//   bench_losses unet FOLDER [--conv direct]      reads FOLDER/weights.safetensors and FOLDER/batches.safetensors
// Batches: x u8 [S,N,H,W,1], pixel v becomes v/256 - 0.5; y i64, labels [S,N] or masks [S,N,H,W]. AdamW at 1e-3, no dropout.
#include <cstdio>
#include <string>

#include "layers/tensor_file.h"
#include "models/train.h"
#include "tensor/run.h"

using namespace querent;

int main(int argc, char** argv) try {
  check(argc == 3 || (argc == 5 && std::string(argv[3]) == "--conv"),
        "usage: bench_losses unet|resnet18 FOLDER [--conv auto|direct|winograd2|winograd4]");
  const std::string name = argv[1], folder = argv[2];
  if (argc == 5) set_conv_algorithm(parse_conv_algorithm(argv[4]));
  const TensorFile batches = read_tensors(folder + "/batches.safetensors"), weights = read_tensors(folder + "/weights.safetensors");
  const Tensor &x = batches.at("x"), &y = batches.at("y");
  Params params(Device::cpu(), 1);
  const bool unet = name == "unet";
  const int64_t width = weights.at(unet ? "inc.double_conv.1.weight" : "bn1.weight").dim(0);
  const Model model = make_model({.name = name, .classes = unet ? 1 : 2, .width = width, .dropout = 0}, params);
  load_weights(model, params, folder + "/weights.safetensors");
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = 1e-3, .weight_decay = 1e-4});
  TrainingStep step(model, optimizer);
  for (int64_t s = 0; s < x.dim(0); ++s) {
    std::vector<float> pixels;
    for (const double v : x.batch(s, 1).host_f64()) pixels.push_back(static_cast<float>(v / 256 - 0.5));
    const Tensor images = Tensor::from(std::span<const float>(pixels), {x.dim(1), x.dim(2), x.dim(3), 1});
    const Tensor target = y.batch(s, 1).reshaped(unet ? Shape{y.dim(1), y.dim(2), y.dim(3)} : Shape{y.dim(1)});
    std::printf("%.9g\n", step(images, target, make_streams(1, std::vector<int64_t>(static_cast<size_t>(x.dim(1))), s)));
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench_losses: %s\n", e.what());
  return 2;
}
