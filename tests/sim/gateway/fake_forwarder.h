#pragma once

#include <map>
#include <set>
#include <utility>

#include "sim/gateway/port_map.h"

namespace flaresim::gateway {

/// A gateway of which only the open ports are seen.
class FakeForwarder final : public Forwarder {
 public:
  using Key = std::pair<Transport, std::uint16_t>;

  io::Result<> open(Transport transport, std::uint16_t outside_port, const io::Endpoint& inside) override {
    const Key key{transport, outside_port};
    if (taken.contains(key) || forwards.contains(key)) return io::fail(std::errc::address_in_use);
    forwards.emplace(key, inside);
    return {};
  }
  void close(Transport transport, std::uint16_t outside_port) override {
    forwards.erase({transport, outside_port});
  }
  io::IpAddress outside_address() const override { return boost::asio::ip::make_address("203.0.113.7"); }

  std::map<Key, io::Endpoint> forwards;
  std::set<Key> taken;  ///< by something else than a forward
};

}  // namespace flaresim::gateway
