#include "sim/gateway/nat_pmp.h"

#include <gtest/gtest.h>

#include "tests/sim/gateway/gateway.h"

namespace flaresim::gateway {
namespace {

using io::Bytes;

class NatPmp : public Gateway {
 protected:
  Bytes ask(const Bytes& request) { return answer_nat_pmp(map(), request, client); }
};

// Requests and answers are written out byte by byte after RFC 6886 §3.2 and §3.3.
const Bytes external_address{0, 0};
Bytes map_tcp(std::uint16_t inside, std::uint16_t outside, std::uint8_t lifetime) {
  return {0,
          2,
          0,
          0,
          std::uint8_t(inside >> 8),
          std::uint8_t(inside),
          std::uint8_t(outside >> 8),
          std::uint8_t(outside),
          0,
          0,
          0,
          lifetime};
}

TEST_F(NatPmp, TellsTheOutsideAddressAndTheEpoch) {
  map();
  scheduler.run_for(std::chrono::seconds(259));
  EXPECT_EQ(ask(external_address), (Bytes{0, 128, 0, 0, 0, 0, 1, 3, 203, 0, 113, 7}));
}

TEST_F(NatPmp, MapsAPortForALease) {
  EXPECT_EQ(ask(map_tcp(4001, 4001, 120)),
            (Bytes{0, 130, 0, 0, 0, 0, 0, 0, 0x0f, 0xa1, 0x0f, 0xa1, 0, 0, 0, 120}));
  EXPECT_EQ(forwarder.forwards.at({Transport::tcp, 4001}), (io::Endpoint{client.address, 4001}));
  scheduler.run_for(std::chrono::seconds(120) - std::chrono::nanoseconds(1));
  EXPECT_EQ(forwarder.forwards.size(), 1u);
  scheduler.run_for(std::chrono::nanoseconds(1));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(NatPmp, GivesAnotherPortWhenTheWantedOneIsTaken) {
  forwarder.taken.insert({Transport::tcp, 4001});
  const Bytes answer = ask(map_tcp(4001, 4001, 120));
  ASSERT_EQ(answer.size(), 16u);
  EXPECT_EQ(answer[3], 0);
  const std::uint16_t given = answer[10] << 8 | answer[11];
  EXPECT_NE(given, 4001);
  EXPECT_TRUE(forwarder.forwards.contains({Transport::tcp, given}));
}

TEST_F(NatPmp, IsNotConcernedByGatewaysWhoseUpnpTakesPermanentLeasesOnly) {
  profile.permanent_only = true;
  EXPECT_EQ(ask(map_tcp(4001, 4001, 120)).back(), 120);
}

TEST_F(NatPmp, KeepsThePortWhenALeaseIsRenewed) {
  ask(map_tcp(4001, 4001, 120));
  scheduler.run_for(std::chrono::seconds(60));
  const Bytes answer = ask(map_tcp(4001, 5000, 100));
  EXPECT_EQ(answer[10] << 8 | answer[11], 4001);
  scheduler.run_for(std::chrono::seconds(99));
  EXPECT_EQ(forwarder.forwards.size(), 1u);
  scheduler.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(NatPmp, RemovesOneMapping) {
  ask(map_tcp(4001, 4001, 120));
  EXPECT_EQ(ask(map_tcp(4001, 0, 0)), (Bytes{0, 130, 0, 0, 0, 0, 0, 0, 0x0f, 0xa1, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(NatPmp, RemovesAllMappingsOfAHostAndTransport) {
  ask(map_tcp(4001, 4001, 120));
  ask(map_tcp(4002, 4002, 120));
  answer_nat_pmp(map(), map_tcp(4003, 4003, 120), {boost::asio::ip::make_address("192.168.1.11"), 1});
  ask(map_tcp(0, 0, 0));
  ASSERT_EQ(forwarder.forwards.size(), 1u);
  EXPECT_EQ(forwarder.forwards.begin()->second.port, 4003);
}

TEST_F(NatPmp, GrantsNoLongerLeaseThanItsLongest) {
  profile.longest_lease = std::chrono::seconds(30);
  EXPECT_EQ(ask(map_tcp(4001, 4001, 120)).back(), 30);
}

TEST_F(NatPmp, MayForgetALeaseThatItGranted) {
  profile.forgets_after = std::chrono::seconds(10);
  EXPECT_EQ(ask(map_tcp(4001, 4001, 120)).back(), 120);
  scheduler.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(NatPmp, MayTellAPortThatIsNotOpen) {
  profile.port_error = 1;
  const Bytes answer = ask(map_tcp(4001, 4001, 120));
  EXPECT_EQ(answer[10] << 8 | answer[11], 4002);
  EXPECT_TRUE(forwarder.forwards.contains({Transport::tcp, 4001}));
}

TEST_F(NatPmp, MayTellAnAddressThatIsNotItsOwn) {
  profile.claimed_address = boost::asio::ip::make_address("10.0.0.1");
  EXPECT_EQ(ask(external_address), (Bytes{0, 128, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1}));
}

TEST_F(NatPmp, HasResultCodesForWhatItCannotDo) {
  EXPECT_EQ(ask({1, 0}), (Bytes{0, 128, 0, 1, 0, 0, 0, 0}));  // version
  EXPECT_EQ(ask({0, 3}), (Bytes{0, 131, 0, 5, 0, 0, 0, 0}));  // opcode
}

TEST_F(NatPmp, RefusesAHostThatHasItsShare) {
  profile.most_mappings_per_host = 1;
  ask(map_tcp(4001, 4001, 120));
  EXPECT_EQ(ask(map_tcp(4002, 4002, 120))[3], 4);  // out of resources
}

TEST_F(NatPmp, DropsWhatIsNoRequest) {
  EXPECT_TRUE(ask({}).empty());
  EXPECT_TRUE(ask({0}).empty());
  EXPECT_TRUE(ask({0, 128}).empty());                     // an answer
  EXPECT_TRUE(ask({0, 2, 0, 0, 0x0f, 0xa1, 0}).empty());  // cut off
}

TEST_F(NatPmp, BeginsANewEpochWithoutMappingsWhenItRestarts) {
  ask(map_tcp(4001, 4001, 120));
  scheduler.run_for(std::chrono::seconds(5));
  map().restart();
  EXPECT_TRUE(forwarder.forwards.empty());
  EXPECT_EQ(announce_nat_pmp(map()), (Bytes{0, 128, 0, 0, 0, 0, 0, 0, 203, 0, 113, 7}));
}

}  // namespace
}  // namespace flaresim::gateway
