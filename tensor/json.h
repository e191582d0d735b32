// JSON as text. nlohmann's reader and printer are compiled once, in json.cpp, and not in every file that uses them.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace querent {

// A discarded value (is_discarded()) when the text is not JSON.
nlohmann::json parse_json(std::string_view text);
// indent < 0: one line. Bytes that are not UTF-8 become U+FFFD.
std::string dump_json(const nlohmann::json& value, int indent = -1);

}  // namespace querent
