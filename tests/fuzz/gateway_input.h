#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "sim/gateway/port_map.h"

namespace flaresim::fuzz {

using Bytes = std::vector<std::uint8_t>;

/// An input is a kind (1 byte) and messages, each with its length (2 bytes) before it.
inline Bytes to_input(std::uint8_t kind, const std::vector<std::string>& messages) {
  Bytes input{kind};
  for (const auto& message : messages) {
    input.push_back(static_cast<std::uint8_t>(message.size() >> 8));
    input.push_back(static_cast<std::uint8_t>(message.size()));
    input.insert(input.end(), message.begin(), message.end());
  }
  return input;
}

/// The messages behind the kind. The last one may be cut off.
inline std::vector<Bytes> messages_of(std::span<const std::uint8_t> input) {
  std::vector<Bytes> messages;
  for (auto left = input.subspan(1); left.size() >= 2;) {
    const std::size_t length = std::min<std::size_t>(left[0] * 256u + left[1], left.size() - 2);
    messages.emplace_back(left.begin() + 2, left.begin() + 2 + static_cast<long>(length));
    left = left.subspan(2 + length);
  }
  return messages;
}

/// Forwards nothing, but knows which ports are taken.
class Ports final : public gateway::Forwarder {
 public:
  io::Result<> open(gateway::Transport transport, std::uint16_t port, const io::Endpoint&) override {
    if (!open_.emplace(std::pair(transport, port), true).second)
      return tl::unexpected(make_error_code(std::errc::address_in_use));
    return {};
  }
  void close(gateway::Transport transport, std::uint16_t port) override { open_.erase({transport, port}); }
  io::IpAddress outside_address() const override { return boost::asio::ip::make_address("198.51.100.1"); }

 private:
  std::map<std::pair<gateway::Transport, std::uint16_t>, bool> open_;
};

}  // namespace flaresim::fuzz
