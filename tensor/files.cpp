#include "tensor/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "tensor/collective.h"
#include "tensor/error.h"

namespace querent {
namespace fs = std::filesystem;
namespace {

// An open file descriptor, closed on every path.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

const char* fix_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or write to another disk";
    case ENOENT:
      return "create the folder first";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a folder you may write to";
    case EISDIR:
    case ENOTEMPTY:
      return "a folder has this name; choose another";
    default:
      return "check the folder and the disk";
  }
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Calls use(block) for each block of the file.
template <class F>
void read_blocks(const fs::path& path, const F& use) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    fail("{}: cannot open the file ({}); {}", path.string(), std::strerror(errno),
         missing ? "check the path" : "check its permissions");
  }
  struct stat info {};
  check(::fstat(file.get(), &info) == 0 && !S_ISDIR(info.st_mode), "{}: is a folder, a file is needed", path.string());
  std::string block(size_t{1} << 18, '\0');
  for (;;) {
    const ssize_t n = ::read(file.get(), block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    check(n >= 0, "{}: cannot read the file ({}); check the disk", path.string(), std::strerror(errno));
    if (n == 0) return;
    use(std::string_view(block.data(), static_cast<size_t>(n)));
  }
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    internal_check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "sha256: cannot start");
  }
  void add(std::string_view bytes) {
    internal_check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "sha256: cannot continue");
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    internal_check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1, "sha256: cannot finish");
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
      out += "0123456789abcdef"[digest[i] >> 4];
      out += "0123456789abcdef"[digest[i] & 15];
    }
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

namespace {
void write_in_this_rank(const fs::path& path, uint64_t bytes, const std::function<void(const Write&)>& content) {
  static std::atomic<uint64_t> serial{0};
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path temporary = folder / text(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), serial.fetch_add(1));
  const auto give_up = [&](int error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    fail("{}: cannot write {} bytes ({}); {}", path.string(), bytes, std::strerror(error), fix_for(error));
  };
  try {
    Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.get() < 0) give_up(errno);
    content([&](std::string_view part) {
      if (!write_all(file.get(), part)) give_up(errno);
    });
    if (::fsync(file.get()) != 0 || !file.close()) give_up(errno);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up(errno);
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());  // the new name survives a power cut where the disk supports it
}
}  // namespace

void write_atomically(const fs::path& path, std::string_view bytes) {
  write_atomically(path, bytes.size(), [&](const Write& write) { write(bytes); });
}
void write_atomically(const fs::path& path, uint64_t bytes, const std::function<void(const Write&)>& content) {
  in_first_rank([&] { write_in_this_rank(path, bytes, content); });
}

void discard(const fs::path& path) {
  in_first_rank([&] {
    std::error_code error;
    fs::remove_all(path, error);
    check(!error, "{}: cannot be removed ({}); check its permissions", path.string(), error.message());
  });
}

void remove_temporary_files(const fs::path& folder) {
  if (collective().rank > 0) return;
  std::error_code error;
  std::vector<fs::path> left;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.') && name.ends_with(".tmp")) left.push_back(it->path());
  }
  for (const fs::path& path : left) fs::remove(path, error);
}

FolderLock::FolderLock(const fs::path& folder) : descriptor_(-1) {
  if (collective().rank > 0) return;
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(descriptor_ >= 0, "{}: cannot open the folder ({})", folder.string(), std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(descriptor_);
  check(error != EWOULDBLOCK, "{}: another process is working in this folder; wait for it, or choose another --out",
        folder.string());
  descriptor_ = -1;  // a file system without locks
}
FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  std::string bytes;
  std::error_code ignored;
  const uint64_t size = fs::file_size(path, ignored);
  if (!ignored && size <= max_bytes) bytes.reserve(size);
  read_blocks(path, [&](std::string_view block) {
    check(bytes.size() + block.size() <= max_bytes, "{}: longer than {} bytes, the most that is read from such a file",
          path.string(), max_bytes);
    bytes += block;
  });
  return bytes;
}

void make_folder(const fs::path& path) {
  std::error_code error;
  if (!path.empty()) fs::create_directories(path, error);
  check(!error, "{}: cannot create the folder ({}); choose a folder you may write to", path.string(), error.message());
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

std::string sha256_file(const fs::path& path) {
  Sha256 hash;
  read_blocks(path, [&](std::string_view block) { hash.add(block); });
  return hash.hex();
}

}  // namespace querent
