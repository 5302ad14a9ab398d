#pragma once

#include <boost/asio/ip/address.hpp>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocols/io/random.h"
#include "protocols/io/scheduler.h"
#include "protocols/io/stream.h"

namespace flaresim::io {

using IpAddress = boost::asio::ip::address;

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend bool operator<(const Endpoint& a, const Endpoint& b) {
    return a.address != b.address ? a.address < b.address : a.port < b.port;
  }
};

/// `192.0.2.1:4001`, `[2001:db8::1]:4001`
std::string to_string(const Endpoint& endpoint);

/// Reachable from the whole Internet: not private, shared (RFC 6598), loopback, link-local, documentation, or
/// otherwise reserved. RFC 6890 tables; the rule that go-libp2p's `manet.IsPublicAddr` follows.
bool is_public(const IpAddress& address);

/// A TCP connection, or one that is being opened.
class StreamSocket : public Stream {
 public:
  /// Completes at once on an accepted socket. Fails with `errc::connection_refused` on a reset,
  /// `errc::network_unreachable`, `errc::timed_out` when the system's own SYN retries run out, or the reason
  /// given to `reset`, which gives up a dial without putting a packet on the wire.
  virtual Task<Result<>> connected() = 0;
  virtual Endpoint local() const = 0;
  virtual Endpoint remote() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  /// Fails with `errc::operation_canceled` once closed.
  virtual Task<Result<std::shared_ptr<StreamSocket>>> accept() = 0;
  virtual Endpoint local() const = 0;
  virtual void close() = 0;
};

struct Datagram {
  Endpoint from;
  Bytes payload;
};

class DatagramSocket {
 public:
  virtual ~DatagramSocket() = default;
  /// Hands one datagram to the network; what becomes of it is not known.
  virtual Result<> send_to(BytesView payload, const Endpoint& to) = 0;
  /// Fails with `errc::operation_canceled` once closed.
  virtual Task<Result<Datagram>> receive() = 0;
  /// From now on also receives what is sent to this multicast group, on this socket's port, in the local network. Fails
  /// with `errc::operation_not_supported` where there is no multicast, `errc::invalid_argument` for an address of
  /// another kind.
  virtual Result<> join(const IpAddress& group);
  virtual Endpoint local() const = 0;
  virtual void close() = 0;
};

/// What a host offers to the protocols that run on it. The one place where simulation and reality differ.
class Network {
 public:
  virtual ~Network() = default;

  virtual Scheduler& scheduler() = 0;
  /// Nothing leaves this process, so nobody is harmed by what would be unsafe elsewhere.
  virtual bool is_simulated() const { return false; }
  /// A stream named by its purpose; the same name gives the same numbers on the same host of the same seed.
  virtual Random random(std::string_view purpose) = 0;
  /// Addresses of this host's own interfaces, loopback last.
  virtual std::vector<IpAddress> addresses() const = 0;
  /// The IPv4 router that packets to other networks go through, where there is one and it is known.
  virtual std::optional<IpAddress> default_gateway() const { return std::nullopt; }

  /// Port 0 asks for a free one. `errc::address_in_use`.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& local) = 0;

  /// Starts a TCP connection: the SYN leaves before this returns. With `local_port`, from that port although
  /// a listener or other connections use it too (SO_REUSEPORT), so that the dial leaves through the NAT
  /// mapping that the listener is known by. A peer that dials back at the same instant meets it in one
  /// connection (simultaneous open, RFC 9293 §3.5). Fails with `errc::address_in_use` when that 4-tuple is
  /// taken.
  virtual Result<std::shared_ptr<StreamSocket>> dial(const Endpoint& remote,
                                                     std::optional<std::uint16_t> local_port) = 0;

  /// Port 0 asks for a free one. `errc::address_in_use`.
  virtual Result<std::unique_ptr<DatagramSocket>> bind(const Endpoint& local) = 0;
};

}  // namespace flaresim::io
