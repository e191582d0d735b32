#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>

#include "al/oracle.h"
#include "al/pool.h"
#include "al/selection.h"
#include "tensor/error.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("al_selection_test");
using namespace querent;
using namespace querent::al;

namespace {
std::vector<Candidate> make_pool(int n, int groups) {
  std::vector<Candidate> pool;
  for (int i = 0; i < n; ++i) pool.push_back({"case" + std::to_string(i), double(i % 7), i % groups});
  return pool;
}
std::vector<std::string> names(const std::vector<Candidate>& pool, const std::vector<size_t>& picks) {
  std::vector<std::string> out;
  for (const size_t i : picks) out.push_back(pool[i].id);
  return out;
}
}  // namespace

TEST_CASE("top_k takes the highest scores, never twice, and copes with a small pool") {
  const auto pool = make_pool(30, 3);
  const auto picks = top_k(pool, 10, 1);
  REQUIRE(picks.size() == 10);
  CHECK(std::set(picks.begin(), picks.end()).size() == 10);
  for (size_t i = 1; i < picks.size(); ++i) CHECK(pool[picks[i - 1]].score >= pool[picks[i]].score);
  CHECK(pool[picks[0]].score == 6);
  CHECK(top_k(pool, 99, 1).size() == 30);
  CHECK(top_k(pool, 0, 1).empty());
}

TEST_CASE("ties do not depend on the order of the pool, and do depend on the seed") {
  auto pool = make_pool(40, 1);
  for (auto& c : pool) c.score = 0;
  const auto first = names(pool, top_k(pool, 10, 1));
  const auto other = names(pool, top_k(pool, 10, 2));
  Rng(3).shuffle(pool);
  CHECK(names(pool, top_k(pool, 10, 1)) == first);
  CHECK(other != first);
}

TEST_CASE("per group: exactly k of each class; a short group gives what it has") {
  auto pool = make_pool(30, 3);
  pool.push_back({"rare", 0, 3});
  std::vector<int> taken(4, 0);
  for (const size_t i : top_k_per_group(pool, 4, 1)) ++taken[static_cast<size_t>(pool[i].group)];
  CHECK(taken == std::vector<int>{4, 4, 4, 1});
}

TEST_CASE("stratified: k in total, shares differ by at most one, short groups are made up for") {
  auto pool = make_pool(30, 3);
  pool.push_back({"rare", 0, 3});
  std::vector<int> taken(4, 0);
  const auto picks = top_k_stratified(pool, 12, 1);
  for (const size_t i : picks) ++taken[static_cast<size_t>(pool[i].group)];
  CHECK(picks.size() == 12);
  CHECK(taken[3] == 1);
  for (int g = 0; g < 3; ++g) CHECK((taken[static_cast<size_t>(g)] == 3 || taken[static_cast<size_t>(g)] == 4));
  CHECK(top_k_stratified(pool, 99, 1).size() == 31);
}

TEST_CASE("selection errors") {
  std::vector<Candidate> none;
  CHECK_THROWS_WITH_AS(top_k(none, 1, 0), "selection: the pool is empty: every image is labelled or held out", Error);
  CHECK(top_k(none, 0, 0).empty());
  auto pool = make_pool(3, 1);
  pool[1].score = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(top_k(pool, 1, 0), doctest::Contains("case 'case1' has a score of"), Error);
  pool[1] = pool[0];
  CHECK_THROWS_WITH_AS(top_k(pool, 1, 0), "selection: case 'case0' is in the pool twice", Error);
}

TEST_CASE("schedules") {
  CHECK(geometric_rounds(4, 2, 60) == std::vector<int64_t>{4, 8, 16, 32, 60});
  CHECK(geometric_rounds(4, 1.5, 20) == std::vector<int64_t>{4, 6, 9, 14, 20});
  CHECK(geometric_rounds(1, 1.1, 4) == std::vector<int64_t>{1, 2, 3, 4});  // at least one more each round
  CHECK(geometric_rounds(5, 2, 5) == std::vector<int64_t>{5});
  CHECK(linear_rounds(32, 32, 90) == std::vector<int64_t>{32, 64, 90});
  CHECK_THROWS_AS(geometric_rounds(8, 2, 4), Error);
  CHECK_THROWS_AS(geometric_rounds(8, 1, 40), Error);
}

TEST_CASE("the pool keeps its promises") {
  Pool pool({"a", "b", "c", "d"}, {"v"}, {"t"});
  pool.ask({"c", "a"}, 0);
  CHECK(pool.ids(CaseState::asked) == std::vector<std::string>{"c", "a"});
  pool.label({"a", "c"});
  CHECK(pool.ids(CaseState::labelled) == std::vector<std::string>{"c", "a"});  // order of asking
  CHECK(pool.ids(CaseState::unlabelled) == std::vector<std::string>{"b", "d"});
  CHECK(pool.round("c") == 0);
  CHECK(pool.round("b") == -1);

  const Pool before = pool;
  CHECK_THROWS_WITH_AS(pool.ask({"b", "t"}, 1), "pool: cannot ask case 't': it is held out for test", Error);
  CHECK_THROWS_WITH_AS(pool.ask({"b", "v"}, 1), "pool: cannot ask case 'v': it is held out for validation", Error);
  CHECK_THROWS_WITH_AS(pool.ask({"a"}, 1), "pool: cannot ask case 'a': it is labelled, not unlabelled", Error);
  CHECK_THROWS_WITH_AS(pool.ask({"b", "b"}, 1), "pool: cannot ask case 'b' twice in one call", Error);
  CHECK_THROWS_WITH_AS(pool.ask({"z"}, 1), "pool: there is no case 'z'", Error);
  CHECK_THROWS_WITH_AS(pool.label({"b"}), "pool: cannot label case 'b': it is unlabelled, not asked", Error);
  CHECK(pool == before);  // a refused call changes nothing

  pool.ask({"b", "d"}, 1);
  pool.withdraw({"b"});
  CHECK(pool.state("b") == CaseState::unlabelled);
  CHECK(pool.count(CaseState::asked) == 1);
  CHECK_THROWS_WITH_AS(Pool({"a", "b"}, {"b"}, {}), "pool: case 'b' is given twice (unlabelled and validation)", Error);
}

TEST_CASE("the pool survives JSON, and a forged file is refused") {
  Pool pool({"a", "b \"q\" \xC3\xA9", "c"}, {"v"}, {"t"});
  pool.ask({"c", "a"}, 2);
  pool.label({"a"});
  const std::string json = pool.to_json();
  CHECK(Pool::from_json(json) == pool);
  CHECK(Pool::from_json(json).to_json() == json);
  CHECK_THROWS_AS(Pool::from_json("{"), Error);
  CHECK_THROWS_AS(Pool::from_json("{}"), Error);
  std::string forged = json;
  forged.replace(forged.find("labelled"), 8, "test");  // a labelled case turned into a test case
  CHECK_THROWS_WITH_AS(Pool::from_json(forged), doctest::Contains("has round 2"), Error);
  std::string twice = json;  // two cases asked at the same place
  twice.replace(twice.find("\"order\":1"), 9, "\"order\":0");
  CHECK_THROWS_WITH_AS(Pool::from_json(twice), doctest::Contains("and order 0"), Error);
}

TEST_CASE("the simulated oracle answers from the truth and counts the cost") {
  SimulatedOracle oracle([](const std::string& id) { return Label{.class_index = id == "a" ? 1 : 0}; });
  const auto answers = oracle.label({"b", "a"});
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].id == "b");
  CHECK(answers[1].class_index == 1);
  CHECK(answers[1].by == "ground_truth");
  CHECK(oracle.asked() == 2);
}
TEST_SUITE_END();
