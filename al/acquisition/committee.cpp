// Query by committee (Seung, Opper and Sompolinsky 1992). The members are the T passes: dropout draws one network from
// the posterior in each; the formulas are the same for T networks trained apart.
//
//   vote_entropy   -sum_c v_c log v_c,  v_c = share of members whose argmax is c
//   mean_kl        mean_t KL(p_t || mean p) = mean_t sum_c p_t log(p_t / mean p)
//
// The mean divergence from the consensus IS the mutual information of BALD: sum_c mean_t p_t log p_t - sum_c mean p log
// mean p. It is kept under its own name because that is where the literature knows it from; the tests hold them equal.
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"

namespace querent::al {

double vote_entropy(const Site& s) {
  std::vector<double> share(static_cast<size_t>(s.C), 0.0);
  for (int64_t t = 0; t < s.T; ++t) {
    const auto row = s.p.subspan(static_cast<size_t>(t * s.C), static_cast<size_t>(s.C));
    share[static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin())] += 1 / static_cast<double>(s.T);
  }
  return entropy(share);
}

double mean_kl(const Site& s) {
  double sum = 0;
  for (int64_t t = 0; t < s.T; ++t)
    for (int64_t c = 0; c < s.C; ++c) {
      const double p = s.p[static_cast<size_t>(t * s.C + c)];
      if (p > 0) sum += p * std::log(p / s.mean[static_cast<size_t>(c)]);
    }
  return std::max(0.0, sum / static_cast<double>(s.T));
}

namespace {

Score vote_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"vote_entropy"}, [](const Site& s, auto v) { v[0] = vote_entropy(s); });
}
Score kl_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"mean_kl"}, [](const Site& s, auto v) { v[0] = mean_kl(s); });
}

}  // namespace

constinit const Strategy vote_entropy_strategy{
    .name = "vote_entropy",
    .alias = "qbc",
    .formula = "-sum_c v_c log v_c,  v_c = share of passes whose argmax is c",
    .source = "Dagan and Engelson 1995; committee: Seung, Opper and Sompolinsky 1992",
    .doc =
        "Query by committee with hard votes: the passes are the members, and an image on which they vote differently "
        "is "
        "asked. Coarse with few passes; ties are broken by a seeded hash of the case id.",
    .needs = {.several_passes = true},
    .compute = vote_score};
constinit const Strategy mean_kl_strategy{.name = "mean_kl",
                                          .alias = "qbc_kl",
                                          .formula = "mean_t sum_c p_t log(p_t / mean_t p)",
                                          .source = "McCallum and Nigam 1998",
                                          .doc =
                                              "Query by committee with soft votes: the mean divergence of the members "
                                              "from their consensus. With the passes as "
                                              "members it is the same number as bald.",
                                          .needs = {.several_passes = true},
                                          .compute = kl_score};

}  // namespace querent::al
