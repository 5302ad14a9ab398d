#include <algorithm>
#include <optional>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {
constexpr std::uint16_t port = 40000;
}  // namespace

/// RFC 5382 REQ-2: a SYN that meets our own.
Finding simultaneous_open(const Ground& ground) {
  auto bench = ground.bench();
  const auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (!flow) return untold("simultaneous_open", "no SYN passes");
  const auto outcome = bench.knock(flow->remote, flow->outside);
  return on_off("simultaneous_open", outcome && outcome.arrived->destination == flow->inside);
}

namespace {

/// Whether our SYN-ACK leaves on a flow that our SYN began, after the remote's SYN or without it.
std::optional<bool> syn_ack_leaves(const Ground& ground, bool crossed) {
  auto bench = ground.bench();
  const auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (!flow) return {};
  const auto syn = bench.opener(flow->remote, flow->outside);
  if (crossed && !bench.inward(syn)) return {};
  return bool(bench.outward(bench.tcp(flow->inside, flow->remote, flag::syn | flag::ack,
                                      flow->inside_sequence - 1, syn.sequence + 1)));
}

}  // namespace

/// The third packet of a simultaneous open; where the second does not get in, it is sent all the same.
Finding syn_ack_after_syn(const Ground& ground) {
  const std::string key = "syn_ack_after_syn";
  if (const auto leaves = syn_ack_leaves(ground, true))
    return told(key, std::string(*leaves ? "pass" : "drop"));
  if (syn_ack_leaves(ground, false).value_or(false)) return told(key, std::string("pass"));
  return untold(key,
                "the remote's SYN does not get in, and without it a SYN-ACK may be refused as out of state");
}

/// An ACK could begin a connection; a RST never does, but some boxes forward what they cannot place as it is.
Finding out_of_state(const Ground& ground) {
  const std::string key = "out_of_state";
  if (needs_no_table(ground)) return untold(key, "everything passes: there is no state");
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  const auto outcome = bench.outward(bench.tcp(bench.inside(0, port), remote, flag::ack, 0, 1));
  const bool reset = std::any_of(outcome.answers.begin(), outcome.answers.end(), [](const Packet& packet) {
    return packet.protocol == Protocol::tcp && (packet.flags & flag::rst) != 0;
  });
  if (!outcome) return told(key, std::string(reset ? "reset" : "drop"));
  const bool leaks = bool(bench.outward(bench.tcp(bench.inside(0, port + 2), remote, flag::rst)));
  return told(key, std::string(leaks ? "leak" : "pick-up"));
}

}  // namespace flaresim::probe
