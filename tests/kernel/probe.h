#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/kernel/lab.h"
#include "tests/kernel/transcript.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::kernel {

using nat::test::Host;

/// What a script of packets needs: someone to send them, someone to write down what comes of it, and addresses.
class Probe {
 public:
  Probe(Lab& lab, Transcript& transcript, bool ipv6);

  const std::string a, b;     ///< inside
  const std::string r, s, m;  ///< outside
  const std::string front;    ///< where A is seen from outside, before any packet: the router, or A itself

  std::vector<Emitted> send(Side from, const Bytes& packet);
  /// Leaves it to `find` or `note` to write something down.
  std::vector<Emitted> send_quietly(Side from, const Bytes& packet) { return lab_.send(from, packet); }
  void note(Side from, const Bytes& sent, const std::vector<Emitted>& emitted) {
    transcript_.add(from, sent, emitted);
  }
  void wait(std::chrono::milliseconds time);
  void find(const std::string& what, const std::string& finding) { transcript_.add_finding(what, finding); }

  /// Sends from inside: the endpoint from which the packet goes on outside; from where it was sent when it does not.
  Host out(const Bytes& packet);
  /// Sends from outside. Whether it reaches the inside.
  bool in(const Bytes& packet);

  Host udp_out(const Host& from, const Host& to);
  bool udp_in(const Host& from, const Host& to);

 private:
  Lab& lab_;
  Transcript& transcript_;
};

/// A TCP connection between an inside and an outside endpoint, whose segments have the right numbers: the SYNs of both
/// ends the given ones.
class Connection {
 public:
  Connection(Probe& probe, Host inside, Host outside, std::uint32_t inside_number = 1000,
             std::uint32_t outside_number = 9000);

  void out(std::uint8_t flags, std::size_t payload_bytes = 0);
  void in(std::uint8_t flags, std::size_t payload_bytes = 0);
  /// The RST that answers a SYN.
  void refuse_from_outside();
  /// Three packets.
  void open();
  /// As `open`, then data from inside, and both ends close, the outside first.
  void open_and_close();

 private:
  struct End {
    std::uint32_t first;  ///< sequence number, of the SYN
    std::uint32_t next = first;
  };
  static nat::test::TcpFields fields(End& sender, const End& receiver, std::uint8_t flags,
                                     std::size_t payload_bytes);

  Probe& probe_;
  Host inside_;
  Host outside_;
  Host mapped_;  ///< where the inside is seen
  End inside_end_;
  End outside_end_;
};

}  // namespace flaresim::kernel
