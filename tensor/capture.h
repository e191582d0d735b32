// What a Program is made from: the records of one step, their values by storage. Private to program.cpp
// and fuse*.cpp.
#pragma once
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "tensor/run.h"

namespace querent {

// A tensor as the capture saw it. The bytes of values that the step made are not kept.
struct Value {
  Tensor tensor;         // a husk for a value of the step; the tensor itself when it comes from outside; or none
  uint64_t storage = 0;  // Storage::id()
  size_t offset = 0;     // in bytes
  size_t begin() const { return offset; }
  size_t end() const { return offset + tensor.bytes(); }
};

struct CapturedRecord {
  const Op* op;
  Attrs attrs;
  std::vector<Value> in, out;
  KernelKind kind;
  bool dropped = false;  // by a rule: what it would compute is where it belongs already
  Value scratch = {};    // what the kernel needs while it runs; or none
};

struct Capture {
  uint64_t first_storage = 0;  // storages from here on were made inside the step
  size_t steady = 0;           // so many of the first records depend on nothing that varies from replay to replay
  std::vector<CapturedRecord> records;
  std::map<uint64_t, size_t> made;  // storages that a record wrote -> bytes
  std::unordered_set<uint64_t> mutated;
  std::vector<Value> results;
  struct Guard {
    size_t record;
    Value value;
    std::string message;
  };
  std::vector<Guard> guards;

  // Where the bytes of a made storage are instead of in a place of their own: in another made storage, or in a tensor
  // from outside.
  struct Place {
    uint64_t storage = 0;
    size_t offset = 0;
    Tensor outside;
  };
  std::map<uint64_t, Place> placed;

  Value value_of(const Tensor& t) const;
  bool is_made(const Value& v) const { return made.contains(v.storage); }
  Place resolve(uint64_t storage, size_t offset) const;  // follows `placed` to the end
};

// Rewrites that drop records without changing a bit: fuse.cpp lists them. Each returns how many records it dropped.
struct Rule {
  const char *name, *what;
  size_t (*apply)(Capture&);
};
std::span<const Rule> program_rules();
size_t update_in_backward(Capture&), gradient_into_update(Capture&);  // fuse_update.cpp

}  // namespace querent
