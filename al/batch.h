// Choosing a batch: what a strategy may know about all candidates together, and the one door through which every
// strategy, single score or batch selector, turns a pool into the images to ask.
//
// Selectors get the candidates sorted by a seeded hash of their id, and the first of equals wins: the outcome does not
// depend on the order of the pool, and ties are not always won by the same end of the alphabet.
//
// Memory: N candidates, L labelled images, T passes, C classes, D features: 4 N (T C + D) + 4 L D bytes, of which only
// what the strategy needs is filled; a selector holds the features once more as f64.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "al/acquisition.h"

namespace querent::al {

struct PoolCase {
  std::string id;
  Score score;                 // of the strategy's per-image formula; 0 when it has none
  std::vector<float> p;        // [T,C]
  std::vector<float> feature;  // [D], or the averages of the network's stages side by side
};
struct PoolView {
  int64_t passes = 0, classes = 0;  // T, C
  std::vector<PoolCase> cases;
  std::vector<std::vector<float>> labelled;  // [L][D]
  std::vector<int64_t> labelled_class = {};  // [L]
  std::vector<double> labelled_loss = {};    // [L] cross-entropy in one pass without dropout, nats
  std::vector<int64_t> stages = {};          // channels of each stage, adding up to D
};
struct Pick {
  size_t index = 0;  // into PoolView::cases
  Score score;       // what the selector saw in it when it was its turn
};

// The images to ask, in order; all of the pool when it is smaller than k. Errors: as top_k (al/selection.h); features
// or probabilities that are missing, of another size or not finite; a selector's value that is not finite.
std::vector<Pick> choose(const Strategy&, PoolView, int64_t k, const ScoreOptions& = {});

}  // namespace querent::al
