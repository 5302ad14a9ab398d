#include "sim/probe/bench.h"

#include <algorithm>
#include <utility>

namespace flaresim::probe {
namespace {

/// So many packets are on their way at once, at most.
constexpr std::size_t batch = 512;

io::Bytes token_bytes(std::uint32_t token) {
  return {static_cast<std::uint8_t>(token >> 24), static_cast<std::uint8_t>(token >> 16),
          static_cast<std::uint8_t>(token >> 8), static_cast<std::uint8_t>(token)};
}

/// By what a packet is known again: its payload, or the sequence number of a TCP segment without one.
std::uint32_t token_of(const Packet& packet) {
  const auto& p = packet.payload;
  if (p.size() >= 4)
    return static_cast<std::uint32_t>(p[0]) << 24 | static_cast<std::uint32_t>(p[1]) << 16 |
           static_cast<std::uint32_t>(p[2]) << 8 | p[3];
  return packet.protocol == Protocol::tcp ? packet.sequence : 0;
}

bool is_same(const Packet& sent, const Packet& came) {
  return sent.protocol == came.protocol && token_of(sent) == token_of(came) && sent.flags == came.flags &&
         sent.icmp == came.icmp && !came.quoted;
}

}  // namespace

Bench::Bench(std::unique_ptr<Lab> lab, Subject subject, std::vector<std::uint16_t> remote_ports)
    : lab_(std::move(lab)), subject_(subject), remote_ports_(std::move(remote_ports)) {}

std::size_t Bench::hosts() const {
  const auto& layout = lab_->layout();
  return subject_.v6 ? layout.inside_v6.size() : layout.inside.size();
}

io::Endpoint Bench::inside(std::size_t host, std::uint16_t port) const {
  const auto& layout = lab_->layout();
  return {(subject_.v6 ? layout.inside_v6 : layout.inside).at(host), port};
}

io::Endpoint Bench::remote(std::size_t address, std::size_t port) const {
  const auto& layout = lab_->layout();
  const auto& host = (subject_.v6 ? layout.outside_v6 : layout.outside).at(address);
  return {host, subject_.is_icmp() ? std::uint16_t{0} : remote_ports_.at(port)};
}

void Bench::wait_until(io::TimePoint at) {
  if (at > now()) lab_->run_for(at - now());
}

Packet Bench::opener(const io::Endpoint& from, const io::Endpoint& to) {
  const auto token = next_token();
  if (subject_.is_tcp()) return tcp(from, to, flag::syn, token);
  Packet packet;
  packet.source = from;
  packet.destination = to;
  packet.protocol = subject_.transport;
  packet.payload = token_bytes(token);
  return packet;
}

Packet Bench::tcp(const io::Endpoint& from, const io::Endpoint& to, std::uint8_t flags,
                  std::uint32_t sequence, std::uint32_t acknowledgement) {
  Packet packet;
  packet.source = from;
  packet.destination = to;
  packet.protocol = Protocol::tcp;
  packet.flags = flags;
  packet.sequence = sequence != 0 ? sequence : next_token();
  packet.acknowledgement = acknowledgement;
  return packet;
}

Packet Bench::data(const io::Endpoint& from, const io::Endpoint& to, std::uint32_t sequence,
                   std::uint32_t acknowledgement) {
  if (!subject_.is_tcp()) return opener(from, to);
  auto packet = tcp(from, to, flag::ack | flag::psh, sequence, acknowledgement);
  packet.payload = token_bytes(next_token());
  return packet;
}

void Bench::discard() {
  lab_->received(Side::inside);
  lab_->received(Side::outside);
}

std::vector<Packet> Bench::drain(Side side) {
  std::vector<Packet> packets;
  for (const auto& arrival : lab_->received(side)) {
    auto packet = parse(arrival.packet);
    if (!packet) continue;
    packet->at = arrival.at;
    packets.push_back(*std::move(packet));
  }
  return packets;
}

std::vector<Packet> Bench::listen(Side side, io::Duration duration) {
  lab_->run_for(duration);
  return drain(side);
}

Outcome Bench::pass(Side from, Side to, const Packet& packet) {
  discard();
  lab_->send(from, build(packet));
  lab_->run_for(lab_->longest_crossing());
  Outcome outcome;
  for (auto& came : drain(to)) {
    if (!outcome.arrived && is_same(packet, came)) {
      outcome.arrived = std::move(came);
    } else if (from == to) {
      outcome.answers.push_back(std::move(came));
    }
  }
  if (from != to) outcome.answers = drain(from);
  return outcome;
}

std::optional<Flow> Bench::open(const io::Endpoint& inside, const io::Endpoint& remote) {
  const auto packet = opener(inside, remote);
  const auto outcome = outward(packet);
  if (!outcome) return {};
  return Flow{inside, remote, outcome.arrived->source, packet.sequence + 1, 0};
}

Packet Bench::answer_packet(Flow& flow) {
  if (subject_.is_tcp()) {
    auto packet = tcp(flow.remote, flow.outside, flag::syn | flag::ack, 0, flow.inside_sequence);
    flow.remote_sequence = packet.sequence + 1;
    return packet;
  }
  auto packet = opener(flow.remote, flow.outside);
  if (subject_.is_icmp()) packet.icmp = IcmpKind::echo_reply;
  return packet;
}

bool Bench::answer(Flow& flow) {
  const auto outcome = inward(answer_packet(flow));
  return outcome && outcome.arrived->destination == flow.inside;
}

std::optional<Flow> Bench::establish(const io::Endpoint& inside, const io::Endpoint& remote) {
  auto flow = open(inside, remote);
  if (!flow || !answer(*flow)) return {};
  if (subject_.is_tcp() && !segment_out(*flow, flag::ack)) return {};
  return flow;
}

Packet Bench::data_out(Flow& flow) {
  auto packet = data(flow.inside, flow.remote, flow.inside_sequence, flow.remote_sequence);
  flow.inside_sequence += static_cast<std::uint32_t>(packet.payload.size());
  return packet;
}

Packet Bench::data_in(Flow& flow) {
  if (subject_.is_icmp()) return answer_packet(flow);
  auto packet = data(flow.remote, flow.outside, flow.remote_sequence, flow.inside_sequence);
  flow.remote_sequence += static_cast<std::uint32_t>(packet.payload.size());
  return packet;
}

bool Bench::talk_out(Flow& flow) { return bool(outward(data_out(flow))); }

bool Bench::talk_in(Flow& flow) {
  const auto outcome = inward(data_in(flow));
  return outcome && outcome.arrived->destination == flow.inside;
}

bool Bench::talk_both(Flow& flow) {
  discard();
  const auto out = data_out(flow), in = data_in(flow);
  lab_->send(Side::inside, build(out));
  lab_->send(Side::outside, build(in));
  lab_->run_for(lab_->longest_crossing());
  const auto came = [&](Side side, const Packet& sent) {
    const auto packets = drain(side);
    return std::any_of(packets.begin(), packets.end(), [&](const Packet& p) { return is_same(sent, p); });
  };
  const bool left = came(Side::outside, out), entered = came(Side::inside, in);
  return left && entered;
}

bool Bench::segment_out(Flow& flow, std::uint8_t flags) {
  const auto packet = tcp(flow.inside, flow.remote, flags, flow.inside_sequence, flow.remote_sequence);
  if (flags & (flag::fin | flag::syn)) ++flow.inside_sequence;
  return bool(outward(packet));
}

bool Bench::segment_in(Flow& flow, std::uint8_t flags) {
  const auto packet = tcp(flow.remote, flow.outside, flags, flow.remote_sequence, flow.inside_sequence);
  if (flags & (flag::fin | flag::syn)) ++flow.remote_sequence;
  const auto outcome = inward(packet);
  return outcome && outcome.arrived->destination == flow.inside;
}

Outcome Bench::knock(const io::Endpoint& remote, const io::Endpoint& outside) {
  auto packet = opener(remote, outside);
  if (subject_.is_icmp()) packet.icmp = IcmpKind::echo_reply;
  return inward(packet);
}

std::vector<std::optional<Flow>> Bench::open_many(const std::vector<io::Endpoint>& from,
                                                  const io::Endpoint& remote) {
  std::vector<std::optional<Flow>> flows(from.size());
  for (std::size_t begin = 0; begin < from.size(); begin += batch) {
    const auto end = std::min(begin + batch, from.size());
    std::unordered_map<std::uint32_t, std::size_t> by_token;
    discard();
    for (auto i = begin; i < end; ++i) {
      const auto packet = opener(from[i], remote);
      by_token[token_of(packet)] = i;
      lab_->send(Side::inside, build(packet));
    }
    lab_->run_for(lab_->longest_crossing());
    for (const auto& came : drain(Side::outside)) {
      const auto found = by_token.find(token_of(came));
      if (found == by_token.end()) continue;
      flows[found->second] = Flow{from[found->second], remote, came.source, came.sequence + 1, 0};
    }
  }
  return flows;
}

std::vector<bool> Bench::reach_many(const std::vector<std::optional<Flow>>& flows) {
  std::vector<bool> reached(flows.size());
  for (std::size_t begin = 0; begin < flows.size(); begin += batch) {
    const auto end = std::min(begin + batch, flows.size());
    std::unordered_map<std::uint32_t, std::size_t> by_token;
    discard();
    for (auto i = begin; i < end; ++i) {
      if (!flows[i]) continue;
      auto flow = *flows[i];
      const auto packet = answer_packet(flow);
      by_token[token_of(packet)] = i;
      lab_->send(Side::outside, build(packet));
    }
    lab_->run_for(lab_->longest_crossing());
    for (const auto& came : drain(Side::inside)) {
      const auto found = by_token.find(token_of(came));
      if (found != by_token.end()) reached[found->second] = came.destination == flows[found->second]->inside;
    }
  }
  return reached;
}

}  // namespace flaresim::probe
