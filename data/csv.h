// Comma-separated values (RFC 4180): quotes, doubled quotes, line breaks inside quotes, CR, LF or CRLF line ends, a
// UTF-8 byte order mark.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace querent::data {

struct Csv {
  std::string path;                            // for messages
  std::vector<std::string> header;             // first record; blanks around names removed
  std::vector<std::vector<std::string>> rows;  // as many fields as the header, see below
  // The column with one of these names (ignoring case), or -1. Earlier names win.
  int column(std::initializer_list<std::string_view> names) const;
};

// Reads at most 1 GiB. Blank lines are skipped. A row that is shorter than the header is an Error that names its line;
// a row may be longer only by empty fields (they are dropped).
Csv read_csv(const std::filesystem::path& path);
Csv parse_csv(std::string_view text, const std::string& path);

std::string csv_field(std::string_view value);  // in quotes where it needs them

}  // namespace querent::data
