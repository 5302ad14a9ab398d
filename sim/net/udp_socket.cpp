#include "sim/net/udp_socket.h"

#include <deque>
#include <map>
#include <utility>

#include "protocols/io/signal.h"

namespace flaresim::net {
namespace {

// 65 535 less the IPv4 and UDP headers; ns-3 takes the same bound for IPv6.
constexpr std::size_t max_payload_bytes = 65507;

}  // namespace

class UdpSocket::State final : public UdpUser {
 public:
  State(io::Scheduler& scheduler, ns3::Ptr<UdpLayer> udp, std::shared_ptr<const RoutingTable> table)
      : layer(std::move(udp)), routing(std::move(table)), arrived(scheduler) {}

  void received(const io::Endpoint& from, const io::IpAddress& to, io::Bytes payload) override {
    if (queued_bytes + payload.size() > max_queued_bytes) return;
    if (local.address.is_unspecified() && routing->size() > 1) {
      if (heard_at.size() >= max_remembered_remotes) heard_at.clear();
      heard_at[from] = to;
    }
    queued_bytes += payload.size();
    queue.push_back({.from = from, .payload = std::move(payload)});
    arrived.notify_all();
  }

  /// The address to send from.
  std::optional<io::IpAddress> source_for(const io::Endpoint& to) const {
    if (!local.address.is_unspecified()) {
      return routing->holder(local.address) ? std::optional(local.address) : std::nullopt;
    }
    const auto heard = heard_at.find(to);
    if (heard != heard_at.end() && routing->holder(heard->second)) return heard->second;
    return routing->source_for(to.address);
  }

  ns3::Ptr<UdpLayer> layer;  // null once closed
  std::shared_ptr<const RoutingTable> routing;
  io::Endpoint local;
  io::Signal arrived;
  std::deque<io::Datagram> queue;
  std::size_t queued_bytes = 0;
  std::map<io::Endpoint, io::IpAddress> heard_at;
};

namespace {

io::Task<io::Result<io::Datagram>> take_one(std::shared_ptr<UdpSocket::State> socket) {
  while (socket->layer && socket->queue.empty()) co_await socket->arrived.wait();
  if (!socket->layer) co_return io::fail(std::errc::operation_canceled);
  auto datagram = std::move(socket->queue.front());
  socket->queue.pop_front();
  socket->queued_bytes -= datagram.payload.size();
  co_return datagram;
}

}  // namespace

io::Result<std::unique_ptr<io::DatagramSocket>> UdpSocket::open(io::Scheduler& scheduler,
                                                                const ns3::Ptr<UdpLayer>& layer,
                                                                std::shared_ptr<const RoutingTable> routing,
                                                                const io::Endpoint& local) {
  auto state = std::make_shared<State>(scheduler, layer, std::move(routing));
  const auto port = layer->bind(local, *state);
  if (!port) return tl::unexpected(port.error());
  state->local = {local.address, *port};
  return std::make_unique<UdpSocket>(std::move(state));
}

UdpSocket::~UdpSocket() { close(); }

io::Result<> UdpSocket::send_to(io::BytesView payload, const io::Endpoint& to) {
  if (!state_->layer) return io::fail(std::errc::operation_canceled);
  if (payload.size() > max_payload_bytes) return io::fail(std::errc::message_size);
  const bool same_family = to.address.is_v4() == state_->local.address.is_v4();
  const auto& routing = *state_->routing;
  if (!same_family || !(routing.can_reach(to.address) || routing.can_reach_group(to.address)))
    return io::fail(std::errc::network_unreachable);
  const auto source = state_->source_for(to);
  if (!source) return io::fail(std::errc::network_unreachable);
  state_->layer->send({*source, state_->local.port}, to, payload);
  return {};
}

io::Task<io::Result<io::Datagram>> UdpSocket::receive() { return take_one(state_); }

io::Result<> UdpSocket::join(const io::IpAddress& group) {
  if (!state_->layer) return io::fail(std::errc::operation_canceled);
  if (!group.is_multicast()) return io::fail(std::errc::invalid_argument);
  if (!group.is_v4() || !state_->local.address.is_v4()) return io::fail(std::errc::operation_not_supported);
  state_->layer->join({group, state_->local.port}, *state_);
  return {};
}

io::Endpoint UdpSocket::local() const { return state_->local; }

void UdpSocket::close() {
  if (!state_->layer) return;
  const auto layer = std::exchange(state_->layer, nullptr);
  layer->leave_all(*state_);
  layer->release(state_->local);
  state_->queue.clear();
  state_->arrived.notify_all();
}

}  // namespace flaresim::net
