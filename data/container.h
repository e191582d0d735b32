// Is this file a whole image of a format we read? stb_image trusts what it is given: it skips checksums, fills the rest
// of a truncated JPEG with grey, and inflates a PNG without a bound. So each container is walked to its end first.
#pragma once
#include <string>
#include <string_view>

namespace querent::data {

enum class Container { png, jpeg, gif, pnm };

// Throws an Error that names `path` unless `bytes` is a complete file. Memory: a few kilobytes.
Container check_container(std::string_view bytes, const std::string& path);

}  // namespace querent::data
