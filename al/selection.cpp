#include "al/selection.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_set>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

// All indices of the pool, best first.
std::vector<size_t> ranked(std::span<const Candidate> pool, int64_t k, uint64_t seed) {
  check(k >= 0, "selection: cannot ask for {} images", k);
  check(k == 0 || !pool.empty(), "selection: the pool is empty: every image is labelled or held out");
  std::unordered_set<std::string_view> ids;
  std::vector<uint64_t> hash;
  for (const Candidate& c : pool) {
    check(std::isfinite(c.score), "selection: case '{}' has a score of {}; the model has diverged", c.id, c.score);
    check(ids.insert(c.id).second, "selection: case '{}' is in the pool twice", c.id);
    hash.push_back(mix_key(seed, hash_name(c.id)));
  }
  std::vector<size_t> order(pool.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (pool[a].score != pool[b].score) return pool[a].score > pool[b].score;
    if (hash[a] != hash[b]) return hash[a] < hash[b];
    return pool[a].id < pool[b].id;
  });
  return order;
}

// Each group in turn gives its next best until `total` are taken or, per group, `each`.
std::vector<size_t> in_turn(std::span<const Candidate> pool, std::span<const size_t> order, int64_t total,
                            int64_t each) {
  std::map<int64_t, std::vector<size_t>> groups;
  for (const size_t i : order) groups[pool[i].group].push_back(i);
  std::vector<size_t> picked;
  for (int64_t depth = 0; depth < each; ++depth) {
    const size_t before = picked.size();
    for (const auto& [group, members] : groups) {
      if (static_cast<int64_t>(picked.size()) >= total) return picked;
      if (depth < static_cast<int64_t>(members.size())) picked.push_back(members[static_cast<size_t>(depth)]);
    }
    if (picked.size() == before) break;
  }
  return picked;
}

}  // namespace

std::vector<size_t> top_k(std::span<const Candidate> pool, int64_t k, uint64_t seed) {
  std::vector<size_t> order = ranked(pool, k, seed);
  order.resize(std::min(order.size(), static_cast<size_t>(k)));
  return order;
}

std::vector<size_t> top_k_stratified(std::span<const Candidate> pool, int64_t k, uint64_t seed) {
  return in_turn(pool, ranked(pool, k, seed), k, static_cast<int64_t>(pool.size()));
}

std::vector<size_t> top_k_per_group(std::span<const Candidate> pool, int64_t k, uint64_t seed) {
  return in_turn(pool, ranked(pool, k, seed), static_cast<int64_t>(pool.size()), k);
}

std::vector<int64_t> geometric_rounds(int64_t first, double growth, int64_t budget) {
  check(first >= 1, "rounds: the first round needs at least 1 label, got {}", first);
  check(std::isfinite(growth) && growth > 1, "rounds: the growth factor must be above 1, got {}", growth);
  check(budget >= first, "rounds: the budget of {} labels is below the first round's {}", budget, first);
  std::vector<int64_t> counts{first};
  for (double next = static_cast<double>(first) * growth; counts.back() < budget; next *= growth)
    counts.push_back(next >= static_cast<double>(budget) ? budget
                                                         : std::max<int64_t>(counts.back() + 1, std::llround(next)));
  return counts;
}

std::vector<int64_t> linear_rounds(int64_t first, int64_t step, int64_t budget) {
  check(first >= 1 && step >= 1, "rounds: the first round and the step need at least 1 label, got {} and {}", first,
        step);
  check(budget >= first, "rounds: the budget of {} labels is below the first round's {}", budget, first);
  std::vector<int64_t> counts{first};
  while (counts.back() < budget) counts.push_back(std::min(budget, counts.back() + step));
  return counts;
}

}  // namespace querent::al
