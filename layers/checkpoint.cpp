#include "layers/checkpoint.h"

namespace querent {
namespace {

constexpr const char* flat_name = "params";

}  // namespace

void add_to_checkpoint(Tensors& checkpoint, const Params& params, const std::string& prefix) {
  checkpoint.push_back(params.all().flat.clone().named(prefix + flat_name));
  for (const Tensor& b : params.buffers()) checkpoint.push_back(b.clone().named(prefix + b.name()));
}

void read_from_checkpoint(const TensorFile& checkpoint, const Params& params, const std::string& prefix) {
  const auto fill = [&](const Tensor& t, const std::string& name) {
    const Tensor& saved = checkpoint.at(prefix + name);
    check(saved.shape() == t.shape() && saved.dtype() == t.dtype(),
          "{}: '{}' is {}, but the network has {}; the checkpoint belongs to another training", checkpoint.path,
          prefix + name, saved, t);
    t.copy_from(saved);
  };
  fill(params.all().flat, flat_name);
  for (const Tensor& b : params.buffers()) fill(b, b.name());
}

}  // namespace querent
