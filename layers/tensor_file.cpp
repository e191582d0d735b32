#include "layers/tensor_file.h"

#include <cstring>
#include <span>

#include "tensor/safetensors.h"

namespace querent {
namespace {

Tensor from_bytes(std::span<const std::byte> raw, const Shape& shape, DType dtype) {
  Tensor t = Tensor::empty(shape, dtype);
  if (t.has_data() && !raw.empty()) std::memcpy(t.raw(), raw.data(), raw.size());
  return t;
}

}  // namespace

const char* safetensors_dtype(DType t) {
  constexpr const char* names[] = {"F32", "BF16", "F64", "I32", "I64", "U8"};
  return names[static_cast<int>(t)];
}

const Tensor& TensorFile::at(const std::string& name) const {
  const auto it = tensors.find(name);
  check(it != tensors.end(), "{}: has no tensor '{}'", path, name);
  return it->second;
}

TensorFile read_tensors(const std::filesystem::path& path) {
  const SafetensorsReader reader(path);
  TensorFile file{{}, reader.metadata(), path.string()};
  for (const auto& [name, entry] : reader.entries()) {
    check(entry.shape.size() <= static_cast<size_t>(Shape::max_rank), "{}: '{}' has {} axes, at most {} are supported",
          file.path, name, entry.shape.size(), Shape::max_rank);
    Shape shape;
    for (const int64_t extent : entry.shape) shape.push_back(extent);
    Tensor t;
    if (entry.dtype == "F16") {
      t = Tensor::from(reader.floats(name), shape);
    } else if (entry.dtype == "BOOL") {
      t = from_bytes(reader.bytes(name), shape, DType::u8);
    } else {
      for (const DType d : {DType::f32, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8}) {
        if (entry.dtype == safetensors_dtype(d)) t = from_bytes(reader.bytes(name), shape, d);
      }
    }
    check(bool{t}, "{}: '{}' has dtype {}, which is not supported", file.path, name, entry.dtype);
    file.tensors[name] = t.named(name);
  }
  return file;
}

void write_tensors(const std::filesystem::path& path, const Tensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsItem> items;
  Tensors here;
  for (const Tensor& any : tensors) {
    internal_check(!any.name().empty(), "{}: a tensor without a name cannot be written", path.string());
    const Tensor& t = here.emplace_back(any.to(Device::cpu()));
    items.push_back({t.name(),
                     safetensors_dtype(t.dtype()),
                     {t.shape().begin(), t.shape().end()},
                     {static_cast<const std::byte*>(t.raw()), t.bytes()}});
  }
  write_safetensors(path, std::move(items), metadata);
}

}  // namespace querent
