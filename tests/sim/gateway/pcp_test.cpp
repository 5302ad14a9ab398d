#include "sim/gateway/pcp.h"

#include <gtest/gtest.h>

#include "tests/sim/gateway/gateway.h"

namespace flaresim::gateway {
namespace {

using io::Bytes;

// RFC 6887 §7.4.
enum Code : std::uint8_t {
  success = 0,
  unsupported_version = 1,
  not_authorized = 2,
  malformed_request = 3,
  unsupported_opcode = 4,
  unsupported_option = 5,
  malformed_option = 6,
  unsupported_protocol = 9,
  user_exceeded_quota = 10,
  cannot_provide_external = 11,
  address_mismatch = 12,
};

const Bytes client_bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 10};
const Bytes outside_bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7};

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const auto& part : parts) io::append(all, part);
  return all;
}

/// Figures 2 and 9 of RFC 6887: the header and the MAP data, for UDP port 4001.
Bytes map_udp(std::uint8_t nonce, std::uint16_t outside, std::uint8_t lifetime, const Bytes& options = {}) {
  return joined({{2, 1, 0, 0, 0, 0, 0, lifetime},
                 client_bytes,
                 Bytes(12, nonce),
                 {17, 0, 0, 0, 0x0f, 0xa1, std::uint8_t(outside >> 8), std::uint8_t(outside)},
                 Bytes(16, 0),
                 options});
}
const Bytes prefer_failure{2, 0, 0, 0};

class Pcp : public Gateway {
 protected:
  Bytes ask(const Bytes& request) { return answer_pcp(map(), request, client); }
  std::uint8_t code_of(const Bytes& request) {
    const Bytes answer = ask(request);
    return answer.size() < 4 ? 255 : answer[3];
  }
};

TEST_F(Pcp, MapsAPortForALease) {
  map();
  scheduler.run_for(std::chrono::seconds(7));
  EXPECT_EQ(ask(map_udp(9, 6000, 120)), joined({{2, 129, 0, success, 0, 0, 0, 120, 0, 0, 0, 7},
                                                Bytes(12, 0),
                                                Bytes(12, 9),
                                                {17, 0, 0, 0, 0x0f, 0xa1, 0x17, 0x70},
                                                outside_bytes}));
  EXPECT_EQ(forwarder.forwards.at({Transport::udp, 6000}), (io::Endpoint{client.address, 4001}));
  scheduler.run_for(std::chrono::seconds(120));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(Pcp, LeavesAMappingToTheClientThatKnowsItsNonce) {
  ask(map_udp(9, 6000, 120));
  EXPECT_EQ(code_of(map_udp(8, 6000, 120)), not_authorized);
  EXPECT_EQ(code_of(map_udp(8, 6000, 0)), not_authorized);
  EXPECT_EQ(forwarder.forwards.size(), 1u);
  EXPECT_EQ(code_of(map_udp(9, 6000, 0)), success);
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(Pcp, GivesAnotherPortUnlessFailureIsPreferred) {
  forwarder.taken.insert({Transport::udp, 6000});
  EXPECT_EQ(code_of(map_udp(9, 6000, 120, prefer_failure)), cannot_provide_external);
  EXPECT_TRUE(forwarder.forwards.empty());
  EXPECT_EQ(code_of(map_udp(9, 6000, 120)), success);
  EXPECT_EQ(forwarder.forwards.size(), 1u);
}

TEST_F(Pcp, AnswersAnAnnouncement) {
  EXPECT_EQ(ask(joined({{2, 0, 0, 0, 0, 0, 0, 0}, client_bytes})),
            joined({{2, 128, 0, success, 0, 0, 0, 0, 0, 0, 0, 0}, Bytes(12, 0)}));
}

TEST_F(Pcp, HasAResultCodeForEveryMistake) {
  const Bytes good = map_udp(9, 6000, 120);
  Bytes wrong_address = good;
  wrong_address[23] = 99;
  Bytes peer = good;
  peer[1] = 2;
  Bytes sctp = good;
  sctp[36] = 132;
  Bytes port_zero = good;
  port_zero[40] = port_zero[41] = 0;
  EXPECT_EQ(code_of({0, 0}), unsupported_version);
  EXPECT_EQ(code_of(wrong_address), address_mismatch);
  EXPECT_EQ(code_of(peer), unsupported_opcode);
  EXPECT_EQ(code_of(sctp), unsupported_protocol);
  EXPECT_EQ(code_of(port_zero), unsupported_protocol);
  EXPECT_EQ(code_of(Bytes(good.begin(), good.end() - 4)), malformed_request);
  EXPECT_EQ(code_of(Bytes(good.begin(), good.end() - 1)), malformed_request);
  EXPECT_EQ(code_of({2, 1, 0, 0}), malformed_request);
  EXPECT_EQ(code_of(joined({good, Bytes(1100, 0)})), malformed_request);
  EXPECT_EQ(code_of(joined({good, {1, 0, 0, 0}})), unsupported_option);
  EXPECT_EQ(code_of(joined({good, {2, 0, 0, 4, 0, 0, 0, 0}})), malformed_option);
  EXPECT_EQ(code_of(joined({good, {2, 0, 0, 200}})), malformed_option);
  EXPECT_EQ(code_of(joined({good, prefer_failure, prefer_failure})), malformed_option);
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(Pcp, SkipsOptionalOptions) {
  EXPECT_EQ(code_of(map_udp(9, 6000, 120, {200, 0, 0, 1, 7, 0, 0, 0})), success);
}

TEST_F(Pcp, TellsHowLongNotToAskAgain) {
  profile.most_mappings_per_host = 0;
  const Bytes answer = ask(map_udp(9, 6000, 120));
  EXPECT_EQ(answer[3], user_exceeded_quota);
  EXPECT_EQ(answer[7], 30);  // seconds: a short-lifetime error
}

TEST_F(Pcp, DropsAnswers) {
  Bytes answer = map_udp(9, 6000, 120);
  answer[1] |= 128;
  EXPECT_TRUE(ask(answer).empty());
  EXPECT_TRUE(ask({2}).empty());
}

}  // namespace
}  // namespace flaresim::gateway
