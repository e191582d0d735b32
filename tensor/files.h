// Whole files: read with a bound, written so that a reader sees the old file or the whole new one, and hashed.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace querent {

// Writes `bytes` under a temporary name in the same folder, fsyncs it, renames it onto `path` and fsyncs the folder.
// The folder must exist. On any failure (disk full, read-only, no folder) nothing is left behind and the Error names
// the file, the bytes and the fix. Safe from several threads. Of several ranks (tensor/collective.h) the first writes,
// when all have come here; so what was asked about files before is the same to all, and after it all see the new one.
void write_atomically(const std::filesystem::path& path, std::string_view bytes);
// The same for what is too large to be made at once: `content` gives the `bytes` bytes of the file to `write` in turn.
using Write = std::function<void(std::string_view)>;
void write_atomically(const std::filesystem::path& path, uint64_t bytes, const std::function<void(const Write&)>& content);

// The content of a file; an Error when it is missing, unreadable, a folder, or longer than max_bytes.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 30);

// Removes a file, or a folder with all that is in it; nothing where there is none. Ranks as in write_atomically.
void discard(const std::filesystem::path& path);

// Creates the folder and its parents when they do not exist; an Error when that is impossible.
void make_folder(const std::filesystem::path& path);

// Removes what writes that were killed half-way have left below the folder. Only for folders that no one writes to now.
void remove_temporary_files(const std::filesystem::path& folder);

// Holds a folder for this process as long as the object lives (flock: a killed process lets go by itself). An Error when
// another process holds it. The first of several ranks holds it for all.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;

 private:
  int descriptor_;
};

// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);
std::string sha256_file(const std::filesystem::path& path);  // reads in blocks: any file size

}  // namespace querent
