// A generative adversarial network judged by a Parzen window: Goodfellow et al., "Generative Adversarial Nets" (NeurIPS
// 2014), on MNIST or on any small images.
//
//   generator      z uniform in (-1,1) - 2 x (linear, batch norm, ReLU) - linear, sigmoid: an image with values in 0..1
//   discriminator  2 x (linear, leaky ReLU, dropout) - linear. The paper's has maxout units
//   value          V = mean log D(x) + mean log(1 - D(G(z))); -log 4 where D cannot tell the two apart
//   Parzen window  a Gaussian on each of many generated images; its width is chosen by the log-likelihood of validation
//                  images, the figure is that of the test images in nats: mean and standard error. The same window on
//                  training images says what is to be had
//
// Unlike in the paper: Adam, leaky ReLU and batch norm instead of momentum and maxout, and no search for the best
// networks.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "al/experiment.h"

namespace querent::al {

struct GoodfellowConfig {
  int64_t seeds = 3;
  uint64_t seed = 1;                            // the first of them
  int64_t size = 28;                            // pixels
  int64_t latent = 100, hidden = 256;           // numbers of z; units of each hidden layer
  int64_t steps = 6000, batch = 100;            // of both networks in turn
  double lr = 2e-4;                             // Adam, beta1 = 0.5
  int64_t samples = 10'000, validation = 1000;  // generated images of the window; images that choose its width
  std::string data;

  std::string json() const;  // what determines a unit
};

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. The data set comes split:
// "train" teaches, "val" chooses the width of the window, "test" judges. Writes units/, weights/, gallery/ and
// goodfellow2014.json, {"train", "validation", "test" (images), "size", "mnist" (whether it is), "training_window":
// {"width", "log_likelihood", "error" (standard error)}, "seeds": [{"seed", "value": [{"step", "value", "real", "fake"
// (its two terms)}], "width", "log_likelihood", "error", "grid" (PNG file)}]}. Errors: a split without images; options
// out of range.
bool run_goodfellow2014(const GoodfellowConfig& config, const data::Dataset& dataset, const std::string& out,
                        const Hooks& hooks);

}  // namespace querent::al
