#include "al/paper/arms.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "al/synthesis/synthesizer.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr std::array table = {
    Ablation{"no_gan", "edited films instead of those of the network", true},
    Ablation{"no_uncertainty", "films chosen at random instead of by their variance", false},
    Ablation{"no_boundary", "films without displaced boundaries", false},
    Ablation{"no_intensity", "films without changed intensities", false},
    Ablation{"only_rigid", "films only turned, shifted and scaled", false},
    Ablation{"no_nmi", "content loss without normalised mutual information", true},
    Ablation{"no_vgg", "content loss without the distance of VGG16 features", true},
    Ablation{"no_mse", "content loss without the mean squared error", true},
    Ablation{"epistemic", "films chosen by the epistemic part of the variance", false},
    Ablation{"aleatoric", "films chosen by the aleatoric part of the variance", false},
};

const Ablation& find_ablation(const std::string& name) {
  std::string known;
  for (const Ablation& a : table) {
    if (a.name == name) return a;
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  fail("paper: ablation '{}' is unknown; use all or some of {}", name, known);
}

}  // namespace

Arm method_arm() { return {"method"}; }
std::vector<Arm> fraction_arms() {
  return {method_arm(), {"selection", false, FilmScore::total}, {"random", false, FilmScore::random}};
}

std::span<const Ablation> ablations() { return table; }

std::vector<std::string> choose_ablations(const std::vector<std::string>& names, const std::string& films) {
  std::vector<std::string> chosen;
  for (const std::string& name : names) {
    if (name != "all") {
      check(!find_ablation(name).of_network || films == "gan",
            "paper: ablation {} ({}) needs films of a network; --films {} has none", name, find_ablation(name).what,
            films);
      chosen.push_back(name);
      continue;
    }
    for (const Ablation& a : table) {
      if (!a.of_network || films == "gan") chosen.emplace_back(a.name);
    }
  }
  std::vector<std::string> once;
  for (const std::string& name : chosen) {
    if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
  }
  return once;
}

Arm ablated_arm(const std::string& name) {
  Arm arm{std::string(find_ablation(name).name)};
  if (name == "no_uncertainty") arm.score = FilmScore::random;
  if (name == "epistemic") arm.score = FilmScore::epistemic;
  if (name == "aleatoric") arm.score = FilmScore::aleatoric;
  return arm;
}

std::string gan_folder(const PaperConfig& config, const std::string& arm) {
  check(config.films == "edits" || config.films == "gan",
        "paper: there is no source of films named '{}'; use edits or gan", config.films);
  if (config.films == "edits" || arm == "no_gan") return "";
  check(!config.gan_dir.empty(), "paper: --films gan needs --gan-dir, a folder of 'querent synth train'");
  const bool other_loss = arm == "no_nmi" || arm == "no_vgg" || arm == "no_mse";
  return other_loss ? config.gan_dir + "-" + arm : config.gan_dir;
}

void check_gan(const PaperConfig& config, const std::string& arm, const std::set<std::string>& training_ids) {
  const std::string folder = gan_folder(config, arm);
  if (folder.empty()) return;
  check(
      Synthesizer::open(folder)->sees_film() || config.run.task == "seg",
      "paper: the network in '{}' makes films of masks alone, which show no class; use --task seg or one trained with "
      "--condition film+mask",
      folder);
  std::istringstream films(read_file(folder + "/films.txt", uint64_t{64} << 20));
  for (std::string id; std::getline(films, id);) {
    check(
        training_ids.contains(id),
        "paper: the network in '{}' has learnt from film {}, which is not a training film here; train it with the same "
        "--data, --seed, --val and --test",
        folder, id);
  }
}

FilmSource film_source(const PaperConfig& config, const Arm& arm, uint64_t seed) {
  EditOptions edits = config.edits_as_printed ? paper_edits() : EditOptions{};
  const bool only_rigid = arm.name == "only_rigid";
  if (only_rigid || arm.name == "no_boundary") edits.boundary_share = 0;
  if (only_rigid || arm.name == "no_intensity") edits.intensity_share = 0;
  const uint64_t key = mix_key(seed, hash_name("films"));
  const std::string folder = gan_folder(config, arm.name);
  if (folder.empty()) return edited_films(key, edits);
  return gan_films(Synthesizer::open(folder), key, edits,
                   config.realism_percentile > 0 ? Discriminator::open(folder) : nullptr);
}

}  // namespace querent::al
