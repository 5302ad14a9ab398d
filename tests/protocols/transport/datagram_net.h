#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocols/io/network.h"
#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::support {

class DatagramNet;

/// A NAT with one outside address: endpoint-independent mapping that keeps ports, and lets in only whom its inside
/// has written to (address and port).
class SimpleNat {
 public:
  explicit SimpleNat(const std::string& outside)
      : outside_(io::IpAddress(boost::asio::ip::make_address(outside))) {}

  /// Forgets everything; the next mappings have other ports.
  void rebind();
  std::uint64_t dropped() const { return dropped_; }
  const io::IpAddress& outside() const { return outside_; }

 private:
  friend class DatagramNet;
  io::Endpoint out(const io::Endpoint& inside, const io::Endpoint& to);
  /// Port 0 when it is dropped.
  io::Endpoint in(const io::Endpoint& from, const io::Endpoint& outside);

  io::IpAddress outside_;
  std::uint16_t shift_ = 0;
  std::map<io::Endpoint, io::Endpoint> outside_of_;
  std::map<io::Endpoint, io::Endpoint> inside_of_;
  std::set<std::pair<io::Endpoint, io::Endpoint>> written_to_;
  std::uint64_t dropped_ = 0;
};

struct Passage {
  io::TimePoint at;
  io::Endpoint from;
  io::Endpoint to;
  std::size_t bytes;

  friend bool operator==(const Passage&, const Passage&) = default;
};

/// Datagrams in memory, with latency and loss.
class DatagramNet {
 public:
  DatagramNet(TestScheduler& scheduler, std::uint64_t seed) : scheduler_(scheduler), random_(seed) {}

  TestScheduler& scheduler() { return scheduler_; }
  io::Duration latency = std::chrono::milliseconds(25);  ///< one way
  double loss = 0;
  /// Sees every datagram as it leaves, and may change it; false drops it.
  std::function<bool(const io::Endpoint& from, const io::Endpoint& to, io::Bytes& payload)> tap;
  std::vector<Passage> trace;

  SimpleNat& nat(const std::string& outside);
  /// A host of its own; behind a NAT when one is given.
  std::unique_ptr<io::Network> host(const std::string& address, SimpleNat* nat = nullptr);
  /// A datagram from anywhere, past the tap.
  void inject(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload);

 private:
  friend class NetSocket;
  friend class NetHost;
  void send(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload);
  void deliver(io::Endpoint from, io::Endpoint to, io::Bytes payload);

  TestScheduler& scheduler_;
  io::Random random_;
  std::map<io::Endpoint, class NetSocket*> sockets_;
  std::map<io::IpAddress, SimpleNat*> behind_;
  std::map<io::IpAddress, SimpleNat> nats_;
};

}  // namespace flaresim::support
