#include "data/csv.h"

#include <algorithm>

#include "tensor/error.h"
#include "tensor/files.h"

namespace querent::data {
namespace {

struct Record {
  std::vector<std::string> fields;
  int64_t line = 0;
};

std::vector<Record> records(std::string_view s, const std::string& path) {
  std::vector<Record> out;
  Record now;
  std::string field;
  int64_t line = 1;
  bool quoted = false, any = false;
  const auto end_record = [&] {
    if (any || !field.empty() || !now.fields.empty()) {
      now.fields.push_back(std::move(field));
      out.push_back(std::move(now));
    }
    now = {};
    field.clear();
    any = false;
  };
  now.line = 1;
  for (size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    const bool line_end = c == '\n' || (c == '\r' && !(i + 1 < s.size() && s[i + 1] == '\n'));
    if (line_end) ++line;
    if (quoted) {
      if (c == '"' && i + 1 < s.size() && s[i + 1] == '"') {
        field += s[++i];
      } else if (c == '"') {
        quoted = false;
      } else {
        field += c;
      }
    } else if (c == '"' && field.empty()) {
      quoted = any = true;
    } else if (c == ',') {
      now.fields.push_back(std::move(field));
      field.clear();
      any = true;
    } else if (line_end) {
      end_record();
      now.line = line;
    } else if (c != '\r') {
      field += c;
    }
  }
  check(!quoted, "{}: a quote opened in the record at line {} is never closed", path, now.line);
  end_record();
  return out;
}

std::string trimmed(const std::string& s) {
  const size_t first = s.find_first_not_of(" \t"), last = s.find_last_not_of(" \t");
  return first == s.npos ? "" : s.substr(first, last - first + 1);
}
bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

int Csv::column(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    for (size_t i = 0; i < header.size(); ++i) {
      if (same_name(header[i], name)) return static_cast<int>(i);
    }
  }
  return -1;
}

Csv parse_csv(std::string_view text, const std::string& path) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  check(text.find('\0') == text.npos, "{}: not a text file; a CSV is needed", path);
  std::vector<Record> all = records(text, path);
  check(!all.empty(), "{}: the CSV is empty; its first line must name the columns", path);
  Csv csv{path, {}, {}};
  for (const std::string& name : all[0].fields) csv.header.push_back(trimmed(name));
  while (csv.header.size() > 1 && csv.header.back().empty()) csv.header.pop_back();  // "a,b," names two columns
  const size_t columns = csv.header.size();
  for (size_t i = 1; i < all.size(); ++i) {
    std::vector<std::string>& row = all[i].fields;
    while (row.size() > columns && row.back().empty()) row.pop_back();
    check(row.size() == columns, "{}: line {} has {} fields, the header has {}; quote fields that contain commas", path,
          all[i].line, row.size(), columns);
    csv.rows.push_back(std::move(row));
  }
  return csv;
}

Csv read_csv(const std::filesystem::path& path) { return parse_csv(read_file(path), path.string()); }

std::string csv_field(std::string_view value) {
  if (value.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace querent::data
