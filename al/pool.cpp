#include "al/pool.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::al {
namespace {
constexpr std::array<std::string_view, 5> state_names{"unlabelled", "asked", "labelled", "validation", "test"};
}

std::string_view name_of(CaseState s) { return state_names[static_cast<size_t>(s)]; }

Pool::Pool(const std::vector<std::string>& candidates, const std::vector<std::string>& validation,
           const std::vector<std::string>& test) {
  for (const auto& id : candidates) add(id, CaseState::unlabelled);
  for (const auto& id : validation) add(id, CaseState::validation);
  for (const auto& id : test) add(id, CaseState::test);
}

void Pool::add(const std::string& id, CaseState state) {
  check(!id.empty(), "pool: a case has an empty id");
  const auto [it, fresh] = index_.emplace(id, cases_.size());
  check(fresh, "pool: case '{}' is given twice ({} and {})", id, name_of(fresh ? state : cases_[it->second].state),
        name_of(state));
  cases_.push_back({.id = id, .state = state});
}

size_t Pool::index(const std::string& id) const {
  const auto it = index_.find(id);
  check(it != index_.end(), "pool: there is no case '{}'", id);
  return it->second;
}

std::vector<size_t> Pool::require(const std::vector<std::string>& ids, CaseState from, std::string_view verb) const {
  std::vector<size_t> found;
  std::unordered_set<std::string_view> seen;
  for (const auto& id : ids) {
    const size_t i = index(id);
    const CaseState s = cases_[i].state;
    check(s != CaseState::validation && s != CaseState::test, "pool: cannot {} case '{}': it is held out for {}", verb,
          id, name_of(s));
    check(s == from, "pool: cannot {} case '{}': it is {}, not {}", verb, id, name_of(s), name_of(from));
    check(seen.insert(id).second, "pool: cannot {} case '{}' twice in one call", verb, id);
    found.push_back(i);
  }
  return found;
}

void Pool::ask(const std::vector<std::string>& ids, int64_t round) {
  check(round >= 0, "pool: round {} is negative", round);
  for (const size_t i : require(ids, CaseState::unlabelled, "ask")) {
    cases_[i].state = CaseState::asked;
    cases_[i].round = round;
    cases_[i].order = asked_so_far_++;
  }
}

void Pool::label(const std::vector<std::string>& ids) {
  for (const size_t i : require(ids, CaseState::asked, "label")) cases_[i].state = CaseState::labelled;
}

void Pool::withdraw(const std::vector<std::string>& ids) {
  for (const size_t i : require(ids, CaseState::asked, "withdraw")) {
    cases_[i].state = CaseState::unlabelled;
    cases_[i].round = cases_[i].order = -1;
  }
}

CaseState Pool::state(const std::string& id) const { return cases_[index(id)].state; }
int64_t Pool::round(const std::string& id) const { return cases_[index(id)].round; }

int64_t Pool::count(CaseState s) const {
  return std::count_if(cases_.begin(), cases_.end(), [&](const Case& c) { return c.state == s; });
}

std::vector<std::string> Pool::ids(CaseState s) const {
  std::vector<const Case*> found;
  for (const Case& c : cases_)
    if (c.state == s) found.push_back(&c);
  std::stable_sort(found.begin(), found.end(), [](const Case* a, const Case* b) { return a->order < b->order; });
  std::vector<std::string> out;
  for (const Case* c : found) out.push_back(c->id);
  return out;
}

std::string Pool::to_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Case& c : cases_) {
    nlohmann::json row{{"id", c.id}, {"state", name_of(c.state)}};
    if (c.order >= 0) {
      row["round"] = c.round;
      row["order"] = c.order;
    }
    list.push_back(std::move(row));
  }
  try {
    return dump_json(nlohmann::json{{"format", "querent-pool-1"}, {"asked_so_far", asked_so_far_}, {"cases", list}});
  } catch (const nlohmann::json::exception&) {
    fail("pool: a case id is not valid UTF-8; rename the file");
  }
}

Pool Pool::from_json(std::string_view json) {
  Pool pool;
  try {
    const nlohmann::json root = parse_json(json);
    check(root.at("format") == "querent-pool-1", "pool: this is not a pool of a version this program knows");
    pool.asked_so_far_ = root.at("asked_so_far").get<int64_t>();
    std::unordered_set<int64_t> orders;
    for (const auto& row : root.at("cases")) {
      const auto id = row.at("id").get<std::string>();
      const auto name = row.at("state").get<std::string>();
      const auto it = std::find(state_names.begin(), state_names.end(), name);
      check(it != state_names.end(), "pool: case '{}' has the unknown state '{}'", id, name);
      pool.add(id, static_cast<CaseState>(it - state_names.begin()));
      Case& c = pool.cases_.back();
      c.round = row.value("round", int64_t{-1});
      c.order = row.value("order", int64_t{-1});
      const bool was_asked = c.state == CaseState::asked || c.state == CaseState::labelled;
      check(was_asked ? c.round >= 0 && c.order >= 0 && c.order < pool.asked_so_far_ && orders.insert(c.order).second
                      : c.round == -1 && c.order == -1,
            "pool: case '{}' is {} but has round {} and order {}", id, name, c.round, c.order);
    }
  } catch (const nlohmann::json::exception& e) {
    fail("pool: not a valid pool file: {}", e.what());
  }
  return pool;
}

}  // namespace querent::al
