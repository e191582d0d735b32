#include "models/model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/bcnn.h"
#include "models/resnet.h"
#include "models/unet.h"
#include "models/vgg.h"
#include "tensor/backend.h"
#include "tensor/json.h"
#include "tensor/safetensors.h"

namespace querent {
namespace {

using nlohmann::json;

ModelOptions with_defaults(ModelOptions o) {
  const auto names = model_names();
  check(std::find(names.begin(), names.end(), o.name) != names.end(),
        "model: '{}' is unknown; use unet, vgg16, vgg16_bn, resnet18 or bcnn", o.name);
  const bool bcnn = o.name == "bcnn";
  if (o.width == 0) o.width = bcnn ? 32 : 64;
  if (o.depth == 0) o.depth = 4;
  if (o.fc == 0) o.fc = bcnn ? 128 : 64 * o.width;  // the published 4096 to 64
  if (o.dropout < 0) o.dropout = bcnn || o.name.starts_with("vgg") ? 0.5 : 0;
  check(o.width > 0 && o.fc > 0 && o.classes > 0 && o.in_channels > 0,
        "model: width, fc, classes and channels must be at least 1");
  return o;
}

template <class Network>
void connect(Model& model, std::shared_ptr<Network> net) {
  const DType type = model.dtype;
  model.trunk = [net, type](const Tensor& x, const Pass& pass) { return net->trunk(enters(x, type), pass); };
  model.stages = [net, type](const Tensor& x, const Pass& pass) {
    Tensors maps = net->stages(enters(x, type), pass);
    for (Tensor& t : maps) t = leaves(t);
    return maps;
  };
  model.head = [net](const Tensors& features, const Pass& pass) {
    const Output o = net->head(features, pass);
    return Output{leaves(o.logits), leaves(o.log_var)};
  };
  model.embed = [net](const Tensors& features) { return leaves(net->embed(features)); };
}

// timm keeps VGG's linear layers as convolutions that cover their input, under these names.
std::string vgg_name_from_timm(const std::string& name) {
  for (const auto& [theirs, ours] : {std::pair{"pre_logits.fc1.", "classifier.0."},
                                     {"pre_logits.fc2.", "classifier.3."},
                                     {"head.fc.", "classifier.6."}}) {
    if (name.starts_with(theirs)) return ours + name.substr(std::string_view(theirs).size());
  }
  return name;
}

template <class T>
T field(const json& j, const char* key) {
  const auto it = j.find(key);
  check(it != j.end(), "architecture: '{}' is missing in {}", key, dump_json(j));
  try {
    return it->get<T>();
  } catch (const json::exception&) {
    fail("architecture: '{}' has the wrong type in {}", key, dump_json(j));
  }
}

}  // namespace

std::vector<std::string> model_names() { return {"unet", "vgg16", "vgg16_bn", "resnet18", "bcnn"}; }

std::string ModelOptions::json() const {
  return dump_json(nlohmann::json{
      {"model", name}, {"in_channels", in_channels}, {"classes", classes}, {"width", width},          {"depth", depth},
      {"fc", fc},      {"dropout", dropout},         {"log_var", log_var}, {"small_stem", small_stem}});
}

ModelOptions ModelOptions::parse(std::string_view text_of_options) {
  const nlohmann::json j = parse_json(text_of_options);
  check(j.is_object() && text_of_options.size() < 10'000, "architecture: not a description of a Querent model");
  ModelOptions o;
  o.name = field<std::string>(j, "model");
  o.in_channels = field<int64_t>(j, "in_channels");
  o.classes = field<int64_t>(j, "classes");
  o.width = field<int64_t>(j, "width");
  o.depth = field<int64_t>(j, "depth");
  o.fc = field<int64_t>(j, "fc");
  o.dropout = field<double>(j, "dropout");
  o.log_var = field<bool>(j, "log_var");
  o.small_stem = field<bool>(j, "small_stem");
  constexpr int64_t limit = 1 << 14;  // a file may not ask for unbounded memory
  check(std::max({o.in_channels, o.classes, o.width, o.fc}) <= limit && o.depth <= 7 && o.dropout < 1,
        "architecture: sizes out of range in {}", dump_json(j));
  return o;
}

Model make_model(const ModelOptions& options, Params& params) {
  Model model;
  const ModelOptions o = model.options = with_defaults(options);
  model.device = params.device();
  model.dtype = compute_dtype();
  const Scope root = params.root();
  if (o.name == "unet") {
    auto net =
        std::make_shared<UNet>(root, UNetOptions{o.in_channels, o.classes, o.width, o.depth, o.dropout, o.log_var});
    model.segments = true;
    model.stride = model.smallest = net->stride();
    model.last_layer = {"outc.", "log_var."};
    connect(model, std::move(net));
  } else if (o.name == "resnet18") {
    connect(model, std::make_shared<ResNet18>(
                       root, ResNetOptions{o.in_channels, o.classes, o.width, o.dropout, o.small_stem, o.log_var}));
    model.smallest = o.small_stem ? 8 : 32;
    model.last_layer = {"fc.", "log_var."};
  } else if (o.name == "bcnn") {
    connect(model, std::make_shared<Bcnn>(
                       root, BcnnOptions{o.in_channels, o.classes, o.width, o.fc, o.dropout, o.log_var}));
    model.smallest = 28;
    model.last_layer = {"fc2.", "log_var."};
  } else {
    connect(model, std::make_shared<Vgg16>(root, VggOptions{o.in_channels, o.classes, o.width, o.fc, o.dropout,
                                                            o.name == "vgg16_bn", o.log_var}));
    model.smallest = 32;
    model.last_layer = {"classifier.6.", "log_var."};
  }
  return model;
}

LoadReport load_weights(const Model& model, Params& params, const std::filesystem::path& path, bool new_classes) {
  LoadOptions o;
  if (new_classes) o.skip_mismatched = model.last_layer;
  o.may_miss = {"log_var."};
  if (model.options.name == "unet") {
    o.rename = unet_name_from_brain;
    const SafetensorsReader file(path);
    const bool brain = std::any_of(file.entries().begin(), file.entries().end(), [](const auto& entry) {
      return entry.first.ends_with("bottleneck.bottleneckconv1.weight");
    });
    if (brain) o.swap_halves = unet_is_first_after_concat;
  } else if (model.options.name.starts_with("vgg")) {
    o.rename = vgg_name_from_timm;
  }
  return params.load(path, o);
}

ModelOptions saved_architecture(const std::filesystem::path& path) {
  const SafetensorsReader file(path);
  const auto it = file.metadata().find(architecture_key);
  check(it != file.metadata().end(),
        "{}: the file does not say which model it belongs to; give --model and its options", path.string());
  return ModelOptions::parse(it->second);
}

}  // namespace querent
