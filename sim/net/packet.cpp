#include "sim/net/packet.h"

#include <ns3/header.h>
#include <ns3/packet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace flaresim::net {
namespace {

constexpr std::size_t ipv4_header_bytes = 20, ipv6_header_bytes = 40;

std::uint16_t read16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t read32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(read16(at)) << 16 | read16(at + 2);
}

io::IpAddress address_v4(const std::uint8_t* at) { return boost::asio::ip::address_v4(read32(at)); }

io::IpAddress address_v6(const std::uint8_t* at) {
  boost::asio::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), at, bytes.size());
  return boost::asio::ip::address_v6(bytes);
}

/// Bytes as a header, so that they can be put in front of a payload that stays where it is.
class Head final : public ns3::Header {
 public:
  explicit Head(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  static ns3::TypeId GetTypeId() {
    static const ns3::TypeId id = ns3::TypeId("flaresim::net::Head").SetParent<ns3::Header>();
    return id;
  }
  ns3::TypeId GetInstanceTypeId() const override { return GetTypeId(); }
  std::uint32_t GetSerializedSize() const override { return static_cast<std::uint32_t>(bytes_.size()); }
  void Serialize(ns3::Buffer::Iterator at) const override { at.Write(bytes_.data(), GetSerializedSize()); }
  std::uint32_t Deserialize(ns3::Buffer::Iterator) override { return 0; }
  void Print(std::ostream&) const override {}

 private:
  std::span<const std::uint8_t> bytes_;
};

/// Reads the transport header behind the IP header; what is not there stays zero.
void read_transport(std::span<const std::uint8_t> rest, PacketSummary& summary) {
  if (summary.protocol != protocol_tcp && summary.protocol != protocol_udp) return;
  if (rest.size() < 4) return;
  summary.source.port = read16(rest.data());
  summary.destination.port = read16(rest.data() + 2);
  if (summary.protocol != protocol_tcp || rest.size() < 14) return;
  summary.tcp_sequence = read32(rest.data() + 4);
  summary.tcp_flags = rest[13];
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case 1:
      return "ICMP";
    case protocol_tcp:
      return "TCP";
    case protocol_udp:
      return "UDP";
    case 58:
      return "ICMPv6";
    default:
      return "protocol " + std::to_string(protocol);
  }
}

}  // namespace

std::size_t copy_head(const ns3::Packet& packet, std::span<std::uint8_t> into) {
  return packet.CopyData(into.data(), static_cast<std::uint32_t>(into.size()));
}

void replace_head(ns3::Packet& packet, std::span<const std::uint8_t> head) {
  packet.RemoveAtStart(static_cast<std::uint32_t>(head.size()));
  packet.AddHeader(Head(head));
}

PacketPtr make_packet(std::span<const std::uint8_t> bytes) {
  return ns3::Create<ns3::Packet>(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

std::vector<std::uint8_t> whole(const ns3::Packet& packet) {
  std::vector<std::uint8_t> bytes(packet.GetSize());
  copy_head(packet, bytes);
  return bytes;
}

io::IpAddress destination_of(const ns3::Packet& packet) {
  std::array<std::uint8_t, ipv6_header_bytes> head;
  const auto size = copy_head(packet, head);
  if (size >= ipv4_header_bytes && head[0] >> 4 == 4) return address_v4(&head[16]);
  if (size >= ipv6_header_bytes && head[0] >> 4 == 6) return address_v6(&head[24]);
  return {};
}

PacketSummary summarise(const ns3::Packet& packet) {
  std::array<std::uint8_t, max_head_bytes> bytes;
  const std::span<const std::uint8_t> head(bytes.data(), copy_head(packet, bytes));
  PacketSummary summary;
  summary.bytes = packet.GetSize();
  if (head.size() >= ipv4_header_bytes && head[0] >> 4 == 4) {
    summary.source.address = address_v4(&head[12]);
    summary.destination.address = address_v4(&head[16]);
    summary.protocol = head[9];
    const bool first_fragment = (read16(&head[6]) & 0x1fff) == 0;
    const auto header_bytes = std::min<std::size_t>((head[0] & 0x0f) * 4u, head.size());
    if (first_fragment) read_transport(head.subspan(header_bytes), summary);
  } else if (head.size() >= ipv6_header_bytes && head[0] >> 4 == 6) {
    summary.source.address = address_v6(&head[8]);
    summary.destination.address = address_v6(&head[24]);
    summary.protocol = head[6];
    read_transport(head.subspan(ipv6_header_bytes), summary);
  }
  return summary;
}

std::string to_string(const PacketSummary& packet) {
  auto text = protocol_name(packet.protocol) + " " + io::to_string(packet.source) + " > " +
              io::to_string(packet.destination);
  if (packet.protocol != protocol_tcp) return text;
  constexpr std::pair<std::uint8_t, const char*> names[] = {
      {tcp_syn, " SYN"}, {tcp_fin, " FIN"}, {tcp_rst, " RST"}, {tcp_psh, " PSH"}, {tcp_ack, " ACK"}};
  for (const auto& [flag, name] : names) {
    if ((packet.tcp_flags & flag) != 0) text += name;
  }
  return text;
}

}  // namespace flaresim::net
