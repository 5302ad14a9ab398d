#include "protocols/mdns/announcement.h"

#include <gmock/gmock.h>

namespace flaresim::mdns {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string peer_text = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
const std::string other_text = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC";

Multiaddr address(std::string_view text) { return Multiaddr::from_string(text).value(); }
multiformats::PeerId peer(std::string_view text) { return multiformats::PeerId::from_string(text).value(); }
Name name(std::string_view text) { return Name::from_text(text).value(); }

const Announcer us = Announcer::make("_p2p._udp.local", "us").value();
const swarm::AddressInfo self{peer(peer_text), {address("/ip4/192.168.1.10/tcp/4001")}};

DnsMessage says(std::vector<std::string> text, std::chrono::seconds ttl = 120s,
                std::string_view instance = "them._p2p._udp.local") {
  return {.response = true, .additional = {{name(instance), RecordType::txt, true, ttl, std::move(text)}}};
}

TEST(Announcement, PeerNamesAreRandomAndOfLowerCaseLettersAndDigits) {
  io::Random random(1);
  const auto first = random_peer_name(random);
  EXPECT_EQ(first.size(), 32u);
  EXPECT_EQ(first.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos);
  EXPECT_NE(first, random_peer_name(random));
}

TEST(Announcement, TellsTheServiceTheInstanceAndItsAddresses) {
  const auto message = us.answer(us.wanted_by(us.query()), self);
  ASSERT_THAT(message.answers, SizeIs(1));
  EXPECT_EQ(message.answers[0],
            (Record{name("_p2p._udp.local"), RecordType::ptr, false, 120s, name("us._p2p._udp.local")}));
  ASSERT_THAT(message.additional, SizeIs(1));
  EXPECT_EQ(message.additional[0], (Record{name("us._p2p._udp.local"), RecordType::txt, true, 120s,
                                           Text{"dnsaddr=/ip4/192.168.1.10/tcp/4001/p2p/" + peer_text}}));
}

TEST(Announcement, AnswersToolsThatAskForEachRecordAlone) {
  const DnsMessage where{.questions = {{name("us._p2p._udp.local"), RecordType::txt}}};
  EXPECT_EQ(us.answer(us.wanted_by(where), self).answers.at(0).type, RecordType::txt);
  const DnsMessage types{.questions = {{name("_services._dns-sd._udp.local"), RecordType::ptr}}};
  EXPECT_EQ(us.answer(us.wanted_by(types), self).answers.at(0).data,
            decltype(Record::data)(name("_p2p._udp.local")));
  const DnsMessage others{
      .questions = {{name("_http._tcp.local"), RecordType::ptr}, {name("_p2p._udp.local"), RecordType::txt}}};
  EXPECT_FALSE(us.wanted_by(others).any());
}

// RFC 6762 §7.1
TEST(Announcement, DoesNotRepeatWhatTheAskerKnowsForLongEnough) {
  auto query = us.query();
  query.answers.push_back({us.service, RecordType::ptr, false, 60s, us.instance});
  EXPECT_FALSE(us.wanted_by(query).any());
  query.answers[0].ttl = 59s;
  EXPECT_TRUE(us.wanted_by(query).service);
  query.answers[0] = {us.service, RecordType::ptr, false, 120s, name("them._p2p._udp.local")};
  EXPECT_TRUE(us.wanted_by(query).service);
}

// RFC 6762 §6.7
TEST(Announcement, ALegacyAskerHasItsIdAndQuestionBackAndMayRememberForTenSeconds) {
  auto query = us.query();
  query.id = 77;
  const auto message = us.legacy_answer(query, self);
  EXPECT_EQ(message.id, 77);
  EXPECT_EQ(message.questions, query.questions);
  EXPECT_EQ(message.answers.at(0).ttl, 10s);
  EXPECT_FALSE(message.additional.at(0).cache_flush);
}

TEST(Announcement, SaysNothingWithoutAddresses) {
  EXPECT_THAT(us.answer({.service = true}, {self.peer}).answers, IsEmpty());
}

TEST(Announcement, FitsIntoOnePacketWhateverThePeerListensOn) {
  auto many = self;
  for (int port = 1; port < 200; ++port)
    many.addresses.push_back(address("/ip4/192.168.1.10/tcp/" + std::to_string(port)));
  const auto bytes = encode(us.answer({.service = true}, many)).value();
  EXPECT_LE(bytes.size(), 1500u - 40u - 8u);
  EXPECT_GT(us.read(decode(bytes).value()).at(0).addresses.size(), 10u);
}

TEST(Announcement, ReadsPeersWithAllTheirAddresses) {
  const auto found = us.read(says({"dnsaddr=/ip4/192.168.1.2/tcp/4001/p2p/" + peer_text,
                                   "dnsaddr=/ip4/192.168.1.3/tcp/4001/p2p/" + other_text,
                                   "dnsaddr=/ip4/192.168.1.2/udp/4001/quic-v1/p2p/" + peer_text,
                                   "dnsaddr=/ip4/192.168.1.2/tcp/4001/p2p/" + peer_text}));
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].peer, peer(peer_text));
  EXPECT_THAT(found[0].addresses, ElementsAre(address("/ip4/192.168.1.2/tcp/4001"),
                                              address("/ip4/192.168.1.2/udp/4001/quic-v1")));
  EXPECT_EQ(found[1].peer, peer(other_text));
}

TEST(Announcement, LeavesOutWhatItCannotUse) {
  EXPECT_THAT(us.read(says({"dnsaddr=/ip4/192.168.1.2/tcp/4001",                      // whose?
                            "dnsaddr=/ip4/192.168.1.2/tcp/4001/ws/p2p/" + peer_text,  // not spoken here
                            "dnsaddr=/ip4/1.2.3.4/tcp/1/p2p/" + other_text + "/p2p-circuit/p2p/" + peer_text,
                            "dnsaddr=/dns4/host.local/tcp/4001/p2p/" + peer_text, "dnsaddr=nonsense",
                            "dnsaddr=", "path=/", ""})),
              IsEmpty());
}

TEST(Announcement, IgnoresGoodbyesAndOtherServices) {
  const std::vector<std::string> text{"dnsaddr=/ip4/192.168.1.2/tcp/4001/p2p/" + peer_text};
  EXPECT_THAT(us.read(says(text)), SizeIs(1));
  EXPECT_THAT(us.read(says(text, 0s)), IsEmpty());
  EXPECT_THAT(us.read(says(text, 120s, "them._p2p-private._udp.local")), IsEmpty());
  EXPECT_THAT(us.read(us.goodbye()), IsEmpty());
}

}  // namespace
}  // namespace flaresim::mdns
