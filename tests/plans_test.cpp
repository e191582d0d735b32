#include <doctest/doctest.h>

#include <filesystem>
#include <functional>

#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/plans.h"

TEST_SUITE_BEGIN("plans_test");
using namespace querent;

namespace {
std::filesystem::path fresh_file() {
  const auto folder = std::filesystem::temp_directory_path() / "querent_plans_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder / "plans.json";
}
}  // namespace

TEST_CASE("choices survive in their file, machine by machine") {
  const auto file = fresh_file();
  PlanBook first;
  first.keep("A", "before the file", {"eng0", 0});
  first.open(file);
  first.keep("A", "conv", {"eng1_k2=3", 0.25});
  first.keep("B", "conv", {"eng2", 0});
  PlanBook second;
  second.open(file);
  CHECK(second.json() == first.json());
  CHECK(second.hash() == first.hash());
  CHECK(second.find("A", "before the file")->engine == "eng0");
  CHECK(second.find("A", "conv")->engine == "eng1_k2=3");
  CHECK(second.find("A", "conv")->milliseconds == 0.25);
  CHECK(second.find("B", "conv")->engine == "eng2");
  CHECK(second.find("B", "conv")->milliseconds == 0);
  CHECK_FALSE(second.find("B", "matmul"));
  CHECK_FALSE(second.find("C", "conv"));
}

TEST_CASE("the hash says which engines, not how fast they were") {
  PlanBook a, b, c, none;
  a.keep("M", "p", {"eng1", 0.5});
  b.keep("M", "p", {"eng1", 0.7});
  c.keep("M", "p", {"eng2", 0.5});
  CHECK(a.hash() == b.hash());
  CHECK(a.hash() != c.hash());
  CHECK(a.hash().size() == 64);
  CHECK(none.hash() == "");
}

TEST_CASE("a file of something else is an error that names it, and stays as it is") {
  const auto file = fresh_file();
  for (const char* bad : {"", "{", "[]", R"({"format":"querent plans 2","machines":{}})",
                          R"({"format":"querent plans 1"})", R"({"format":"querent plans 1","machines":{"M":[]}})",
                          R"({"format":"querent plans 1","machines":{"M":{"p":{"ms":1}}}})",
                          R"({"format":"querent plans 1","machines":{"M":{"p":{"engine":7}}}})",
                          R"({"format":"querent plans 1","machines":{"M":{"p":{"engine":"e","ms":"1"}}}})"}) {
    write_atomically(file, bad);
    PlanBook book;
    std::string message;
    try {
      book.open(file);
    } catch (const Error& e) {
      message = e.what();
    }
    CHECK_MESSAGE(message.starts_with("plans: '" + file.string() + "' is not a file of plans"), bad, ": ", message);
    CHECK(read_file(file) == bad);
  }
}

TEST_CASE("a policy is part of the name of a problem, tuning is not") {
  CHECK(PlanPolicy{}.text() == "deterministic strict");
  CHECK(PlanPolicy{.deterministic = false, .tf32 = true}.text() == "any order tf32");
  CHECK(PlanPolicy{.tune = true}.text() == PlanPolicy{}.text());
}
TEST_SUITE_END();
