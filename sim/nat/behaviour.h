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

/// Which outside endpoint a NAT gives to a flow. RFC 4787 §4.1 (UDP), RFC 5382 §4.1 (TCP), RFC 5508 §3.1 (echo).
enum class Mapping : std::uint8_t { endpoint_independent, address_dependent, address_and_port_dependent };

/// Which outside packets a mapping lets in. RFC 4787 §5, RFC 5382 §4.3. Filter state belongs to the mapping,
/// as in every NAT that keeps its sessions in a table: on an endpoint-dependent NAT a remote that was
/// contacted through one mapping is not thereby let in through another.
enum class Filtering : std::uint8_t { endpoint_independent, address_dependent, address_and_port_dependent };

/// Which outside port a new mapping gets. RFC 4787 §4.2.
enum class Ports : std::uint8_t {
  preserve,    ///< the inside port; `Contention` says what happens when another inside endpoint holds it
  sequential,  ///< the next free one
  random,      ///< a random free one
};

/// What `Ports::preserve` does when another inside endpoint holds the port. RFC 4787 §4.2.1.
enum class Contention : std::uint8_t {
  random,      ///< a random free port
  sequential,  ///< the next free one above the inside port
  overload,    ///< the same port again (which RFC 4787 REQ-3 forbids): who sent last gets the answers
  drop,        ///< no mapping at all: strict preservation
};

/// Which outside address an inside host gets where there are several. RFC 4787 §4.1 REQ-2.
enum class Pooling : std::uint8_t {
  paired,     ///< the same for all its mappings
  arbitrary,  ///< any for each mapping
};

/// From where an endpoint-dependent NAT answers a packet that its looser filter let in. RFC 4787 leaves it
/// open.
enum class Reply : std::uint8_t {
  fresh,    ///< from the mapping that the remote's endpoint has by the mapping rule (the literal reading)
  session,  ///< from the mapping through which the packet came in, as connection tracking does
};

/// What happens to an inbound packet that no mapping or filter lets in. RFC 5382 REQ-4, RFC 6092 REC-34.
enum class Unsolicited : std::uint8_t {
  drop,
  icmp,          ///< ICMP (ICMPv6) destination unreachable, administratively prohibited, to the sender
  icmp_port,     ///< the same, port unreachable: Linux `reject`
  delayed_icmp,  ///< the same for a TCP SYN after a delay, unless our own SYN goes out before; else as `drop`
  reset,         ///< a TCP RST to the sender (TCP only)
  accept,        ///< the router has a service of its own there: TCP is accepted, and closed at the first byte
  commit_state,  ///< Linux conntrack with an accepting INPUT chain: the packet is consumed by the router, and
                 ///< its reply tuple is taken, so that our own later flow to that remote gets another port
};

/// What happens to TCP that fits no connection (neither a SYN nor anything established).
enum class OutOfState : std::uint8_t {
  drop,
  reset,    ///< a RST to the sender, from both sides
  pick_up,  ///< a packet with ACK from inside begins a connection as a SYN would (Linux nf_conntrack_tcp_loose)
  leak,  ///< so, too, and all else from inside is forwarded untranslated (Linux without `ct state invalid drop`)
};

/// How a TCP connection is followed.
enum class TcpTracking : std::uint8_t {
  rfc,        ///< by the SYNs, ACKs, FINs and RSTs of both sides, as RFC 5382 and RFC 6146 §3.5.2 need it
  conntrack,  ///< by the states of Linux nf_conntrack; word `linux`
};

/// How a packet from inside to one of our outside endpoints comes back. RFC 4787 §6, REQ-9.
enum class Hairpin : std::uint8_t {
  off,
  refuse,    ///< the router itself answers: ICMP port unreachable, or a RST (Linux masquerade)
  internal,  ///< with the inside source, which REQ-9a forbids: the receiver answers past the NAT
  external,  ///< with the source that the outside would see
};

/// Which directions extend the life of a mapping. RFC 4787 REQ-6: outbound must; inbound may.
enum class Refresh : std::uint8_t { outbound, inbound, both };

/// Fragments of a datagram, of which only the first carries ports. RFC 4787 §11, REQ-14.
enum class Fragments : std::uint8_t {
  order_free,  ///< translated in whatever order they come
  ordered,     ///< translated once the first has passed; what comes before it is dropped
  drop,
};

/// What a full table does for a new mapping. RFC 6888 REQ-4 leaves it open.
enum class WhenFull : std::uint8_t {
  drop,          ///< refuses it
  evict_oldest,  ///< ends the mapping that has been idle for longest
};

/// What a deny-list remembers of the sender of an unsolicited packet.
enum class DenyKey : std::uint8_t { address, endpoint };

enum class Translate : std::uint8_t {
  on,
  off,    ///< a firewall, or with endpoint-independent filtering an open network: everything passes
  fixed,  ///< 1:1: each inside host has an outside address of its own, ports are unchanged; word `static`
};

/// Ports that are given out, first and last included.
struct PortRange {
  std::uint16_t first = 1024;
  std::uint16_t last = 65535;
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

/// How one transport is translated and filtered. Each transport has rules, and a table, of its own.
struct TransportRules {
  Mapping mapping = Mapping::endpoint_independent;
  Filtering filtering = Filtering::address_and_port_dependent;
  Ports ports = Ports::preserve;
  Contention contention = Contention::random;
  std::uint16_t step = 1;     ///< between sequential ports, 1 to 1024 (`Ports` and `Contention`)
  bool parity = false;        ///< even ports stay even, odd ones odd (RFC 4787 §4.2.2)
  bool contiguity = false;    ///< port n+1 becomes the port above that of n, where that is free (§4.2.3)
  PortRange port_range;       ///< of ports that are chosen, and where narrowed, of those that are preserved
  bool port_classes = false;  ///< below 512, from 600 to 1023, and above, each by the inside port (Linux)
  /// A new mapping prefers the outside endpoint that the latest one of its inside endpoint has, towards
  /// whomever. Linux; of APDM/APDF with `Ports::preserve`.
  bool reuse = false;
  Reply reply = Reply::fresh;
  Unsolicited unsolicited = Unsolicited::drop;  ///< of ICMP only `icmp_port` differs from `drop`
  Hairpin hairpin = Hairpin::off;
  bool blocked = false;                      ///< none of this transport passes, in either direction
  std::vector<std::uint16_t> allowed_ports;  ///< remote ports that may be contacted; empty: any
  friend bool operator==(const TransportRules&, const TransportRules&) = default;
};

/// What the IPv6 firewall of the same box does otherwise than its IPv4 side; unset: the same. The
/// recommendations are those of RFC 6092 (simple security in residential CPE).
struct Ipv6Rules {
  struct OfTransport {
    std::optional<Filtering> filtering;      ///< REC-17 (UDP), REC-33 (TCP), REC-11 (others)
    std::optional<Unsolicited> unsolicited;  ///< REC-34: TCP is answered with ICMPv6 after 6 s or more
    std::optional<bool> blocked;
    friend bool operator==(const OfTransport&, const OfTransport&) = default;
  };
  OfTransport udp, tcp, icmp;
  std::optional<Seconds> unsolicited_delay;        ///< REC-34
  std::optional<OutOfState> out_of_state;          ///< REC-31: all valid sequences pass
  std::optional<bool> simultaneous_open;           ///< REC-31
  std::optional<Seconds> udp_timeout;              ///< REC-14: at least 2 min
  std::optional<Seconds> udp_unreplied_timeout;    ///< REC-14
  std::optional<Refresh> udp_refresh;              ///< REC-16
  std::optional<Seconds> tcp_transitory_timeout;   ///< REC-35: at least 4 min
  std::optional<Seconds> tcp_established_timeout;  ///< REC-35: at least 2 h 4 min
  std::optional<Seconds> tcp_closing_timeout;      ///< REC-35
  std::optional<Seconds> tcp_reset_timeout;        ///< REC-35
  std::optional<Seconds> icmp_timeout;
  std::optional<bool> icmp_errors;  ///< REC-18 (UDP), REC-36 (TCP): must be forwarded
  /// REC-49: everything is forwarded, whether or not somebody inside has sent before.
  bool transparent = false;
  friend bool operator==(const Ipv6Rules&, const Ipv6Rules&) = default;
};

/// The whole behaviour of one NAT or firewall: a value, compared and copied like one.
struct Behaviour {
  Translate translate = Translate::on;
  TransportRules udp;
  TransportRules tcp;   ///< many gateways treat TCP otherwise than UDP (Ford et al. 2005, table 1)
  TransportRules icmp;  ///< echo, whose identifier takes the place of a port (RFC 5508 §3.1)

  Pooling pooling = Pooling::paired;
  std::uint16_t port_block = 0;   ///< ports a block that belongs to one subscriber (RFC 7422); 0: no blocks
  std::uint16_t port_blocks = 1;  ///< most blocks of one subscriber (RFC 6888 REQ-4), per transport

  Seconds unsolicited_delay{6};                ///< of Unsolicited::delayed_icmp; RFC 5382 REQ-4: 6 s or more
  OutOfState out_of_state = OutOfState::drop;  ///< RFC 5382 leaves it open
  /// RFC 5382 REQ-2. Off: an inbound SYN that meets our own SYN is unsolicited, and handled as such.
  bool simultaneous_open = true;
  TcpTracking tcp_tracking = TcpTracking::rfc;
  /// False: deep packet inspection that drops a SYN with ACK from inside on a flow that began with our SYN.
  bool syn_ack_after_syn = true;

  Seconds udp_timeout{300};            ///< RFC 4787 REQ-5: at least 2 min, 5 min recommended
  Seconds udp_unreplied_timeout{300};  ///< until it is a stream: answered, and `udp_stream_after` old
  /// Its age from which on an answered session is a stream. Linux: 2 s, and the answer itself does not count yet.
  Seconds udp_stream_after{0};
  Refresh udp_refresh = Refresh::outbound;  ///< RFC 4787 REQ-6; a new session always starts its timer
  Seconds tcp_transitory_timeout{240};      ///< before established. RFC 5382 REQ-5: at least 4 min
  Seconds tcp_established_timeout{7440};    ///< RFC 5382 REQ-5: at least 2 h 4 min
  Seconds tcp_closing_timeout{240};  ///< after FINs of both sides. RFC 7857 §2.1: 4 min, as transitory
  Seconds tcp_reset_timeout{240};    ///< after a RST. RFC 7857 §2.2: 4 min; Linux: 10 s
  /// Of `TcpTracking::conntrack` alone; there the closing timeout is that of FIN_WAIT and TIME_WAIT.
  Seconds tcp_syn_received_timeout{60};
  Seconds tcp_close_wait_timeout{60};
  Seconds tcp_last_ack_timeout{30};
  Seconds icmp_timeout{60};                  ///< RFC 5508 REQ-2: at least 60 s
  Refresh icmp_refresh = Refresh::outbound;  ///< which packets of an echo start it anew

  bool icmp_errors = true;  ///< about our packets are translated. RFC 5508 REQ-3 to REQ-6, RFC 5382 REQ-9
  bool echo = false;        ///< a ping to an outside address of ours is answered. RFC 1122 §3.2.2.6
  bool ttl_expired = true;  ///< answers at the last hop (RFC 1812 §5.3.1) from its address: if it translates
  Fragments fragments = Fragments::order_free;

  std::uint32_t max_mappings = 0;           ///< of all transports; 0: 2²² of each
  std::uint32_t max_mappings_per_host = 0;  ///< of one inside address (RFC 6888 REQ-4); 0: no limit
  WhenFull when_full = WhenFull::drop;

  /// For how long a sender of an unsolicited packet is neither heard nor talked to, from the last such packet
  /// on; 0: there is no such list.
  Seconds deny_list{0};
  DenyKey deny_key = DenyKey::endpoint;
  /// A portal before login: nothing passes, TCP to ports 80 and 443 is answered by the portal itself.
  bool captive = false;

  Ipv6Rules ipv6;

  friend bool operator==(const Behaviour&, const Behaviour&) = default;
};

/// The box as IPv6 sees it: a firewall with the IPv6 rules in the place of those that they override.
Behaviour ipv6_side(const Behaviour& behaviour);

/// Why a text names no behaviour, with the offset of the offending character in it and the nearest valid word
/// (empty when nothing is near).
struct NotationError {
  std::string message;
  std::size_t offset = 0;
  std::string nearest;
};

/// A behaviour with a name.
struct Preset {
  std::string name;
  std::string summary;      ///< one line for people
  std::string inline_form;  ///< without a preset's name in it
};
using Presets = std::vector<Preset>;  ///< in the order in which people should see them

/// Reads NAME[,key=value…], NAME being one of `presets`, or the inline form MAPPING/FILTERING[/PORTS][,key=value…], such
/// as `EIM/APDF`, `linux,udp_timeout=30s`, `APDM/APDF/preserve,hairpin=external`.
///
/// 1. A bare key of `TransportRules` holds for all three transports as far as it means something there; with
///    `udp_`, `tcp_` or `icmp_` before it for one, and that one wins, whatever their order.
/// 2. `ipv6_` before a key of `Ipv6Rules` sets the IPv6 side alone.
/// 3. udp_unreplied_timeout follows udp_timeout and tcp_closing_timeout follows tcp_transitory_timeout while
///    they were equal before and are not given.
tl::expected<Behaviour, NotationError> parse_behaviour(std::string_view text, const Presets& presets = {});

/// The canonical inline form, of what differs from a default-constructed behaviour;
/// `parse_behaviour(to_string(b)) == b`.
std::string to_string(const Behaviour& behaviour);

/// One key of the notation, for people.
struct KeyInfo {
  std::string key;
  std::string values;  ///< the words, or the kind of value, that it takes
  std::string meaning;
  bool per_transport;  ///< may carry `udp_`, `tcp_` or `icmp_` before it
  bool ipv6;           ///< may carry `ipv6_` before all that
};
/// All keys, without their prefixes: mapping, filtering and ports first.
const std::vector<KeyInfo>& notation_keys();

/// What a behaviour says under a key, with or without prefixes, in the notation's words. A bare key of
/// transports that differ gives the words of UDP, TCP and ICMP in this order, with blanks between them. Empty
/// for an IPv6 key that is unset, and for what is no key.
std::string value_of(std::string_view key, const Behaviour& behaviour);

}  // namespace flaresim::nat
