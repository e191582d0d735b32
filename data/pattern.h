// Regular expressions (ECMAScript). std::regex is compiled once, in pattern.cpp, and not in every file that uses it.
#pragma once
#include <memory>
#include <string>
#include <vector>

namespace querent::data {

class Pattern {
 public:
  explicit Pattern(const char* expression, bool ignore_case = false);
  // The first match anywhere in `text`: the whole, then the groups, "" for one that took no part. Empty: no match.
  std::vector<std::string> find(const std::string& text) const;
  bool matches(const std::string& text) const { return !find(text).empty(); }
  std::string replace(const std::string& text, const std::string& with) const;  // every match; $& is the match

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace querent::data
