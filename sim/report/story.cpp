#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "sim/report/report.h"

namespace flaresim::report {
namespace {

std::string_view meaning(world::Cause cause) {
  using enum world::Cause;
  switch (cause) {
    case none:
      return "nothing went wrong";
    case relay_unreachable:
      return "a peer could not connect to the relay";
    case reservation_refused:
      return "the relay refused B's reservation";
    case circuit_refused:
      return "the relay refused A's circuit to B";
    case relayed_upgrade_failed:
      return "the circuit stood, but no secured connection came about over it";
    case no_address_to_send:
      return "a side knew no public address of its own";
    case stream_refused:
      return "the remote did not speak DCUtR";
    case relayed_connection_lost:
      return "the relayed connection was lost before the exchange was over";
    case protocol_error:
      return "the DCUtR exchange broke: a bad message, or none in time";
    case refused:
      return "every dial of the last attempt was answered with a reset";
    case silence:
      return "every dial of the last attempt ran into its time limit without an answer";
    case both_servers:
      return "a TCP connection stood, but both ends waited for the other's first message";
    case both_clients:
      return "a TCP connection stood, but both ends spoke first";
    case security_failed:
      return "the security handshake failed on the direct path";
    case bootstrap_unreachable:
      return "a peer could connect to none of the nodes that it knew at boot";
    case verdict_missing:
      return "B never learnt whether it can be dialled, and so looked for no relays";
    case verdict_wrong:
      return "B took itself for public, and cannot be dialled";
    case relays_missing:
      return "B took itself for private, and found no relay that gave it a reservation";
    case peer_not_found:
      return "nobody whom A asked knew an address of B";
    case peer_unreachable:
      return "A knew addresses of B, and every dial failed before a circuit stood";
    case time_limit:
      return "the trial's simulated time ran out";
    case internal_error:
      return "the trial itself went wrong";
  }
  return "?";
}

std::string milliseconds(io::Duration duration) {
  return fmt::format("{:.3f} ms", std::chrono::duration<double, std::milli>(duration).count());
}

std::string peer(const char* name, const world::PeerKind& kind) {
  return fmt::format("{}: NAT {}{}, access {}\n", name, kind.nat,
                     kind.region.empty() ? "" : ", in " + kind.region, kind.access);
}

std::string dialability(const char* name, const world::Dialability& peer) {
  if (peer.verdict.empty()) return "";
  return fmt::format("{} takes itself for {}; in truth it is {}\n", name, peer.verdict, peer.truth);
}

std::string timeline(const std::vector<world::Event>& events) {
  std::size_t node_width = 0;
  std::size_t what_width = 0;
  for (const auto& event : events) {
    node_width = std::max(node_width, event.node.size());
    what_width = std::max(what_width, event.what.size());
  }
  std::string text;
  for (const auto& event : events) {
    auto line = fmt::format("{:>14}  {:<{}}  {:<{}}  {}", milliseconds(event.at), event.node, node_width,
                            event.what, what_width, event.detail);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string ending(const world::Trial& trial) {
  auto text = fmt::format("{}", to_string(trial.outcome));
  if (!trial.transport.empty()) text += " over " + trial.transport;
  if (trial.attempts > 0)
    text += fmt::format(" after {} attempt{}", trial.attempts, trial.attempts == 1 ? "" : "s");
  if (trial.cause != world::Cause::none)
    text += fmt::format(": {} ({})", meaning(trial.cause), to_string(trial.cause));
  text += "\n";
  const auto add = [&](const char* name, const std::optional<io::Duration>& duration) {
    if (duration) text += fmt::format("{}: {}\n", name, milliseconds(*duration));
  };
  add("relayed connection after", trial.relayed_after);
  add("direct connection after another", trial.direct_after);
  add("round trip over the relay", trial.relayed_rtt);
  add("direct round trip", trial.direct_rtt);
  for (const auto phase : world::all_phases) {
    const auto name = fmt::format("phase {}", to_string(phase));
    add(name.c_str(), trial.phases[static_cast<std::size_t>(phase)]);
  }
  text += dialability("A", trial.dialability_a) + dialability("B", trial.dialability_b);
  if (!trial.error.empty()) text += fmt::format("error: {}\n", trial.error);
  return text;
}

}  // namespace

std::string story(const world::Scenario& scenario, const world::Trial& trial) {
  auto text = fmt::format("{}, seed {}, trial {}\n", scenario.name, scenario.seed, trial.index);
  text += peer("A", trial.a) + peer("B", trial.b);
  if (!trial.relay_region.empty()) text += fmt::format("relay in {}\n", trial.relay_region);
  return text + "\n" + timeline(trial.timeline) + (trial.timeline.empty() ? "" : "\n") + ending(trial);
}

}  // namespace flaresim::report
