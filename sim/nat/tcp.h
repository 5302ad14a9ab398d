#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "sim/nat/rules.h"

namespace flaresim::nat {

/// Control bits of a TCP header, RFC 9293 §3.1.
namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, ack = 0x10;
}

/// A SYN that opens a connection: without ACK and RST.
constexpr bool is_opening(std::uint8_t flags) {
  return (flags & (tcp_flag::syn | tcp_flag::ack | tcp_flag::rst)) == tcp_flag::syn;
}

/// The answer to such a SYN.
constexpr bool is_syn_ack(std::uint8_t flags) {
  return (flags & (tcp_flag::syn | tcp_flag::ack | tcp_flag::rst)) == (tcp_flag::syn | tcp_flag::ack);
}

/// What of a TCP header tells where a connection is, RFC 9293 §3.1.
struct TcpControl {
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledged = 0;  ///< without meaning when there is no ACK
};

/// The states of Linux nf_conntrack (nf_conntrack_proto_tcp.c).
enum class TcpState : std::uint8_t {
  none,
  syn_sent,
  syn_received,
  established,
  fin_wait,
  close_wait,
  last_ack,
  time_wait,
  closed,
  syns_crossed,  ///< SYN_SENT2: a simultaneous open
};

/// What Linux makes of a packet of a connection that it knows.
enum class TcpStep : std::uint8_t {
  moves,    ///< the packet passes, and the state may change
  ignored,  ///< the packet passes and nothing changes
  invalid,  ///< it belongs to no connection: not translated
  reopens,  ///< the connection is over, and forgotten; the packet may begin another one
};

/// The SYNs of a connection. Only other SYNs are held against them.
struct TcpSyns {
  std::array<std::optional<std::uint32_t>, 2> ends;  ///< the number behind the SYN of each direction
  std::uint32_t last_end = 0;                        ///< behind the last one of either
};

/// A TCP connection as Linux follows it.
///
/// SYNs are held against the windows of the connection that is opening, so that those of another one between the same
/// endpoints, which is dialled before this one is forgotten, are told apart: they come with other sequence numbers. All
/// else is taken to be in the window. Source: tcp_in_window in nf_conntrack_proto_tcp.c of Linux 6.2 and later.
class ConntrackTcp {
 public:
  TcpState state() const { return state_; }
  TcpStep step(Direction direction, const TcpControl& control, const TcpSyns& syns) const;
  void note(Direction direction, const TcpControl& control, TcpSyns& syns);

 private:
  enum class Sort : std::uint8_t { syn, syn_ack, fin, ack, rst, other };
  enum class Fit : std::uint8_t { below, within, above };
  static Sort sort_of(std::uint8_t flags);
  static bool is_syn(Sort sort) { return sort == Sort::syn || sort == Sort::syn_ack; }
  TcpState next(Direction direction, Sort sort) const;
  bool resumes(Direction direction, Sort sort) const;
  bool begins(Direction direction, const TcpControl& control, const TcpSyns& syns) const;
  Fit fit(Direction direction, const TcpControl& control, const TcpSyns& syns) const;

  TcpState state_ : 4 = TcpState::none;
  Direction original_ : 1 = Direction::outbound;  // of the first packet
  bool finishing_ : 1 = false;                    // FIN_WAIT has been seen
  Sort last_ : 3 = Sort::other;                   // of the last packet that was not invalid
  Direction last_direction_ : 1 = Direction::outbound;
};

/// What a NAT has seen of one TCP connection: the control bits of each direction, which is all that RFC 5382
/// §4 and RFC 6146 §3.5.2 need to tell the phases apart.
class TcpConnection {
 public:
  enum class Phase : std::uint8_t {
    transitory,   ///< not yet established
    established,  ///< both sides have sent SYN and ACK. A connection that one side has finished stays
                  ///< established
    closing,      ///< finished by both sides
    reset,        ///< by either side
  };

  /// Only our SYN has been seen: an inbound SYN would make this a simultaneous open (RFC 9293 §3.5).
  bool awaits_answer() const { return seen_[0] == tcp_flag::syn && seen_[1] == 0; }
  /// We have sent a SYN without ACK.
  bool opened_by_us() const { return opened_; }

  /// Takes note of a packet. A SYN on a connection that is over starts a new one in its place; other packets
  /// after a RST change nothing.
  void note(Direction direction, std::uint8_t flags);
  /// The connection began unseen: SYNs are taken for granted.
  void pick_up() { seen_[0] = seen_[1] = tcp_flag::syn; }

  /// A RST when one side has never spoken: nothing was established that a forged RST could cut, so nothing
  /// needs to be kept (RFC 7857 §2.2 protects established connections; Linux forgets at once, too).
  bool refused() const { return reset_ && (seen_[0] == 0 || seen_[1] == 0); }

  Phase phase() const;

  ConntrackTcp conntrack;  ///< the same connection in Linux's eyes, where they are asked for

 private:
  bool both_sent(std::uint8_t flags) const { return (seen_[0] & seen_[1] & flags) == flags; }

  std::uint8_t seen_[2] = {0, 0};  // by direction; a RST is noted in reset_ only
  bool reset_ : 1 = false;
  bool opened_ : 1 = false;
};

}  // namespace flaresim::nat
