#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "protocols/io/network.h"
#include "protocols/io/random.h"
#include "protocols/io/result.h"
#include "protocols/io/scheduler.h"
#include "protocols/io/time.h"
#include "sim/gateway/service_profile.h"

namespace flaresim::gateway {

enum class Transport : std::uint8_t { udp, tcp };

/// What the gateway does for its services: forwards a port of its outside address to a host inside.
class Forwarder {
 public:
  virtual ~Forwarder() = default;
  /// `errc::address_in_use` when something else holds the outside port, `errc::no_buffer_space`.
  virtual io::Result<> open(Transport transport, std::uint16_t outside_port, const io::Endpoint& inside) = 0;
  virtual void close(Transport transport, std::uint16_t outside_port) = 0;
  /// The one that it has on its outside, which another NAT may translate again.
  virtual io::IpAddress outside_address() const = 0;
};

enum class MapError {
  conflict = 1,  ///< the outside port is another's, and no other one would do
  no_port,       ///< every outside port is taken
  quota,         ///< this host has as many mappings as it may have
  not_owner,     ///< the mapping was made with another nonce
};
std::error_code make_error_code(MapError error);

/// Chosen by a PCP client, and proof that a mapping is its own. RFC 6887 §11.1.
using Nonce = std::array<std::uint8_t, 12>;

struct Mapping {
  Transport transport = Transport::udp;
  std::uint16_t outside_port = 0;
  io::Endpoint inside;
  std::optional<io::TimePoint> until;  ///< none: permanent
  std::string description;
  std::optional<Nonce> nonce;
};

struct MapRequest {
  Transport transport = Transport::udp;
  io::Endpoint inside;
  std::uint16_t outside_port = 0;       ///< 0: any
  bool exactly = false;                 ///< no other outside port will do
  std::optional<io::Duration> lease{};  ///< none: permanent
  std::string description{};
  std::optional<Nonce> nonce{};
};

/// The mappings that hosts inside have asked for.
///
/// 1. A mapping is open in the forwarder from when it is granted until its lease ends, it is removed, or the map is
/// restarted.
/// 2. Asking again renews a mapping: the one with that outside port where it must be exactly that, else the first of
/// the inside endpoint, which keeps its outside port.
/// 3. Deadlines are kept by a timer of its own.
class PortMap {
 public:
  PortMap(io::Scheduler& scheduler, io::Random random, Forwarder& forwarder, ServiceProfile profile);
  ~PortMap();
  PortMap(const PortMap&) = delete;
  PortMap& operator=(const PortMap&) = delete;

  /// The mapping that was granted: its port and lease may be others than were asked for. MapError.
  io::Result<Mapping> add(const MapRequest& request);
  const Mapping* find(Transport transport, std::uint16_t outside_port) const;
  const Mapping* find_inside(Transport transport, const io::Endpoint& inside) const;
  /// In the order of transports and outside ports; null behind the last.
  const Mapping* at(std::size_t index) const;
  void remove(Transport transport, std::uint16_t outside_port);
  /// All mappings of a host for this transport.
  void remove_all(Transport transport, const io::IpAddress& inside);

  /// The gateway has lost what it forwarded, but not what it granted: opens all that can still be opened.
  void reopen();
  /// The gateway has restarted: no mapping is left, and the epoch begins again. RFC 6886 §3.6, RFC 6887 §8.5.
  void restart();
  std::uint32_t epoch_seconds() const;

  /// As the services tell it.
  io::IpAddress external_address() const;
  std::uint16_t told_port(const Mapping& mapping) const;
  const ServiceProfile& profile() const { return profile_; }
  io::TimePoint now() const { return scheduler_.now(); }
  std::size_t size() const { return entries_.size(); }

 private:
  using Key = std::pair<Transport, std::uint16_t>;
  struct Entry {
    Mapping mapping;
    std::optional<io::TimePoint> ends;  ///< when the gateway forgets it, be it before the lease's end
  };

  io::Result<std::uint16_t> open(const MapRequest& request);
  io::Result<std::uint16_t> open_any(const MapRequest& request);
  bool holds_as_many_as_it_may(const io::IpAddress& inside) const;
  void set_lease(Entry& entry, const MapRequest& request);
  void remove(std::map<Key, Entry>::iterator entry);
  void expire();

  io::Scheduler& scheduler_;
  io::Random random_;
  Forwarder& forwarder_;
  const ServiceProfile profile_;
  std::map<Key, Entry> entries_;
  io::TimePoint started_;
  io::Timer timer_;
};

}  // namespace flaresim::gateway

template <>
struct std::is_error_code_enum<flaresim::gateway::MapError> : std::true_type {};
