#include "sim/probe/stagger.h"

#include <algorithm>
#include <map>

namespace flaresim::probe {
namespace {

using std::chrono::microseconds;

constexpr std::uint16_t port = 40000, remote_port = 4001;
/// How often hosts look at their wires.
constexpr io::Duration tick = microseconds(100);
/// Between what a host learns and the earlier start; and after the later start, for everything to settle.
constexpr io::Duration lead = std::chrono::seconds(1), patience = std::chrono::seconds(1);

/// One host of a punch; reacts to packets as its operating system would.
class Puncher {
 public:
  Puncher(Lab& lab, Side side, io::Endpoint self) : lab_(lab), side_(side), self_(std::move(self)) {}
  virtual ~Puncher() = default;

  /// The outside endpoint, as an outside host sees it; nothing when no packet gets there.
  std::optional<io::Endpoint> learn();
  virtual void start(const io::Endpoint& peer) = 0;
  virtual bool done() const = 0;
  void look() {
    for (const auto& arrival : lab_.received(side_))
      if (const auto packet = parse(arrival.packet)) hear(*packet);
  }

 protected:
  virtual Packet opener(const io::Endpoint& to) = 0;
  virtual void hear(const Packet& packet) = 0;
  void send(const Packet& packet) { lab_.send(side_, build(packet)); }
  Packet packet_to(const io::Endpoint& to, Protocol protocol) const {
    Packet packet;
    packet.source = self_;
    packet.destination = to;
    packet.protocol = protocol;
    return packet;
  }
  const io::Endpoint& self() const { return self_; }

 private:
  Lab& lab_;
  Side side_;
  io::Endpoint self_;
};

std::optional<io::Endpoint> Puncher::learn() {
  const io::Endpoint server{lab_.layout().outside.front(), remote_port};
  lab_.received(Side::outside);
  send(opener(server));
  lab_.run_for(lab_.longest_crossing());
  for (const auto& arrival : lab_.received(Side::outside)) {
    const auto packet = parse(arrival.packet);
    if (!packet || packet->destination != server) continue;
    auto answer = packet_to(packet->source, packet->protocol);
    answer.source = server;
    answer.flags = flag::syn | flag::ack;
    answer.sequence = 1;
    answer.acknowledgement = packet->sequence + 1;
    answer.payload = packet->protocol == Protocol::udp ? io::to_bytes("seen") : io::Bytes{};
    lab_.send(Side::outside, build(answer));
    lab_.run_for(lab_.longest_crossing());
    look();
    lab_.run_for(lab_.longest_crossing());
    return packet->source;
  }
  return {};
}

class UdpPuncher final : public Puncher {
 public:
  using Puncher::Puncher;
  void start(const io::Endpoint& peer) override { send(opener(peer)); }
  bool done() const override { return !heard_.empty(); }

 private:
  Packet opener(const io::Endpoint& to) override {
    auto packet = packet_to(to, Protocol::udp);
    packet.payload = io::to_bytes("punch");
    return packet;
  }
  void hear(const Packet& packet) override {
    if (packet.protocol != Protocol::udp || packet.source.port == remote_port) return;
    const bool is_first = heard_.emplace(packet.source, true).second;
    if (is_first) send(opener(packet.source));
  }

  std::map<io::Endpoint, bool> heard_;
};

class TcpPuncher final : public Puncher {
 public:
  using Puncher::Puncher;
  void start(const io::Endpoint& peer) override {
    if (!connections_.contains(peer)) send(opener(peer));
  }
  bool done() const override {
    return std::any_of(connections_.begin(), connections_.end(), [](const auto& entry) {
      return entry.second.state == State::established && entry.first.port != remote_port;
    });
  }

 private:
  enum class State : std::uint8_t { syn_sent, syn_received, established, closed };
  struct Connection {
    State state = State::syn_sent;
    std::uint32_t sequence = 1000;  ///< of our SYN
    std::uint32_t remote_next = 0;
  };

  Packet opener(const io::Endpoint& to) override {
    auto& connection = connections_[to];
    connection = {};
    return segment(to, connection, flag::syn);
  }
  Packet segment(const io::Endpoint& to, const Connection& connection, std::uint8_t flags) const {
    auto packet = packet_to(to, Protocol::tcp);
    packet.flags = flags;
    packet.sequence = connection.sequence + ((flags & flag::syn) != 0 ? 0 : 1);
    packet.acknowledgement = (flags & flag::ack) != 0 ? connection.remote_next : 0;
    return packet;
  }

  void hear(const Packet& packet) override {
    if (packet.quoted && packet.icmp == IcmpKind::unreachable) return refuse(packet.quoted->destination);
    if (packet.protocol != Protocol::tcp) return;
    if (packet.flags & flag::rst) return hear_reset(packet);
    if (packet.flags & flag::syn) return hear_syn(packet);
    const auto found = connections_.find(packet.source);
    if (found == connections_.end()) return;
    if (found->second.state == State::syn_received && packet.acknowledgement == found->second.sequence + 1)
      found->second.state = State::established;
  }

  /// A listening port takes a SYN from anybody; one that waits for an answer crosses it (RFC 9293 §3.5).
  void hear_syn(const Packet& packet) {
    const bool acknowledges = (packet.flags & flag::ack) != 0;
    auto found = connections_.find(packet.source);
    if (found == connections_.end()) {
      if (acknowledges) return;
      found = connections_.emplace(packet.source, Connection{}).first;
    }
    auto& connection = found->second;
    if (connection.state == State::closed) return;
    if (acknowledges && packet.acknowledgement != connection.sequence + 1) return;
    connection.remote_next = packet.sequence + 1;
    if (acknowledges) {
      connection.state = State::established;
      send(segment(packet.source, connection, flag::ack));
    } else if (connection.state == State::syn_sent) {
      connection.state = State::syn_received;
      send(segment(packet.source, connection, flag::syn | flag::ack));
    }
  }

  void hear_reset(const Packet& packet) {
    const auto found = connections_.find(packet.source);
    if (found == connections_.end()) return;
    const auto& connection = found->second;
    const bool acceptable = connection.state == State::syn_sent
                                ? packet.acknowledgement == connection.sequence + 1
                                : packet.sequence == connection.remote_next;
    if (acceptable) refuse(packet.source);
  }
  void refuse(const io::Endpoint& peer) {
    const auto found = connections_.find(peer);
    if (found != connections_.end() && found->second.state != State::established)
      found->second.state = State::closed;
  }

  std::map<io::Endpoint, Connection> connections_;
};

std::unique_ptr<Puncher> puncher(Lab& lab, Side side, Protocol transport) {
  const auto& layout = lab.layout();
  const io::Endpoint self{(side == Side::inside ? layout.inside : layout.other_inside).front(), port};
  if (transport == Protocol::tcp) return std::make_unique<TcpPuncher>(lab, side, self);
  return std::make_unique<UdpPuncher>(lab, side, self);
}

bool punch(Lab& lab, Protocol transport, io::Duration offset) {
  const auto a = puncher(lab, Side::inside, transport), b = puncher(lab, Side::other_inside, transport);
  const auto endpoint_a = a->learn(), endpoint_b = b->learn();
  if (!endpoint_a || !endpoint_b) return false;
  const auto zero = lab.now() + lead;
  const auto start_a = zero + std::max(-offset, io::Duration::zero());
  const auto start_b = zero + std::max(offset, io::Duration::zero());
  bool started_a = false, started_b = false;
  lab.run_for(lead);
  while (lab.now() < std::max(start_a, start_b) + patience && !(a->done() && b->done())) {
    a->look();
    b->look();
    if (!started_a && lab.now() >= start_a) a->start(*endpoint_b), started_a = true;
    if (!started_b && lab.now() >= start_b) b->start(*endpoint_a), started_b = true;
    lab.run_for(tick);
  }
  return a->done() && b->done();
}

}  // namespace

std::vector<Punch> stagger(const MakePair& make, Protocol transport,
                           const std::vector<io::Duration>& offsets) {
  std::vector<Punch> punches;
  for (const auto offset : offsets) punches.push_back({offset, punch(*make(), transport, offset)});
  return punches;
}

}  // namespace flaresim::probe
