// Records to a listing: what was executed, in order, on what shapes, by which kernel, at what cost.
#pragma once
#include <string>
#include <vector>

#include "tensor/run.h"

namespace querent {

struct Totals {
  int64_t ops = 0;
  double flops = 0, bytes = 0;
};

// While a Ledger lives it is the current ledger of its thread: run() adds each record. It keeps no tensor bytes.
class Ledger {
 public:
  Ledger();
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  static Ledger* current();

  void add(Record record);
  const std::vector<Record>& records() const { return records_; }
  const std::vector<Cost>& costs() const { return costs_; }  // one per record
  Totals totals() const;
  std::string listing() const;     // one line per record, for people
  std::string json_lines() const;  // one JSON object per record

 private:
  std::vector<Record> records_;
  std::vector<Cost> costs_;
  Ledger* before_;
};

}  // namespace querent
