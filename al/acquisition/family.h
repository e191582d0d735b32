// What the acquisition families share: the rows of the strategy table, and the walk over sites.
#pragma once
#include <functional>
#include <initializer_list>

#include "al/acquisition.h"

namespace querent::al {

extern const Strategy random_strategy, stratified_random_strategy, foreground_random_strategy;
extern const Strategy least_confidence_strategy, margin_strategy, entropy_strategy, variation_ratios_strategy;
extern const Strategy ceal_strategy;
extern const Strategy variation_ratios_mode_strategy, mean_std_strategy, bald_strategy;
extern const Strategy vote_entropy_strategy, mean_kl_strategy;
extern const Strategy kendall_gal_strategy, kendall_gal_epistemic_strategy, kendall_gal_aleatoric_strategy;
extern const Strategy kendall_gal_logit_strategy, kendall_gal_sampled_strategy;

// Calls fn(site, values) for every site, reduces each of the named values over the sites; the first is the score.
using SiteFunction = std::function<void(const Site&, std::span<double> values)>;
Score score_sites(const Passes&, const ScoreOptions&, std::initializer_list<const char*> names, const SiteFunction& fn);

// Mean over passes: [C] for classification, [H*W] foreground for segmentation.
std::vector<double> mean_prediction(const Passes&);
int64_t predicted_class(const Passes&);  // argmax of the mean; 0 for segmentation and without a prediction

}  // namespace querent::al
