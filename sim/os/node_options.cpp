#include "sim/os/node_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace flaresim::os {
namespace {

tl::unexpected<std::error_code> system_failure() {
  return tl::unexpected(std::error_code(errno, std::generic_category()));
}

io::Result<crypto::PrivateKey> make_identity(const std::string& path, crypto::KeyType type) {
  auto random = io::Random::from_entropy();
  const auto key = crypto::PrivateKey::generate(random, type);
  const auto message = key.to_message();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return system_failure();
  const auto written = ::write(file, message.data(), message.size());
  if (::close(file) != 0 || written != static_cast<ssize_t>(message.size())) return system_failure();
  return key;
}

}  // namespace

io::Result<crypto::PrivateKey> load_identity(const std::string& path, crypto::KeyType when_made) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return make_identity(path, when_made);
  std::ifstream file(path, std::ios::binary);
  if (!file) return system_failure();
  // No private key is longer; what is cut off makes the message malformed.
  constexpr std::size_t max_bytes = 16 * 1024;
  io::Bytes message(max_bytes);
  file.read(reinterpret_cast<char*>(message.data()), static_cast<std::streamsize>(message.size()));
  message.resize(static_cast<std::size_t>(file.gcount()));
  return crypto::PrivateKey::from_message(message);
}

}  // namespace flaresim::os
