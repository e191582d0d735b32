// Params::save and Params::load: names, shapes and axis order of PyTorch state dicts.
#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>

#include "layers/layout.h"
#include "layers/params.h"
#include "layers/tensor_file.h"
#include "tensor/backend.h"
#include "tensor/safetensors.h"

namespace querent {
namespace {

std::string list_names(std::string_view what, const std::vector<std::string>& names) {
  if (names.empty()) return "";
  constexpr size_t shown = 8;
  std::string out = text("{} {} (", names.size(), what);
  for (size_t i = 0; i < std::min(shown, names.size()); ++i) out += (i ? ", " : "") + names[i];
  return out + (names.size() > shown ? ", ...)" : ")");
}

bool has_prefix(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return name.starts_with(p); });
}

bool same_shape(const Shape& ours, const std::vector<int64_t>& theirs) {
  return std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end());
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? "," : "") + std::to_string(shape[i]);
  return out + "]";
}

// The same numbers in the same order with other brackets: a linear layer stored as a convolution that covers its input.
bool same_numbers(const Shape& ours, const std::vector<int64_t>& theirs) {
  if (theirs.empty() || ours.rank() == 0 || theirs.size() < 2 || theirs[0] != ours[0]) return false;
  int64_t n = 1;
  for (const int64_t extent : theirs) n *= extent;
  return n == ours.numel() && ours.rank() == 2;
}

// A first convolution for three channels, wanted for one.
bool sums_to_one_channel(const Shape& ours, const std::vector<int64_t>& theirs) {
  return ours.rank() == 4 && theirs.size() == 4 && ours[1] == 1 && theirs[1] == 3 && ours[0] == theirs[0] &&
         ours[2] == theirs[2] && ours[3] == theirs[3];
}

template <class T>
std::vector<T> summed_channels(const std::vector<T>& in, const Shape& ours) {
  const int64_t area = ours[2] * ours[3];
  std::vector<T> out(static_cast<size_t>(ours[0] * area));
  for (int64_t o = 0; o < ours[0]; ++o)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t s = 0; s < area; ++s)
        out[static_cast<size_t>(o * area + s)] += in[static_cast<size_t>((o * 3 + c) * area + s)];
  return out;
}

// [O, 2*C', Kh, Kw]: input channels C'..2C'-1 first.
template <class T>
void exchange_halves(std::vector<T>& values, const Shape& shape) {
  const int64_t row = shape[1] * shape[2] * shape[3];
  for (int64_t o = 0; o < shape[0]; ++o) {
    const auto begin = values.begin() + o * row;
    std::rotate(begin, begin + row / 2, begin + row);
  }
}

// Fills `t`, of f32 where T is float, from the file's values in the file's order.
template <class T>
void fill_from_file(const Tensor& t, FileLayout layout, std::vector<T> values, bool swap_halves) {
  const Shape shape = querent::file_shape(t.shape(), layout);
  if (static_cast<int64_t>(values.size()) == 3 * t.numel()) values = summed_channels(values, shape);
  if (swap_halves) exchange_halves(values, shape);
  if (t.has_data() && t.numel() > 0) {
    values = file_to_engine(values, permutation(t.shape(), layout));
    if constexpr (std::is_same_v<T, float>)
      copy_bytes(t.raw(), t.device(), values.data(), Device::cpu(), t.bytes());
    else
      t.copy_from(Tensor::from(std::span<const double>(values), t.shape()).cast(t.dtype()));
  }
}

// f(first, count) for pieces of about a megabyte of the A parts of a permutation.
template <class F>
void for_pieces(Permutation p, size_t element, F f) {
  const int64_t part = std::max<int64_t>(p.b * p.s * static_cast<int64_t>(element), 1);
  const int64_t at_once = std::max<int64_t>((1 << 20) / part, 1);
  for (int64_t first = 0; first < p.a; first += at_once) f(first, std::min(at_once, p.a - first));
}

bool keeps_order(Permutation p) { return p.b == 1 || p.s == 1; }

// The usual case, f32 to f32 on the CPU without any change: piece by piece, straight to where it belongs.
void read_into_place(const Tensor& t, FileLayout layout, const SafetensorsReader& file, const std::string& name) {
  const Permutation p = permutation(t.shape(), layout);
  const std::span<std::byte> all(static_cast<std::byte*>(t.raw()), t.bytes());
  if (keeps_order(p)) return file.read(name, 0, all);
  std::vector<float> piece;
  for_pieces(p, sizeof(float), [&](int64_t first, int64_t count) {
    piece.resize(static_cast<size_t>(count * p.b * p.s));
    file.read(name, static_cast<size_t>(first * p.b * p.s) * sizeof(float), std::as_writable_bytes(std::span(piece)));
    file_to_engine(piece.data(), t.data<float>() + first * p.b * p.s, p, count);
  });
}

}  // namespace

std::string LoadReport::text() const {
  std::string out = querent::text("{} matched", matched.size());
  for (const auto& [what, names] :
       {std::pair{"missing from the file", &missing}, std::pair{"unknown to the model", &unexpected},
        std::pair{"mis-shaped", &misshaped}, std::pair{"skipped", &skipped}, std::pair{"adapted", &adapted}}) {
    if (!names->empty()) out += "; " + list_names(what, *names);
  }
  return out;
}

void Params::save(const std::filesystem::path& path, const std::map<std::string, std::string>& metadata) const {
  std::vector<SafetensorsItem> items;
  for (const Entry& e : entries_) {
    const Tensor& t = e.tensor;
    const Shape shape = querent::file_shape(t.shape(), e.layout);
    const auto content = [&t, layout = e.layout](const Write& write) {
      const Tensor here = t.to(Device::cpu());
      const auto* raw = static_cast<const std::byte*>(here.raw());
      const Permutation p = permutation(t.shape(), layout);
      if (keeps_order(p)) return write({reinterpret_cast<const char*>(raw), t.bytes()});
      const auto permute = [&]<class T>(T) {
        std::vector<T> piece;
        for_pieces(p, sizeof(T), [&](int64_t first, int64_t count) {
          piece.resize(static_cast<size_t>(count * p.b * p.s));
          engine_to_file(here.data<T>() + first * p.b * p.s, piece.data(), p, count);
          write({reinterpret_cast<const char*>(piece.data()), piece.size() * sizeof(T)});
        });
      };
      t.dtype() == DType::f64 ? permute(double{}) : permute(float{});
    };
    items.push_back({t.name(), safetensors_dtype(t.dtype()), {shape.begin(), shape.end()}, {}, content});
  }
  write_safetensors(path, std::move(items), metadata);
}

// Decides, from the header alone, which file tensor fills which of ours.
LoadReport Params::plan_load(const SafetensorsReader& file, const LoadOptions& options,
                             std::map<std::string, std::string>& source_of) const {
  LoadReport report;
  for (const auto& [file_name, theirs] : file.entries()) {
    std::string name = file_name;
    constexpr std::array<std::string_view, 5> wrappers = {"module.", "model.", "state_dict.", "net.", "encoder."};
    for (bool again = true; again;) {  // drop wrappers until the name is ours or there is nothing to drop
      const std::string renamed = options.rename ? options.rename(name) : name;
      if (entry(renamed)) name = renamed;
      again = false;
      for (const std::string_view w : wrappers) {
        if (entry(name) || !name.starts_with(w)) continue;
        name.erase(0, w.size());
        again = true;
      }
    }
    const Entry* ours = entry(name);
    if (!ours) {
      report.unexpected.push_back(file_name);
      continue;
    }
    const auto [at, is_new] = source_of.emplace(name, file_name);
    check(is_new, "{}: both '{}' and '{}' would fill '{}'", file.path().string(), at->second, file_name, name);
    const Shape wanted = querent::file_shape(ours->tensor.shape(), ours->layout);
    if (same_shape(wanted, theirs.shape) || same_numbers(wanted, theirs.shape)) {
      report.matched.push_back(name);
    } else if (sums_to_one_channel(wanted, theirs.shape)) {
      report.adapted.push_back(name + " summed from 3 channels to 1");
      report.matched.push_back(name);
    } else {
      const std::string difference = text("'{}' is {}, the model needs {}", name, shape_text(theirs.shape), wanted);
      (has_prefix(name, options.skip_mismatched) ? report.skipped : report.misshaped).push_back(difference);
      at->second.clear();
    }
  }
  for (const Entry& e : entries_) {
    const std::string& name = e.tensor.name();
    if (e.optional || source_of.contains(name)) continue;
    (has_prefix(name, options.may_miss) ? report.skipped : report.missing).push_back(name);
  }
  return report;
}

LoadReport Params::load(const std::filesystem::path& path, const LoadOptions& options) {
  const SafetensorsReader file(path);
  std::map<std::string, std::string> source_of;  // our name -> file name; "" when it cannot be used
  const LoadReport report = plan_load(file, options, source_of);
  check(!options.strict || report.complete(), "{}: the weights do not fit the model: {}", path.string(), report.text());
  all();  // what was not drawn has its bytes now
  for (const Entry& e : entries_) {
    const auto source = source_of.find(e.tensor.name());
    if (source == source_of.end() || source->second.empty()) continue;
    const bool swap = options.swap_halves && options.swap_halves(e.tensor.name());
    const SafetensorsEntry& theirs = file.entries().at(source->second);
    const bool same = theirs.dtype == "F32" && e.tensor.dtype() == DType::f32 && theirs.size() == e.tensor.bytes();
    if (same && !swap && e.tensor.has_data() && e.tensor.device() == Device::cpu())
      read_into_place(e.tensor, e.layout, file, source->second);
    else if (e.tensor.dtype() == DType::f32)
      fill_from_file(e.tensor, e.layout, file.floats(source->second), swap);
    else
      fill_from_file(e.tensor, e.layout, file.doubles(source->second), swap);
  }
  return report;
}

}  // namespace querent
