#include "tests/kernel/probes.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "tests/kernel/addresses.h"

namespace flaresim::kernel {
namespace {

using namespace nat::test;

constexpr std::uint8_t time_exceeded = 11, unreachable = 3;

// Ports and filters

void ports_kept(Probe& p) {
  p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_out({p.a, 5000}, {p.r, 6001});
  p.udp_out({p.a, 5000}, {p.s, 6000});
  p.udp_out({p.a, 5001}, {p.r, 6000});
}

void ports_kept_by_tcp(Probe& p) {
  p.out(tcp({p.a, 5000}, {p.r, 6000}, SYN));
  p.out(tcp({p.a, 5000}, {p.r, 6001}, SYN));
  p.out(tcp({p.a, 5000}, {p.s, 6000}, SYN));
}

void contention(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  const Host y = p.udp_out({p.b, 5000}, {p.r, 6000});
  p.udp_in({p.r, 6000}, x);
  p.udp_in({p.r, 6000}, y);
  p.udp_out({p.b, 5000}, {p.s, 6000});
  p.udp_out({p.a, 5000}, {p.s, 6000});
  p.udp_out({p.b, 5000}, {p.r, 6000});
}

void contention_in_tcp(Probe& p) {
  Connection first(p, {p.a, 5000}, {p.r, 6000}), second(p, {p.b, 5000}, {p.r, 6000});
  first.open();
  second.open();
  first.in(ACK, 4);
  second.in(ACK, 4);
}

void contention_of_low_ports(Probe& p) {
  for (const std::uint16_t port : {80, 700}) {
    p.udp_out({p.a, port}, {p.r, 6000});
    p.udp_out({p.b, port}, {p.r, 6000});
  }
}

void filtering(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_in({p.r, 6000}, x);
  p.udp_in({p.r, 6001}, x);
  p.udp_in({p.s, 6000}, x);
}

void filtering_in_tcp(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.open();
  connection.in(ACK, 4);
  p.in(tcp({p.r, 6001}, {p.front, 5000}, SYN));
  p.in(tcp({p.s, 6000}, {p.front, 5000}, SYN));
  connection.out(ACK, 4);
}

void port_range_is_exhausted(Probe& p) {
  p.udp_out({p.a, 20001}, {p.r, 6000});
  for (const std::uint16_t port : {5000, 5001, 5002}) p.udp_out({p.a, port}, {p.r, 6000});
  p.udp_out({p.a, 5003}, {p.r, 6000});
  const bool served = !p.send_quietly(Side::inside, udp({p.a, 5003}, {p.s, 6000})).empty();
  p.find("a flow to another remote", served ? "passes" : "does not");
  p.udp_out({p.a, 20001}, {p.r, 6000});
}

std::string addresses_used(Probe& p, int inside_hosts, int remotes) {
  std::set<std::string> used;
  for (int host = 0; host < inside_hosts; ++host)
    for (int remote = 0; remote < remotes; ++remote) {
      const Host from{"192.168.1." + std::to_string(20 + host), static_cast<std::uint16_t>(5000 + remote)};
      const Host to{"198.51.100." + std::to_string(100 + remote), 6000};
      for (const auto& [side, packet] : p.send_quietly(Side::inside, udp(from, to)))
        used.insert(read(packet).source.address);
    }
  return used.size() == 1 ? "one" : "several";
}

void pool(Probe& p) {
  // Which address it is depends on chance: whether sixteen choices agree does not, except once in 4¹⁵ times.
  p.find("outside addresses of one host towards many", addresses_used(p, 1, 16));
  p.find("outside addresses of many hosts towards one", addresses_used(p, 16, 1));
}

// What nobody has asked for

void unsolicited_udp(Probe& p) {
  p.udp_in({p.r, 6000}, {p.front, 5000});
  p.in(udp({p.r, 6000}, {p.front, 5000}, Bytes(600, 'x')));
}

void unsolicited_tcp(Probe& p) {
  std::uint16_t port = 5000;
  for (const int flags : {int{SYN}, SYN | ACK, int{ACK}, int{RST}, RST | ACK, FIN | ACK, 0})
    p.in(tcp({p.r, 6000}, {p.front, port++}, static_cast<std::uint8_t>(flags),
             {.sequence = 9000, .acknowledgement = flags & ACK ? 1001u : 0, .payload = {}}));
}

void unsolicited_icmp(Probe& p) {
  p.in(echo_request({p.r}, {p.front}, 7));
  p.in(echo_reply({p.r}, {p.front}, 8));
  p.in(icmp_error({p.m}, {p.front}, unreachable, 3, udp({p.front, 5000}, {p.r, 6000})));
}

void out_of_state_from_inside(Probe& p) {
  std::uint16_t port = 5000;
  for (const int flags : {SYN | ACK, int{RST}, RST | ACK, FIN | ACK, 0, SYN | FIN, SYN | RST})
    p.out(tcp({p.a, port++}, {p.r, 6000}, static_cast<std::uint8_t>(flags), {.acknowledgement = 9001}));
}

/// Connection tracking picks up what it has not seen begin.
void picked_up(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.out(ACK, 4);
  connection.in(ACK, 4);
  connection.out(ACK);
}

// Commit-state

void early_udp(Probe& p) {
  p.udp_in({p.r, 6000}, {p.front, 5000});
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_in({p.r, 6000}, x);
  p.udp_in({p.r, 6000}, {p.front, 5000});
  p.udp_out({p.a, 5000}, {p.s, 6000});
}

void early_udp_at_a_mapping_in_use(Probe& p) {
  p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_in({p.s, 6000}, {p.front, 5000});
  p.udp_out({p.a, 5000}, {p.s, 6000});
  p.udp_in({p.r, 6000}, {p.front, 5000});
}

void early_udp_is_forgotten(Probe& p) {
  p.udp_in({p.r, 6000}, {p.front, 5000});
  p.wait(1600ms);
  p.udp_out({p.a, 5000}, {p.r, 6000});
  p.wait(2500ms);
  p.udp_out({p.a, 5000}, {p.r, 6000});
}

void early_udp_is_kept_by_more_of_it(Probe& p) {
  for (int i = 0; i < 3; ++i) {
    p.udp_in({p.r, 6000}, {p.front, 5000});
    p.wait(1500ms);
  }
  p.udp_out({p.a, 5000}, {p.r, 6000});
}

void early_tcp(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.in(SYN);
  connection.out(SYN);
  connection.in(SYN | ACK);
  connection.out(ACK);
}

void early_echo(Probe& p) {
  p.in(echo_request({p.r}, {p.front}, 7));
  p.out(echo_request({p.a}, {p.r}, 7));
}

// TCP

void handshake_and_close(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.open_and_close();
  connection.in(ACK);
  connection.out(ACK);
  Connection(p, {p.a, 5000}, {p.r, 6000}).out(SYN);
}

void crossing_syns(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.out(SYN);
  connection.in(SYN);
  connection.out(SYN | ACK);
  connection.in(SYN | ACK);
  connection.out(ACK, 4);
  connection.in(ACK, 4);
}

void syn_answered_by_ack_only(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.out(SYN);
  connection.in(ACK);
  connection.out(ACK);
}

void syn_refused(Probe& p) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.out(SYN);
  connection.refuse_from_outside();
  connection.in(SYN);
  connection.out(SYN);
  connection.in(SYN | ACK);
}

void reset(Probe& p, bool from_inside) {
  Connection connection(p, {p.a, 5000}, {p.r, 6000});
  connection.open();
  from_inside ? connection.out(RST | ACK) : connection.in(RST | ACK);
  connection.out(ACK, 4);
  connection.in(ACK, 4);
  connection.out(RST);
}
void reset_from_outside(Probe& p) { reset(p, false); }
void reset_from_inside(Probe& p) { reset(p, true); }

/// A hole is punched, the connection reset, and the same hole is punched again: the outside comes first, or we do.
void punched_again(Probe& p, std::chrono::milliseconds pause, bool outside_first) {
  Connection first(p, {p.a, 5000}, {p.r, 6000});
  first.open();
  first.out(RST | ACK);
  p.wait(pause);
  Connection second(p, {p.a, 5000}, {p.r, 6000});
  if (outside_first) second.in(SYN);
  second.out(SYN);
  second.in(SYN);
  second.out(SYN | ACK);
  second.in(SYN | ACK);
  second.out(ACK, 4);
  second.in(ACK, 4);
}
void punched_again_after_200ms(Probe& p) { punched_again(p, 200ms, false); }
void punched_again_after_1500ms(Probe& p) { punched_again(p, 1500ms, false); }
void punched_again_after_2500ms(Probe& p) { punched_again(p, 2500ms, false); }
void punched_again_early_after_200ms(Probe& p) { punched_again(p, 200ms, true); }
void punched_again_early_after_2500ms(Probe& p) { punched_again(p, 2500ms, true); }

/// A connection that the outside resets, as a punch that is late ends at a router which answers SYNs.
void punched_again_after_being_reset(Probe& p) {
  Connection first(p, {p.a, 5000}, {p.r, 6000});
  first.open();
  first.in(RST | ACK);
  p.wait(200ms);
  Connection second(p, {p.a, 5000}, {p.r, 6000});
  second.in(SYN);
  second.out(SYN);
  second.in(SYN);
  second.out(SYN | ACK);
}

/// Lives of one pair of endpoints, each with sequence numbers of its own: what is dialled again before the router has
/// forgotten the last time.
struct Lives {
  explicit Lives(Probe& p)
      : first(p, {p.a, 5000}, {p.r, 6000}),
        second(p, {p.a, 5000}, {p.r, 6000}, 700'000, 800'000),
        third(p, {p.a, 5000}, {p.r, 6000}, 1'400'000, 1'500'000) {}
  Connection first, second, third;
};

/// We gave a dial up. Then the outside dials, our listener answers, and at last both dial at once.
void dialled_and_given_up(Probe& p) {
  Lives of(p);
  of.first.out(SYN);
  of.second.in(SYN);
  of.second.out(SYN | ACK);
  of.third.in(SYN);
  of.third.out(SYN);
}

void dialled_again(Probe& p) {
  Lives of(p);
  of.first.out(SYN);
  of.second.out(SYN);
  of.second.in(SYN | ACK);
  of.second.out(ACK, 4);
  of.second.in(ACK, 4);
}

void dialled_again_with_a_lower_number(Probe& p) {
  Lives of(p);
  of.second.out(SYN);
  of.first.out(SYN);
  of.first.in(SYN | ACK);
  of.second.in(SYN | ACK);
}

void dialled_again_and_met(Probe& p) {
  Lives of(p);
  of.first.out(SYN);
  of.second.out(SYN);
  of.second.in(SYN);
  of.second.out(SYN | ACK);
  of.second.in(SYN | ACK);
}

void last_dial_is_answered(Probe& p) {
  Lives of(p);
  of.first.out(SYN);
  of.second.out(SYN);
  of.first.in(SYN | ACK);
  of.second.in(SYN | ACK);
}

void answered_with_too_high_a_number(Probe& p) {
  Lives of(p);
  of.first.out(SYN);
  of.second.in(SYN | ACK);
  of.first.in(SYN | ACK);
}

void crossing_syns_of_two_lives(Probe& p) {
  Lives of(p);
  of.first.out(SYN);
  of.first.in(SYN);
  of.second.in(SYN);
  of.second.in(SYN | ACK);
  of.second.out(SYN);
  of.first.out(SYN);
  of.first.in(SYN | ACK);
  of.first.out(SYN | ACK);
}

void crossing_syns_and_an_older_answer(Probe& p) {
  Lives of(p);
  of.third.out(SYN);
  of.third.in(SYN);
  of.second.out(SYN | ACK);
  of.second.in(SYN | ACK);
  of.second.out(SYN);
  of.second.in(SYN);
  of.third.out(SYN | ACK);
}

// Timers

void udp_unreplied_timer(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.wait(1500ms);
  p.udp_in({p.r, 6000}, x);
  p.wait(1500ms);
  p.udp_in({p.r, 6000}, x);
  p.wait(2500ms);
  p.udp_in({p.r, 6000}, x);
}

void udp_unreplied_timer_runs_out(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.wait(2500ms);
  p.udp_in({p.r, 6000}, x);
}

/// Both have spoken, and go on for more than the two seconds after which connection tracking calls it a stream.
void udp_stream_timer(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_in({p.r, 6000}, x);
  p.wait(1200ms);
  p.udp_out({p.a, 5000}, {p.r, 6000});
  p.wait(1200ms);
  p.udp_out({p.a, 5000}, {p.r, 6000});
  p.wait(4400ms);
  p.udp_in({p.r, 6000}, x);
  p.wait(4400ms);
  p.udp_in({p.r, 6000}, x);
  p.wait(5600ms);
  p.udp_in({p.r, 6000}, x);
}

void udp_replied_is_no_stream_yet(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_in({p.r, 6000}, x);
  p.udp_out({p.a, 5000}, {p.r, 6000});
  p.wait(2500ms);
  p.udp_in({p.r, 6000}, x);
}

/// The timer of the whole connection follows its last packet.
void tcp_timer(Probe& p, void (*begin)(Connection&), std::chrono::milliseconds alive,
               std::chrono::milliseconds dead, std::uint8_t probe_flags) {
  for (const bool late : {false, true}) {
    Connection connection(p, {p.a, static_cast<std::uint16_t>(late ? 5001 : 5000)}, {p.r, 6000});
    begin(connection);
    p.wait(late ? dead : alive);
    connection.in(probe_flags);
  }
}
void tcp_syn_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.out(SYN); }, 1500ms, 2500ms, SYN | ACK);
}
void tcp_syn_ack_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.out(SYN), c.in(SYN | ACK); }, 2500ms, 3500ms, SYN | ACK);
}
void tcp_established_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.open(); }, 5500ms, 6500ms, ACK);
}
void tcp_close_wait_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.open(), c.in(FIN | ACK), c.out(ACK); }, 2500ms, 3500ms, ACK);
}
void tcp_last_ack_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.open(), c.in(FIN | ACK), c.out(FIN | ACK); }, 1500ms, 2500ms, ACK);
}
void tcp_fin_wait_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.open(), c.out(FIN | ACK); }, 3500ms, 4500ms, ACK);
}
void tcp_closed_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.open_and_close(); }, 3500ms, 4500ms, ACK);
}
void tcp_reset_timer(Probe& p) {
  tcp_timer(
      p, [](Connection& c) { c.open(), c.in(RST | ACK); }, 1500ms, 2500ms, ACK);
}
void echo_timer(Probe& p) {
  p.out(echo_request({p.a}, {p.r}, 7));
  p.wait(1500ms);
  p.in(echo_reply({p.r}, {p.front}, 7));
  p.wait(1500ms);
  p.in(echo_reply({p.r}, {p.front}, 7));
  p.wait(2500ms);
  p.in(echo_reply({p.r}, {p.front}, 7));
}

// ICMP

void echo_and_contention(Probe& p) {
  const Host x = p.out(echo_request({p.a}, {p.r}, 7));
  const Host y = p.out(echo_request({p.b}, {p.r}, 7));
  p.in(echo_reply({p.r}, {x.address}, x.port));
  p.in(echo_reply({p.r}, {y.address}, y.port));
  p.in(echo_reply({p.s}, {x.address}, x.port));
}

void errors_about_ours(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  const Host y = p.out(tcp({p.a, 5000}, {p.r, 6000}, SYN));
  p.in(icmp_error({p.r}, {x.address}, unreachable, 3, udp(x, {p.r, 6000})));
  p.in(icmp_error({p.m}, {x.address}, time_exceeded, 0, udp(x, {p.r, 6000})));
  p.in(icmp_error({p.m}, {x.address}, unreachable, 4, tcp(y, {p.r, 6000}, SYN)));
  p.in(icmp_error({p.m}, {x.address}, unreachable, 3, udp(x, {p.s, 6000})));
  const auto whole = udp(x, {p.r, 6000}, Bytes(100, 'x'));
  p.in(icmp_error({p.m}, {x.address}, time_exceeded, 0, Bytes(whole.begin(), whole.begin() + 28)));
}

void errors_from_inside(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  p.udp_in({p.r, 6000}, x);
  p.send(Side::inside, icmp_error({p.a}, {p.r}, unreachable, 3, udp({p.r, 6000}, {p.a, 5000})));
  p.send(Side::inside, icmp_error({p.a}, {p.r}, unreachable, 3, udp({p.r, 6001}, {p.a, 5000})));
}

/// Not over IPv6, where the model has no address of its own to answer from.
void ttl(Probe& p) {
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  for (const std::uint8_t hops : {2, 1}) {
    p.send(Side::inside, udp({p.a, 5000}, {p.r, 6000}, {1}, hops));
    p.send(Side::outside, udp({p.r, 6000}, x, {1}, hops));
  }
  p.send(Side::inside, udp({p.a, 5007}, {p.r, 6000}, {1}, 1));
  p.udp_out({p.a, 5007}, {p.r, 6000});
}

// Hairpins

void hairpin(Probe& p) {
  const Host y = p.udp_out({p.b, 5000}, {p.r, 6000});
  p.udp_out({p.a, 5001}, y);
  p.out(tcp({p.a, 5001}, y, SYN));
  p.out(echo_request({p.a}, {p.front}, 7));
}

void forwarded_port(Probe& p) {
  p.udp_in({p.r, 6000}, {p.front, 8080});
  p.udp_out({p.a, 80}, {p.r, 6000});
  p.in(tcp({p.r, 6000}, {p.front, 8080}, SYN, {.sequence = 9000}));
  p.out(tcp({p.a, 80}, {p.r, 6000}, SYN | ACK, {.sequence = 1000, .acknowledgement = 9001}));
  p.in(tcp({p.r, 6000}, {p.front, 8080}, ACK, {.sequence = 9001, .acknowledgement = 1001}));
  p.udp_in({p.r, 6000}, {p.front, 8081});
}

void forwarded_port_from_inside(Probe& p) {
  for (const auto& [side, packet] : p.send(Side::inside, udp({p.b, 5000}, {p.front, 8080})))
    if (side == Side::inside) p.send(Side::inside, udp({p.a, 80}, read(packet).source));
}

// Odd packets

void without_checksum(Probe& p) {
  Bytes packet = udp({p.a, 5000}, {p.r, 6000});
  write16(packet, 26, 0);
  const Host x = p.out(packet);
  packet = udp({p.r, 6000}, x);
  write16(packet, 26, 0);
  p.in(packet);
}

/// The first `bytes` of an IPv4 packet's payload, which must be a multiple of 8, and the rest.
std::pair<Bytes, Bytes> in_two(Bytes packet, std::size_t bytes) {
  constexpr std::size_t header = 20;
  packet[6] = packet[7] = 0;
  Bytes first = packet, second = std::move(packet);
  first.resize(header + bytes);
  second.erase(second.begin() + header, second.begin() + static_cast<std::ptrdiff_t>(header + bytes));
  first[6] = 0x20;
  write16(second, 6, static_cast<std::uint16_t>(bytes / 8));
  for (Bytes* part : {&first, &second}) {
    write16(*part, 2, static_cast<std::uint16_t>(part->size()));
    seal_ipv4(*part);
  }
  return {first, second};
}

/// Linux holds fragments until the datagram is whole, the model passes them on as they come: what has come out when all
/// are there is the same.
void fragments(Probe& p) {
  const auto come_out = [&](Side from, const Bytes& one, const Bytes& other_one) {
    auto all = p.send_quietly(from, one);
    for (auto& more : p.send_quietly(from, other_one)) all.push_back(std::move(more));
    std::sort(all.begin(), all.end(),
              [](const Emitted& x, const Emitted& y) { return x.packet[6] > y.packet[6]; });
    return all;
  };
  const Host x = p.udp_out({p.a, 5000}, {p.r, 6000});
  auto [first, second] = in_two(udp({p.a, 5000}, {p.r, 6000}, Bytes(1000, 'x')), 400);
  p.note(Side::inside, first, come_out(Side::inside, first, second));
  std::tie(first, second) = in_two(udp({p.r, 6000}, x, Bytes(1000, 'x')), 400);
  p.note(Side::outside, first, come_out(Side::outside, second, first));
}

bool any(const Ruleset&) { return true; }
bool range(const Ruleset& ruleset) { return ruleset.range.last > 0; }
bool addresses(const Ruleset& ruleset) { return ruleset.addresses > 1; }
bool forward(const Ruleset& ruleset) { return ruleset.forwards_port; }
/// Where the outside address of a flow is known beforehand.
bool one_address(const Ruleset& ruleset) { return !addresses(ruleset); }
bool one_address4(const Ruleset& ruleset) { return one_address(ruleset) && !ruleset.ipv6; }
/// Where a port that is made up is not by chance one that was made up before.
bool one_address_wide(const Ruleset& ruleset) { return one_address(ruleset) && !range(ruleset); }
bool one_address_wide4(const Ruleset& ruleset) { return one_address_wide(ruleset) && !ruleset.ipv6; }
/// In the model what a forwarded port leads to also sends from there; with Linux it does so only to answer. And the
/// model treats hairpins to all ports alike.
bool without_forward(const Ruleset& ruleset) { return one_address(ruleset) && !forward(ruleset); }
bool without_forward4(const Ruleset& ruleset) { return without_forward(ruleset) && !ruleset.ipv6; }
/// What takes time is asked where the answer differs.
bool timed(const Ruleset& ruleset) {
  return ruleset.name == "linux" || ruleset.name == "linux_input_drop" || ruleset.ipv6;
}
bool timed4(const Ruleset& ruleset) { return timed(ruleset) && !ruleset.ipv6; }

}  // namespace

#define SCRIPT(name, suits) \
  { #name, name, suits }

const std::vector<Script>& scripts() {
  static const std::vector<Script> all{
      SCRIPT(ports_kept, one_address),
      SCRIPT(ports_kept_by_tcp, one_address),
      SCRIPT(contention, one_address),
      SCRIPT(contention_in_tcp, one_address),
      SCRIPT(contention_of_low_ports, without_forward),
      SCRIPT(filtering, one_address),
      SCRIPT(filtering_in_tcp, one_address),
      SCRIPT(port_range_is_exhausted, range),
      SCRIPT(pool, addresses),
      SCRIPT(unsolicited_udp, any),
      SCRIPT(unsolicited_tcp, any),
      SCRIPT(unsolicited_icmp, any),
      SCRIPT(out_of_state_from_inside, one_address),
      SCRIPT(picked_up, one_address),
      SCRIPT(early_udp, one_address),
      SCRIPT(early_udp_at_a_mapping_in_use, one_address),
      SCRIPT(early_udp_is_forgotten, timed),
      SCRIPT(early_udp_is_kept_by_more_of_it, timed),
      SCRIPT(early_tcp, one_address),
      SCRIPT(early_echo, one_address4),
      SCRIPT(handshake_and_close, one_address_wide),
      SCRIPT(crossing_syns, one_address),
      SCRIPT(syn_answered_by_ack_only, one_address),
      SCRIPT(syn_refused, one_address_wide),
      SCRIPT(reset_from_outside, one_address),
      SCRIPT(reset_from_inside, one_address),
      SCRIPT(punched_again_after_200ms, timed),
      SCRIPT(punched_again_after_1500ms, timed),
      SCRIPT(punched_again_after_2500ms, timed),
      SCRIPT(punched_again_early_after_200ms, timed),
      SCRIPT(punched_again_early_after_2500ms, timed),
      SCRIPT(punched_again_after_being_reset, timed),
      SCRIPT(dialled_and_given_up, timed),
      SCRIPT(dialled_again, timed),
      SCRIPT(dialled_again_with_a_lower_number, timed),
      SCRIPT(dialled_again_and_met, timed),
      SCRIPT(last_dial_is_answered, timed),
      SCRIPT(answered_with_too_high_a_number, timed),
      SCRIPT(crossing_syns_of_two_lives, timed),
      SCRIPT(crossing_syns_and_an_older_answer, timed),
      SCRIPT(udp_unreplied_timer, timed),
      SCRIPT(udp_unreplied_timer_runs_out, timed),
      SCRIPT(udp_stream_timer, timed),
      SCRIPT(udp_replied_is_no_stream_yet, timed),
      SCRIPT(tcp_syn_timer, timed),
      SCRIPT(tcp_syn_ack_timer, timed),
      SCRIPT(tcp_established_timer, timed),
      SCRIPT(tcp_close_wait_timer, timed),
      SCRIPT(tcp_last_ack_timer, timed),
      SCRIPT(tcp_fin_wait_timer, timed),
      SCRIPT(tcp_closed_timer, timed),
      SCRIPT(tcp_reset_timer, timed),
      SCRIPT(echo_timer, timed4),
      SCRIPT(echo_and_contention, one_address),
      SCRIPT(errors_about_ours, one_address_wide4),
      SCRIPT(errors_from_inside, one_address4),
      SCRIPT(ttl, one_address4),
      SCRIPT(hairpin, without_forward4),
      SCRIPT(forwarded_port, forward),
      SCRIPT(forwarded_port_from_inside, forward),
      SCRIPT(without_checksum, one_address4),
      SCRIPT(fragments, one_address4),
  };
  return all;
}

}  // namespace flaresim::kernel
