// One handle for every task network, so that training, scoring and the command need not know which one they run.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "layers/params.h"
#include "layers/pass.h"
#include "models/output.h"

namespace querent {

// Everything that fixes an architecture; 0 means the published value. Stored as JSON in weight files.
struct ModelOptions {
  std::string name = "unet";  // unet, vgg16, vgg16_bn, resnet18, bcnn
  int64_t in_channels = 1, classes = 1;
  int64_t width = 0;        // 64; bcnn: 32
  int64_t depth = 0;        // unet: 4
  int64_t fc = 0;           // vgg: 64 * width, bcnn: 128
  double dropout = -1;      // negative: unet 0, vgg 0.5, resnet 0, bcnn 0.5
  bool log_var = false;     // add the log-variance head
  bool small_stem = false;  // resnet18: for small images
  bool operator==(const ModelOptions&) const = default;

  std::string json() const;
  static ModelOptions parse(std::string_view json);  // bad_input when it is not such a description
};

// A handle: copying shares the network. Lives no longer than the Params it was built in.
class Model {
 public:
  Output forward(const Tensor& x, const Pass& pass = {}) const { return head(trunk(x, pass), pass); }
  // forward = head(trunk): nothing before head() draws random numbers in mc_dropout, so T Monte-Carlo passes share one
  // trunk.
  std::function<Tensors(const Tensor& x, const Pass& pass)> trunk;
  std::function<Output(const Tensors& features, const Pass& pass)> head;
  // One vector per image from the trunk's output, without dropout, [N,D]: what the last layer reads (classifiers), the
  // global average of the bottleneck (U-Net).
  std::function<Tensor(const Tensors& features)> embed;
  // The feature maps of the network's resolutions, finest first, [N,h,w,C_i]; nothing random.
  std::function<Tensors(const Tensor& x, const Pass& pass)> stages;
  ModelOptions options;                 // with every default filled in
  Device device;                        // where its parameters lie, and what it is given must
  DType dtype = DType::f32;             // what its layers compute in; what it is given and what it answers is f32
  bool segments = false;                // logits per pixel; otherwise per image
  int64_t stride = 1;                   // height and width must be multiples of it
  int64_t smallest = 1;                 // and at least this
  std::vector<std::string> last_layer;  // prefixes of the parameters that a new number of classes replaces
};

std::vector<std::string> model_names();
Model make_model(const ModelOptions& options, Params& params);

// Loads a checkpoint of the model's own names, of torchvision, timm (VGG), milesial or brain-segmentation (U-Net). With
// `new_classes`, output layers of another size keep their initial values and are reported; a missing log-variance head
// is always only reported.
LoadReport load_weights(const Model& model, Params& params, const std::filesystem::path& path,
                        bool new_classes = false);

// The architecture a weight file was saved with (metadata "architecture"); bad_input if it has none.
ModelOptions saved_architecture(const std::filesystem::path& path);
constexpr const char* architecture_key = "architecture";

}  // namespace querent
