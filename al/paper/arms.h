// The arms of the paper's experiment (config.h says what each is), its ablations, and where an arm's films come from.
#pragma once
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "al/paper/config.h"
#include "al/synthesis/scoring.h"
#include "al/synthesis/source.h"

namespace querent::al {

struct Arm {
  std::string name;
  bool synthesis = true;  // false: real films only
  FilmScore score = FilmScore::total;
};
Arm method_arm();
std::vector<Arm> fraction_arms();  // method, selection, random

// The method with one thing changed.
struct Ablation {
  std::string_view name, what;
  bool of_network;  // changes the network that makes the films: nothing to compare when there is none
};
std::span<const Ablation> ablations();
// Names, or "all": those that make sense with this source of films. Errors: an unknown name, a change of a network that
// is not there.
std::vector<std::string> choose_ablations(const std::vector<std::string>& names, const std::string& films);
Arm ablated_arm(const std::string& name);

// The folder of the network that makes an arm's films; "" when they are edits. The ablations of the content loss have a
// network each, trained without that term into "GAN_DIR-no_nmi" and so on.
std::string gan_folder(const PaperConfig& config, const std::string& arm);

// Throws unless that network has learnt from training films alone: a film it has seen may not be tested on.
void check_gan(const PaperConfig& config, const std::string& arm, const std::set<std::string>& training_ids);

// Where an arm's films come from, the one place where a source is plugged in. With a gate of realism a network's films
// are judged by its discriminator.
FilmSource film_source(const PaperConfig& config, const Arm& arm, uint64_t seed);

}  // namespace querent::al
