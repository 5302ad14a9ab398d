#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "sim/nat/npt66.h"
#include "sim/nat/softwire.h"
#include "sim/nat/translate46.h"
#include "sim/net/nat_address.h"
#include "sim/net/nat_box.h"
#include "sim/net/stateless_box.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

const auto port_restricted = nat::parse_behaviour("EIM/APDF/preserve").value();
const auto firewall = nat::parse_behaviour("EIM/APDF,translate=off").value();
const LinkProfile lan{.up = {.delay = 1ms}, .down = {.delay = 1ms}};

nat::Prefix64 prefix64(const char* address, unsigned bits) {
  return nat::Prefix64::make(to_nat(ip(address)), bits).value();
}
std::unique_ptr<nat::HeaderTranslation> nat64_edge(const engine::Simulation& simulation) {
  return std::make_unique<nat::Nat64Edge>(nat::Prefix64::well_known(),
                                          nat::Translator46::Options{.seals_udp = simulation.checksums()});
}
std::unique_ptr<nat::HeaderTranslation> clat(const char* own, const engine::Simulation& simulation) {
  return std::make_unique<nat::Clat>(nat::Clat::Config{.own = prefix64(own, 96),
                                                       .provider = nat::Prefix64::well_known(),
                                                       .local_v4 = to_nat(ip("192.0.0.4"))},
                                     nat::Translator46::Options{.seals_udp = simulation.checksums()});
}

/// An IPv6-only mobile network with a NAT64 at its edge, a phone with a CLAT and one without in it, an IPv4 home
/// and a dual-stack server elsewhere. Checksums are on, so that a wrong one loses its packet.
struct MobileNetwork : SmallWorld {
  MobileNetwork() : SmallWorld({.checksums = true}) {
    plug(gateway.outside(), "carrier", {ip("198.51.100.64"), ip("2001:db8:64::"), ip("2001:db8:65::")});
    plug(home.outside(), "home", {ip("198.51.100.1")});
    EXPECT_TRUE(home.attach(b.port(), b.addresses(), lan));
    EXPECT_TRUE(phone_clat.attach(phone.port(), phone.addresses(), {}));
    EXPECT_TRUE(gateway.attach(phone_clat.outside(), {ip("2001:db8:64::")}, lan));
    EXPECT_TRUE(gateway.attach(bare.port(), bare.addresses(), lan));
  }

  /// Both ways, with a file in each.
  void expect_connection(Host& from, const io::Endpoint& to, const io::IpAddress& seen) {
    auto listener = s.listen({to.address.is_v4() ? ip("0.0.0.0") : ip("::"), 443}).value_or(nullptr);
    if (!listener) listener = s.listen(at("0.0.0.0", 443)).value();
    const auto dialled = from.dial(to, std::nullopt).value();
    const auto accepted = run(accept_one(*listener));
    EXPECT_EQ(accepted->remote().address, seen);
    const std::string file(60'000, 'x');
    ASSERT_TRUE(run(write_text(accepted, file)));
    EXPECT_EQ(run(read_text(dialled, file.size())).value(), file);
    ASSERT_TRUE(run(write_text(dialled, file)));
    EXPECT_EQ(run(read_text(accepted, file.size())).value(), file);
  }

  NatBox gateway{simulation, port_restricted, ip("198.51.100.64"), random.derive("gateway"),
                 nat64_edge(simulation)};
  NatBox home{simulation, port_restricted, ip("198.51.100.1"), random.derive("home")};
  StatelessBox phone_clat{simulation, clat("2001:db8:64::", simulation), random.derive("clat")};
  Host phone{simulation, Interface{.addresses = {ip("192.0.0.4"), ip("2001:db8:64::7")}, .mtu_bytes = 1472},
             random.derive("phone")};
  Host bare{simulation, {ip("2001:db8:65::7")}, random.derive("bare")};
  Host b{simulation, {ip("192.168.1.10")}, random.derive("b")};
  Host& s = add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
};

TEST(Nat64, AnIpv6OnlyHostReachesAnIpv4ServerUnderThePrefix) {
  MobileNetwork world;
  auto listener = world.s.listen(at("0.0.0.0", 443)).value();
  const auto dialled = world.bare.dial(at("64:ff9b::203.0.113.1", 443), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote().address, ip("198.51.100.64"));
  const std::string file(60'000, 'x');
  ASSERT_TRUE(
      world.run(write_text(accepted, file)));  // its full segments are too long for IPv6: in fragments
  EXPECT_EQ(world.run(read_text(dialled, file.size())).value(), file);
}

TEST(Nat64, APhoneWithAClatUsesIpv4AddressesAsTheyAre) {
  MobileNetwork world;
  world.expect_connection(world.phone, at("203.0.113.1", 443), ip("198.51.100.64"));
}

TEST(Nat64, NativeIpv6PassesThePhonesClatAndTheCarriersFirewall) {
  MobileNetwork world;
  world.expect_connection(world.phone, at("2001:db8:5::1", 443), ip("2001:db8:64::7"));
  const auto uninvited = world.s.dial(at("2001:db8:64::7", 443), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(uninvited))), std::errc::timed_out);
}

TEST(Nat64, ARefusalCrossesIt) {
  MobileNetwork world;
  const auto refused = world.bare.dial(at("64:ff9b::203.0.113.1", 9), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(refused))), std::errc::connection_refused);
}

TEST(Nat64, AnIcmpErrorCrossesItAndFindsTheDialler) {
  MobileNetwork world;
  auto prohibiting = nat::parse_behaviour("EIM/APDF/preserve,tcp_unsolicited=icmp").value();
  world.home.set_behaviour(prohibiting);
  const auto direct = world.bare.dial(at("64:ff9b::198.51.100.1", 443), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(direct))), std::errc::host_unreachable);
  const auto by_clat = world.phone.dial(at("198.51.100.1", 443), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(by_clat))), std::errc::host_unreachable);
}

TEST(Nat64, APhoneBehindItPunchesToAnIpv4Home) {
  MobileNetwork world;
  auto listens_a = world.phone.listen(at("0.0.0.0", 4001)).value();
  auto listens_b = world.b.listen(at("0.0.0.0", 4001)).value();
  const auto from_a = world.phone.dial(at("198.51.100.1", 4001), 4001).value();
  const auto from_b = world.b.dial(at("198.51.100.64", 4001), 4001).value();
  ASSERT_TRUE(world.run(connect(from_a)));
  ASSERT_TRUE(world.run(connect(from_b)));
  ASSERT_TRUE(world.run(write_text(from_a, "through")));
  EXPECT_EQ(world.run(read_text(from_b, 7)).value(), "through");
}

TEST(Nat64, TwoHostsBehindItMeetByItsHairpin) {
  MobileNetwork world;
  world.gateway.set_behaviour(nat::parse_behaviour("EIM/EIF/preserve,hairpin=external").value());
  auto listener = world.phone.listen(at("0.0.0.0", 4001)).value();
  auto server = world.s.listen(at("0.0.0.0", 443)).value();
  const auto opens = world.phone.dial(at("203.0.113.1", 443), 4001).value();  // makes the mapping
  ASSERT_TRUE(world.run(connect(opens)));
  const auto dialled = world.bare.dial(at("64:ff9b::198.51.100.64", 4001), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote().address, ip("198.51.100.64"));
  ASSERT_TRUE(world.run(connect(dialled)));
}

// DS-Lite

TEST(DsLite, HomesWithTheSameAddressesShareTheCarriersAddress) {
  SmallWorld world({.checksums = true});
  NatBox carrier(world.simulation, port_restricted, ip("198.51.100.64"), world.random.derive("carrier"),
                 std::make_unique<nat::AftrEdge>(to_nat(ip("2001:db8:f::1"))));
  world.plug(carrier.outside(), "carrier", {ip("198.51.100.64"), ip("2001:db8:1::"), ip("2001:db8:2::")});
  auto& s = world.add_host("s", {ip("203.0.113.1")});
  auto listener = s.listen(at("0.0.0.0", 443)).value();
  std::vector<std::unique_ptr<StatelessBox>> homes;
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<io::Endpoint> seen;
  for (const char* network : {"2001:db8:1::", "2001:db8:2::"}) {
    const auto b4 = boost::asio::ip::make_address(std::string(network) + "1");
    auto& home = *homes.emplace_back(std::make_unique<StatelessBox>(
        world.simulation, std::make_unique<nat::SoftwireB4>(to_nat(b4), to_nat(ip("2001:db8:f::1"))),
        world.random.derive(network)));
    auto& host =
        *hosts.emplace_back(std::make_unique<Host>(world.simulation, std::vector{ip("192.168.1.10")},
                                                   world.random.derive(std::string("host") + network)));
    ASSERT_TRUE(home.attach(host.port(), host.addresses(), lan));
    ASSERT_TRUE(carrier.attach(home.outside(), {ip(network)}, lan));
    const auto dialled = host.dial(at("203.0.113.1", 443), 5000).value();
    const auto accepted = world.run(accept_one(*listener));
    seen.push_back(accepted->remote());
    ASSERT_TRUE(world.run(write_text(accepted, "for you")));
    EXPECT_EQ(world.run(read_text(dialled, 7)).value(), "for you");
  }
  EXPECT_EQ(seen[0], at("198.51.100.64", 5000));
  EXPECT_EQ(seen[1].address, ip("198.51.100.64"));
  EXPECT_NE(seen[1].port, 5000);
}

// NPTv6

TEST(Npt66, AHomeBehindItHasAnotherPrefixOutsideAndAFirewallOfItsOwn) {
  SmallWorld world({.checksums = true});
  StatelessBox npt(
      world.simulation,
      std::make_unique<nat::Npt66>(
          nat::Npt66::make(to_nat(ip("fd01:203:405::")), to_nat(ip("2001:db8:1::")), 48).value()),
      world.random.derive("npt"));
  NatBox wall(world.simulation, firewall, std::nullopt, world.random.derive("wall"));
  Host a(world.simulation, {ip("fd01:203:405:1::1234")}, world.random.derive("a"));
  ASSERT_TRUE(wall.attach(a.port(), a.addresses(), lan));
  ASSERT_TRUE(npt.attach(wall.outside(), {ip("fd01:203:405:1::")}, {}));
  world.plug(npt.outside(), "home", {ip("2001:db8:1:d550::")});
  auto& s = world.add_host("s", {ip("2001:db8:5::1")});
  auto listener = s.listen(at("::", 443)).value();
  const auto dialled = a.dial(at("2001:db8:5::1", 443), 4001).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote(), at("2001:db8:1:d550::1234", 4001));
  ASSERT_TRUE(world.run(write_text(accepted, "hello")));
  EXPECT_EQ(world.run(read_text(dialled, 5)).value(), "hello");
  const auto uninvited = s.dial(at("2001:db8:1:d550::1234", 4002), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(uninvited))), std::errc::timed_out);
}

// VPN

TEST(Vpn, ATunnelInterfaceComesOutElsewhere) {
  SmallWorld world;
  NatBox exit(world.simulation, port_restricted, ip("198.51.100.200"), world.random.derive("exit"));
  world.plug(exit.outside(), "exit", {ip("198.51.100.200")});
  Host a(world.simulation, Interface{.addresses = {ip("192.0.2.1")}, .metric = 100},
         world.random.derive("a"));
  a.add_interface({.addresses = {ip("10.8.0.2")}, .metric = 50, .mtu_bytes = 1420});
  world.plug(a.port(0), "line", {ip("192.0.2.1")});
  ASSERT_TRUE(exit.attach(a.port(1), {ip("10.8.0.2")}, tunnel(lan, 20ms, 30ms)));
  auto& s = world.add_host("s", {ip("203.0.113.1")});
  auto listener = s.listen(at("0.0.0.0", 443)).value();
  const auto dialled = a.dial(at("203.0.113.1", 443), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote().address, ip("198.51.100.200"));
  ASSERT_TRUE(world.run(connect(dialled)));
  EXPECT_EQ(world.simulation.now(), t0 + 3 * 50ms + 2 * 21ms + 31ms);
  a.port(1).set_link(false);
  const auto without = a.dial(at("203.0.113.1", 443), std::nullopt).value();
  EXPECT_EQ(without->local().address, ip("192.0.2.1"));
}

// Several addresses

TEST(NatBox, OneToOneGivesEachHostAnAddressOfItsOwn) {
  SmallWorld world;
  const std::vector<io::IpAddress> pool{ip("198.51.100.10"), ip("198.51.100.11")};
  NatBox box(world.simulation, nat::parse_behaviour("EIM/EIF/preserve,translate=static").value(), pool,
             world.random.derive("box"));
  world.plug(box.outside(), "office", pool);
  auto& s = world.add_host("s", {ip("203.0.113.1")});
  auto listener = s.listen(at("0.0.0.0", 443)).value();
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<io::Endpoint> seen;
  for (const char* inside : {"10.0.0.1", "10.0.0.2"}) {
    auto& host = *hosts.emplace_back(
        std::make_unique<Host>(world.simulation, std::vector{ip(inside)}, world.random.derive(inside)));
    ASSERT_TRUE(box.attach(host.port(), host.addresses(), lan));
    const auto dialled = host.dial(at("203.0.113.1", 443), 4001).value();
    seen.push_back(world.run(accept_one(*listener))->remote());
  }
  EXPECT_EQ(seen, (std::vector{at("198.51.100.10", 4001), at("198.51.100.11", 4001)}));
}

TEST(NatBox, ADelayedAnswerComesAtItsTime) {
  SmallWorld world;
  NatBox box(
      world.simulation,
      nat::parse_behaviour("EIM/APDF/preserve,tcp_unsolicited=delayed-icmp,unsolicited_delay=6s").value(),
      ip("198.51.100.1"), world.random.derive("box"));
  world.plug(box.outside(), "home", {ip("198.51.100.1")});
  auto& s = world.add_host("s", {ip("203.0.113.1")});
  const auto dialled = s.dial(at("198.51.100.1", 4001), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(dialled))), std::errc::connection_refused);
  EXPECT_EQ(world.simulation.now(), t0 + 50ms + 6s + 50ms);
}

// Any bytes, from both sides of every kind of box.
TEST(Boxes, TakeAnyBytes) {
  MobileNetwork world;
  NatBox carrier(world.simulation, port_restricted, ip("198.51.100.99"), world.random.derive("aftr"),
                 std::make_unique<nat::AftrEdge>(to_nat(ip("2001:db8:f::1"))));
  StatelessBox b4(world.simulation,
                  std::make_unique<nat::SoftwireB4>(to_nat(ip("2001:db8:1::1")), to_nat(ip("2001:db8:f::1"))),
                  world.random.derive("b4"));
  Probe outside(world.simulation), inside(world.simulation), home(world.simulation),
      host_wire(world.simulation);
  world.plug(carrier.outside(), "aftr", {ip("198.51.100.99")});
  ASSERT_TRUE(carrier.attach(b4.outside(), {ip("2001:db8:1::")}, {}));
  ASSERT_TRUE(b4.attach(home, {ip("192.168.1.20")}, {}));
  ASSERT_TRUE(world.gateway.attach(inside, {ip("2001:db8:66::")}, {}));
  ASSERT_TRUE(world.home.attach(host_wire, {ip("192.168.1.77")}, {}));
  world.plug(outside, "outside", {ip("203.0.113.50"), ip("2001:db8:50::")});
  const std::vector<io::IpAddress> addresses{
      ip("198.51.100.64"),        ip("198.51.100.99"),  ip("198.51.100.1"),  ip("203.0.113.1"),
      ip("64:ff9b::203.0.113.1"), ip("2001:db8:64::7"), ip("2001:db8:1::1"), ip("2001:db8:f::1"),
      ip("64:ff9b::c633:6440"),   ip("192.168.1.10")};
  std::mt19937 random(7);
  for (int i = 0; i < 40'000; ++i) {
    std::vector<std::uint8_t> bytes(20 + random() % 120);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const auto& to = addresses[random() % addresses.size()];
    const std::uint8_t protocols[] = {1, 4, 6, 17, 44, 58};
    if (to.is_v4()) {
      bytes[0] = static_cast<std::uint8_t>(0x40 | (random() % 8 ? 5 : random() % 16));
      bytes[2] = 0;
      bytes[3] = static_cast<std::uint8_t>(bytes.size() + (random() % 8 ? 0 : random() % 50));
      bytes[8] = 64;
      bytes[9] = protocols[random() % 6];
      if (random() % 2) bytes[6] = bytes[7] = 0;
      const auto raw = to.to_v4().to_bytes();
      std::copy(raw.begin(), raw.end(), bytes.begin() + 16);
    } else {
      bytes.resize(40 + bytes.size());
      bytes[0] = 0x60;
      bytes[4] = 0;
      bytes[5] = static_cast<std::uint8_t>(bytes.size() - 40 + (random() % 8 ? 0 : random() % 50));
      bytes[6] = protocols[random() % 6];
      bytes[7] = 64;
      const auto raw = to.to_v6().to_bytes();
      std::copy(raw.begin(), raw.end(), bytes.begin() + 24);
    }
    if (random() % 10 == 0) bytes.resize(random() % bytes.size());
    Probe* const from[] = {&outside, &inside, &home, &host_wire};
    from[random() % 4]->send(make_packet(bytes));
    if (i % 1000 == 0) world.simulation.run_for(1s);
  }
  world.simulation.run_for(10s);
  world.expect_connection(world.phone, at("203.0.113.1", 443), ip("198.51.100.64"));
}

}  // namespace
}  // namespace flaresim::net
