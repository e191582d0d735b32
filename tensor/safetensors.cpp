#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>
#include <utility>

#include "tensor/error.h"
#include "tensor/files.h"

namespace querent {
namespace {

using nlohmann::json;

constexpr uint64_t max_header_bytes = 8u << 20;
constexpr size_t max_tensors = 100'000;
constexpr size_t max_rank = 8;
constexpr int max_depth = 3;  // {name: {shape: [n]}}

static_assert(std::endian::native == std::endian::little, "safetensors stores little-endian numbers");

// A DOM parse that refuses duplicate keys and deep nesting while it reads.
json parse_strict(std::string_view text_of_header, const std::string& what) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    check(depth <= max_depth, "{}: the header is nested too deeply for a safetensors file", what);
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& name = value.get_ref<const std::string&>();
      check(keys.back().insert(name).second, "{}: the name '{}' occurs twice in the header", what, name);
    }
    return true;
  };
  try {
    return json::parse(text_of_header, watch);
  } catch (const json::exception&) {
    fail("{}: the header is not valid JSON; the file is damaged or is not a safetensors file", what);
  }
}

uint64_t as_size(const json& value, const std::string& what, const std::string& name) {
  check(value.is_number_integer() && (value.is_number_unsigned() || value.get<int64_t>() >= 0),
        "{}: tensor '{}' has a size or offset that is not a non-negative integer", what, name);
  return value.get<uint64_t>();
}

SafetensorsEntry parse_entry(const json& value, uint64_t data_size, const std::string& what, const std::string& name) {
  check(value.is_object() && value.size() == 3 && value.contains("dtype") && value["dtype"].is_string() &&
            value.contains("shape") && value["shape"].is_array() && value.contains("data_offsets") &&
            value["data_offsets"].is_array() && value["data_offsets"].size() == 2,
        "{}: tensor '{}' must have exactly dtype, shape and data_offsets [begin, end]", what, name);
  SafetensorsEntry entry;
  entry.dtype = value["dtype"].get<std::string>();
  const uint64_t element = safetensors_element_size(entry.dtype);
  check(element != 0, "{}: tensor '{}' has dtype {}, which is not supported; convert it to F32", what, name,
        entry.dtype);
  check(value["shape"].size() <= max_rank, "{}: tensor '{}' has more than {} axes", what, name, max_rank);
  uint64_t bytes = element;
  for (const json& axis : value["shape"]) {
    const uint64_t extent = as_size(axis, what, name);
    check(extent <= uint64_t{1} << 48 && !__builtin_mul_overflow(bytes, extent, &bytes),
          "{}: the shape of tensor '{}' is too large", what, name);
    entry.shape.push_back(static_cast<int64_t>(extent));
  }
  entry.first = as_size(value["data_offsets"][0], what, name);
  entry.last = as_size(value["data_offsets"][1], what, name);
  check(entry.first <= entry.last && entry.last <= data_size,
        "{}: tensor '{}' lies outside the file (bytes {} to {} of {}); the file is truncated or damaged", what, name,
        entry.first, entry.last, data_size);
  check(entry.size() == bytes, "{}: tensor '{}' needs {} bytes by its shape but has {}", what, name, bytes,
        entry.size());
  return entry;
}

void check_no_holes(const SafetensorsHeader& header, uint64_t data_size, const std::string& what) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : header.entries) ranges.emplace_back(entry.first, entry.last);
  std::sort(ranges.begin(), ranges.end());
  uint64_t end = 0;
  for (const auto& [first, last] : ranges) {
    check(first == end, "{}: tensors {} at byte {}; the file is damaged", what,
          first < end ? "overlap" : "leave a hole", first < end ? first : end);
    end = last;
  }
  check(end == data_size, "{}: {} bytes after the last tensor belong to nothing", what, data_size - end);
}

float half_to_float(uint16_t h) {
  const uint32_t exponent = (h >> 10) & 31u, fraction = h & 1023u;
  const float sign = (h & 0x8000u) ? -1.f : 1.f;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  if (exponent == 31) return fraction ? std::numeric_limits<float>::quiet_NaN() : sign * INFINITY;
  return sign * std::ldexp(static_cast<float>(1024u + fraction), static_cast<int>(exponent) - 25);
}

float bfloat_to_float(uint16_t b) { return std::bit_cast<float>(uint32_t{b} << 16); }

// Reads elements stored as Stored and appends convert(element).
template <class Stored, class Out, class Convert>
void convert_all(const std::vector<std::byte>& raw, std::vector<Out>& out, Convert convert) {
  out.resize(raw.size() / sizeof(Stored));
  if (std::is_same_v<Stored, Out> && !raw.empty()) {
    std::memcpy(out.data(), raw.data(), out.size() * sizeof(Stored));
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, raw.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<Out>(convert(value));
  }
}

template <class Out>
std::vector<Out> numbers(const std::vector<std::byte>& raw, const std::string& dtype, const std::string& what) {
  std::vector<Out> out;
  const auto same = [](auto v) { return v; };
  if (dtype == "F32")
    convert_all<float>(raw, out, same);
  else if (dtype == "F64")
    convert_all<double>(raw, out, same);
  else if (dtype == "F16")
    convert_all<uint16_t>(raw, out, half_to_float);
  else if (dtype == "BF16")
    convert_all<uint16_t>(raw, out, bfloat_to_float);
  else if (dtype == "I64")
    convert_all<int64_t>(raw, out, same);
  else if (dtype == "I32")
    convert_all<int32_t>(raw, out, same);
  else if (dtype == "U8" || dtype == "BOOL")
    convert_all<uint8_t>(raw, out, same);
  else
    fail("{}: cannot read {} values as numbers; convert the tensor to F32", what, dtype);
  return out;
}

}  // namespace

uint64_t safetensors_element_size(std::string_view dtype) {
  static constexpr std::pair<std::string_view, uint64_t> sizes[] = {
      {"F64", 8},  {"I64", 8}, {"U64", 8}, {"F32", 4},  {"I32", 4}, {"U32", 4}, {"F16", 2},
      {"BF16", 2}, {"I16", 2}, {"U16", 2}, {"BOOL", 1}, {"U8", 1},  {"I8", 1}};
  for (const auto& [name, size] : sizes) {
    if (name == dtype) return size;
  }
  return 0;
}

SafetensorsHeader parse_safetensors_header(std::string_view text_of_header, uint64_t data_size,
                                           const std::string& what) {
  check(!text_of_header.empty() && text_of_header.front() == '{', "{}: not a safetensors file (no JSON header)", what);
  const json root = parse_strict(text_of_header, what);
  check(root.size() <= max_tensors, "{}: more than {} tensors", what, max_tensors);
  SafetensorsHeader header;
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      check(value.is_object(), "{}: __metadata__ must be an object of strings", what);
      for (const auto& [key, entry] : value.items()) {
        check(entry.is_string(), "{}: __metadata__ entry '{}' must be a string", what, key);
        header.metadata[key] = entry.get<std::string>();
      }
    } else {
      header.entries[name] = parse_entry(value, data_size, what, name);
    }
  }
  check_no_holes(header, data_size, what);
  return header;
}

SafetensorsReader::SafetensorsReader(std::filesystem::path path) : path_(std::move(path)) {
  const std::string what = path_.string();
  std::error_code ec;
  const uint64_t file_size = std::filesystem::file_size(path_, ec);
  check(!ec, "{}: cannot open the weights file; check the path", what);
  std::ifstream in(path_, std::ios::binary);
  check(in.is_open(), "{}: cannot open the weights file; check its permissions", what);
  uint64_t header_size = 0;
  in.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
  check(in.good() && header_size <= file_size - sizeof header_size && header_size >= 2,
        "{}: not a safetensors file, or truncated; PyTorch .pth files are converted with safetensors.torch.save_file",
        what);
  check(header_size <= max_header_bytes, "{}: the header has {} bytes, the limit is {}", what, header_size,
        max_header_bytes);
  std::string header(header_size, '\0');
  in.read(header.data(), static_cast<std::streamsize>(header_size));
  check(in.good(), "{}: cannot read the header", what);
  data_start_ = sizeof header_size + header_size;
  header_ = parse_safetensors_header(header, file_size - data_start_, what);
}

std::vector<std::byte> SafetensorsReader::bytes(const std::string& name) const {
  const auto it = header_.entries.find(name);
  std::vector<std::byte> raw(it == header_.entries.end() ? 0 : it->second.size());
  read(name, 0, raw);
  return raw;
}

void SafetensorsReader::read(const std::string& name, uint64_t first, std::span<std::byte> into) const {
  const auto it = header_.entries.find(name);
  check(it != header_.entries.end(), "{}: has no tensor '{}'", path_.string(), name);
  internal_check(first <= it->second.size() && into.size() <= it->second.size() - first,
                 "safetensors: bytes {} to {} are outside '{}'", first, first + into.size(), name);
  std::ifstream in(path_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(data_start_ + it->second.first + first));
  in.read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(into.size()));
  check(in.good(), "{}: cannot read tensor '{}'; the file changed while it was read", path_.string(), name);
}

std::vector<float> SafetensorsReader::floats(const std::string& name) const {
  return numbers<float>(bytes(name), header_.entries.at(name).dtype, path_.string());
}

std::vector<double> SafetensorsReader::doubles(const std::string& name) const {
  return numbers<double>(bytes(name), header_.entries.at(name).dtype, path_.string());
}

void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsItem> items,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(items.begin(), items.end(), [](const SafetensorsItem& a, const SafetensorsItem& b) {
    const uint64_t sa = safetensors_element_size(a.dtype), sb = safetensors_element_size(b.dtype);
    return sa != sb ? sa > sb : a.name < b.name;
  });
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!metadata.empty()) root["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const SafetensorsItem& item : items) {
    uint64_t bytes = safetensors_element_size(item.dtype);
    for (const int64_t extent : item.shape) bytes *= static_cast<uint64_t>(extent);
    internal_check((item.content || bytes == item.bytes.size()) && bytes >= (item.shape.empty() ? 1u : 0u),
                   "safetensors: '{}' has {} bytes for a shape of {}", item.name, item.bytes.size(), bytes);
    internal_check(!root.contains(item.name), "safetensors: the name '{}' is written twice", item.name);
    root[item.name] = {{"dtype", item.dtype}, {"shape", item.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string header = root.dump();
  header.append((8 - header.size() % 8) % 8, ' ');
  const uint64_t header_size = header.size();
  write_atomically(path, sizeof header_size + header_size + offset, [&](const Write& write) {
    write({reinterpret_cast<const char*>(&header_size), sizeof header_size});
    write(header);
    for (const SafetensorsItem& item : items) {
      if (item.content)
        item.content(write);
      else
        write({reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()});
    }
  });
}

}  // namespace querent
