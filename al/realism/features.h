// Films as rows of numbers: what a network of ours makes of them, or, without a network, plain statistics.
#pragma once
#include <span>

#include "al/realism/feature_matrix.h"
#include "data/image.h"
#include "data/loader.h"
#include "models/model.h"

namespace querent::al {

// Model::embed of each case, in the order given, all in one batch. The loader has the size and normalisation the
// network was trained with.
FeatureMatrix network_features(const Model& model, const data::Loader& loader, std::span<const int64_t> cases);

// 119 numbers without any network. film [H,W,1] in [0,1].
//   64  an 8 x 8 thumbnail: where is it bright?
//   48  log(0.001 + mean gradient) in 4 x 4 cells at three scales (the film at 64, 32 and 16 pixels a side)
//    3  log(0.001 + mean |Laplacian|) at these scales: how sharp, how noisy?
//    4  mean, standard deviation, skewness and kurtosis of the intensities
// They see brightness, layout, sharpness and texture, but not anatomy: a weaker judge than a trained network.
std::vector<double> plain_features(const Image& film);
constexpr const char* plain_features_name =
    "plain statistics (thumbnail, gradients at three scales, intensities), no network";

// A film for comparing pixels: 32 x 32, with its own mean taken off and divided by its own standard deviation, so that
// a copy with another brightness or contrast is still a copy. 1024 numbers.
std::vector<double> pixel_features(const Image& film);

}  // namespace querent::al
