#include "al/synthesis/gan_session.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/run_folder.h"
#include "al/synthesis/autoencoder_training.h"
#include "al/synthesis/synthesizer.h"
#include "data/encode.h"
#include "data/parallel.h"
#include "layers/checkpoint.h"
#include "models/content_loss.h"
#include "models/model.h"
#include "models/train.h"
#include "tensor/backend.h"
#include "tensor/collective.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::al {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
constexpr int64_t most_epochs = 50;
constexpr size_t probes_shown = 6;
constexpr const char* phase = "gan";

uint64_t key_of(const SynthesisOptions& o, const char* use) { return mix_key(o.seed, hash_name(use)); }

std::string ids_of(const data::Loader& loader, std::span<const int64_t> cases) {
  std::string ids;
  for (const int64_t i : cases) ids += loader.dataset().cases.at(static_cast<size_t>(i)).id + "\n";
  return ids;
}

// Everything that determines the bytes of the result.
std::string identity_of(const std::string& ids, const SynthesisOptions& o) {
  json j = {{"options", parse_json(o.json())}, {"films_sha256", sha256_hex(ids)}};
  if (!o.vgg_weights.empty()) j["vgg_sha256"] = sha256_file(o.vgg_weights);
  add_process(j);
  return dump_json(j, 2) + "\n";
}

void claim_folder(const std::string& folder, const std::string& identity, const std::string& ids) {
  const std::string path = folder + "/config.json";
  make_folder(folder + "/weights");
  make_folder(folder + "/samples");
  check(!fs::exists(path) || read_file(path) == identity,
        "synth train: '{}' belongs to a training with other flags or films; use --force to start again or another "
        "--out",
        path);
  keep_plans(folder);
  write_atomically(folder + "/films.txt", ids);
  write_atomically(path, identity);
}

// The networks of one training and what it has seen.
class Session {
 public:
  Session(std::string folder, const data::Loader& loader, std::span<const int64_t> cases, const SynthesisOptions& o,
          std::string identity, const SynthesisHooks& hooks)
      : folder_(std::move(folder)),
        identity_(std::move(identity)),
        loader_(loader),
        cases_(cases),
        o_(o),
        hooks_(hooks),
        rank_(collective().rank),
        ranks_(collective().size),
        share_(share_of_batch(o.batch, "synth train")),
        average_(gan_architecture(o), key_of(o, "weights")),
        generator_(compute_device(), key_of(o, "weights")),
        discriminator_(compute_device(), key_of(o, "weights")),
        vgg_(compute_device()),
        gan_(make_gan(gan_architecture(o), generator_, discriminator_)) {
    if (o.gan == "paper" && o.vgg_weight() > 0) features_.emplace(open_content_features(vgg_, o.vgg_weights));
  }

  bool run() {
    if (average_.autoencoder() && !prepare_autoencoder()) return false;
    GanTrainer trainer(gan_, generator_, discriminator_, training(), &average_.generator_params());
    continue_from_checkpoint(trainer);
    make_probes();
    data::Prefetcher<FilmBatch> batches(
        trainer.steps(), o_.steps, [this](int64_t step) { return film_batch(step); },
        data::prefetching(film_batch_bytes()));
    auto saved = Clock::now();
    while (trainer.steps() < o_.steps) {
      const bool stop = hooks_.stop();
      const bool due = std::chrono::duration<double>(Clock::now() - saved).count() > hooks_.checkpoint_every;
      if (stop || any_rank(due)) {
        save_checkpoint(trainer);
        saved = Clock::now();
      }
      if (stop) return false;
      std::vector<int64_t> places;
      for (int64_t i = 0; i < share_; ++i) places.push_back(first_place(trainer.steps()) + i);
      const FilmBatch made = batches.next();
      GanBatch batch = average_.condition(made.films, made.masks);
      batch.image = made.targets;
      const GanLosses losses = trainer.step(batch, make_streams(key_of(o_, "dropout"), places, trainer.steps()));
      sums_ = add_losses(sums_, losses);
      ++summed_;
      hooks_.step(phase, trainer.steps(), o_.steps, losses.generator);
      if (trainer.steps() % steps_of_epoch(static_cast<int64_t>(cases_.size()), o_) == 0 || trainer.steps() == o_.steps)
        end_epoch(trainer.steps());
    }
    hooks_.trained(phase, batches.time());
    discriminator_.save(folder_ + "/" + discriminator_file, {{architecture_key, gan_.options.json()}});
    average_.save_generator(folder_, {{"options", o_.json()}});
    discard(checkpoint());
    return true;
  }

 private:
  std::string checkpoint() const { return folder_ + "/checkpoint.safetensors"; }

  // From its file where an earlier call finished it.
  bool prepare_autoencoder() {
    const std::string file = folder_ + "/" + autoencoder_file;
    if (!fs::exists(file)) {
      if (!train_mask_autoencoder(average_, loader_, cases_, o_, checkpoint(), identity_, hooks_)) return false;
      average_.save_autoencoder(folder_);
    }
    average_.load_autoencoder(file);
    return true;
  }

  GanTraining training() const {
    GanTraining t;
    t.loss.kind = o_.loss == "lsgan" ? GanLoss::least_squares : GanLoss::logistic;
    t.loss.content_weight = o_.content_weight();
    t.generator.lr = t.discriminator.lr = o_.lr;
    t.steps = o_.steps;
    if (o_.gan != "paper") return t;
    const ContentLossOptions weights{
        .nmi = o_.nmi, .vgg = o_.vgg_weight(), .mse = o_.mse, .saliency = o_.saliency, .low = -1, .high = 1};
    t.loss.content = [this, weights](const Tensor& made, const Tensor& target) {
      const Tensor map = weights.saliency > 0 ? saliency_map(target) : Tensor{};
      return content_loss(made, target, weights, features_ ? &*features_ : nullptr, map).total;
    };
    return t;
  }

  // Of this rank's share of a step, in the endless stream of films.
  int64_t first_place(int64_t step) const { return (step * ranks_ + rank_) * share_; }

  // This rank's share of one step, on the host.
  struct FilmBatch {
    Tensor films, masks, targets;  // [share,size,size,1]
  };
  size_t film_batch_bytes() const { return static_cast<size_t>(3 * share_ * o_.size * o_.size) * sizeof(float); }
  FilmBatch film_batch(int64_t step) const {
    std::vector<EditBase> bases;
    for (const data::Draw& d : loader_.draws(cases_, step * ranks_ + rank_, share_))
      bases.push_back(edit_base(loader_, d.index));
    std::vector<FilmPair> pairs(bases.size());
    data::parallel_for(share_, [&](int64_t i) {
      const auto k = static_cast<size_t>(i);
      const auto make = o_.mask_alone() ? jittered_pair : training_pair;
      pairs[k] = make(bases[k], first_place(step) + i, key_of(o_, "pairs"), o_.identity);
    });
    std::vector<const Image*> films, masks, targets;
    for (const FilmPair& p : pairs) {
      films.push_back(&p.film), masks.push_back(&p.edit.mask), targets.push_back(&p.edit.image);
    }
    return {film_tensor(films), mask_tensor(masks), film_tensor(targets)};
  }

  // The same few films at the end of each epoch.
  void make_probes() {
    for (const int64_t index : cases_.first(std::min(cases_.size(), probes_shown)))
      probes_.push_back(training_pair(edit_base(loader_, index), 0, key_of(o_, "probes"), 0));
  }

  void end_epoch(int64_t step) {
    const FilmGenerator generate = [this](const Tensor& films, const Tensor& masks) {
      return average_.generate(films, masks);
    };
    EpochLog e;
    e.epoch = static_cast<int64_t>(log_.size()) + 1, e.step = step;
    e.losses = mean_losses(sums_, summed_);
    e.response = mask_effect(generate, probes_);
    log_.push_back(e);
    log_.back().warnings = gan_warnings(log_, training().loss.kind);
    sums_ = {}, summed_ = 0;
    char name[40];
    std::snprintf(name, sizeof name, "/samples/epoch_%03d.png", static_cast<int>(e.epoch));
    data::write_png(folder_ + name, sample_grid(generate, probes_));
    write_log();
    hooks_.epoch(log_.back());
  }

  // The log lives in the checkpoint; the file is written anew from it, so that a line is never there twice.
  void write_log() const {
    std::string lines;
    for (const EpochLog& e : log_) lines += dump_json(to_json(e)) + "\n";
    write_atomically(folder_ + "/losses.jsonl", lines);
  }

  void save_checkpoint(const GanTrainer& trainer) const {
    Tensors all = trainer.state();
    add_to_checkpoint(all, generator_, "generator.");
    add_to_checkpoint(all, discriminator_, "discriminator.");
    add_to_checkpoint(all, average_.generator_params(), "average.");
    json seen = {{"log", json::array()}, {"summed", summed_}};
    for (const EpochLog& e : log_) seen["log"].push_back(to_json(e));
    EpochLog sums;
    sums.losses = sums_;
    seen["sums"] = to_json(sums);
    write_tensors(checkpoint(), all, {{"phase", phase}, {"identity", identity_}, {"seen", dump_json(seen)}});
  }

  void continue_from_checkpoint(GanTrainer& trainer) {
    if (!fs::exists(checkpoint())) return;
    const TensorFile file = read_tensors(checkpoint());
    const auto said = [&](const char* key) {
      const auto it = file.metadata.find(key);
      return it == file.metadata.end() ? std::string() : it->second;
    };
    if (said("phase") != phase || said("identity") != identity_) return;
    read_from_checkpoint(file, generator_, "generator.");
    read_from_checkpoint(file, discriminator_, "discriminator.");
    read_from_checkpoint(file, average_.generator_params(), "average.");
    trainer.load_state(file);
    try {
      const json seen = parse_json(said("seen"));
      for (const json& e : seen.at("log")) log_.push_back(epoch_from_json(e));
      sums_ = epoch_from_json(seen.at("sums")).losses;
      summed_ = seen.at("summed");
    } catch (const json::exception&) {
      fail("{}: the checkpoint is damaged; use --force to start again", checkpoint());
    }
    write_log();
  }

  std::string folder_, identity_;
  const data::Loader& loader_;
  std::span<const int64_t> cases_;
  const SynthesisOptions& o_;
  const SynthesisHooks& hooks_;
  int64_t rank_, ranks_, share_;  // films of a batch that this rank takes
  Synthesizer average_;
  Params generator_, discriminator_, vgg_;
  Gan gan_;
  std::optional<ContentFeatures> features_;
  std::vector<FilmPair> probes_;
  std::vector<EpochLog> log_;
  GanLosses sums_;  // of the epoch under way
  int64_t summed_ = 0;
};

}  // namespace

void check_ranks_share(const SynthesisOptions& o) {
  share_of_batch(o.batch, "synth train");
  if (o.gan == "paper") share_of_masks();
}

int64_t steps_of_epoch(int64_t films, const SynthesisOptions& o) {
  return std::max((films + o.batch - 1) / o.batch, (o.steps + most_epochs - 1) / most_epochs);
}

bool train_synthesizer(const std::string& folder, data::Loader& loader, std::span<const int64_t> cases,
                       const SynthesisOptions& o, const SynthesisHooks& hooks) {
  check_options(o);
  check_ranks_share(o);
  check(!cases.empty(), "synth train: there is no film with a mask to train on");
  check(loader.options().masks && loader.options().size == o.size,
        "synth train: the loader must read masks at {} pixels a side", o.size);
  const std::string ids = ids_of(loader, cases), identity = identity_of(ids, o);
  claim_folder(folder, identity, ids);
  loader.set_seed(key_of(o, "films"));
  Session session(folder, loader, cases, o, identity, hooks);
  return session.run();
}

}  // namespace querent::al
