#include "tensor/ledger.h"

#include <sstream>
#include <utility>

#include "tensor/cpu/conv_plan.h"

namespace querent {
namespace {
thread_local Ledger* current_ledger = nullptr;

// Of the convolutions of the CPU, which choose by shape; else "".
std::string algorithm(const Record& r) {
  return r.kernel == KernelKind::cpu ? cpu::algorithm(*r.op, {r.in, r.out, r.attrs}) : "";
}
}  // namespace

Ledger::Ledger() : before_(std::exchange(current_ledger, this)) {}
Ledger::~Ledger() { current_ledger = before_; }
Ledger* Ledger::current() { return current_ledger; }

void Ledger::add(Record r) {
  costs_.push_back(r.op->cost(r.in, r.attrs));
  for (Tensor& t : r.in) t = t ? t.husk() : t;
  for (Tensor& t : r.out) t = t.husk();
  records_.push_back(std::move(r));
}

Totals Ledger::totals() const {
  Totals t;
  for (const Cost& c : costs_) {
    ++t.ops;
    t.flops += c.flops;
    t.bytes += c.bytes;
  }
  return t;
}

std::string Ledger::listing() const {
  std::ostringstream os;
  for (size_t i = 0; i < records_.size(); ++i) {
    const Record& r = records_[i];
    const std::string how = algorithm(r);
    os << i << "  " << r.op->name << "(";
    for (size_t k = 0; k < r.in.size(); ++k) os << (k ? ", " : "") << r.in[k];
    os << ") ->";
    for (const Tensor& t : r.out) os << ' ' << t;
    os << "  " << r.attrs.text() << "  [" << kernel_kind_name(r.kernel) << (how.empty() ? "" : " ") << how << ", " << costs_[i].flops / 1e6 << " MFLOP, "
       << costs_[i].bytes / 1e6 << " MB]\n";
  }
  return os.str();
}

std::string Ledger::json_lines() const {
  std::ostringstream os;
  const auto tensor = [&](const Tensor& t) {
    if (!t) {
      os << "null";
      return;
    }
    os << R"({"id":)" << t.id() << R"(,"name":")" << t.name() << R"(","dtype":")" << t.dtype() << R"(","shape":)"
       << t.shape() << "}";
  };
  for (size_t i = 0; i < records_.size(); ++i) {
    const Record& r = records_[i];
    const std::string how = algorithm(r);
    os << R"({"index":)" << i << R"(,"op":")" << r.op->name << R"(","attrs":)" << r.attrs.json() << R"(,"kernel":")"
       << kernel_kind_name(r.kernel) << (how.empty() ? "" : R"(","algorithm":")") << how << R"(","flops":)" << costs_[i].flops << R"(,"bytes":)" << costs_[i].bytes
       << R"(,"in":[)";
    for (size_t k = 0; k < r.in.size(); ++k) os << (k ? "," : ""), tensor(r.in[k]);
    os << R"(],"out":[)";
    for (size_t k = 0; k < r.out.size(); ++k) os << (k ? "," : ""), tensor(r.out[k]);
    os << "]}\n";
  }
  return os.str();
}

}  // namespace querent
