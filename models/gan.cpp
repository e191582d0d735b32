#include "models/gan.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "models/cgan.h"
#include "models/pix2pix.h"
#include "tensor/backend.h"
#include "tensor/json.h"

namespace querent {
namespace {

// One place names every field, for writing and for reading.
template <class Options, class Visit>
void each_field(Options& o, Visit visit) {
  visit("generator", o.generator), visit("discriminator", o.discriminator), visit("norm", o.norm);
  visit("injection", o.injection), visit("size", o.size), visit("condition_channels", o.condition_channels);
  visit("image_channels", o.image_channels), visit("width", o.width), visit("judge_width", o.judge_width);
  visit("depth", o.depth), visit("blocks", o.blocks), visit("latent", o.latent), visit("latent_maps", o.latent_maps);
  visit("judge_layers", o.judge_layers), visit("fc", o.fc), visit("dropout", o.dropout);
}

// True for the second of the two values there are.
bool is_second(const char* what, const std::string& value, const char* first, const char* second) {
  check(value == first || value == second, "gan: {} '{}' is unknown; use {} or {}", what, value, first, second);
  return value == second;
}

NormKind norm_of(const GanOptions& o) {
  return is_second("norm", o.norm, "batch", "instance") ? NormKind::instance : NormKind::batch;
}
Injection injection_of(const GanOptions& o) {
  return is_second("injection", o.injection, "concat", "film") ? Injection::film : Injection::concat;
}
// The ways in which the generator takes z itself; a decoded z is part of its condition.
void set_latent(ResidualOptions& r, const GanOptions& o) {
  if (o.injection == "decoded") return;
  r.latent = o.latent, r.latent_maps = o.latent_maps, r.injection = injection_of(o);
}

}  // namespace

std::string GanOptions::json() const {
  nlohmann::json j;
  each_field(*this, [&](const char* name, const auto& value) { j[name] = value; });
  return dump_json(j);
}

GanOptions GanOptions::parse(std::string_view text_of_options) {
  const nlohmann::json j = parse_json(text_of_options);
  check(j.is_object() && text_of_options.size() < 10'000, "gan: not a description of a Querent GAN");
  constexpr int64_t limit = 1 << 14;  // a file may not ask for unbounded memory
  GanOptions o;
  each_field(o, [&]<class T>(const char* name, T& value) {
    const auto it = j.find(name);
    check(it != j.end(), "gan: '{}' is missing in {}", name, dump_json(j));
    try {
      value = it->get<T>();
    } catch (const nlohmann::json::exception&) {
      fail("gan: '{}' has the wrong type in {}", name, dump_json(j));
    }
    if constexpr (std::is_same_v<T, int64_t>)
      check(value >= 0 && value <= limit, "gan: '{}' is out of range in {}", name, dump_json(j));
  });
  return o;
}

Gan make_generator(const GanOptions& options, Params& params) {
  Gan gan;
  GanOptions& o = gan.options = options;
  const DType type = compute_dtype();
  if (is_second("generator", o.generator, "unet", "residual")) {
    ResidualOptions r{.in_channels = o.condition_channels,
                      .out_channels = o.image_channels,
                      .size = o.size,
                      .width = o.width,
                      .blocks = o.blocks,
                      .latent = 0,
                      .norm = norm_of(o)};
    set_latent(r, o);
    const auto net = std::make_shared<ResidualGenerator>(params.root(), r);
    gan.generate = [net, type](const Tensor& x, const Tensor& z, const Pass& pass) {
      return leaves((*net)(enters(x, type), enters(z, type), pass));
    };
  } else {
    check(o.latent == 0, "gan: the unet generator takes no latent vector; use the residual one or latent 0");
    if (o.depth == 0) o.depth = pix2pix_depth(o.size);
    const auto net = std::make_shared<Pix2PixGenerator>(
        params.root(), Pix2PixOptions{o.condition_channels, o.image_channels, o.width, o.depth, norm_of(o), o.dropout});
    gan.generate = [net, type](const Tensor& x, const Tensor&, const Pass& pass) {
      return leaves((*net)(enters(x, type), pass));
    };
  }
  return gan;
}

Gan make_discriminator(const GanOptions& options, Params& params) {
  Gan gan;
  const GanOptions& o = gan.options = options;
  const int64_t channels = o.condition_channels + o.image_channels;
  const auto judge_with = [&gan, type = compute_dtype()](auto net) {
    gan.judge = [net, type](const Tensor& condition, const Tensor& image, const Pass& pass) {
      return leaves((*net)(enters(concat({condition, image}), type), pass));
    };
  };
  if (is_second("discriminator", o.discriminator, "patch", "dense"))
    judge_with(std::make_shared<DenseDiscriminator>(params.root(),
                                                    DenseOptions{channels, o.size, o.judge_width, o.fc, norm_of(o)}));
  else
    judge_with(std::make_shared<PatchDiscriminator>(params.root(),
                                                    PatchOptions{channels, o.judge_width, o.judge_layers, norm_of(o)}));
  return gan;
}

Gan make_gan(const GanOptions& options, Params& generator, Params& discriminator) {
  Gan gan = make_generator(options, generator);
  gan.judge = make_discriminator(options, discriminator).judge;
  return gan;
}

}  // namespace querent
