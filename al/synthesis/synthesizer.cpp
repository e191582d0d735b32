#include "al/synthesis/synthesizer.h"

#include <algorithm>
#include <cmath>

#include "models/model.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace querent::al {
namespace fs = std::filesystem;
namespace {

constexpr double ramp_px = 4;  // at 512 pixels a side: from a protected pixel to the generated film
constexpr double scale_side = 512;

std::string required(const std::map<std::string, std::string>& metadata, const fs::path& path) {
  const auto it = metadata.find(architecture_key);
  check(it != metadata.end(),
        "{}: the file does not say its architecture; use a folder written by 'querent synth train'", path.string());
  return it->second;
}

// Is the generator given z as a vector, or a mask as a channel of its condition?
bool takes_vector(const GanOptions& o) { return o.latent > 0 && o.injection != "decoded"; }

// Is the mask all that the generator is told?
bool mask_alone(const GanOptions& o) { return o.latent == 0 && o.condition_channels == 1; }

// The mask after the boundary edit of a variant, before any rigid motion.
Image boundary_of(const EditBase& base, const EditRecord& r, uint64_t seed, const EditOptions& o) {
  if (r.boundary.empty()) return base.mask;
  return edit_mask({base.id, {}, base.mask, base.protected_region, {}}, r.variant, seed, boundary_only(o)).mask;
}

// The generated film outside the protected region, the edited film inside, a linear ramp between.
void keep_protected(Image& made, const EditedMask& edit) {
  const Image& region = edit.protected_region;
  if (region.pixels.empty()) return;
  const double ramp = std::max(1.0, ramp_px * static_cast<double>(std::max(made.height, made.width)) / scale_side) + 1;
  const auto reach = static_cast<int64_t>(std::ceil(ramp));
  const auto distance = [&](int64_t y, int64_t x) {
    double nearest = ramp;
    for (int64_t i = std::max<int64_t>(0, y - reach); i <= std::min(made.height - 1, y + reach); ++i)
      for (int64_t j = std::max<int64_t>(0, x - reach); j <= std::min(made.width - 1, x + reach); ++j)
        if (region.at(i, j) != 0) nearest = std::min(nearest, std::hypot(y - i, x - j));
    return nearest;
  };
  for (int64_t y = 0; y < made.height; ++y)
    for (int64_t x = 0; x < made.width; ++x) {
      const auto share = static_cast<float>(distance(y, x) / ramp);  // of the generated film
      const float kept = edit.image.at(y, x);
      made.at(y, x) = share == 0 ? kept : kept + share * (made.at(y, x) - kept);
    }
}

double realism_of(const Synthesizer& synthesizer, const Discriminator& judge, const Image& base, const Image& mask,
                  const Image& made) {
  const Image *b = &base, *m = &mask, *f = &made;
  GanBatch batch =
      synthesizer.condition(synthesizer.sees_film() ? film_tensor({&b, 1}) : Tensor{}, mask_tensor({&m, 1}));
  batch.image = film_tensor({&f, 1});
  return judge.realism(batch);
}

}  // namespace

Synthesizer::Synthesizer(const GanOptions& architecture, uint64_t seed)
    : generator_(std::make_unique<Params>(compute_device(), seed)),
      codec_(std::make_unique<Params>(compute_device(), seed)),
      gan_(make_generator(architecture, *generator_)) {
  const int64_t channels = takes_vector(architecture) || mask_alone(architecture) ? 1 : 2;
  check(architecture.image_channels == 1 && architecture.condition_channels == channels,
        "synthesizer: a generator with latent={} injection={} needs {} channels of condition and makes one; got {} and "
        "{}",
        architecture.latent, architecture.injection, channels, architecture.condition_channels,
        architecture.image_channels);
  generator_->all();
  if (architecture.latent == 0) return;
  autoencoder_.emplace(codec_->root(),
                       MaskAutoencoderOptions{.size = architecture.size, .latent = architecture.latent});
  codec_->all();
}

std::shared_ptr<const Synthesizer> Synthesizer::open(const fs::path& folder_or_file) {
  const bool is_folder = fs::is_directory(folder_or_file);
  const fs::path file = is_folder ? folder_or_file / generator_file : folder_or_file;
  check(!is_folder || fs::exists(file),
        "{}: there is no {}; the training is not finished, or this is not a folder of 'querent synth train'",
        folder_or_file.string(), generator_file);
  const std::map<std::string, std::string> metadata = SafetensorsReader(file).metadata();
  auto s = std::make_shared<Synthesizer>(GanOptions::parse(required(metadata, file)), 0);
  s->generator_->load(file);
  s->metadata_ = metadata;
  if (s->autoencoder_) s->load_autoencoder(file.parent_path() / fs::path(autoencoder_file).filename());
  return s;
}

bool Synthesizer::sees_film() const { return !mask_alone(gan_.options); }

GanBatch Synthesizer::condition(const Tensor& films_anywhere, const Tensor& masks_anywhere) const {
  const Tensor masks = masks_anywhere.to(generator_->device());
  if (!sees_film()) return {scale(masks, 2, -1), {}};
  const Tensor films = films_anywhere.to(generator_->device());
  if (takes_vector(gan_.options)) return {films, {}, autoencoder_->encode(masks)};
  const Tensor shown = autoencoder_ ? sigmoid(autoencoder_->decode(autoencoder_->encode(masks))) : masks;
  return {concat({films, scale(shown, 2, -1)}), {}};
}

Tensor Synthesizer::generate(const Tensor& films, const Tensor& masks, const Pass& pass) const {
  const GanBatch b = condition(films, masks);
  return gan_.generate(b.condition, b.latent, pass);
}

Image Synthesizer::generate(const Image& film, const Image& mask, uint64_t noise) const {
  const Image *f = &film, *m = &mask;
  const std::vector<int64_t> id = {0};
  Tensors inputs = {sees_film() ? film_tensor({&f, 1}) : Tensor{}, mask_tensor({&m, 1}), make_streams(noise, id, 0)};
  const NoTape no_tape;
  if (one_film_) return film_image((*one_film_)(inputs)[0], 0);
  for (Tensor& t : inputs) t = t ? t.to(generator_->device()) : t;
  const auto step = [this](Inputs in) { return Tensors{generate(in[0], in[1], {Pass::mc_dropout, in[2]})}; };
  one_film_ = Program::capture(step, inputs);
  return film_image(one_film_->results()[0], 0);
}

void Synthesizer::save_generator(const std::string& folder, std::map<std::string, std::string> metadata) const {
  metadata[architecture_key] = gan_.options.json();
  generator_->save(folder + "/" + generator_file, metadata);
}
void Synthesizer::save_autoencoder(const std::string& folder) const {
  codec_->save(folder + "/" + autoencoder_file, {{architecture_key, autoencoder_->options.json()}});
}

void Synthesizer::load_autoencoder(const fs::path& file) {
  const auto o = MaskAutoencoderOptions::parse(required(SafetensorsReader(file).metadata(), file));
  check(o == autoencoder_->options,
        "{}: the autoencoder is {}, but the generator beside it needs {}; the two files are of different trainings",
        file.string(), o.json(), autoencoder_->options.json());
  codec_->load(file);
}

Discriminator::Discriminator(const GanOptions& architecture)
    : params_(std::make_unique<Params>(Device::cpu(), 0)), gan_(make_discriminator(architecture, *params_)) {
  params_->all();
}

std::shared_ptr<const Discriminator> Discriminator::open(const fs::path& folder) {
  const fs::path file = folder / discriminator_file;
  check(fs::exists(file), "{}: there is no {}, so nobody can say how real a film looks; leave --realism out",
        folder.string(), discriminator_file);
  const std::map<std::string, std::string> metadata = SafetensorsReader(file).metadata();
  std::shared_ptr<Discriminator> d(new Discriminator(GanOptions::parse(required(metadata, file))));
  d->params_->load(file);
  return d;
}

double Discriminator::realism(const GanBatch& film) const {
  const Tensor logits = gan_.judge(film.condition, film.image, Pass{});
  return mean(logits).item();
}

FilmSource gan_films(std::shared_ptr<const Synthesizer> synthesizer, uint64_t seed, const EditOptions& o,
                     std::shared_ptr<const Discriminator> judge) {
  return [synthesizer, seed, o, judge](const EditBase& real, int64_t first, int64_t count) {
    check(real.mask.height == synthesizer->size() && real.mask.width == synthesizer->size(),
          "synthesizer: it makes films of {}x{}, case '{}' is {}x{}; open the data at that size", synthesizer->size(),
          synthesizer->size(), real.id, real.mask.width, real.mask.height);
    // Of nobody: the mask alone is used, neither the film nor its disease.
    const EditBase base = synthesizer->sees_film() ? real : EditBase{real.id, {}, real.mask, {}, {}};
    std::vector<SyntheticFilm> films;
    for (int64_t variant = first; variant < first + count; ++variant) {
      EditedMask edit = edit_mask(base, variant, seed, o);
      const Image mask = boundary_of(base, edit.record, seed, o);
      const uint64_t noise = mix_key(mix_key(seed, hash_name(base.id)), static_cast<uint64_t>(variant));
      Image film = synthesizer->generate(base.image, mask, noise);
      const double realism = judge ? realism_of(*synthesizer, *judge, base.image, mask, film) : 0;
      if (edit.record.intensity) {
        const IntensityHistogram region = histogram_inside(base.image, base.mask, base.protected_region);
        film =
            edit_intensity(film, mask, base.protected_region, *edit.record.intensity, region, base.donor, o.intensity);
      }
      if (edit.record.rigid) data::augment(film, nullptr, *edit.record.rigid);
      keep_protected(film, edit);
      films.push_back(
          {text("{}+{}", base.id, variant), std::move(film), std::move(edit.mask), std::move(edit.record), realism});
    }
    return films;
  };
}

}  // namespace querent::al
