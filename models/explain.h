// What a network is made of: every layer with its shape, parameters and cost, without computing anything.
#pragma once
#include <string>
#include <vector>

#include "models/model.h"

namespace querent {

struct LayerRow {
  std::string layer, op;  // "layer1.0.conv1", "conv2d"; layer is empty for ops without parameters
  Shape output;           // [N,H,W,C]
  int64_t parameters = 0;
  double flops = 0, bytes = 0;  // multiply and add count as two; least memory traffic
};

struct Explanation {
  ModelOptions model;
  Shape input;
  std::vector<LayerRow> rows;  // one per executed operation, in order
  int64_t parameters = 0;
  double flops = 0, bytes = 0;
  double multiply_adds = 0;  // of convolutions and matrix products: what papers call "FLOPs" of a network
  std::string listing() const;
  std::string json() const;
};

// One evaluation of `batch` images of size x size; shapes and costs only (a dry run).
Explanation explain(const ModelOptions& model, int64_t size, int64_t batch = 1);

}  // namespace querent
