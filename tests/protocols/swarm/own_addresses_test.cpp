#include "protocols/swarm/own_addresses.h"

#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

const auto listener = parsed("/ip4/10.0.0.2/tcp/4001");
const auto outside = parsed("/ip4/1.2.3.4/tcp/4001");

/// Listens on one private address.
struct Observed {
  explicit Observed(ObservedAddressProfile profile = {}) : own(profile) { own.set_listening({listener}); }

  void by(const std::string& observer, const Multiaddr& observed = outside,
          const Multiaddr& local = listener) {
    own.observe(++connections, local, boost::asio::ip::make_address(observer), observed);
  }

  OwnAddresses own;
  std::uint64_t connections = 0;
};

TEST(OwnAddresses, AdvertisesWhatFourObserversAgreeOn) {
  Observed observed;
  for (const auto* observer : {"8.0.0.1", "8.0.0.2", "8.0.0.3"}) observed.by(observer);
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
  observed.by("8.0.0.3");  // the same observer over a second connection
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
  observed.by("8.0.0.4");
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener, outside));
}

TEST(OwnAddresses, CountsAnIpv6SiteAsOneObserver) {
  Observed observed;
  for (const auto* observer : {"2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:ff::1", "2001:db8:0:1::2"}) {
    observed.by(observer);  // all of 2001:db8::/56
  }
  for (const auto* observer : {"2001:db8:0:100::1", "2001:db8:0:200::1"}) observed.by(observer);
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
  observed.by("2001:db8:0:300::1");
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener, outside));
}

TEST(OwnAddresses, TellsOfMappedPortsThatArePublic) {
  Observed observed;
  observed.own.set_mapped({outside, parsed("/ip4/100.64.0.1/tcp/4001")});
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener, outside));
  EXPECT_THAT(observed.own.punchable(), ElementsAre(outside));
  observed.own.set_mapped({});
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
}

TEST(OwnAddresses, PunchesWithWhatOneObserverSaw) {
  Observed observed;
  EXPECT_THAT(observed.own.punchable(), IsEmpty());  // a private address is of no use
  observed.by("8.0.0.1");
  EXPECT_THAT(observed.own.punchable(), ElementsAre(outside));
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
}

TEST(OwnAddresses, IgnoresWhatWasSeenOfAnEphemeralPort) {
  Observed observed;
  for (const auto* observer : {"8.0.0.1", "8.0.0.2", "8.0.0.3", "8.0.0.4"}) {
    observed.by(observer, outside, parsed("/ip4/10.0.0.2/tcp/40000"));
  }
  EXPECT_THAT(observed.own.punchable(), IsEmpty());
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
}

TEST(OwnAddresses, IgnoresRelayedLoopbackAndForeignObservations) {
  Observed observed;
  int last_byte = 0;
  for (const auto* seen : {circuit_address, "/ip4/127.0.0.1/tcp/4001", "/ip4/1.2.3.4/udp/4001/quic-v1",
                           "/dns4/example.org/tcp/4001"}) {
    for (int i = 0; i < 4; ++i) observed.by("8.0.0." + std::to_string(++last_byte), parsed(seen));
  }
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener));
  EXPECT_THAT(observed.own.punchable(), IsEmpty());
}

TEST(OwnAddresses, CountsNothingThatWasSeenOfAnAddressOfAnotherNetwork) {
  Observed observed;
  observed.by("8.0.0.1");
  observed.own.set_listening({parsed("/ip4/10.0.0.7/tcp/4001")});
  EXPECT_THAT(observed.own.punchable(), IsEmpty());
  observed.own.set_listening({listener});
  EXPECT_THAT(observed.own.punchable(), ElementsAre(outside));
}

TEST(OwnAddresses, ForgetsWhatAClosedConnectionSaw) {
  Observed observed;
  for (const auto* observer : {"8.0.0.1", "8.0.0.2", "8.0.0.3", "8.0.0.4"}) observed.by(observer);
  EXPECT_THAT(observed.own.advertised(), Contains(outside));
  observed.own.forget(2);
  EXPECT_THAT(observed.own.advertised(), Not(Contains(outside)));
  for (const int connection : {1, 3, 4}) observed.own.forget(static_cast<std::uint64_t>(connection));
  EXPECT_THAT(observed.own.punchable(), IsEmpty());
}

TEST(OwnAddresses, AConnectionHasOneObservationTheLatest) {
  Observed observed;
  observed.by("8.0.0.1");
  observed.own.observe(1, listener, boost::asio::ip::make_address("8.0.0.1"), parsed("/ip4/1.2.3.5/tcp/1"));
  EXPECT_THAT(observed.own.punchable(), ElementsAre(parsed("/ip4/1.2.3.5/tcp/1")));
}

TEST(OwnAddresses, KeepsTheThreeMostObservedOfAListener) {
  Observed observed;
  const auto seen = [](int port) { return parsed("/ip4/1.2.3.4/tcp/" + std::to_string(port)); };
  int last_byte = 0;
  // A symmetric NAT shows a port to each; the busiest ones win, the earlier ones among equals.
  for (const auto& [port, observers] :
       std::vector<std::pair<int, int>>{{1, 1}, {2, 3}, {3, 1}, {4, 2}, {5, 1}}) {
    for (int i = 0; i < observers; ++i) observed.by("8.0.0." + std::to_string(++last_byte), seen(port));
  }
  EXPECT_THAT(observed.own.punchable(), ElementsAre(seen(2), seen(4), seen(1)));
}

TEST(OwnAddresses, TellsOnlyOfChangesToWhatIsAdvertised) {
  Observed observed;
  int told = 0;
  observed.own.on_change([&] { ++told; });
  for (const auto* observer : {"8.0.0.1", "8.0.0.2", "8.0.0.3"}) observed.by(observer);
  EXPECT_EQ(told, 0);
  observed.by("8.0.0.4");
  EXPECT_EQ(told, 1);
  observed.by("8.0.0.5");
  EXPECT_EQ(told, 1);
  observed.own.set_circuits({parsed(circuit_address)});
  EXPECT_EQ(told, 2);
  EXPECT_THAT(observed.own.advertised(), ElementsAre(listener, outside, parsed(circuit_address)));
  EXPECT_THAT(observed.own.punchable(), ElementsAre(outside));
  observed.own.set_circuits({parsed(circuit_address)});
  EXPECT_EQ(told, 2);
}

/// Has a public address on an interface, one on a gateway, and a circuit.
struct Probed : Observed {
  Probed() {
    own.set_listening({listener, direct});
    own.set_mapped({outside});
    own.set_circuits({circuit});
  }
  const Multiaddr direct = parsed("/ip4/9.9.9.9/tcp/4001");
  const Multiaddr circuit = parsed(circuit_address);
};

TEST(OwnAddresses, AdvertisesNoCircuitWhileAnAddressIsReachable) {
  Probed probed;
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.direct, outside, probed.circuit));
  probed.own.set_reachability({{probed.direct, Reachability::reachable}});
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.direct, outside));
  probed.own.set_reachability({});
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.direct, outside, probed.circuit));
}

TEST(OwnAddresses, AdvertisesNothingThatIsKnownToBeUnreachable) {
  Probed probed;
  probed.own.set_reachability({{probed.direct, Reachability::unreachable}, {outside, Reachability::unknown}});
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, outside, probed.circuit));
  probed.own.set_reachability(
      {{probed.direct, Reachability::unreachable}, {outside, Reachability::reachable}});
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, outside));
}

TEST(OwnAddresses, AdvertisesNothingPublicWhilePrivateAndBehindARelay) {
  Probed probed;
  probed.own.set_private(true);
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.circuit));
  EXPECT_THAT(probed.own.probeable(), ElementsAre(probed.direct, outside));
  EXPECT_THAT(probed.own.punchable(), ElementsAre(probed.direct, outside));
  probed.own.set_circuits({});
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.direct, outside));
  probed.own.set_circuits({probed.circuit});
  probed.own.set_private(false);
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.direct, outside, probed.circuit));
}

TEST(OwnAddresses, AVerdictOnAnAddressThatIsGoneKeepsNoCircuitBack) {
  Probed probed;
  probed.own.set_reachability({{outside, Reachability::reachable}});
  probed.own.set_mapped({});
  EXPECT_THAT(probed.own.advertised(), ElementsAre(listener, probed.direct, probed.circuit));
}

TEST(OwnAddresses, ProbesEveryPublicAddressWhateverIsKnownOfIt) {
  Probed probed;
  EXPECT_THAT(probed.own.probeable(), ElementsAre(probed.direct, outside));
  probed.own.set_reachability(
      {{probed.direct, Reachability::unreachable}, {outside, Reachability::reachable}});
  EXPECT_THAT(probed.own.probeable(), ElementsAre(probed.direct, outside));
  EXPECT_THAT(probed.own.punchable(), ElementsAre(probed.direct, outside));
}

TEST(OwnAddresses, ProbesWhatFourObserversAgreeOnAndNothingLess) {
  Observed observed;
  for (const auto* observer : {"8.0.0.1", "8.0.0.2", "8.0.0.3"}) observed.by(observer);
  EXPECT_THAT(observed.own.probeable(), IsEmpty());
  observed.by("8.0.0.4");
  EXPECT_THAT(observed.own.probeable(), ElementsAre(outside));
}

TEST(OwnAddresses, TellsOfVerdictsThatChangeWhatIsAdvertised) {
  Probed probed;
  int told = 0;
  probed.own.on_change([&] { ++told; });
  probed.own.set_reachability({{outside, Reachability::unknown}});
  EXPECT_EQ(told, 0);
  probed.own.set_reachability({{outside, Reachability::reachable}});
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace flaresim::swarm
