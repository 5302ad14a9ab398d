#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "sim/gateway/port_map.h"
#include "tests/protocols/support/test_scheduler.h"

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

/// A gateway and one client. Its profile is what a test makes of it before it first asks.
class Gateway : public testing::Test {
 protected:
  PortMap& map() {
    if (!map_) map_.emplace(scheduler, io::Random(1), forwarder, profile);
    return *map_;
  }

  const io::Endpoint client{boost::asio::ip::make_address("192.168.1.10"), 50000};
  support::TestScheduler scheduler;
  FakeForwarder forwarder;
  ServiceProfile profile;

 private:
  std::optional<PortMap> map_;
};

}  // namespace flaresim::gateway
