// Shared by the tests that walk the op table.
#pragma once
#include "tensor/selftest.h"

namespace querent::test {

template <class F>
void for_each_good_case(F f) {
  for (const Op* op : op_table()) {
    for (const Case& c : op->cases()) {
      if (c.throws.empty()) f(*op, c);
    }
  }
}

}  // namespace querent::test
