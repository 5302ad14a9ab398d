#include <algorithm>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

constexpr std::uint16_t port = 40000, fresh_port = 40210;
/// No router delays an error for longer.
constexpr io::Duration longest_delay = std::chrono::minutes(5);

double in_seconds(io::Duration time) { return std::chrono::duration<double>(time).count(); }

/// An outside endpoint that nothing inside has sent from, on the box's address; learnt by a flow to remote 0.
std::optional<io::Endpoint> closed_door(const Ground& ground, Bench& bench) {
  const auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (!flow) return {};
  auto door = flow->outside;
  if (!ground.subject.is_icmp()) door.port = static_cast<std::uint16_t>(flow->outside.port ^ 0x0155);
  return door;
}

struct Answer {
  std::string word = "drop";
  io::Duration after{};  ///< beyond what the way there and back takes
  bool let_in = false;
};

std::string answer_word(const Packet& packet) {
  if (packet.quoted && packet.icmp == IcmpKind::unreachable)
    return packet.icmp_code == (packet.is_v6() ? 4 : 3) ? "icmp-port" : "icmp";
  if (packet.protocol != Protocol::tcp) return "";
  if (packet.flags & flag::rst) return "reset";
  return packet.flags == (flag::syn | flag::ack) ? "accept" : "";
}

/// What came back for a knock, at once or later. The first way through the box tells how long a way back takes.
Answer answer_to(Bench& bench, const io::Endpoint& from, const io::Endpoint& door) {
  const auto began_at = bench.now();
  const auto there = bench.outward(bench.opener(bench.inside(0, port), bench.remote(0, 0)));
  const auto travel = there ? there.arrived->at - began_at : io::Duration::zero();

  const auto knocked_at = bench.now();
  auto outcome = bench.knock(from, door);
  if (outcome) return {.let_in = true};
  const bool at_once = !outcome.answers.empty();
  if (!at_once) outcome.answers = bench.listen(Side::outside, longest_delay);
  for (const auto& packet : outcome.answers) {
    const auto found = answer_word(packet);
    if (found.empty()) continue;
    if (at_once || packet.protocol == Protocol::tcp) return {.word = found};
    return {.word = "delayed-icmp", .after = packet.at - knocked_at - travel};
  }
  return {};
}

std::optional<Answer> answer_at_closed_door(const Ground& ground) {
  auto bench = ground.bench();
  const auto door = closed_door(ground, bench);
  if (!door) return {};
  return answer_to(bench, bench.remote(1, 0), *door);
}

/// Where a new flow will come out, if that can be known: by itself, as the one before did, or one step further.
struct Forecast {
  std::uint16_t inside_port = 0;
  io::Endpoint outside{};
};

/// A flow that is made in the same way in a fresh world, and where it comes out; so often as random ports differ.
std::optional<io::Endpoint> comes_out_at(const Ground& ground, const Forecast& forecast, bool knocked_before,
                                         io::Duration pause, bool established) {
  auto bench = ground.bench();
  const auto remote = bench.remote(1, 0);
  bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (established) bench.open(bench.inside(0, forecast.inside_port), bench.remote(0, 0));
  if (knocked_before) bench.knock(remote, forecast.outside);
  bench.wait(pause);
  const auto flow = bench.open(bench.inside(0, forecast.inside_port), remote);
  return flow ? std::optional(flow->outside) : std::nullopt;
}

/// Commit-state: the same flow comes out of another port because a packet from its remote came before. Only where
/// the port can be foretold: fresh and preserved, fresh and next in sequence, or mapped already for another remote.
struct Commitment {
  bool visible = false;
  bool happens = false;
};

Commitment commitment(const Ground& ground, const std::string& mapping, const std::string& filtering,
                      const std::string& ports, io::Duration denied) {
  const bool mapped_before = mapping == "EIM" && filtering != "EIF";
  if (!mapped_before && ports != "preserve" && ports != "sequential") return {};
  Forecast forecast{fresh_port, {}};
  // Ports that a box draws with the same luck in each fresh world tell nothing where it is not so lucky in reality,
  // so only foretellable rules come here; the first run says what they give.
  const auto without = comes_out_at(ground, forecast, false, denied, mapped_before);
  if (!without) return {};
  forecast.outside = *without;
  if (!mapped_before && ports == "preserve" && without->port != fresh_port) return {};
  const auto with = comes_out_at(ground, forecast, true, denied, mapped_before);
  return {true, with != without};
}

bool reaches(const Ground& ground, std::size_t knocker_port, std::size_t target_port, io::Duration after) {
  auto bench = ground.bench();
  const auto door = closed_door(ground, bench);
  if (!door) return false;
  const auto knocked_at = bench.now();
  bench.knock(bench.remote(1, knocker_port), *door);
  bench.wait_until(knocked_at + after);
  return bench.open(bench.inside(0, fresh_port), bench.remote(1, target_port)).has_value();
}

}  // namespace

/// Some boxes punish who knocks too early: nobody inside can talk to them for a while.
DenyFindings deny_list(const Ground& ground) {
  const std::string key = "deny_key", seconds = "deny_list_s";
  if (reaches(ground, 0, 0, ground.crossing)) return {told(seconds, 0.0), untold(key, "nobody is denied")};
  io::Duration low{}, high = std::chrono::seconds(1);
  const auto& options = ground.options;
  while (high < options.longest_timer && !reaches(ground, 0, 0, high)) low = high, high *= 2;
  if (high >= options.longest_timer) return {untold(seconds, "for ever"), untold(key, "for ever")};
  while (high - low > options.timer_resolution) {
    const auto middle = low + (high - low) / 2;
    (reaches(ground, 0, 0, middle) ? high : low) = middle;
  }
  const auto rounded = std::chrono::round<std::chrono::milliseconds>(high);
  if (!ground.has_two_ports())
    return {told(seconds, in_seconds(rounded)), untold(key, "one remote port passes only")};
  const bool other_port = reaches(ground, 0, 1, ground.crossing);
  return {told(seconds, in_seconds(rounded)), told(key, std::string(other_port ? "endpoint" : "address"))};
}

UnsolicitedFindings unsolicited(const Ground& ground, const std::string& mapping,
                                const std::string& filtering, const std::string& ports,
                                const DenyFindings& deny) {
  const std::string key = ground.subject.is_tcp() ? "unsolicited_syn" : "unsolicited",
                    delay = "unsolicited_delay_s";
  const auto none = untold(delay, "no error comes late");
  const auto answer = answer_at_closed_door(ground);
  if (!answer) return {untold(key, "the outside address is not seen"), none};
  if (answer->let_in) return {untold(key, "everything is let in"), none};
  if (answer->word == "delayed-icmp")
    return {told(key, answer->word), told(delay, in_seconds(answer->after))};
  if (answer->word == "reset" || answer->word == "accept" || !ground.translates)
    return {told(key, answer->word), none};

  const auto denied = deny.seconds.value ? std::get<double>(*deny.seconds.value) : 0;
  const auto pause = std::chrono::duration_cast<io::Duration>(std::chrono::duration<double>(denied));
  const auto committed = commitment(ground, mapping, filtering, ports, pause);
  if (committed.happens) return {told(key, std::string("commit-state")), none};
  const auto note = committed.visible ? "" : "commit-state would not show: ports cannot be foretold";
  return {told(key, answer->word, note), none};
}

}  // namespace flaresim::probe
