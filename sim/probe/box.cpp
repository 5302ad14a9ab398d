#include <algorithm>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

constexpr std::uint16_t port = 40000;

bool has(const std::vector<Packet>& packets, IcmpKind kind) {
  return std::any_of(packets.begin(), packets.end(), [&](const Packet& packet) {
    return (packet.protocol == Protocol::icmp || packet.protocol == Protocol::icmpv6) && packet.icmp == kind;
  });
}

/// Whether all of a datagram's data came out, in fragments or in one.
bool fragments_pass(const Ground& ground, bool in_order) {
  auto bench = ground.bench();
  auto& lab = bench.lab();
  auto datagram = bench.opener(bench.inside(0, port), bench.remote(0, 0));
  datagram.payload.resize(64, 0x5a);
  datagram.identification = 4711;
  const auto halves = build_fragments(datagram, 32);
  lab.send(Side::inside, in_order ? halves.first : halves.second);
  lab.send(Side::inside, in_order ? halves.second : halves.first);
  std::size_t bytes = 0;
  for (const auto& packet : bench.listen(Side::outside, lab.longest_crossing()))
    bytes += packet.payload.size();
  return bytes == datagram.payload.size();
}

}  // namespace

/// RFC 5508 REQ-4: an error from outside about a packet of ours reaches its sender, and quotes it as it was sent.
Finding icmp_errors(const Ground& ground) {
  auto bench = ground.bench();
  auto packet = bench.opener(bench.inside(0, port), bench.remote(0, 0));
  const auto left = bench.outward(packet);
  if (!left) return untold("icmp_errors", "nothing passes about which an error could tell");
  auto& lab = bench.lab();
  lab.received(Side::inside);
  lab.send(Side::outside, build(port_unreachable(packet.destination.address, *left.arrived)));
  const auto came = bench.listen(Side::inside, lab.longest_crossing());
  const bool translated = std::any_of(came.begin(), came.end(), [&](const Packet& error) {
    return error.icmp == IcmpKind::unreachable && error.destination.address == packet.source.address &&
           error.quoted && error.quoted->source == packet.source &&
           error.quoted->destination == packet.destination && error.checksums_valid;
  });
  return told("icmp_errors", std::string(translated ? "translate" : "drop"));
}

Finding echo(const Ground& ground) {
  if (!ground.translates) return untold("echo", "the box has no address outside that a packet shows");
  auto bench = ground.bench();
  const auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (!flow) return untold("echo", "no packet tells the outside address");
  Packet ping;
  ping.source = {flow->remote.address, 77};
  ping.destination = {flow->outside.address, 0};
  ping.protocol = Protocol::icmp;
  ping.payload = io::to_bytes("ping");
  return told("echo", std::string(has(bench.inward(ping).answers, IcmpKind::echo_reply) ? "answer" : "drop"));
}

/// RFC 1812 §5.3.1.
Finding ttl_expired(const Ground& ground) {
  auto bench = ground.bench();
  auto packet = bench.opener(bench.inside(0, port), bench.remote(0, 0));
  packet.hop_limit = 1;
  const auto outcome = bench.outward(packet);
  if (outcome) return told("ttl_expired", std::string("forward"));
  return told("ttl_expired", std::string(has(outcome.answers, IcmpKind::time_exceeded) ? "icmp" : "drop"));
}

Finding hop_limit(const Ground& ground) {
  auto bench = ground.bench();
  const auto packet = bench.opener(bench.inside(0, port), bench.remote(0, 0));
  const auto outcome = bench.outward(packet);
  if (!outcome) return untold("hops", "nothing passes");
  return told("hops", double(packet.hop_limit - outcome.arrived->hop_limit));
}

Finding fragments(const Ground& ground) {
  if (!ground.subject.is_udp()) return untold("fragments", "no UDP passes");
  const bool ordered = fragments_pass(ground, true), reversed = fragments_pass(ground, false);
  return told("fragments", std::string(ordered ? reversed ? "order-free" : "ordered" : "drop"));
}

Finding checksums(const Ground& ground) {
  auto bench = ground.bench();
  const auto outcome = bench.outward(bench.opener(bench.inside(0, port), bench.remote(0, 0)));
  if (!outcome) return untold("checksums", "nothing passes");
  return told("checksums", std::string(outcome.arrived->checksums_valid ? "valid" : "invalid"));
}

}  // namespace flaresim::probe
