#include "models/explain.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/json.h"
#include "tensor/ledger.h"

namespace querent {
namespace {

// 1234567 -> "1,234,567"
std::string grouped(int64_t n) {
  std::string digits = std::to_string(n);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

std::string fixed(double value, int digits) {
  std::ostringstream os;
  os << std::fixed << std::setprecision(digits) << value;
  return os.str();
}

LayerRow make_row(const Record& r, const Cost& cost) {
  LayerRow row{"", std::string(r.op->name), r.out[0].shape(), 0, cost.flops, cost.bytes};
  for (const Tensor& t : r.in) {
    if (!t || !t.is_parameter()) continue;
    row.parameters += t.numel();
    row.layer = t.name().substr(0, t.name().rfind('.'));
  }
  return row;
}

}  // namespace

Explanation explain(const ModelOptions& options, int64_t size, int64_t batch) {
  const DryRun dry;
  Params params;
  const Model model = make_model(options, params);
  check(size >= model.smallest && size % model.stride == 0,
        "explain: {} needs images of at least {} pixels, in multiples of {}; got {}", model.options.name,
        model.smallest, model.stride, size);
  Explanation e{model.options, {batch, size, size, model.options.in_channels}, {}, params.count()};
  const Ledger ledger;
  model.forward(Tensor::empty(e.input));
  for (size_t i = 0; i < ledger.records().size(); ++i) {
    e.rows.push_back(make_row(ledger.records()[i], ledger.costs()[i]));
    const LayerRow& row = e.rows.back();
    e.flops += row.flops, e.bytes += row.bytes;
    if (row.op == "conv2d" || row.op == "conv_transpose2d" || row.op == "matmul") e.multiply_adds += row.flops / 2;
  }
  return e;
}

std::string Explanation::listing() const {
  std::ostringstream os;
  size_t width = 5;
  for (const LayerRow& r : rows) width = std::max(width, r.layer.size());
  const auto line = [&](const std::string& layer, const std::string& op, const std::string& out, const std::string& n,
                        const std::string& mflop, const std::string& mb) {
    os << std::left << std::setw(static_cast<int>(width) + 2) << layer << std::setw(22) << op << std::setw(18) << out
       << std::right << std::setw(13) << n << std::setw(12) << mflop << std::setw(10) << mb << '\n';
  };
  line("layer", "op", "output", "parameters", "MFLOP", "MB");
  for (const LayerRow& r : rows) {
    line(r.layer, r.op, text("{}", r.output), r.parameters ? grouped(r.parameters) : "", fixed(r.flops / 1e6, 2),
         fixed(r.bytes / 1e6, 2));
  }
  os << '\n'
     << model.name << " on " << input << ": " << grouped(parameters) << " parameters, " << fixed(multiply_adds / 1e9, 2)
     << " GMAC in convolutions and matrix products, " << fixed(flops / 1e9, 2) << " GFLOP in all, "
     << fixed(bytes / 1e6, 1) << " MB of memory traffic at least\n";
  return os.str();
}

std::string Explanation::json() const {
  nlohmann::json j = {{"model", parse_json(model.json())},
                      {"input", std::vector<int64_t>(input.begin(), input.end())},
                      {"parameters", parameters},
                      {"multiply_adds", multiply_adds},
                      {"flops", flops},
                      {"bytes", bytes}};
  for (const LayerRow& r : rows) {
    j["layers"].push_back({{"layer", r.layer},
                           {"op", r.op},
                           {"output", std::vector<int64_t>(r.output.begin(), r.output.end())},
                           {"parameters", r.parameters},
                           {"flops", r.flops},
                           {"bytes", r.bytes}});
  }
  return dump_json(j);
}

}  // namespace querent
