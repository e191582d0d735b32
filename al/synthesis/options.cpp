#include "al/synthesis/options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::al {
namespace {

constexpr int64_t size_step = 16, smallest_size = 32;
constexpr int64_t dense_units = 256;  // of the dense discriminator; SRGAN's 1024 would be most of its weights

void check_one_of(const char* flag, const std::string& value, const char* first, const char* second) {
  check(value == first || value == second, "synth: {} '{}' is unknown; use {} or {}", flag, value, first, second);
}

}  // namespace

std::string SynthesisOptions::json() const {
  return dump_json(nlohmann::json{{"gan", gan},
                                  {"condition", condition},
                                  {"loss", loss},
                                  {"norm", norm},
                                  {"size", size},
                                  {"width", width},
                                  {"blocks", blocks},
                                  {"latent", latent},
                                  {"injection", injection},
                                  {"steps", steps},
                                  {"batch", batch},
                                  {"autoencoder_steps", autoencoder_steps},
                                  {"lr", lr},
                                  {"lambda", content_weight()},
                                  {"nmi", nmi},
                                  {"vgg", vgg_weight()},
                                  {"mse", mse},
                                  {"saliency", saliency},
                                  {"vgg_weights", vgg_weights},
                                  {"identity", identity},
                                  {"seed", seed}});
}

void check_options(const SynthesisOptions& o) {
  check_one_of("--gan", o.gan, "paper", "pix2pix");
  check_one_of("--condition", o.condition, "film+mask", "mask");
  check(!o.mask_alone() || o.gan == "pix2pix",
        "synth: --condition mask needs --gan pix2pix; the paper's generator changes a film");
  check_one_of("--loss", o.loss, "logistic", "lsgan");
  check_one_of("--norm", o.norm, "batch", "instance");
  check(o.injection == "decoded" || o.injection == "concat" || o.injection == "film",
        "synth: --injection '{}' is unknown; use decoded, concat or film", o.injection);
  check(o.size >= smallest_size && o.size % size_step == 0,
        "synth: the networks halve a film four times: --size {} must be a multiple of {}, at least {}; use {}", o.size,
        size_step, smallest_size, std::max(smallest_size, (o.size + size_step - 1) / size_step * size_step));
  check(o.width > 0 && o.blocks > 0 && o.latent > 0 && o.steps > 0 && o.batch > 0,
        "synth: --width, --blocks, --latent, --steps and --batch must be at least 1; got {} {} {} {} {}", o.width,
        o.blocks, o.latent, o.steps, o.batch);
  check(o.gan != "paper" || o.autoencoder_steps > 0, "synth: --autoencoder-steps must be at least 1, got {}",
        o.autoencoder_steps);
  check(o.lr > 0 && o.lambda >= 0 && o.identity >= 0 && o.identity <= 1,
        "synth: --lr must be positive, --lambda not negative and --identity in [0,1]; got {} {} {}", o.lr, o.lambda,
        o.identity);
  check(o.nmi >= 0 && o.vgg >= 0 && o.mse >= 0 && o.saliency >= 0,
        "synth: the weights --nmi --vgg --mse --saliency must not be negative; got {} {} {} {}", o.nmi, o.vgg, o.mse,
        o.saliency);
  check(
      o.gan != "paper" || o.nmi + o.vgg_weight() + o.mse + o.saliency > 0,
      "synth: no term of the content loss is left; give --nmi, --mse or --saliency a weight, or --vgg-weights a file");
}

GanOptions gan_architecture(const SynthesisOptions& o) {
  const bool paper = o.gan == "paper";
  GanOptions g;
  g.generator = paper ? "residual" : "unet";
  g.discriminator = paper ? "dense" : "patch";
  g.norm = o.norm;
  g.size = o.size;
  if (paper) g.injection = o.injection;
  g.condition_channels = o.mask_alone() || (paper && o.injection != "decoded") ? 1 : 2;
  g.width = g.judge_width = o.width;
  g.blocks = o.blocks;
  g.latent = paper ? o.latent : 0;
  g.fc = dense_units;
  return g;
}

}  // namespace querent::al
