#include "sim/net/udp_layer.h"

#include <ns3/ipv4-header.h>
#include <ns3/ipv4-route.h>
#include <ns3/ipv6-header.h>
#include <ns3/ipv6-route.h>
#include <ns3/node.h>
#include <ns3/packet.h>
#include <ns3/udp-header.h>

#include <algorithm>

#include "sim/net/ns3_address.h"
#include "sim/net/packet.h"

namespace flaresim::net {
namespace {

// net.ipv4.ip_local_port_range
constexpr std::uint32_t first_ephemeral_port = 32768, last_ephemeral_port = 60999;
constexpr std::uint32_t header_bytes = 8;

/// How long the header says the datagram is; nothing when that cannot be.
std::optional<std::uint32_t> length_of(const ns3::Packet& packet) {
  std::array<std::uint8_t, header_bytes> head;
  if (copy_head(packet, head) < header_bytes) return {};
  const std::uint32_t length = head[4] << 8 | head[5];
  if (length < header_bytes || length > packet.GetSize()) return {};
  return length;
}

/// Of a datagram that has its header.
std::uint32_t checksum_of(const ns3::Packet& packet) {
  std::array<std::uint8_t, header_bytes> head{};
  copy_head(packet, head);
  return head[6] << 8 | head[7];
}

}  // namespace

ns3::TypeId UdpLayer::GetTypeId() {
  static const ns3::TypeId id =
      ns3::TypeId("flaresim::net::UdpLayer").SetParent<ns3::IpL4Protocol>().AddConstructor<UdpLayer>();
  return id;
}
ns3::TypeId UdpLayer::GetInstanceTypeId() const { return GetTypeId(); }
int UdpLayer::GetProtocolNumber() const { return protocol_udp; }

io::Result<std::uint16_t> UdpLayer::bind(const io::Endpoint& local, UdpUser& user) {
  const auto port = local.port != 0 ? std::optional(local.port) : free_port(local.address);
  if (!port || !is_free({local.address, *port})) return io::fail(std::errc::address_in_use);
  users_[{local.address, *port}] = &user;
  return *port;
}

void UdpLayer::release(const io::Endpoint& local) { users_.erase(local); }

void UdpLayer::join(const io::Endpoint& group, UdpUser& user) {
  auto& members = groups_[group];
  if (std::find(members.begin(), members.end(), &user) == members.end()) members.push_back(&user);
}

void UdpLayer::leave_all(const UdpUser& user) {
  for (auto& [group, members] : groups_) std::erase(members, &user);
  std::erase_if(groups_, [](const auto& entry) { return entry.second.empty(); });
}

void UdpLayer::send(const io::Endpoint& from, const io::Endpoint& to, io::BytesView payload) {
  const auto packet = ns3::Create<ns3::Packet>(payload.data(), static_cast<std::uint32_t>(payload.size()));
  ns3::UdpHeader header;
  header.SetSourcePort(from.port);
  header.SetDestinationPort(to.port);
  const auto add_header = [&](const auto& source, const auto& destination) {
    if (ns3::Node::ChecksumEnabled()) {
      header.EnableChecksums();
      header.InitializeChecksum(source, destination, protocol_udp);
    }
    packet->AddHeader(header);
    if (ns3::Node::ChecksumEnabled() && checksum_of(*packet) == 0) {
      packet->RemoveAtStart(header_bytes);
      header.ForceChecksum(0xffff);  // RFC 768: a zero would say that there is none
      packet->AddHeader(header);
    }
  };
  if (from.address.is_v4()) {
    const auto source = to_ns3(from.address.to_v4()), destination = to_ns3(to.address.to_v4());
    add_header(source, destination);
    down4_(packet, source, destination, protocol_udp, nullptr);
  } else {
    const auto source = to_ns3(from.address.to_v6()), destination = to_ns3(to.address.to_v6());
    add_header(source, destination);
    down6_(packet, source, destination, protocol_udp, nullptr);
  }
}

ns3::IpL4Protocol::RxStatus UdpLayer::Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv4Header& header,
                                              ns3::Ptr<ns3::Ipv4Interface>) {
  return demultiplex(packet, header.GetSource(), header.GetDestination(), from_ns3(header.GetSource()),
                     from_ns3(header.GetDestination()));
}

ns3::IpL4Protocol::RxStatus UdpLayer::Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv6Header& header,
                                              ns3::Ptr<ns3::Ipv6Interface>) {
  return demultiplex(packet, header.GetSource(), header.GetDestination(), from_ns3(header.GetSource()),
                     from_ns3(header.GetDestination()));
}

ns3::IpL4Protocol::RxStatus UdpLayer::demultiplex(const ns3::Ptr<ns3::Packet>& packet,
                                                  const ns3::Address& source, const ns3::Address& destination,
                                                  const io::IpAddress& from, const io::IpAddress& to) {
  const auto length = length_of(*packet);
  if (!length) return RX_CSUM_FAILED;
  packet->RemoveAtEnd(packet->GetSize() - *length);
  ns3::UdpHeader header;
  if (ns3::Node::ChecksumEnabled()) {
    header.EnableChecksums();
    header.InitializeChecksum(source, destination, protocol_udp);
  }
  const bool absent = checksum_of(*packet) == 0;
  packet->RemoveHeader(header);
  // Over IPv4 a datagram may come without (RFC 1122 §4.1.3.4), over IPv6 it may not (RFC 8200 §8.1).
  const bool fine = absent ? from.is_v4() || !ns3::Node::ChecksumEnabled() : header.IsChecksumOk();
  if (!fine) return RX_CSUM_FAILED;
  const auto users = users_at({to, header.GetDestinationPort()});
  if (users.empty())
    return to.is_multicast() ? RX_OK : RX_ENDPOINT_UNREACH;  // RFC 1122 §3.2.2: no error about a group
  io::Bytes payload(packet->GetSize());
  packet->CopyData(payload.data(), packet->GetSize());
  for (auto* const user : users) user->received({from, header.GetSourcePort()}, to, payload);
  return RX_OK;
}

std::vector<UdpUser*> UdpLayer::users_at(const io::Endpoint& local) const {
  if (local.address.is_multicast()) {
    const auto members = groups_.find(local);
    return members == groups_.end() ? std::vector<UdpUser*>() : members->second;
  }
  auto* const user = user_of(local);
  return user == nullptr ? std::vector<UdpUser*>() : std::vector<UdpUser*>(1, user);
}

UdpUser* UdpLayer::user_of(const io::Endpoint& local) const {
  auto found = users_.find(local);
  if (found == users_.end()) found = users_.find({unspecified_like(local.address), local.port});
  return found == users_.end() ? nullptr : found->second;
}

bool UdpLayer::is_free(const io::Endpoint& local) const {
  if (!local.address.is_unspecified()) return user_of(local) == nullptr;
  return std::none_of(users_.begin(), users_.end(), [&](const auto& entry) {
    const auto& taken = entry.first;
    return taken.port == local.port && taken.address.is_v4() == local.address.is_v4();
  });
}

std::optional<std::uint16_t> UdpLayer::free_port(const io::IpAddress& address) {
  constexpr auto range = last_ephemeral_port - first_ephemeral_port + 1;
  const auto start = static_cast<std::uint32_t>(random_.below(range));
  for (std::uint32_t i = 0; i < range; ++i) {
    const auto port = static_cast<std::uint16_t>(first_ephemeral_port + (start + i) % range);
    if (is_free({address, port})) return port;
  }
  return {};
}

void UdpLayer::DoDispose() {
  users_.clear();
  groups_.clear();
  down4_ = {};
  down6_ = {};
  IpL4Protocol::DoDispose();
}

}  // namespace flaresim::net
