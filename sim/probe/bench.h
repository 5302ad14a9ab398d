#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sim/probe/lab.h"
#include "sim/probe/packet.h"

namespace flaresim::probe {

/// What is probed: a transport over one family of addresses. ICMP means echo.
struct Subject {
  Protocol transport = Protocol::udp;
  bool v6 = false;

  bool is_tcp() const { return transport == Protocol::tcp; }
  bool is_udp() const { return transport == Protocol::udp; }
  bool is_icmp() const { return transport == Protocol::icmp || transport == Protocol::icmpv6; }
};

/// A flow through the box, as both of its ends know it.
struct Flow {
  io::Endpoint inside{};
  io::Endpoint remote{};
  io::Endpoint outside{};             ///< as the remote sees `inside`
  std::uint32_t inside_sequence = 0;  ///< the next one; TCP
  std::uint32_t remote_sequence = 0;
};

/// What became of a packet: where it came out, and what came back at the wire where it was sent.
struct Outcome {
  std::optional<Packet> arrived{};
  std::vector<Packet> answers{};

  explicit operator bool() const { return arrived.has_value(); }
};

/// A prober at a lab: plays all hosts on both sides, packet by packet.
///
/// 1. Each packet carries a token by which it is known again however its addresses were changed.
/// 2. Whatever is sent has had its time to arrive when the call returns, so calls take `longest_crossing`.
class Bench {
 public:
  /// `remote_ports`: the ports of the outside hosts, in the order of `remote`.
  Bench(std::unique_ptr<Lab> lab, Subject subject, std::vector<std::uint16_t> remote_ports);

  Lab& lab() { return *lab_; }
  const Subject& subject() const { return subject_; }
  std::size_t hosts() const;
  io::Endpoint inside(std::size_t host, std::uint16_t port) const;
  io::Endpoint remote(std::size_t address, std::size_t port) const;

  io::TimePoint now() const { return lab_->now(); }
  void wait_until(io::TimePoint at);
  void wait(io::Duration duration) { wait_until(now() + duration); }

  // Packets of the subject's transport. An opener is what begins a flow (a datagram, a SYN, an echo request); from
  // outside ICMP can only begin with an echo reply.
  Packet opener(const io::Endpoint& from, const io::Endpoint& to);
  Packet tcp(const io::Endpoint& from, const io::Endpoint& to, std::uint8_t flags, std::uint32_t sequence = 0,
             std::uint32_t acknowledgement = 0);

  Outcome outward(const Packet& packet) { return pass(Side::inside, Side::outside, packet); }
  Outcome inward(const Packet& packet) { return pass(Side::outside, Side::inside, packet); }
  /// From inside to the box's own outside address, which leads inside again.
  Outcome around(const Packet& packet) { return pass(Side::inside, Side::inside, packet); }

  // Flows.
  std::optional<Flow> open(const io::Endpoint& inside, const io::Endpoint& remote);
  /// Opened, answered and, with TCP, acknowledged.
  std::optional<Flow> establish(const io::Endpoint& inside, const io::Endpoint& remote);
  /// Whether the remote's answer to the opener came in to where it belongs.
  bool answer(Flow& flow);
  bool talk_out(Flow& flow);
  bool talk_in(Flow& flow);
  /// Both sides at the same instant, as the box sees it.
  bool talk_both(Flow& flow);
  /// A TCP segment of an established flow, without data; a SYN or FIN in it counts.
  bool segment_out(Flow& flow, std::uint8_t flags);
  bool segment_in(Flow& flow, std::uint8_t flags);
  /// An opener from outside. Whether it came in, and where to.
  Outcome knock(const io::Endpoint& remote, const io::Endpoint& outside);

  /// Many openers at once, a batch a crossing; in the order of `from`, nothing for those that did not arrive.
  std::vector<std::optional<Flow>> open_many(const std::vector<io::Endpoint>& from,
                                             const io::Endpoint& remote);
  /// How many of the flows their remote still reaches.
  std::vector<bool> reach_many(const std::vector<std::optional<Flow>>& flows);

  /// What came out of a wire since the last packet was sent, while `duration` passes.
  std::vector<Packet> listen(Side side, io::Duration duration);

 private:
  Outcome pass(Side from, Side to, const Packet& packet);
  std::vector<Packet> drain(Side side);
  std::uint32_t next_token() { return token_ += token_step; }
  Packet data(const io::Endpoint& from, const io::Endpoint& to, std::uint32_t sequence,
              std::uint32_t acknowledgement);
  Packet data_out(Flow& flow);
  Packet data_in(Flow& flow);
  Packet answer_packet(Flow& flow);
  void discard();

  static constexpr std::uint32_t token_step = 4096;

  std::unique_ptr<Lab> lab_;
  Subject subject_;
  std::vector<std::uint16_t> remote_ports_;
  std::uint32_t token_ = 0x10000;
};

}  // namespace flaresim::probe
