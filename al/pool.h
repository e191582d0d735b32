// The pool: where every case stands. Each id is in exactly one state, and only these moves exist:
//
//   unlabelled --ask--> asked --label--> labelled
//        ^--------- withdraw ----'
//   validation, test: never asked, never labelled here; they cannot leave
//
// A call that breaks a rule throws an Error naming the case and changes nothing.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace querent::al {

enum class CaseState : uint8_t { unlabelled, asked, labelled, validation, test };
std::string_view name_of(CaseState);

class Pool {
 public:
  // All `candidates` start unlabelled. Errors: an id that is empty or given twice, in one list or across lists.
  Pool(const std::vector<std::string>& candidates, const std::vector<std::string>& validation,
       const std::vector<std::string>& test);

  void ask(const std::vector<std::string>& ids, int64_t round);  // round 0 = the initial set
  void label(const std::vector<std::string>& ids);
  void withdraw(const std::vector<std::string>& ids);  // asked, but nobody could label it

  CaseState state(const std::string& id) const;  // Error for an unknown id
  int64_t round(const std::string& id) const;    // round it was asked in, -1 if never
  int64_t count(CaseState) const;
  std::vector<std::string> ids(CaseState) const;  // in the order given; asked and labelled in the order of asking

  std::string to_json() const;
  static Pool from_json(std::string_view json);  // checks every rule again
  bool operator==(const Pool&) const = default;

 private:
  struct Case {
    std::string id;
    CaseState state = CaseState::unlabelled;
    int64_t round = -1, order = -1;
    bool operator==(const Case&) const = default;
  };
  Pool() = default;
  void add(const std::string& id, CaseState);
  // Indices of ids, all of which must be in state `from` and given once.
  std::vector<size_t> require(const std::vector<std::string>& ids, CaseState from, std::string_view verb) const;
  size_t index(const std::string& id) const;

  std::vector<Case> cases_;
  std::unordered_map<std::string, size_t> index_;
  int64_t asked_so_far_ = 0;
};

}  // namespace querent::al
