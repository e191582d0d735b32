// Segmentation by asking, for every pixel, which structures the k most similar training pixels lie in (k nearest
// neighbours on the features of features.h; van Ginneken, Stegmann and Loog 2006).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/scr2006/features.h"
#include "al/scr2006/kd_tree.h"
#include "data/image.h"
#include "tensor/rng.h"

namespace querent::al {

struct PixelOptions {
  int64_t neighbours = 15;
  int64_t samples = 60'000;  // training pixels in all, an equal number from each film
  int64_t stride = 2;        // every so many-th row and column is classified, the others interpolated
  double epsilon = 2;        // of KdTree::nearest
};

struct PixelSamples {
  std::vector<float> features;  // [n, D]
  std::vector<uint8_t> inside;  // [n]: bit s is set inside structure s
};
// Adds `count` different pixels of a film, drawn by `rng`. inside [H,W].
void sample_pixels(PixelSamples& to, const Image& film, std::span<const uint8_t> inside, std::span<const double> scales,
                   int64_t count, Rng rng);

class PixelClassifier {
 public:
  // Features are brought to mean 0 and standard deviation 1 over the samples.
  PixelClassifier(PixelSamples samples, std::vector<double> scales, int64_t structures, const PixelOptions& options);

  // [S, rows, columns]: of the k neighbours of each classified pixel, how many lie in each structure. Classified are
  // rows and columns stride/2, stride/2 + stride, ... Several threads may ask.
  std::vector<uint8_t> votes(const Image& film) const;

 private:
  std::vector<double> scales_;
  int64_t structures_;
  PixelOptions options_;
  std::vector<float> mean_, factor_;  // [D]
  KdTree tree_;
  std::vector<uint8_t> inside_;
};

int64_t classified_side(int64_t size, int64_t stride);  // rows (or columns) of votes
// Share of votes at every pixel of a film of size x size, linear between the classified ones. votes: of one structure.
Image posterior(std::span<const uint8_t> votes, int64_t size, const PixelOptions& options);

}  // namespace querent::al
