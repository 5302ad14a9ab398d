#include <gtest/gtest.h>

#include <set>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, y{"10.0.0.3", 5000}, x2{"10.0.0.2", 5001};
const Host a1{"203.0.113.1", 1000}, a2{"203.0.113.1", 2000}, a3{"203.0.113.1", 3000}, b1{"203.0.113.2", 1000};

std::string text(const char* mapping, const char* filtering, const std::string& rest = "random") {
  return std::string(mapping) + "/" + filtering + "/" + rest;
}

// Mapping

class EveryFiltering : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Nat, EveryFiltering, testing::Values("EIF", "ADF", "APDF"));

TEST_P(EveryFiltering, EndpointIndependentMappingUsesOnePortForAllRemotes) {
  Rig rig(text("EIM", GetParam()));
  const auto first = rig.out(x, a1);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->address, outside_address);
  EXPECT_EQ(rig.out(x, a2), first);
  EXPECT_EQ(rig.out(x, b1), first);
  EXPECT_NE(rig.out(x2, a1), first);
}

TEST_P(EveryFiltering, AddressDependentMappingUsesOnePortPerRemoteAddress) {
  Rig rig(text("ADM", GetParam()));
  const auto first = rig.out(x, a1);
  ASSERT_TRUE(first);
  EXPECT_EQ(rig.out(x, a2), first);
  EXPECT_NE(rig.out(x, b1), first);
  EXPECT_EQ(rig.out(x, a1), first);
}

TEST_P(EveryFiltering, AddressAndPortDependentMappingUsesOnePortPerRemoteEndpoint) {
  Rig rig(text("APDM", GetParam()));
  const auto first = rig.out(x, a1);
  ASSERT_TRUE(first);
  EXPECT_NE(rig.out(x, a2), first);
  EXPECT_NE(rig.out(x, b1), first);
  EXPECT_EQ(rig.out(x, a1), first);
}

TEST_P(EveryFiltering, UdpAndTcpHaveMappingsOfTheirOwn) {
  Rig rig(text("EIM", GetParam(), "preserve"));
  const auto first = rig.out(x, a1);
  EXPECT_EQ(rig.tcp_out(y, a1, SYN), first);  // the same number, but another protocol
  EXPECT_EQ(rig.in(a1, *first), x);
  EXPECT_EQ(rig.tcp_in(a1, *first, SYN | ACK), y);
}

// Filtering

class EveryMapping : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  std::string with(const char* filtering) const {
    return text(std::get<0>(GetParam()), filtering, std::get<1>(GetParam()));
  }
};
INSTANTIATE_TEST_SUITE_P(Nat, EveryMapping,
                         testing::Combine(testing::Values("EIM", "ADM", "APDM"),
                                          testing::Values("random", "preserve", "sequential")));

TEST_P(EveryMapping, EndpointIndependentFilterLetsEverybodyIn) {
  Rig rig(with("EIF"));
  const auto mapped = rig.out(x, a1);
  EXPECT_EQ(rig.in(a1, *mapped), x);
  EXPECT_EQ(rig.in(a2, *mapped), x);
  EXPECT_EQ(rig.in(b1, *mapped), x);
}

TEST_P(EveryMapping, AddressDependentFilterLetsTheContactedAddressIn) {
  Rig rig(with("ADF"));
  const auto mapped = rig.out(x, a1);
  EXPECT_EQ(rig.in(a1, *mapped), x);
  EXPECT_EQ(rig.in(a2, *mapped), x);
  EXPECT_FALSE(rig.in(b1, *mapped));
  EXPECT_TRUE(rig.last.answer.empty());
}

TEST_P(EveryMapping, AddressAndPortDependentFilterLetsTheContactedEndpointIn) {
  Rig rig(with("APDF"));
  const auto mapped = rig.out(x, a1);
  EXPECT_EQ(rig.in(a1, *mapped), x);
  EXPECT_FALSE(rig.in(a2, *mapped));
  EXPECT_FALSE(rig.in(b1, *mapped));
}

TEST_P(EveryMapping, TheFiltersHoldForTcpSyns) {
  Rig open(with("EIF")), address(with("ADF")), endpoint(with("APDF"));
  auto mapped = open.tcp_out(x, a1, SYN);
  EXPECT_EQ(open.tcp_in(b1, *mapped, SYN), x);
  mapped = address.tcp_out(x, a1, SYN);
  EXPECT_EQ(address.tcp_in(a2, *mapped, SYN), x);
  EXPECT_FALSE(address.tcp_in(b1, *mapped, SYN));
  mapped = endpoint.tcp_out(x, a1, SYN);
  EXPECT_FALSE(endpoint.tcp_in(a2, *mapped, SYN));
  EXPECT_EQ(endpoint.tcp_in(a1, *mapped, SYN), x);
}

TEST(NatFilter, NamesTheRuleThatDroppedAPacket) {
  Rig rig("EIM/APDF");
  EXPECT_FALSE(rig.in(a1, {outside_address, 5000}));
  EXPECT_EQ(rig.last.rule, Rule::no_mapping);
  rig.out(x, a1);
  EXPECT_FALSE(rig.in(b1, {outside_address, 5000}));
  EXPECT_EQ(rig.last.rule, Rule::filtered);
}

TEST(NatFilter, BelongsToTheMappingOfAnEndpointDependentNat) {
  for (const auto* filtering : {"ADF", "APDF"}) {
    Rig rig(text("APDM", filtering));
    const auto to_a = rig.out(x, a1);
    const auto to_b = rig.out(x, b1);
    EXPECT_FALSE(rig.in(b1, *to_a)) << filtering;
    EXPECT_FALSE(rig.in(a1, *to_b)) << filtering;
  }
}

TEST(NatFilter, APacketToAnotherAddressIsNotOurs) {
  Rig rig("EIM/EIF");
  const auto mapped = rig.out(x, a1);
  EXPECT_FALSE(rig.in(a1, {"198.51.100.2", mapped->port}));
}

// Ports

TEST(NatPorts, PreserveKeepsTheInsidePort) {
  Rig rig("EIM/APDF/preserve");
  EXPECT_EQ(rig.out(x, a1)->port, 5000);
  EXPECT_EQ(rig.out({"10.0.0.2", 53}, a1)->port, 53);
}

TEST(NatPorts, PreserveGivesTheSecondInsideEndpointAnotherPort) {
  Rig rig("EIM/APDF/preserve");
  EXPECT_EQ(rig.out(x, a1)->port, 5000);
  const auto second = rig.out(y, b1);
  ASSERT_TRUE(second);
  EXPECT_NE(second->port, 5000);
  EXPECT_GE(second->port, 1024);
  EXPECT_EQ(rig.in(b1, *second), y);
  EXPECT_EQ(rig.in(a1, {outside_address, 5000}), x);
}

TEST(NatPorts, PreserveKeepsOnePortForAllMappingsOfAnInsideEndpoint) {
  for (const auto* filtering : {"EIF", "ADF", "APDF"}) {
    Rig rig(text("APDM", filtering, "preserve"));
    EXPECT_EQ(rig.out(x, a1)->port, 5000) << filtering;
    EXPECT_EQ(rig.out(x, b1)->port, 5000) << filtering;
    EXPECT_EQ(rig.out(x, a2)->port, 5000) << filtering;
    EXPECT_EQ(rig.in(b1, {outside_address, 5000}), x);
  }
}

TEST(NatPorts, StrictEndpointDependentNatsShareAPortBetweenRemotesAsConnectionTrackingDoes) {
  Rig rig("APDM/APDF/preserve");
  EXPECT_EQ(rig.out(x, a1)->port, 5000);
  EXPECT_EQ(rig.out(y, b1)->port, 5000);
  EXPECT_NE(rig.out(y, a1)->port, 5000);
  EXPECT_EQ(rig.in(a1, {outside_address, 5000}), x);
  EXPECT_EQ(rig.in(b1, {outside_address, 5000}), y);
}

TEST(NatPorts, AnOpenFilterOwnsItsPortTowardsEverybody) {
  Rig rig("APDM/EIF/preserve");
  EXPECT_EQ(rig.out(x, a1)->port, 5000);
  EXPECT_NE(rig.out(y, b1)->port, 5000);
}

TEST(NatPorts, AnAddressFilterOwnsItsPortTowardsAnAddress) {
  Rig rig("APDM/ADF/preserve");
  EXPECT_EQ(rig.out(x, a1)->port, 5000);
  EXPECT_NE(rig.out(y, a2)->port, 5000);
  EXPECT_EQ(rig.out(y, b1)->port, 5000);
}

TEST(NatPorts, SequentialCountsUp) {
  Rig rig("APDM/APDF/sequential");
  const auto first = rig.out(x, a1)->port;
  EXPECT_EQ(rig.out(x, a2)->port, first == 65535 ? 1024 : first + 1);
  EXPECT_EQ(rig.out(x, a1)->port, first);
}

TEST(NatPorts, RandomPortsDependOnTheSeedAlone) {
  Rig one("EIM/APDF/random", 1), same("EIM/APDF/random", 1), other("EIM/APDF/random", 2);
  const auto port = one.out(x, a1);
  EXPECT_EQ(same.out(x, a1), port);
  EXPECT_NE(other.out(x, a1), port);
}

TEST(NatPorts, RandomPortsSpreadOverTheWholeRange) {
  Rig rig("APDM/EIF/random");
  std::set<std::uint16_t> ports;
  for (std::uint16_t i = 1; i <= 2000; ++i) ports.insert(rig.out(x, {"203.0.113.9", i})->port);
  EXPECT_EQ(ports.size(), 2000u);
  EXPECT_LT(*ports.begin(), 2000);
  EXPECT_GT(*ports.rbegin(), 64500);
}

class EveryPorts : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Nat, EveryPorts, testing::Values("preserve", "sequential", "random"));

TEST_P(EveryPorts, EveryPortIsGivenOnceAndThenThereIsNoneUntilOneExpires) {
  Rig rig(text("EIM", "APDF", GetParam()));
  std::set<std::uint16_t> ports;
  const auto inside = [](std::uint32_t i) {
    return Host{"10.0." + std::to_string(i / 60000) + ".2", static_cast<std::uint16_t>(1024 + i % 60000)};
  };
  for (std::uint32_t i = 0; i < 64512; ++i) {
    const auto port = rig.out(inside(i), a1);
    ASSERT_TRUE(port) << i;
    ports.insert(port->port);
    rig.wait(1us);
  }
  EXPECT_EQ(ports.size(), 64512u);
  EXPECT_EQ(*ports.begin(), 1024);
  EXPECT_FALSE(rig.out({"10.0.9.9", 4000}, a1));
  EXPECT_EQ(rig.last.rule, Rule::no_port);
  EXPECT_FALSE(rig.out({"10.0.9.9", 4000}, a1));

  rig.now = 300s;  // the very first expires
  EXPECT_TRUE(rig.out({"10.0.9.9", 4000}, a1));
  EXPECT_FALSE(rig.out({"10.0.9.9", 4001}, a1));
  rig.now = 700s;
  EXPECT_EQ(rig.size(), 0u);
}

// Reply

TEST(NatReply, FreshAnswersAStrangerFromItsOwnMapping) {
  Rig rig("APDM/EIF/random");
  const auto mapped = rig.out(x, a1);
  EXPECT_EQ(rig.in(b1, *mapped), x);
  EXPECT_NE(rig.out(x, b1), mapped);
}

TEST(NatReply, SessionAnswersAStrangerFromTheMappingItCameInBy) {
  for (const auto* mapping : {"ADM", "APDM"}) {
    Rig rig(text(mapping, "EIF", "random,reply=session"));
    const auto mapped = rig.out(x, a1);
    EXPECT_EQ(rig.in(b1, *mapped), x);
    EXPECT_EQ(rig.out(x, b1), mapped);
    EXPECT_NE(rig.out(x, {"203.0.113.2", 1001}), mapped);  // another endpoint, not let in
  }
}

TEST(NatReply, SessionGoesBeforeAnExistingMappingToThatRemote) {
  Rig rig("APDM/EIF/random,reply=session");
  const auto to_a = rig.out(x, a1);
  const auto to_b = rig.out(x, b1);
  EXPECT_NE(to_a, to_b);
  EXPECT_EQ(rig.in(b1, *to_a), x);
  EXPECT_EQ(rig.out(x, b1), to_a);
}

TEST(NatReply, SessionEndsWithItsTimer) {
  Rig rig("APDM/EIF/random,reply=session,udp_timeout=60s");
  const auto mapped = rig.out(x, a1);
  rig.in(b1, *mapped);
  for (int i = 0; i < 3; ++i) {
    rig.wait(30s);
    EXPECT_EQ(rig.out(x, a1), mapped);
  }
  EXPECT_NE(rig.out(x, b1), mapped);
}

TEST(NatReply, SessionHoldsForTcp) {
  Rig fresh("APDM/EIF/random"), session("APDM/EIF/random,reply=session");
  for (Rig* rig : {&fresh, &session}) {
    const auto mapped = rig->tcp_out(x, a1, SYN);
    EXPECT_EQ(rig->tcp_in(b1, *mapped, SYN), x);
    const auto answer = rig->tcp_out(x, b1, SYN | ACK);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer == mapped, rig == &session);
  }
}

TEST(NatReply, EndpointIndependentMappingsAnswerFromThemselvesInAnyCase) {
  for (const auto* reply : {"fresh", "session"}) {
    Rig rig(std::string("EIM/EIF/random,reply=") + reply);
    const auto mapped = rig.out(x, a1);
    rig.in(b1, *mapped);
    EXPECT_EQ(rig.out(x, b1), mapped);
  }
}

// The rest

TEST(Nat, DropsUdpInBothDirectionsWhereItIsBlocked) {
  Rig rig("udp-blocked");
  EXPECT_FALSE(rig.out(x, a1));
  EXPECT_EQ(rig.last.rule, Rule::blocked);
  EXPECT_FALSE(rig.in(a1, {outside_address, 5000}));
  EXPECT_TRUE(rig.tcp_out(x, a1, SYN));
  EXPECT_FALSE(rig.out({"2001:db8::2", 1}, {"2001:db8:1::1", 1}));
}

TEST(Nat, OpenPassesEverythingBothWaysUnchanged) {
  Rig rig("open");
  EXPECT_EQ(rig.in(a1, {"198.51.100.77", 5000}), (Host{"198.51.100.77", 5000}));
  EXPECT_EQ(rig.out({"198.51.100.77", 5000}, a1), (Host{"198.51.100.77", 5000}));
  EXPECT_TRUE(rig.tcp_in(a1, {"198.51.100.77", 5000}, ACK));
  Bytes other = ip(a1, {"198.51.100.77", 0}, 47, {1, 2, 3, 4});
  EXPECT_TRUE(rig.nat.inbound(other, rig.now).forward);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(Nat, DropsPacketsFromInsideToItsOwnAddress) {
  Rig rig("full-cone");
  const auto mapped = rig.out(x, a1);
  EXPECT_FALSE(rig.out(y, *mapped));
  EXPECT_EQ(rig.last.rule, Rule::hairpin);
}

TEST(Nat, TakesOneHopAndDropsPacketsAtTheirLast) {
  Rig rig("EIM/EIF");
  Bytes packet = udp(x, a1, {1}, 2);
  EXPECT_TRUE(rig.outbound(packet).forward);
  EXPECT_EQ(read(packet).ttl, 1);
  Bytes last = udp(a1, {outside_address, 5000}, {1}, 1);
  EXPECT_EQ(rig.inbound(last).rule, Rule::ttl_expired);
  Bytes six = udp({"2001:db8::2", 1}, {"2001:db8:1::1", 1}, {1}, 9);
  EXPECT_TRUE(rig.outbound(six).forward);
  EXPECT_EQ(read(six).ttl, 8);
}

TEST(Nat, AnExpiringPacketMakesNoMapping) {
  Rig rig("EIM/EIF");
  Bytes packet = udp(x, a1, {1}, 1);
  EXPECT_FALSE(rig.outbound(packet).forward);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(Nat, CountsWhatItDoes) {
  Rig rig("EIM/APDF,unsolicited=icmp");
  rig.out(x, a1);
  rig.in(b1, {outside_address, 5000});
  const Counters& counters = rig.nat.counters();
  EXPECT_EQ(counters.translated, 1u);
  EXPECT_EQ(counters.dropped, 1u);
  EXPECT_EQ(counters.answered, 1u);
  EXPECT_EQ(counters.mappings_created, 1u);
}

}  // namespace
}  // namespace flaresim::nat::test
