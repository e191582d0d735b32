// Named tensors in a safetensors file, as they are: optimizer state, test fixtures, saved maps. No axis is permuted
// here; weights in PyTorch's axis order go through Params.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace querent {

struct TensorFile {
  std::map<std::string, Tensor> tensors;  // each is named
  std::map<std::string, std::string> metadata;
  const Tensor& at(const std::string& name) const;  // bad_input when there is none
  bool contains(const std::string& name) const { return tensors.count(name) != 0; }
  std::string path;
};

// Reads every tensor (F32, F64, BF16, I32, I64, U8; at most six axes). F16 becomes f32, BOOL becomes u8.
TensorFile read_tensors(const std::filesystem::path& path);
// Writes tensors under their names, atomically. Names must be unique and not empty.
void write_tensors(const std::filesystem::path& path, const Tensors& tensors,
                   const std::map<std::string, std::string>& metadata = {});

// "F32" for f32 and so on.
const char* safetensors_dtype(DType t);

}  // namespace querent
