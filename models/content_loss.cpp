#include "models/content_loss.h"

#include <algorithm>
#include <charconv>

#include "models/model.h"
#include "tensor/backend.h"
#include "tensor/safetensors.h"
#include "tensor/tape.h"

namespace querent {
namespace {

Tensor nmi_distance(const Tensor& x, const Tensor& y, const ContentLossOptions& o) {
  const Pair size{std::min(x.dim(1), o.nmi_size), std::min(x.dim(2), o.nmi_size)};
  const bool fits = size == Pair{x.dim(1), x.dim(2)};
  const auto small = [&](const Tensor& image) { return fits ? image : adaptive_avg_pool2d(image, size); };
  const NmiAttrs attrs{.bins = o.bins, .low = o.low, .high = o.high};
  return scale(normalized_mutual_information(small(x), small(y), attrs), -1, 1);
}

Tensor vgg_distance(const Tensor& x, const Tensor& y, const ContentLossOptions& o, const ContentFeatures& f) {
  const auto of_target = [&] {
    const NoTape constant;
    return f(y, o.low, o.high);
  };
  return mse_loss(f(x, o.low, o.high), of_target());
}

// Divided by the map's sum image by image, so that a batch has the mean of its images' losses.
Tensor weighted_mse(const Tensor& x, const Tensor& y, const Tensor& map) {
  const Shape pixels{1, 2, 3};
  constexpr double tiny = 1e-12;  // 0/0 for a map of zeros becomes 0
  return mean(div(sum(mul(map, square(sub(x, y))), pixels), scale(sum(map, pixels), 1, tiny)));
}

}  // namespace

ContentFeatures::ContentFeatures(const Scope& s, const VggOptions& o)
    : vgg(s.sub("features"), o, VggFeatures::relu4_1),
      mean(static_cast<size_t>(o.in_channels), 0.0),
      deviation(static_cast<size_t>(o.in_channels), 1.0),
      dtype(compute_dtype()) {
  check(o.in_channels == 1 || o.in_channels == 3, "content features: in_channels must be 1 or 3, got {}",
        o.in_channels);
  if (o.in_channels == 3) mean = {0.485, 0.456, 0.406}, deviation = {0.229, 0.224, 0.225};
}

Tensor ContentFeatures::operator()(const Tensor& grey, double low, double high) const {
  check(grey.rank() == 4 && grey.dim(3) == 1 && grey.dim(1) >= 8 && grey.dim(2) >= 8,
        "content features: images must be [N,H,W,1] with H and W at least 8, got {}", grey);
  check(low < high, "content features: low must be less than high, got {} and {}", low, high);
  Tensors channels;
  for (size_t c = 0; c < mean.size(); ++c) {  // ((x - low)/(high - low) - mean)/deviation
    const double factor = 1 / ((high - low) * deviation[c]);
    channels.push_back(scale(grey, factor, -low * factor - mean[c] / deviation[c]));
  }
  return leaves(vgg(enters(channels.size() == 1 ? channels[0] : concat(channels), dtype), {}));
}

void load_content_weights(Params& params, const std::filesystem::path& path) {
  const LoadReport report = params.load(path, {.strict = false});
  check(report.missing.empty() && report.misshaped.empty() && report.adapted.empty(),
        "{}: these are not the weights of VGG16 up to relu4_1: {}; use torchvision's vgg16 converted to safetensors",
        path.string(), report.text());
}

ContentFeatures open_content_features(Params& params, const std::filesystem::path& path) {
  VggOptions o{.in_channels = 3};
  const std::map<std::string, std::string> metadata = SafetensorsReader(path).metadata();
  const bool ours = metadata.contains(architecture_key);
  if (ours) {
    const ModelOptions m = ModelOptions::parse(metadata.at(architecture_key));
    check(m.name == "vgg16" || m.name == "vgg16_bn",
          "{}: these are weights of {}; the VGG term needs a vgg16, as 'querent train --model vgg16' writes",
          path.string(), m.name);
    o = {.in_channels = m.in_channels, .width = m.width, .batch_norm = m.name == "vgg16_bn"};
  }
  ContentFeatures features(params.root(), o);
  load_content_weights(params, path);
  if (!ours) return features;
  for (const auto& [key, values] : {std::pair{"mean", &features.mean}, {"std", &features.deviation}}) {
    const auto it = metadata.find(key);
    const std::string said = it == metadata.end() ? "" : it->second;
    double value = 0;
    const auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), value);
    check(error == std::errc() && end == said.data() + said.size() && (values == &features.mean || value > 0),
          "{}: '{}' in the metadata must be a number (std: positive), got '{}'", path.string(), key, said);
    std::fill(values->begin(), values->end(), value);
  }
  return features;
}

Tensor saliency_map(const Tensor& images) {
  check(images.rank() == 4 && images.dim(3) == 1 && images.dim(1) >= 32 && images.dim(2) >= 32,
        "saliency map: images must be [N,H,W,1] with H and W at least 32, got {}", images);
  const NoTape constant;
  const auto cells = [&](int64_t side) {
    return upsample_bilinear(adaptive_avg_pool2d(images, side), {images.dim(1), images.dim(2)});
  };
  Tensor map;
  for (const int64_t centre : {32, 16, 8}) {
    const Tensor difference = sub(cells(centre), cells(centre / 4));
    const Tensor magnitude = add(relu(difference), relu(scale(difference, -1)));
    map = map ? add(map, magnitude) : magnitude;
  }
  return map;
}

ContentTerms content_loss(const Tensor& x, const Tensor& y, const ContentLossOptions& o,
                          const ContentFeatures* features, const Tensor& map) {
  check(x.rank() == 4 && x.dim(3) == 1 && x.numel() > 0, "content loss: images must be [N,H,W,1], not empty; got {}",
        x);
  check(y.shape() == x.shape(), "content loss: target must have the shape of generated; target={} generated={}", y, x);
  check(o.nmi >= 0 && o.vgg >= 0 && o.mse >= 0 && o.saliency >= 0 && o.nmi + o.vgg + o.mse + o.saliency > 0,
        "content loss: weights must not be negative, nor all 0; got nmi={} vgg={} mse={} saliency={}", o.nmi, o.vgg,
        o.mse, o.saliency);
  check(o.vgg == 0 || features, "content loss: the VGG term needs features; give them or set vgg = 0");
  check(o.saliency == 0 || (map && map.shape() == x.shape()),
        "content loss: the saliency term needs a map of generated's shape {}; got {}", x, map);
  check(o.nmi_size > 0, "content loss: nmi_size must be at least 1, got {}", o.nmi_size);
  ContentTerms t;
  const auto include = [&](double weight, const Tensor& term) {
    const Tensor part = scale(term, weight);
    t.total = t.total ? add(t.total, part) : part;
    return term;
  };
  if (o.nmi > 0) t.nmi = include(o.nmi, nmi_distance(x, y, o));
  if (o.vgg > 0) t.vgg = include(o.vgg, vgg_distance(x, y, o, *features));
  if (o.mse > 0) t.mse = include(o.mse, mse_loss(x, y));
  if (o.saliency > 0) t.saliency = include(o.saliency, weighted_mse(x, y, map));
  return t;
}

}  // namespace querent
