#include "sim/net/udp_socket.h"

#include <ns3/packet.h>
#include <ns3/udp-socket-factory.h>

#include <utility>

#include "sim/net/ns3_address.h"

namespace flaresim::net {
namespace {

// 65 535 less the IPv4 and UDP headers; ns-3 takes the same bound for IPv6.
constexpr std::size_t max_payload_bytes = 65507;

}  // namespace

UdpSocket::UdpSocket(io::Scheduler& scheduler, ns3::Ptr<ns3::Socket> socket, const io::Endpoint& local,
                     Reachable reachable)
    : socket_(std::move(socket)), local_(local), reachable_(std::move(reachable)), arrived_(scheduler) {
  socket_->SetRecvCallback(
      ns3::Callback<void, ns3::Ptr<ns3::Socket>>([this](const ns3::Ptr<ns3::Socket>&) { drain(); }));
}

UdpSocket::~UdpSocket() { close(); }

io::Result<std::unique_ptr<io::DatagramSocket>> UdpSocket::open(io::Scheduler& scheduler,
                                                                const ns3::Ptr<ns3::Node>& node,
                                                                const io::Endpoint& local,
                                                                const io::IpAddress& interface,
                                                                Reachable reachable) {
  auto socket = ns3::Socket::CreateSocket(node, ns3::UdpSocketFactory::GetTypeId());
  // Always to the address, never to a wildcard: ns-3 would give IPv4 datagrams to an IPv6 wildcard.
  if (socket->Bind(to_ns3({interface, local.port})) != 0) {
    socket->Close();
    return io::fail(std::errc::address_in_use);
  }
  ns3::Address bound;
  socket->GetSockName(bound);
  return std::make_unique<UdpSocket>(scheduler, std::move(socket),
                                     io::Endpoint{local.address, from_ns3(bound).port}, std::move(reachable));
}

io::Result<> UdpSocket::send_to(io::BytesView payload, const io::Endpoint& to) {
  if (!socket_) return io::fail(std::errc::operation_canceled);
  if (payload.size() > max_payload_bytes) return io::fail(std::errc::message_size);
  const bool same_family = to.address.is_v4() == local_.address.is_v4();
  if (!same_family || !reachable_(to.address)) return io::fail(std::errc::network_unreachable);
  const auto packet = ns3::Create<ns3::Packet>(payload.data(), static_cast<std::uint32_t>(payload.size()));
  if (socket_->SendTo(packet, 0, to_ns3(to)) < 0) return io::fail(std::errc::network_unreachable);
  return {};
}

io::Task<io::Result<io::Datagram>> UdpSocket::receive() {
  while (socket_ && queue_.empty()) co_await arrived_.wait();
  if (!socket_) co_return io::fail(std::errc::operation_canceled);
  auto datagram = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= datagram.payload.size();
  co_return datagram;
}

void UdpSocket::close() {
  if (!socket_) return;
  socket_->SetRecvCallback(ns3::MakeNullCallback<void, ns3::Ptr<ns3::Socket>>());
  socket_->Close();
  socket_ = nullptr;
  queue_.clear();
  arrived_.notify_all();
}

void UdpSocket::drain() {
  ns3::Address from;
  while (const auto packet = socket_->RecvFrom(from)) {
    const std::size_t bytes = packet->GetSize();
    if (queued_bytes_ + bytes > max_queued_bytes) continue;
    io::Datagram datagram{.from = from_ns3(from), .payload = io::Bytes(bytes)};
    packet->CopyData(datagram.payload.data(), static_cast<std::uint32_t>(bytes));
    queued_bytes_ += bytes;
    queue_.push_back(std::move(datagram));
  }
  arrived_.notify_all();
}

}  // namespace flaresim::net
