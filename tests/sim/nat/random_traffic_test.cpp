#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <sstream>

#include "tests/sim/nat/observer.h"
#include "tests/sim/nat/packets.h"
#include "tests/sim/nat/random_behaviour.h"

namespace flaresim::nat::test {
namespace {

/// One case of random traffic: all of it follows from these.
struct Case {
  std::string behaviour;
  std::uint64_t seed = 1;
  int packets = 500;
};

/// Both sides of a box: hosts that talk, strangers that knock, time that passes.
class Traffic {
 public:
  Traffic(const Case& what, std::ostream* trace)
      : random_(what.seed),
        outside_(addresses("198.51.100.", std::array{1u, 1u, 2u, 4u}[dice(4)])),
        observer_(parse_behaviour(what.behaviour, {}).value(), outside_),
        nat_(parse_behaviour(what.behaviour, {}).value(), raw(outside_), what.seed),
        trace_(trace) {}

  /// The first thing that went wrong, if any, at the packet with this number.
  struct Failure {
    int packet = 0;
    std::string what;
  };
  std::optional<Failure> run(int packets) {
    for (sent_ = 1; sent_ <= packets; ++sent_) {
      pass_time();
      act();
      if (sent_ % 8 == 0) observer_.counted(nat_.size(now_), now_);
      if (!observer_.violation().empty()) return Failure{sent_, observer_.violation()};
    }
    return {};
  }
  /// All timers have run out.
  std::size_t size_in_the_end() { return nat_.size(observer_.all_gone_after(now_)); }

 private:
  std::uint32_t dice(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  template <typename Values>
  const auto& any(const Values& values) {
    return values[dice(static_cast<std::uint32_t>(std::size(values)))];
  }
  static std::vector<std::string> addresses(const std::string& net, unsigned count) {
    std::vector<std::string> all;
    for (unsigned i = 1; i <= count; ++i) all.push_back(net + std::to_string(i));
    return all;
  }
  static std::vector<Address> raw(const std::vector<std::string>& texts) {
    std::vector<Address> all;
    for (const auto& text : texts) all.push_back(address(text));
    return all;
  }

  bool some_ipv6() { return dice(6) == 0; }
  Host inside_host(bool v6) {
    static constexpr std::array<std::uint16_t, 6> ports{5000, 5001, 5002, 5003, 700, 40000};
    return {(v6 ? "2001:db8:1::" : "10.0.0.") + std::to_string(2 + dice(5)), any(ports)};
  }
  Host remote_host(bool v6) {
    static constexpr std::array<std::uint16_t, 4> ports{80, 443, 1000, 1001};
    return {(v6 ? "2001:db8:2::" : "203.0.113.") + std::to_string(1 + dice(4)), any(ports)};
  }
  /// Hosts that have been seen to talk, or that never did.
  Flow some_flow(bool fresh) {
    const auto& flows = observer_.flows();
    if (!fresh && !flows.empty())
      return flows[flows.size() - 1 -
                   dice(static_cast<std::uint32_t>(std::min<std::size_t>(flows.size(), 60)))];
    const bool v6 = some_ipv6();
    Flow flow{.transport = static_cast<Transport>(dice(3)),
              .inside = inside_host(v6),
              .outside = {},
              .remote = remote_host(v6)};
    flow.outside = v6 || nat_.behaviour().translate == Translate::off ? flow.inside
                                                                      : Host{any(outside_), flow.inside.port};
    if (flow.transport == Transport::icmp) flow.remote.port = 0;
    return flow;
  }

  void pass_time();
  void act();
  void talk_out();
  void talk_in();
  void converse();
  void error_in();
  void error_out();
  void hairpin();
  void fragments();
  void forward();
  void outbound(Bytes packet);
  void inbound(Bytes packet);
  void late_answers();
  void tell(const char* way, const Bytes& packet, const Verdict& verdict, const Bytes& after);
  Bytes packet(const Flow& flow, bool outbound, std::uint8_t flags);
  std::uint8_t some_flags();

  std::mt19937_64 random_;
  std::vector<std::string> outside_;
  Observer observer_;
  Nat nat_;
  std::ostream* trace_;
  std::vector<Forward> forwards_;
  std::vector<Host> forwarded_to_;
  std::uint16_t datagrams_ = 0;
  int sent_ = 0;
  Time now_ = 1s;
};

/// Mostly little; at times to the very edge of some flow's life, or far beyond.
void Traffic::pass_time() {
  const auto kind = dice(24);
  if (kind > 1) {
    now_ += Time(kind < 12 ? 0 : dice(20'000'000));
  } else if (kind == 1 || observer_.flows().empty()) {
    now_ += any(std::array<Time, 6>{300ms, 1s, 2s, 15s, 60s, 400s});
  } else {
    const Flow flow = some_flow(false);
    const Time edge = dice(2) == 0 ? flow.kept_until : flow.gone_at;
    now_ = std::max(now_, edge + Time(static_cast<int>(dice(3)) - 1));
  }
  late_answers();
}

void Traffic::act() {
  const auto kind = dice(100);
  if (kind < 32) return talk_out();
  if (kind < 60) return talk_in();
  if (kind < 84) return converse();
  if (kind < 87) return error_in();
  if (kind < 89) return error_out();
  if (kind < 94) return hairpin();
  if (kind < 98) return fragments();
  forward();
}

std::uint8_t Traffic::some_flags() {
  static constexpr std::array<std::uint8_t, 8> usual{SYN, SYN,       SYN | ACK, ACK,
                                                     ACK, FIN | ACK, RST,       RST | ACK};
  return dice(8) == 0 ? static_cast<std::uint8_t>(dice(64)) : any(usual);
}

/// An echo is asked for by the inside.
Bytes Traffic::packet(const Flow& flow, bool outbound, std::uint8_t flags) {
  const Host& from = outbound ? flow.inside : flow.remote;
  const Host& to = outbound ? flow.remote : flow.outside;
  const auto ttl = static_cast<std::uint8_t>(dice(40) == 0 ? 1 : 64);
  const Bytes data(dice(3), 7);
  if (flow.transport == Transport::udp) return udp(from, to, data, ttl);
  if (flow.transport == Transport::tcp) {  // all SYNs are those of one connection
    const std::uint32_t sequence = flags & SYN ? 1000 : 1000 + dice(1000);
    return tcp(from, to, flags, {.sequence = sequence, .acknowledgement = dice(1000), .payload = data});
  }
  return outbound ? echo_request(from, to, flow.inside.port) : echo_reply(from, to, flow.outside.port);
}

void Traffic::talk_out() {
  Flow flow = some_flow(dice(2) == 0);
  if (dice(3) == 0) flow.remote.port = flow.transport == Transport::icmp ? 0 : remote_host(false).port;
  if (flow.transport == Transport::icmp && dice(16) == 0)
    return outbound(echo_reply(flow.inside, flow.remote, 9));
  outbound(packet(flow, true, dice(3) != 0 ? SYN : some_flags()));
}

/// From whom one expects it, from a neighbour of his, or from a stranger.
void Traffic::talk_in() {
  Flow flow = some_flow(dice(16) == 0);
  const auto who = dice(4);
  if (who == 1 && flow.transport != Transport::icmp) flow.remote.port = remote_host(false).port;
  if (who == 2) flow.remote = {remote_host(flow.remote.ipv6()).address, flow.remote.port};
  if (flow.transport == Transport::icmp && dice(6) == 0)
    return inbound(echo_request(flow.remote, flow.outside, 9));
  inbound(packet(flow, false, some_flags()));
}

/// The next packets of a connection that goes by the book.
void Traffic::converse() {
  Flow flow = some_flow(false);
  if (flow.transport != Transport::tcp) return inbound(packet(flow, false, 0));
  const auto both = static_cast<std::uint8_t>(flow.flags[0] & flow.flags[1]);
  if (flow.flags[0] == SYN && flow.flags[1] == 0)
    return inbound(packet(flow, false, dice(3) == 0 ? SYN : SYN | ACK));
  if (flow.flags[0] == SYN && flow.flags[1] == SYN)
    return dice(2) == 0 ? outbound(packet(flow, true, SYN | ACK)) : inbound(packet(flow, false, SYN | ACK));
  if (flow.flags[0] == 0) return outbound(packet(flow, true, SYN | ACK));
  const bool ends = both == (SYN | ACK) && dice(12) == 0;
  const auto flags = static_cast<std::uint8_t>(ends ? FIN | ACK : ACK);
  const bool out = !(flow.flags[0] & ACK) || dice(2) == 0;
  out ? outbound(packet(flow, true, flags)) : inbound(packet(flow, false, flags));
}

void Traffic::error_in() {
  const Flow flow = some_flow(dice(8) == 0);
  Flow as_outside = flow;
  as_outside.inside = flow.outside;
  Bytes about = packet(as_outside, true, SYN);
  if (dice(2) == 0) about.resize(std::min<std::size_t>(about.size(), flow.inside.ipv6() ? 48 : 28));
  const Host router =
      dice(2) == 0 ? flow.remote : Host{flow.inside.ipv6() ? "2001:db8:9::1" : "192.0.2.1", 0};
  Bytes error = icmp_error(router, flow.outside, flow.inside.ipv6() ? 1 : 3, 3, about);
  if (!flow.inside.ipv6() && dice(10) == 0) {
    error[8] = 1;
    seal_ipv4(error);
  }
  inbound(std::move(error));
}

void Traffic::error_out() {
  const Flow flow = some_flow(dice(8) == 0);
  Flow as_inside = flow;
  as_inside.outside = flow.inside;
  outbound(
      icmp_error(flow.inside, flow.remote, flow.inside.ipv6() ? 1 : 3, 3, packet(as_inside, false, ACK)));
}

/// From inside to an outside endpoint that somebody inside has.
void Traffic::hairpin() {
  const Flow target = some_flow(false);
  if (target.outside.ipv6() || target.outside.address.empty()) return;
  Flow flow = target;
  flow.inside = inside_host(false);
  flow.remote = target.outside;
  if (flow.remote.address == target.inside.address) return;  // not translated: neighbours need no box
  outbound(packet(flow, true, dice(2) == 0 ? SYN : some_flags()));
}

/// A UDP datagram in pieces, in any order; what comes of it is put together again.
void Traffic::fragments() {
  Flow flow = some_flow(dice(2) == 0);
  if (flow.inside.ipv6() || flow.outside.address.empty()) return;
  flow.transport = Transport::udp;
  if (flow.remote.port == 0) flow.remote.port = 80;
  const bool out = dice(2) == 0;
  Bytes whole = udp(out ? flow.inside : flow.remote, out ? flow.remote : flow.outside, Bytes(40, 9));
  write16(whole, 4, ++datagrams_);
  write16(whole, 6, 0);
  seal_ipv4(whole);
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < 48; at += 16) {
    Bytes piece(36);
    std::copy_n(whole.begin(), 20, piece.begin());
    std::copy_n(whole.begin() + 20 + static_cast<long>(at), 16, piece.begin() + 20);
    write16(piece, 2, 36);
    write16(piece, 6, static_cast<std::uint16_t>(at / 8 | (at < 32 ? 0x2000 : 0)));
    seal_ipv4(piece);
    pieces.push_back(piece);
  }
  std::rotate(pieces.begin(), pieces.begin() + dice(3), pieces.end());
  if (dice(2) == 0) std::swap(pieces[0], pieces[2]);

  Verdict of_first;
  std::vector<Bytes> passed;
  bool late = false, lost = false;
  for (Bytes& piece : pieces) {
    const bool is_first = (read16(piece, 6) & 0x1fff) == 0;
    late |= is_first;
    lost |= !late;
    Verdict verdict = out ? nat_.outbound(piece, now_) : nat_.inbound(piece, now_);
    if (verdict.forward) passed.push_back(piece);
    passed.insert(passed.end(), verdict.released.begin(), verdict.released.end());
    if (is_first) of_first = verdict;
  }
  Bytes after = whole;
  bool has_first = false;
  for (const Bytes& piece : passed) {
    const std::size_t at = (read16(piece, 6) & 0x1fffu) * 8;
    std::copy(piece.begin() + 8, piece.begin() + 20, after.begin() + 8);
    std::copy(piece.begin() + 20, piece.end(), after.begin() + 20 + static_cast<long>(at));
    has_first |= at == 0;
  }
  seal_ipv4(after);
  const auto rule = nat_.behaviour().fragments;
  if (has_first && passed.size() < (rule == Fragments::ordered && lost ? 1u : 3u))
    observer_.complain("all fragments of a datagram pass");
  if (!passed.empty() && !has_first) observer_.complain("no fragment passes without the first one");
  of_first.forward = has_first;
  tell(out ? "out in pieces" : "in in pieces", whole, of_first, after);
  out ? observer_.outbound(whole, of_first, after, now_) : observer_.inbound(whole, of_first, after, now_);
}

void Traffic::forward() {
  if (!forwards_.empty() && dice(2) == 0) {
    const std::size_t which = dice(static_cast<std::uint32_t>(forwards_.size()));
    const Forward gone = forwards_[which];
    forwards_.erase(forwards_.begin() + static_cast<long>(which));
    if (nat_.close_forward(gone.transport, gone.outside_port))
      observer_.complain("a forward that was opened can be closed");
    if (trace_) *trace_ << "close forward of port " << gone.outside_port << "\n";
    return observer_.closed(gone);
  }
  const Host inside = inside_host(false);
  static constexpr std::array<std::uint16_t, 4> ports{80, 5000, 5001, 6000};
  const Forward wanted{
      dice(2) == 0 ? Transport::udp : Transport::tcp, any(ports), {address(inside.address), inside.port}};
  const auto error = nat_.open_forward(wanted, now_);
  if (trace_)
    *trace_ << "forward port " << wanted.outside_port
            << (wanted.transport == Transport::udp ? "/udp" : "/tcp") << " to " << inside << ": "
            << error.message() << "\n";
  observer_.opened(wanted, inside, error, now_);
  if (!error && std::find(forwards_.begin(), forwards_.end(), wanted) == forwards_.end())
    forwards_.push_back(wanted);
}

void Traffic::outbound(Bytes packet) {
  const Bytes before = packet;
  const Verdict verdict = nat_.outbound(packet, now_);
  tell("out", before, verdict, packet);
  observer_.outbound(before, verdict, packet, now_);
}

void Traffic::inbound(Bytes packet) {
  const Bytes before = packet;
  const Verdict verdict = nat_.inbound(packet, now_);
  tell("in", before, verdict, packet);
  observer_.inbound(before, verdict, packet, now_);
}

void Traffic::late_answers() {
  if (!nat_.due() || *nat_.due() > now_) return;
  for (const Bytes& answer : nat_.emit(now_)) observer_.emitted(answer, now_);
}

void Traffic::tell(const char* way, const Bytes& packet, const Verdict& verdict, const Bytes& after) {
  if (trace_ == nullptr) return;
  const auto line = [&](const Bytes& bytes) {
    const Read r = read(bytes);
    *trace_ << (r.protocol == 17  ? "UDP "
                : r.protocol == 6 ? "TCP "
                                  : "ICMP ")
            << r.source << " > " << r.destination;
    if (r.protocol == 6) *trace_ << " flags " << int(r.transport[13]);
    if (r.protocol == 1 || r.protocol == 58) *trace_ << " type " << int(r.transport[0]);
    *trace_ << " ttl " << int(r.ttl);
  };
  *trace_ << sent_ << " at " << now_.count() << " ns, " << way << ": ";
  line(packet);
  *trace_ << "\n    -> " << (verdict.forward ? "" : to_string(verdict.rule));
  if (verdict.forward) line(after);
  if (!verdict.answer.empty()) {
    *trace_ << ", answer ";
    line(verdict.answer);
  }
  *trace_ << "\n";
}

std::optional<Traffic::Failure> failure_of(const Case& what, std::ostream* trace = nullptr) {
  Traffic traffic(what, trace);
  auto failure = traffic.run(what.packets);
  if (!failure && traffic.size_in_the_end() != 0)
    failure = {what.packets, "nothing is left when all timers have run out"};
  return failure;
}

/// The same failure with fewer settings, as far as that goes, and no packet after it.
Case smallest(Case what, Traffic::Failure failure) {
  what.packets = failure.packet;
  for (std::size_t comma = what.behaviour.rfind(','); comma != std::string::npos;) {
    Case less = what;
    const std::size_t end = std::min(what.behaviour.find(',', comma + 1), what.behaviour.size());
    less.behaviour.erase(comma, end - comma);
    const auto again = failure_of(less);
    if (again) {
      what = less;
      what.packets = again->packet;
    }
    comma = comma == 0 ? std::string::npos : what.behaviour.rfind(',', comma - 1);
  }
  return what;
}

std::string explanation(const Case& what) {
  std::ostringstream trace;
  const auto failure = failure_of(what, &trace);
  std::string lines = trace.str();
  std::size_t start = lines.size();
  for (int i = 0; i < 40 && start != std::string::npos && start > 0; ++i)
    start = lines.rfind('\n', start - 1);
  if (start != std::string::npos) lines.erase(0, start);
  std::ostringstream out;
  out << "violated: " << (failure ? failure->what : "nothing") << "\nby packet " << what.packets << " with "
      << what.behaviour << "\nreplay: FLARESIM_NAT_CASE='" << what.behaviour << ' ' << what.seed << ' '
      << what.packets << "' nat_random_traffic_test --gtest_filter=NatTraffic.ReplaysOneCase\n"
      << lines;
  return out.str();
}

void expect_no_violation(std::uint64_t first_seed, int behaviours, int packets) {
  for (std::uint64_t seed = first_seed; seed < first_seed + behaviours; ++seed) {
    std::mt19937_64 random(seed);
    const Case what{
        random_behaviour([&](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); }),
        seed, packets};
    if (const auto failure = failure_of(what)) {
      ADD_FAILURE() << explanation(smallest(what, *failure));
      if (testing::Test::HasFailure() && std::getenv("FLARESIM_NAT_ALL") == nullptr) return;
    }
  }
}

// A hundred thousand packets through two hundred behaviours.
TEST(NatTraffic, KeepsEveryPromiseOfARandomBehaviour) { expect_no_violation(1, 200, 500); }
TEST(NatTrafficLong, KeepsEveryPromiseOfARandomBehaviour) { expect_no_violation(1'000'000, 2400, 500); }

/// What a failure above prints.
TEST(NatTraffic, ReplaysOneCase) {
  const char* const given = std::getenv("FLARESIM_NAT_CASE");
  if (given == nullptr) GTEST_SKIP() << "FLARESIM_NAT_CASE names none";
  Case what;
  std::istringstream(given) >> what.behaviour >> what.seed >> what.packets;
  EXPECT_FALSE(failure_of(what)) << explanation(what);
}

}  // namespace
}  // namespace flaresim::nat::test
