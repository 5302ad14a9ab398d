#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

#include "protocols/io/network.h"
#include "protocols/io/result.h"
#include "protocols/io/task.h"
#include "protocols/io/time.h"

namespace flaresim::portmap {

enum class Transport : std::uint8_t { udp, tcp };

enum class Error {
  no_gateway = 1,    ///< nobody answered, or nobody that maps ports
  no_default_route,  ///< it is not known whom to ask
  malformed_answer,
  unsupported,  ///< version, opcode, option or action
  not_authorized,
  no_resources,      ///< the gateway has no port, or this host has its share
  conflict,          ///< the outside port belongs to somebody else
  only_permanent,    ///< the gateway takes no leases with an end
  address_mismatch,  ///< there is another NAT between us and the gateway (PCP)
  network_failure,   ///< the gateway itself has no outside address
  failed,            ///< any other error of the gateway
};
std::error_code make_error_code(Error error);

struct Lease {
  std::uint16_t outside_port = 0;
  io::Duration lifetime{};  ///< zero: permanent
};

/// What NAT-PMP and PCP say of a mapping that there is: where both are zero, it was removed (RFC 6886 §3.4, RFC 6887 §15).
inline bool is_granted(const Lease& lease) {
  return lease.outside_port != 0 && lease.lifetime != io::Duration::zero();
}

/// A gateway that maps ports, by one of the protocols. Every call ends by itself, within a time of its own.
class Gateway {
 public:
  virtual ~Gateway() = default;
  /// `nat-pmp`, `pcp`, `upnp-igd:1` or `upnp-igd:2`.
  virtual std::string name() const = 0;
  /// May be known only once a port is mapped.
  virtual io::Task<io::Result<io::IpAddress>> external_address() = 0;
  /// Asks for a port of the gateway for ours, or renews it. The gateway may give another port than the wanted one (0:
  /// any) and another lifetime.
  virtual io::Task<io::Result<Lease>> map(Transport transport, std::uint16_t inside_port,
                                          std::uint16_t wanted, io::Duration lifetime) = 0;
  virtual io::Task<io::Result<>> unmap(Transport transport, std::uint16_t inside_port,
                                       std::uint16_t outside_port) = 0;
};

class Session;
using SessionPtr = std::shared_ptr<Session>;

using GatewayPtr = std::shared_ptr<Gateway>;

/// Each looks for a gateway that speaks its protocol, no longer than `limit`. Error::no_gateway. Closing the session
/// (inbox.h) ends the search and all calls to what it found. RFC 6886; RFC 6887; UPnP Device Architecture 1.1 with
/// InternetGatewayDevice:1 and :2.
io::Task<io::Result<GatewayPtr>> find_nat_pmp(SessionPtr session, io::Duration limit);
io::Task<io::Result<GatewayPtr>> find_pcp(SessionPtr session, io::Duration limit);
io::Task<io::Result<GatewayPtr>> find_igd(SessionPtr session, io::Duration limit);

}  // namespace flaresim::portmap

template <>
struct std::is_error_code_enum<flaresim::portmap::Error> : std::true_type {};
