#include "data/pattern.h"

#include <regex>

namespace querent::data {

struct Pattern::Compiled {
  std::regex regex;
};

Pattern::Pattern(const char* expression, bool ignore_case)
    : compiled_(std::make_shared<Compiled>(std::regex(
          expression, ignore_case ? std::regex::ECMAScript | std::regex::icase : std::regex::ECMAScript))) {}

std::vector<std::string> Pattern::find(const std::string& text) const {
  std::smatch m;
  if (!std::regex_search(text, m, compiled_->regex)) return {};
  return {m.begin(), m.end()};
}

std::string Pattern::replace(const std::string& text, const std::string& with) const {
  return std::regex_replace(text, compiled_->regex, with);
}

}  // namespace querent::data
