#pragma once

#include <compare>
#include <cstdint>
#include <span>

#include "sim/nat/packet.h"
#include "sim/nat/translate46.h"
#include "sim/nat/translation.h"

namespace flaresim::nat {

/// The home's end of DS-Lite, RFC 6333 §5: IPv4 packets travel to the carrier inside IPv6 packets (RFC 2473),
/// and nothing is translated at home. IPv6 passes. Packets that come out of the tunnel must come from its other
/// end.
class SoftwireB4 final : public HeaderTranslation {
 public:
  SoftwireB4(const Address& own, const Address& aftr) : own_(own), aftr_(aftr) {}

  Translated outbound(std::span<const std::uint8_t> packet) override;
  Translated inbound(std::span<const std::uint8_t> packet) override;

 private:
  Address own_;
  Address aftr_;
};

/// What makes a carrier's NAT an AFTR (RFC 6333 §6): takes the IPv4 packets out of the subscribers' tunnels.
/// Subscribers have the same private addresses, so the NAT gets a stand-in for each pair of tunnel and address
/// (§8.2's extended binding), and all of its axes hold. There is no PCP.
class AftrEdge final : public HeaderTranslation {
 public:
  explicit AftrEdge(const Address& own) : own_(own) {}

  Translated outbound(std::span<const std::uint8_t> packet) override;
  Translated inbound(std::span<const std::uint8_t> packet) override;

 private:
  struct Host {
    Address tunnel{};  ///< the B4's address
    Address address{};
    friend auto operator<=>(const Host&, const Host&) = default;
  };

  Address own_;
  StandIns<Host> hosts_;
};

}  // namespace flaresim::nat
