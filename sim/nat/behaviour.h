#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace flaresim::nat {

using Seconds = std::chrono::duration<double>;

/// Which outside endpoint a NAT gives to a flow. RFC 4787 §4.1 (UDP), RFC 5382 §4.1 (TCP).
enum class Mapping { endpoint_independent, address_dependent, address_and_port_dependent };

/// Which outside packets a mapping lets in. RFC 4787 §5, RFC 5382 §4.3. Filter state belongs to the mapping,
/// as in every NAT that keeps its sessions in a table: on an endpoint-dependent NAT a remote that was
/// contacted through one mapping is not thereby let in through another.
enum class Filtering { endpoint_independent, address_dependent, address_and_port_dependent };

/// Which outside port a new mapping gets. RFC 4787 §4.2.1-4.2.2.
enum class Ports {
  preserve,    ///< the inside port; a random one when another inside endpoint holds it (contention)
  sequential,  ///< the next free one
  random,      ///< a random free one
};

/// What happens to an inbound packet that no mapping or filter lets in. RFC 5382 REQ-4 for TCP.
enum class Unsolicited {
  drop,
  icmp,          ///< ICMP (ICMPv6) destination unreachable, administratively prohibited, to the sender
  reset,         ///< a TCP RST to the sender (TCP only)
  commit_state,  ///< Linux conntrack with an accepting INPUT chain: the packet is consumed by the router, and
                 ///< its reply tuple is taken, so that our own later flow to that remote gets another port
};

/// From where an endpoint-dependent NAT answers a packet that its looser filter let in. RFC 4787 leaves it
/// open.
enum class Reply {
  fresh,    ///< from the mapping that the remote's endpoint has by the mapping rule (the literal reading)
  session,  ///< from the mapping through which the packet came in, as connection tracking does
};

/// Which directions extend the life of a mapping. RFC 4787 REQ-6: outbound must; inbound may.
enum class Refresh { outbound, inbound, both };

/// The whole behaviour of one NAT or firewall: a value, compared and copied like one.
struct Behaviour {
  /// False: no address translation (public hosts); filtering still applies, by the rules of IPv6 (nat.h).
  /// Without translation, endpoint-independent filtering means an open network: everything passes in both
  /// directions.
  bool translates = true;
  Mapping mapping = Mapping::endpoint_independent;
  Filtering filtering = Filtering::address_and_port_dependent;
  Ports ports = Ports::preserve;
  Reply reply = Reply::fresh;
  /// Where TCP differs from UDP: many gateways translate UDP consistently and TCP not (Ford et al. 2005, table 1).
  std::optional<Mapping> tcp_mapping;
  std::optional<Ports> tcp_ports;

  Unsolicited udp_unsolicited = Unsolicited::drop;
  Unsolicited tcp_unsolicited = Unsolicited::drop;
  bool udp_blocked = false;  ///< no UDP at all, in either direction

  Seconds udp_timeout;                      ///< RFC 4787 REQ-5: at least 2 min, 5 min recommended
  Seconds udp_unreplied_timeout;            ///< until the first reply; Linux: 30 s, then `udp_timeout`
  Refresh udp_refresh = Refresh::outbound;  ///< a new session always starts its timer
  Seconds tcp_transitory_timeout;   ///< before established and after FIN. RFC 5382 REQ-5: at least 4 min
  Seconds tcp_established_timeout;  ///< RFC 5382 REQ-5: at least 2 h 4 min
  Seconds tcp_reset_timeout;        ///< after a RST (RFC 7857 §2.2); Linux: 10 s
  /// RFC 5382 REQ-2. Off: an inbound SYN that meets our own SYN is unsolicited, and handled as such.
  bool tcp_simultaneous_open = true;

  Behaviour();
  friend bool operator==(const Behaviour&, const Behaviour&) = default;
};

/// Why a text names no behaviour, with the offset of the offending character in it and the nearest valid word
/// (empty when nothing is near).
struct NotationError {
  std::string message;
  std::size_t offset = 0;
  std::string nearest;
};

/// Reads a preset's name (`port-restricted`) or the inline form MAPPING/FILTERING[/PORTS][,key=value…], such
/// as `EIM/APDF`, `ADM/EIF/random`, `APDM/APDF/preserve,udp_timeout=30s`. Inline behaviours drop unsolicited
/// packets unless told otherwise.
tl::expected<Behaviour, NotationError> parse_behaviour(std::string_view text);

/// The canonical inline form; `parse_behaviour(to_string(b)) == b`.
std::string to_string(const Behaviour& behaviour);

struct Preset {
  std::string_view name;
  std::string_view summary;  ///< one line for people
  std::string_view inline_form;
};

/// All presets, in the order in which people should see them.
const std::vector<Preset>& presets();

}  // namespace flaresim::nat
