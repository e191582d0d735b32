// Parameters and their names. A layer's constructor asks its Scope for tensors; names fall out of the construction.
//
//   Params params(Device::cpu(), seed);
//   const Conv2d conv(params.root().sub("conv1"), 1, 64, {.kernel = 7, .stride = 2, .padding = 3, .bias = false});
//   params.load("resnet18.safetensors");             // 'conv1.weight' [64,1,7,7] of the file
//   Gradients g = tape.backward(loss, params.all());  // one flat buffer for all of them
//
// Files keep PyTorch's names and axis order; the permutation to the engine's [O,Kh,Kw,C] happens at load and save.
#pragma once
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tape.h"

namespace querent {

// How a parameter is drawn before training. fan_in and fan_out are counted on the weight itself.
struct Init {
  enum Kind { constant, normal, uniform, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform };
  Kind kind = constant;
  double value = 0;      // constant: the value; normal: standard deviation; uniform: half width; kaiming: gain
  bool fan_out = false;  // kaiming: scale by fan_out instead of fan_in

  static Init zeros() { return {}; }
  static Init ones() { return {constant, 1}; }
  static Init gaussian(double deviation) { return {normal, deviation}; }
  static Init flat(double half_width) { return {uniform, half_width}; }
  static Init kaiming(bool fan_out = false) {
    return {kaiming_normal, std::sqrt(2.0), fan_out};
  }                                                                                // He et al. 2015, for ReLU
  static Init torch_default() { return {kaiming_uniform, std::sqrt(1.0 / 3.0)}; }  // U(+-1/sqrt(fan_in)): conv, linear
  static Init xavier() { return {xavier_uniform}; }                                // Glorot and Bengio 2010
};

// How a parameter lies in the file. Both permutations are of one kind: [A,B,S] in the file, [A,S,B] in the engine.
struct FileLayout {
  enum Kind {
    same,
    conv,
    flattened
  };  // conv: [O,C,Kh,Kw] <-> [O,Kh,Kw,C]; also a transposed convolution's [C,O,Kh,Kw]
  Kind kind = same;
  int64_t area = 1;  // flattened: a linear layer after flatten of [C,H,W] has [O, C*(H*W)] <-> [O, (H*W)*C]; area = H*W
};

struct LoadOptions {
  bool strict = true;  // a missing, unexpected or mis-shaped name is an error; otherwise it is only reported
  // Heads with another number of classes are skipped (they keep their initial values) for names with these prefixes.
  std::vector<std::string> skip_mismatched = {};
  // Parameters with these prefixes may be missing (an output the checkpoint was not trained for); they are reported as
  // skipped.
  std::vector<std::string> may_miss = {};
  // For checkpoints of other code bases: file name -> our name, and the filters (by our name) that expect the two
  // halves of their input channels, a skip connection and its partner, in the other order.
  std::function<std::string(const std::string&)> rename = {};
  std::function<bool(const std::string&)> swap_halves = {};
};

struct LoadReport {
  std::vector<std::string> matched, missing, unexpected, misshaped, skipped, adapted;
  bool complete() const { return missing.empty() && unexpected.empty() && misshaped.empty(); }
  std::string text() const;  // one line; lists names
};

class Params;

// A place in the tree of names. Cheap to copy; must not outlive its Params.
class Scope {
 public:
  Scope sub(std::string_view name) const;
  // A trainable tensor of the engine's `shape`.
  Tensor parameter(std::string_view name, const Shape& shape, const Init& init, FileLayout layout = {}) const;
  // State that is saved but not trained (running statistics). An optional one may be missing in files.
  Tensor buffer(std::string_view name, const Shape& shape, double value, DType dtype, bool optional = false) const;
  const std::string& path() const { return path_; }  // "layer1.0.conv1"; "" at the root
  int64_t site() const;                              // a number for this place: which dropout mask
  DType dtype() const;

 private:
  friend class Params;
  Scope(Params* params, std::string path) : params_(params), path_(std::move(path)) {}
  std::string full(std::string_view name) const;
  Params* params_;
  std::string path_;
};

class Params {
 public:
  // Each tensor is drawn from a stream of (seed, its name): neither order nor other layers change it. f64 is for tests.
  explicit Params(Device device = Device::cpu(), uint64_t seed = 0, DType dtype = DType::f32);
  Params(const Params&) = delete;
  Params& operator=(const Params&) = delete;
  Scope root() { return Scope(this, ""); }
  Device device() const { return device_; }

  // All parameters in the order of construction. The first call moves their bytes into one arena; handles follow.
  const ParamSet& all() const;
  // Those whose name starts with `prefix`, or for which `chosen` is true: what an optimizer may train while the rest is
  // frozen. `flat` is set when they are neighbours in the arena. Error: there is none.
  ParamSet under(std::string_view prefix) const;
  ParamSet where(const std::function<bool(const Tensor& parameter)>& chosen) const;
  const Tensors& buffers() const { return buffers_; }
  int64_t count() const;                          // trainable numbers (padding in the arena not counted)
  Tensor find(std::string_view name) const;       // parameter or buffer; none when there is no such name
  std::vector<std::string> names() const;         // parameters and buffers
  Shape file_shape(std::string_view name) const;  // as PyTorch has it

  // Everything, under PyTorch's names and axes. `metadata` is free text (architecture, classes, seed ...).
  void save(const std::filesystem::path& path, const std::map<std::string, std::string>& metadata = {}) const;
  // The header must fit before anything is changed. Prefixes such as "module." are dropped; a first convolution made
  // for three channels is summed to one; "num_batches_tracked" may be missing.
  LoadReport load(const std::filesystem::path& path, const LoadOptions& options = {});

 private:
  friend class Scope;
  struct Entry {
    Tensor tensor;
    FileLayout layout;
    bool trainable = true, optional = false;
  };
  void add(Entry entry);
  const Entry* entry(std::string_view name) const;
  LoadReport plan_load(const class SafetensorsReader& file, const LoadOptions& options,
                       std::map<std::string, std::string>& source_of) const;

  Device device_;
  uint64_t seed_;
  DType dtype_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
  Tensors buffers_;
  mutable ParamSet set_;  // built by all()
};

}  // namespace querent
