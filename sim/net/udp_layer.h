#pragma once

#include <ns3/ip-l4-protocol.h>

#include <map>
#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "sim/net/routing.h"

namespace flaresim::net {

/// Who reads what is sent to a bound port. Called from inside the event loop's packet processing.
class UdpUser {
 public:
  virtual ~UdpUser() = default;
  virtual void received(const io::Endpoint& from, const io::IpAddress& to, io::Bytes payload) = 0;
};

/// A host's UDP. ns-3's own does not tell which address a datagram came to, and gives IPv4 datagrams to IPv6
/// wildcards.
///
/// 1. A port is bound to an address, or to all addresses of a family, also those that the host is given
///    later. The two exclude each other (no SO_REUSEADDR).
/// 2. A datagram for nobody is answered with an ICMP port unreachable (RFC 1122 §4.1.3.1).
/// 3. ICMP errors are not told: Linux does not tell them to sockets that are not connected.
class UdpLayer final : public ns3::IpL4Protocol {
 public:
  static ns3::TypeId GetTypeId();
  ns3::TypeId GetInstanceTypeId() const override;

  /// The socket numbers that it draws are the host's own.
  void set_random(io::Random random) { random_ = std::move(random); }

  /// Port 0 asks for a free one. Says on which port. `errc::address_in_use`.
  io::Result<std::uint16_t> bind(const io::Endpoint& local, UdpUser& user);
  void release(const io::Endpoint& local);
  /// What comes to this group and port reaches this user, too, who may share it with others.
  void join(const io::Endpoint& group, UdpUser& user);
  void leave_all(const UdpUser& user);
  /// `from` is one of the host's addresses.
  void send(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload);

  int GetProtocolNumber() const override;
  RxStatus Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv4Header& header,
                   ns3::Ptr<ns3::Ipv4Interface> interface) override;
  RxStatus Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv6Header& header,
                   ns3::Ptr<ns3::Ipv6Interface> interface) override;
  void SetDownTarget(DownTargetCallback target) override { down4_ = target; }
  void SetDownTarget6(DownTargetCallback6 target) override { down6_ = target; }
  DownTargetCallback GetDownTarget() const override { return down4_; }
  DownTargetCallback6 GetDownTarget6() const override { return down6_; }

 protected:
  void DoDispose() override;

 private:
  RxStatus demultiplex(const ns3::Ptr<ns3::Packet>& packet, const ns3::Address& source,
                       const ns3::Address& destination, const io::IpAddress& from, const io::IpAddress& to);
  bool is_free(const io::Endpoint& local) const;
  std::optional<std::uint16_t> free_port(const io::IpAddress& address);
  UdpUser* user_of(const io::Endpoint& local) const;
  /// Who is to have what came to this endpoint.
  std::vector<UdpUser*> users_at(const io::Endpoint& local) const;

  io::Random random_{0};
  std::map<io::Endpoint, UdpUser*> users_;
  std::map<io::Endpoint, std::vector<UdpUser*>> groups_;  // in the order of joining
  DownTargetCallback down4_;
  DownTargetCallback6 down6_;
};

}  // namespace flaresim::net
