// The op table is complete: each file of tensor/ops is in it, each row has the cases it needs.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tensor/op.h"

TEST_SUITE_BEGIN("table_test");
using namespace querent;

TEST_CASE("every row written is in the table, once") {
  std::set<std::string> in_table;
  for (const Op* op : op_table()) {
    CHECK_MESSAGE(in_table.insert(std::string(op->name)).second, op->name, " is listed twice");
    CHECK(&find_op(op->name) == op);
  }
  const std::regex row("extern constinit const Op (\\w+)_op\\b");
  size_t written = 0;
  for (const auto& file : std::filesystem::directory_iterator(QUERENT_SOURCE_DIR "/tensor/ops")) {
    if (file.path().extension() != ".cpp") continue;
    std::ifstream in(file.path());
    std::stringstream text;
    text << in.rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator it(source.begin(), source.end(), row), end; it != end; ++it) {
      ++written;
      CHECK_MESSAGE(in_table.contains((*it)[1]), file.path().filename(), ": row ", (*it)[1].str(),
                    " is not in op_table.cpp");
    }
  }
  CHECK(written == in_table.size());
}

TEST_CASE("each row has at least three good cases, one bad and one odd-sized") {
  for (const Op* op : op_table()) {
    int good = 0, bad = 0, odd = 0;
    for (const Case& c : op->cases()) {
      ++(c.throws.empty() ? good : bad);
      for (const Sample& s : c.in) {
        for (const int64_t size : s.shape) odd += c.throws.empty() && size > 1 && size % 2 == 1;
      }
    }
    CHECK_MESSAGE(good >= 3, op->name, " has ", good, " good cases");
    CHECK_MESSAGE(bad >= 1, op->name, " has no case that must throw");
    CHECK_MESSAGE(odd >= 1, op->name, " has no odd-sized case");
    CHECK_MESSAGE(!op->formula.empty(), op->name, " has no formula");
    CHECK_MESSAGE((op->kernel.ref != nullptr), op->name, " has no reference kernel");
  }
}

TEST_CASE("what `keep` names exists") {
  for (const Op* op : op_table()) {
    for (const std::string_view name : op->keep) {
      bool found = false;
      for (const Arg& a : op->inputs) found |= a.name == name;
      for (const Arg& a : op->outputs) found |= a.name == name;
      CHECK_MESSAGE(found, op->name, " keeps '", name, "', which it does not have");
    }
  }
}
TEST_SUITE_END();
