#include "sim/os/node_traces.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <utility>

namespace flaresim::os {
namespace {

/// An open file, written without a buffer: what is there is complete when the program is killed.
class File {
 public:
  static io::Result<std::shared_ptr<File>> open(const std::string& path, int how) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, S_IRUSR | S_IWUSR);
    if (file < 0) return tl::unexpected(std::error_code(errno, std::generic_category()));
    return std::make_shared<File>(file);
  }
  explicit File(int file) : file_(file) {}
  ~File() { ::close(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  io::Result<> write(std::string_view text) {
    while (!text.empty()) {
      const auto written = ::write(file_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return tl::unexpected(std::error_code(errno, std::generic_category()));
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

 private:
  int file_;
};

}  // namespace

io::Result<security::KeyLog> append_keys_to(const std::string& path,
                                            std::function<void(std::error_code)> on_failure) {
  auto file = File::open(path, O_APPEND);
  if (!file) return tl::unexpected(file.error());
  return [file = std::move(*file), on_failure = std::move(on_failure)](std::string_view line) {
    if (const auto written = file->write(line); !written) on_failure(written.error());
  };
}

io::Result<OpenQlog> qlogs_in(const std::string& folder, std::function<void(std::error_code)> on_failure) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return tl::unexpected(error);
  return [folder, on_failure = std::move(on_failure)](std::string_view name) -> quic::QlogSink {
    auto file = File::open(folder + "/" + std::string(name) + ".sqlog", O_TRUNC);
    if (!file) {
      on_failure(file.error());
      return [](std::string_view) {};
    }
    return [file = std::move(*file), on_failure](std::string_view piece) mutable {
      if (!file) return;
      const auto written = file->write(piece);
      if (written) return;
      file.reset();
      on_failure(written.error());
    };
  };
}

}  // namespace flaresim::os
