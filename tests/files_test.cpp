// Whole files: atomic writes, bounded reads, hashes.
#include "tensor/files.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>

#include "tensor/error.h"

TEST_SUITE_BEGIN("files_test");
using namespace querent;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("querent_files_" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};
std::string message(const auto& action) {
  try {
    action();
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::bad_input);
    return e.what();
  }
  return "no error";
}
bool contains(const std::string& s, const std::string& part) { return s.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("what is written is read back and nothing else is left in the folder") {
  const Folder folder;
  const std::string bytes("a\0b\xff", 4);
  write_atomically(folder.path / "x.bin", "older and longer");
  write_atomically(folder.path / "x.bin", bytes);
  CHECK(read_file(folder.path / "x.bin") == bytes);
  CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("a failed write keeps the old file and names path, bytes and fix") {
  const Folder folder;
  CHECK(contains(message([&] { write_atomically(folder.path / "no" / "x", "abc"); }), "cannot write 3 bytes"));
  CHECK(contains(message([&] { write_atomically(folder.path / "no" / "x", "abc"); }), "create the folder first"));
  fs::create_directories(folder.path / "d" / "inner");
  CHECK(contains(message([&] { write_atomically(folder.path / "d", "abc"); }), "a folder has this name"));
  CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 1);
  if (fs::exists("/dev/full")) {  // the temporary name cannot be created there: still one clean error
    CHECK(contains(message([&] { write_atomically("/proc/querent", "abc"); }), "/proc/querent: cannot write 3 bytes"));
  }
}

TEST_CASE("reads are bounded") {
  const Folder folder;
  write_atomically(folder.path / "x", "12345");
  CHECK(read_file(folder.path / "x", 5) == "12345");
  CHECK(contains(message([&] { read_file(folder.path / "x", 4); }), "longer than 4 bytes"));
  CHECK(contains(message([&] { read_file(folder.path / "y"); }), "check the path"));
  CHECK(contains(message([&] { read_file(folder.path); }), "is a folder"));
}

TEST_CASE("sha256 gives the published digests") {  // FIPS 180-4 examples
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Folder folder;
  const std::string million(1000000, 'a');
  write_atomically(folder.path / "a", million);
  CHECK(sha256_file(folder.path / "a") == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_SUITE_END();
