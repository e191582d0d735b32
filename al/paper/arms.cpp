#include "al/paper/arms.h"

#include <algorithm>
#include <array>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr std::array table = {
    Ablation{"no_gan", "edited films instead of those of the network", true},
    Ablation{"no_uncertainty", "films chosen at random instead of by their variance", false},
    Ablation{"no_boundary", "films without displaced boundaries", false},
    Ablation{"no_intensity", "films without changed intensities", false},
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

FilmMaker film_maker(const PaperConfig& config, const Arm& arm, uint64_t seed) {
  EditOptions edits = config.edits_as_printed ? paper_edits() : EditOptions{};
  if (arm.name == "no_boundary") edits.boundary_share = 0;
  if (arm.name == "no_intensity") edits.intensity_share = 0;
  check(config.films == "edits", "paper: there is no source of films named '{}'; use edits", config.films);
  return {edited_films(mix_key(seed, hash_name("films")), edits), {}};
}

}  // namespace querent::al
