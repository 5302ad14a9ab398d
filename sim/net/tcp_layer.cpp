#include "sim/net/tcp_layer.h"

#include <ns3/ipv4-header.h>
#include <ns3/ipv6-header.h>
#include <ns3/node.h>
#include <ns3/packet.h>
#include <ns3/simulator.h>
#include <ns3/tcp-header.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "sim/net/ns3_address.h"

namespace flaresim::net {
namespace {

// net.ipv4.ip_local_port_range
constexpr std::uint32_t first_ephemeral_port = 32768, last_ephemeral_port = 60999;
constexpr std::uint8_t icmpv4_unreachable = 3, icmpv4_port_unreachable = 3;
constexpr std::uint8_t icmpv6_unreachable = 1, icmpv6_port_unreachable = 4;

std::array<std::uint8_t, 16> bytes_of(const io::IpAddress& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

/// A TCP header can be read: nothing that ns-3 trusts points outside of the packet.
bool has_tcp_header(const ns3::Packet& packet) {
  constexpr std::uint32_t min_header_bytes = 20;
  std::array<std::uint8_t, min_header_bytes> head;
  if (packet.CopyData(head.data(), min_header_bytes) < min_header_bytes) return false;
  const std::uint32_t header_bytes = (head[12] >> 4) * 4u;
  return header_bytes >= min_header_bytes && header_bytes <= packet.GetSize();
}

}  // namespace

ns3::TypeId TcpLayer::GetTypeId() {
  static const ns3::TypeId id =
      ns3::TypeId("flaresim::net::TcpLayer").SetParent<ns3::TcpL4Protocol>().AddConstructor<TcpLayer>();
  return id;
}
ns3::TypeId TcpLayer::GetInstanceTypeId() const { return GetTypeId(); }

void TcpLayer::set_random(io::Random random) {
  secret_ = random.derive("initial sequence numbers").next();
  random_ = std::move(random);
}

std::size_t TcpLayer::Hash::operator()(const FourTuple& tuple) const {
  std::uint64_t words[4];
  std::memcpy(&words[0], tuple.local.data(), 16);
  std::memcpy(&words[2], tuple.remote.data(), 16);
  std::uint64_t hash = static_cast<std::uint64_t>(tuple.local_port) << 16 | tuple.remote_port;
  for (const auto word : words) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

TcpLayer::FourTuple TcpLayer::tuple_of(const io::Endpoint& local, const io::Endpoint& remote) {
  return {bytes_of(local.address), bytes_of(remote.address), local.port, remote.port};
}

io::Result<ns3::Ptr<TcpSocket>> TcpLayer::dial(const io::IpAddress& local,
                                               std::optional<std::uint16_t> local_port,
                                               const io::Endpoint& remote) {
  const auto port = local_port ? local_port : free_port(local, &remote);
  if (!port) return io::fail(std::errc::address_in_use);
  const io::Endpoint from{local, *port};
  if (taken(from, remote)) return io::fail(std::errc::address_in_use);
  auto socket = create(from, remote, TcpSocket::Opening::active);
  socket->send_syn();
  return socket;
}

io::Result<std::uint16_t> TcpLayer::listen(const io::Endpoint& local, TcpAcceptor& acceptor) {
  const auto port = local.port != 0 ? std::optional(local.port) : free_port(local.address, nullptr);
  if (!port) return io::fail(std::errc::address_in_use);
  const bool fresh = acceptors_.try_emplace({local.address, *port}, &acceptor).second;
  if (!fresh) return io::fail(std::errc::address_in_use);
  return *port;
}

void TcpLayer::stop_listening(const io::Endpoint& local) { acceptors_.erase(local); }

void TcpLayer::vanish_all() {
  std::vector<ns3::Ptr<TcpSocket>> all;
  all.reserve(connections_.size());
  for (const auto& [tuple, connection] : connections_) all.push_back(connection);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::pair(a->local(), a->remote()) < std::pair(b->local(), b->remote());
  });
  for (const auto& connection : all) connection->vanish();
}

std::uint16_t TcpLayer::mtu_bytes(const io::IpAddress& local) const {
  const auto index = routing_->holder(local);
  return index ? (*routing_)[*index].mtu_bytes : Interface{}.mtu_bytes;
}

void TcpLayer::established(TcpSocket& connection) {
  if (connection.opening() == TcpSocket::Opening::active) return;
  --half_open_;
  auto* const acceptor = acceptor_of(connection.local());
  if (acceptor == nullptr || !acceptor->has_room()) return connection.abort();
  acceptor->accepted(&connection);
}

void TcpLayer::forget(TcpSocket& connection) {
  const auto found = connections_.find(tuple_of(connection.local(), connection.remote()));
  if (found == connections_.end() || found->second != &connection) return;
  if (connection.opening() == TcpSocket::Opening::passive && !connection.established()) --half_open_;
  // ns-3 has events of this instant that point to the socket without owning it.
  ns3::Simulator::ScheduleNow([last_owner = std::move(found->second)] {});
  connections_.erase(found);
}

void TcpLayer::answer_with_reset(const ns3::TcpHeader& header, const ns3::Address& from,
                                 const ns3::Address& to) {
  NoEndPointsFound(header, from, to);
}

ns3::IpL4Protocol::RxStatus TcpLayer::Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv4Header& header,
                                              ns3::Ptr<ns3::Ipv4Interface>) {
  return demultiplex(std::move(packet), header.GetSource(), header.GetDestination(),
                     from_ns3(header.GetSource()), from_ns3(header.GetDestination()));
}

ns3::IpL4Protocol::RxStatus TcpLayer::Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv6Header& header,
                                              ns3::Ptr<ns3::Ipv6Interface>) {
  return demultiplex(std::move(packet), header.GetSource(), header.GetDestination(),
                     from_ns3(header.GetSource()), from_ns3(header.GetDestination()));
}

ns3::IpL4Protocol::RxStatus TcpLayer::demultiplex(ns3::Ptr<ns3::Packet> packet, const ns3::Address& source,
                                                  const ns3::Address& destination, const io::IpAddress& from,
                                                  const io::IpAddress& to) {
  if (!has_tcp_header(*packet)) return RX_CSUM_FAILED;
  ns3::TcpHeader header;
  if (const auto status = PacketReceived(packet, header, source, destination); status != RX_OK) return status;
  const io::Endpoint remote{from, header.GetSourcePort()}, local{to, header.GetDestinationPort()};
  const auto remote_address = to_ns3(remote), local_address = to_ns3(local);

  auto* connection = find(local, remote);
  if (connection != nullptr && connection->gives_way_to(header)) {
    connection->vanish();
    connection = nullptr;
  }
  if (connection != nullptr) {
    connection->receive(std::move(packet), header, remote_address, local_address);
    return RX_OK;
  }

  constexpr std::uint8_t relevant =
      ns3::TcpHeader::SYN | ns3::TcpHeader::ACK | ns3::TcpHeader::RST | ns3::TcpHeader::FIN;
  const auto* const acceptor = acceptor_of(local);
  if (acceptor == nullptr || (header.GetFlags() & ns3::TcpHeader::ACK) != 0) {
    answer_with_reset(header, remote_address, local_address);
    return RX_ENDPOINT_CLOSED;
  }
  const bool wanted = (header.GetFlags() & relevant) == ns3::TcpHeader::SYN && acceptor->has_room();
  if (!wanted || half_open_ >= max_half_open) return RX_OK;  // a full queue is silent, as Linux's
  create(local, remote, TcpSocket::Opening::passive)
      ->receive(std::move(packet), header, remote_address, local_address);
  return RX_OK;
}

void TcpLayer::ReceiveIcmp(ns3::Ipv4Address, std::uint8_t, std::uint8_t type, std::uint8_t code,
                           std::uint32_t, ns3::Ipv4Address source, ns3::Ipv4Address destination,
                           const std::uint8_t payload[8]) {
  if (type != icmpv4_unreachable) return;
  unreachable(from_ns3(source), from_ns3(destination), payload, code == icmpv4_port_unreachable);
}

void TcpLayer::ReceiveIcmp(ns3::Ipv6Address, std::uint8_t, std::uint8_t type, std::uint8_t code,
                           std::uint32_t, ns3::Ipv6Address source, ns3::Ipv6Address destination,
                           const std::uint8_t payload[8]) {
  if (type != icmpv6_unreachable) return;
  unreachable(from_ns3(source), from_ns3(destination), payload, code == icmpv6_port_unreachable);
}

void TcpLayer::unreachable(const io::IpAddress& source, const io::IpAddress& destination,
                           const std::uint8_t payload[8], bool port_unreachable) {
  const auto port = [&](int at) { return static_cast<std::uint16_t>(payload[at] << 8 | payload[at + 1]); };
  const auto sequence = static_cast<std::uint32_t>(port(4)) << 16 | port(6);
  auto* const connection = find({source, port(0)}, {destination, port(2)});
  if (connection == nullptr) return;
  connection->unreachable(
      std::make_error_code(port_unreachable ? std::errc::connection_refused : std::errc::host_unreachable),
      sequence);
}

void TcpLayer::DoDispose() {
  vanish_all();
  acceptors_.clear();
  TcpL4Protocol::DoDispose();
}

TcpSocket* TcpLayer::find(const io::Endpoint& local, const io::Endpoint& remote) const {
  const auto found = connections_.find(tuple_of(local, remote));
  return found == connections_.end() ? nullptr : ns3::PeekPointer(found->second);
}

TcpAcceptor* TcpLayer::acceptor_of(const io::Endpoint& local) const {
  auto found = acceptors_.find(local);
  if (found == acceptors_.end()) found = acceptors_.find({unspecified_like(local.address), local.port});
  return found == acceptors_.end() ? nullptr : found->second;
}

bool TcpLayer::taken(const io::Endpoint& local, const io::Endpoint& remote) {
  auto* const connection = find(local, remote);
  if (connection == nullptr) return false;
  if (!connection->in_time_wait()) return true;
  connection->vanish();
  return false;
}

/// A random one that no listener has, and no connection to that remote.
std::optional<std::uint16_t> TcpLayer::free_port(const io::IpAddress& local, const io::Endpoint* remote) {
  constexpr auto range = last_ephemeral_port - first_ephemeral_port + 1;
  const auto start = static_cast<std::uint32_t>(random_.below(range));
  for (std::uint32_t i = 0; i < range; ++i) {
    const auto port = static_cast<std::uint16_t>(first_ephemeral_port + (start + i) % range);
    if (acceptor_of({local, port}) != nullptr) continue;
    if (remote == nullptr || find({local, port}, *remote) == nullptr) return port;
  }
  return std::nullopt;
}

/// RFC 6528 §3: what the endpoints have in common with no others, and a clock. So a connection that follows another one
/// between the same endpoints begins with a higher number, as firewalls expect; but where `TcpSocket`, which takes 31 bits
/// of it, begins anew, every 2 h 23 min.
std::uint32_t TcpLayer::initial_sequence(const FourTuple& tuple) const {
  constexpr std::int64_t tick_ns = 4000;  // RFC 9293 §3.4.1
  const auto ticks = static_cast<std::uint64_t>(ns3::Simulator::Now().GetNanoSeconds() / tick_ns);
  const auto of_tuple = (Hash()(tuple) ^ secret_) * 0x9e3779b97f4a7c15u >> 32;
  return static_cast<std::uint32_t>(of_tuple + ticks);
}

ns3::Ptr<TcpSocket> TcpLayer::create(const io::Endpoint& local, const io::Endpoint& remote,
                                     TcpSocket::Opening opening) {
  auto socket = TcpSocket::make();
  const auto tuple = tuple_of(local, remote);
  socket->open(*this, local, remote, opening, initial_sequence(tuple));
  connections_[tuple] = socket;
  if (opening == TcpSocket::Opening::passive) ++half_open_;
  return socket;
}

}  // namespace flaresim::net
