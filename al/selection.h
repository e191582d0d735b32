// From scores to the images to ask, and the schedule of rounds.
//
// Highest score first. Equal scores are ordered by a seeded hash of the case id, then by the id: the outcome does not
// depend on the order of the pool, and ties are not always won by the same end of the alphabet.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace querent::al {

struct Candidate {
  std::string id;
  double score = 0;
  int64_t group = 0;  // class (predicted or, for an initial set, true); read by the stratified forms only
};

// Indices into the pool, in the order to ask; all of it when the pool is smaller than k. Errors: a pool that is empty
// while k > 0, an id twice, a score that is not finite, k < 0.
std::vector<size_t> top_k(std::span<const Candidate> pool, int64_t k, uint64_t seed);
// k in total: each group in turn gives its best until k are taken, so shares differ by at most one and a group that
// runs out is made up for by the others.
std::vector<size_t> top_k_stratified(std::span<const Candidate> pool, int64_t k, uint64_t seed);
// Up to k of EACH group ("16 images per class"), group by group in turn.
std::vector<size_t> top_k_per_group(std::span<const Candidate> pool, int64_t k, uint64_t seed);

// Label counts at which a model is trained: first, first*growth, ... up to budget (always the last entry); each step
// adds at least one. linear_rounds adds `step` each time.
std::vector<int64_t> geometric_rounds(int64_t first, double growth, int64_t budget);
std::vector<int64_t> linear_rounds(int64_t first, int64_t step, int64_t budget);

}  // namespace querent::al
