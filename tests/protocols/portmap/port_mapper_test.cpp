#include "protocols/portmap/port_mapper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "protocols/portmap/http.h"
#include "tests/protocols/support/answering_lan.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/faulty_network.h"
#include "tests/protocols/support/run_task.h"
#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::portmap {
namespace {

using namespace std::chrono_literals;
using support::AnsweringLan;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

/// A request for a mapping, RFC 6886 §3.3.
struct Request {
  io::Duration at{};
  Transport transport{};
  std::uint16_t inside_port = 0;
  std::uint16_t outside_port = 0;
  std::chrono::seconds lifetime{};
};

/// Speaks NAT-PMP, and does as it is told.
class NatPmpGateway {
 public:
  explicit NatPmpGateway(io::Scheduler& scheduler) : scheduler_(scheduler) {}

  bool silent = false;
  std::uint16_t result = 0;  // of mappings; RFC 6886 §3.5
  std::optional<std::chrono::seconds> lease{};
  std::optional<std::uint16_t> outside_port{};
  std::uint8_t last_byte = 1;  // of its outside address, 84.16.40.x
  std::vector<Request> requests{};

  std::optional<io::Bytes> answer(const io::Endpoint& to, io::BytesView request) {
    if (silent || to != io::Endpoint{AnsweringLan::router, 5351} || request.size() < 2 || request[0] != 0)
      return {};
    if (request[1] == 0) return io::Bytes{0, 128, 0, 0, 0, 0, 0, 1, 84, 16, 40, last_byte};
    const auto number = [&](std::size_t at, std::size_t bytes) {
      std::uint32_t out = 0;
      for (std::size_t i = at; i < at + bytes; ++i) out = out << 8 | request[i];
      return out;
    };
    requests.push_back({scheduler_.now() - io::TimePoint{}, request[1] == 1 ? Transport::udp : Transport::tcp,
                        static_cast<std::uint16_t>(number(4, 2)), static_cast<std::uint16_t>(number(6, 2)),
                        std::chrono::seconds(number(8, 4))});
    const auto& asked = requests.back();
    const auto given_port = outside_port.value_or(asked.outside_port);
    const auto given_time =
        static_cast<std::uint8_t>(std::min(lease.value_or(asked.lifetime), asked.lifetime).count());
    return io::Bytes{0,
                     static_cast<std::uint8_t>(128 + request[1]),
                     0,
                     static_cast<std::uint8_t>(result),
                     0,
                     0,
                     0,
                     1,
                     request[4],
                     request[5],
                     static_cast<std::uint8_t>(given_port >> 8),
                     static_cast<std::uint8_t>(given_port),
                     0,
                     0,
                     0,
                     given_time};
  }

 private:
  io::Scheduler& scheduler_;
};

/// Speaks PCP: an answer to ANNOUNCE, and each mapping as it was asked for. RFC 6887 §7.2, §11.1.
std::optional<io::Bytes> pcp_answer(io::BytesView request) {
  if (request.size() < 24 || request[0] != 2) return {};
  io::Bytes answer(request.begin(), request.end());
  answer[1] |= 0x80;
  std::fill(answer.begin() + 8, answer.begin() + 24, std::uint8_t{0});  // the client's address stood there
  answer[11] = 1;                                                       // the epoch
  if (request[1] == 0) return answer;
  const auto address = boost::asio::ip::make_address_v6("::ffff:84.16.40.1").to_bytes();
  std::copy(address.begin(), address.end(), answer.begin() + 44);
  return answer;
}

class PortMapperTest : public testing::Test {
 protected:
  PortMapperTest() {
    profile.pcp = profile.igd = false;
    profile.outside_port = OutsidePort::same;
  }
  ~PortMapperTest() override {
    mapper.reset();
    scheduler.settle();
    EXPECT_EQ(scheduler.armed_timers(), 0u);
    EXPECT_EQ(lan.open(), 0);
  }
  void start() {
    mapper.emplace(lan, profile);
    mapper->on_change([this] { ++changes; });
    mapper->want(Transport::tcp, 4001);
  }
  std::vector<io::Duration> times() const {
    std::vector<io::Duration> out;
    for (const auto& request : gateway.requests) out.push_back(request.at);
    return out;
  }
  std::vector<MappedPort> mapped_at(std::uint8_t last_byte, std::uint16_t port) const {
    const auto address = boost::asio::ip::make_address("84.16.40." + std::to_string(last_byte));
    return {{Transport::tcp, 4001, {address, port}}};
  }

  support::TestScheduler scheduler;
  NatPmpGateway gateway{scheduler};
  AnsweringLan lan{scheduler, [this](const auto& to, auto request) {
                     return speaks_pcp && !gateway.silent ? pcp_answer(request) : gateway.answer(to, request);
                   }};
  bool speaks_pcp = false;
  PortMapProfile profile;
  std::optional<PortMapper> mapper;
  int changes = 0;
};

TEST_F(PortMapperTest, RenewsEveryThirdOfALease) {
  start();
  scheduler.run_for(61s);
  EXPECT_EQ(mapper->mapped(), mapped_at(1, 4001));
  EXPECT_THAT(times(), ElementsAre(0s, 20s, 40s, 60s));
  EXPECT_THAT(gateway.requests,
              Each(AllOf(Field(&Request::inside_port, 4001), Field(&Request::lifetime, 60s))));
  EXPECT_EQ(changes, 1);
}

TEST_F(PortMapperTest, RenewsAShorterLeaseHalfWay) {
  gateway.lease = 10s;
  start();
  scheduler.run_for(16s);
  EXPECT_THAT(times(), ElementsAre(0s, 5s, 10s, 15s));
}

TEST_F(PortMapperTest, RenewsNoMoreOftenThanEveryFourSeconds) {
  gateway.lease = 2s;
  start();
  scheduler.run_for(9s);
  EXPECT_THAT(times(), ElementsAre(0s, 4s, 8s));
}

TEST_F(PortMapperTest, AsksForThePortThatItWasGiven) {
  gateway.outside_port = 5000;
  start();
  scheduler.run_for(21s);
  EXPECT_EQ(mapper->mapped(), mapped_at(1, 5000));
  ASSERT_THAT(gateway.requests, SizeIs(2));
  EXPECT_EQ(gateway.requests[0].outside_port, 4001);
  EXPECT_EQ(gateway.requests[1].outside_port, 5000);
}

TEST_F(PortMapperTest, TriesThreeRandomPorts) {
  profile.outside_port = OutsidePort::random;
  gateway.result = 2;  // not authorised
  start();
  scheduler.run_for(1s);
  EXPECT_THAT(mapper->mapped(), IsEmpty());
  ASSERT_THAT(gateway.requests, SizeIs(3));
  for (const auto& request : gateway.requests) EXPECT_GE(request.outside_port, 10000);
  EXPECT_NE(gateway.requests[0].outside_port, gateway.requests[1].outside_port);
  EXPECT_EQ(changes, 0);
}

TEST_F(PortMapperTest, BelievesNoPortZero) {
  gateway.outside_port = 0;
  start();
  scheduler.run_for(1s);
  EXPECT_THAT(mapper->mapped(), IsEmpty());
}

TEST_F(PortMapperTest, TellsOfAnotherOutsideAddress) {
  start();
  scheduler.run_for(10s);
  gateway.last_byte = 2;
  scheduler.run_for(10s);
  EXPECT_EQ(mapper->mapped(), mapped_at(2, 4001));
  EXPECT_EQ(changes, 2);
}

TEST_F(PortMapperTest, LooksForAGatewayAgainOnceItsOwnIsSilent) {
  start();
  scheduler.run_for(1s);
  EXPECT_EQ(mapper->gateway(), "nat-pmp");
  gateway.silent = true;
  ASSERT_TRUE(scheduler.run_until([&] { return mapper->gateway().empty(); }, 2min));
  EXPECT_THAT(mapper->mapped(), IsEmpty());
  EXPECT_EQ(changes, 2);
  gateway.silent = false;
  ASSERT_TRUE(scheduler.run_until([&] { return !mapper->mapped().empty(); }, 6min));
  EXPECT_EQ(changes, 3);
}

TEST_F(PortMapperTest, LooksAgainAtOnceForAGatewayThatIsThere) {
  start();
  scheduler.run_for(1s);
  gateway.result = 2;  // not authorised
  ASSERT_TRUE(scheduler.run_until([&] { return mapper->gateway().empty(); }, 2min));
  gateway.result = 0;
  EXPECT_TRUE(scheduler.run_until([&] { return !mapper->mapped().empty(); }, 10s));
}

TEST_F(PortMapperTest, LooksForAGatewayAgainAlthoughPcpNeverAsksForItsAddress) {
  profile.pcp = speaks_pcp = true;
  profile.nat_pmp = false;
  start();
  scheduler.run_for(1s);
  ASSERT_EQ(mapper->gateway(), "pcp");
  ASSERT_EQ(mapper->mapped(), mapped_at(1, 4001));
  gateway.silent = true;
  ASSERT_TRUE(scheduler.run_until([&] { return mapper->gateway().empty(); }, 2min));
  gateway.silent = false;
  EXPECT_TRUE(scheduler.run_until([&] { return !mapper->mapped().empty(); }, 6min));
}

class SpoiltPortMapping : public testing::TestWithParam<std::pair<const char*, support::FaultProfile>> {};

/// With a gateway for PCP and one for NAT-PMP, and an end at any time.
TEST_P(SpoiltPortMapping, LeavesNothingBehind) {
  std::uint64_t spoilt = 0, mapped = 0, released = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto random = io::Random(seed).derive("test");
    support::TestScheduler scheduler;
    NatPmpGateway gateway(scheduler);
    const bool speaks_pcp = random.below(2) == 0;
    AnsweringLan lan(scheduler, [&](const auto& to, auto request) {
      return speaks_pcp ? pcp_answer(request) : gateway.answer(to, request);
    });
    support::FaultyNetwork network(lan, GetParam().second, seed);
    PortMapper mapper(network, {});
    for (const auto transport : {Transport::tcp, Transport::udp}) mapper.want(transport, 4001);
    scheduler.run_for(random.between(0s, 3h));
    mapped += mapper.mapped().size();
    if (random.below(2) == 0) {
      mapper.stop();
    } else {
      released += support::run_task(scheduler, mapper.release());
      EXPECT_THAT(mapper.mapped(), IsEmpty());
    }
    scheduler.run_for(GetParam().second.longest_delay + 1s);
    EXPECT_EQ(scheduler.armed_timers(), 0u);
    EXPECT_EQ(lan.open(), 0);
    spoilt += network.spoilt();
  }
  EXPECT_GT(spoilt, 100u);
  EXPECT_GT(mapped, 100u);
  EXPECT_GT(released, 30u);
}

INSTANTIATE_TEST_SUITE_P(EveryWay, SpoiltPortMapping, testing::ValuesIn(support::every_way_to_spoil),
                         [](const auto& way) { return way.param.first; });

TEST_F(PortMapperTest, GivesUpReleasingAfterTenSeconds) {
  mapper.emplace(lan, profile);
  for (std::uint16_t port = 4001; port < 4011; ++port) mapper->want(Transport::tcp, port);
  scheduler.run_for(1s);
  ASSERT_THAT(mapper->mapped(), SizeIs(10));
  gateway.silent = true;
  const auto from = scheduler.now();
  EXPECT_EQ(support::run_task(scheduler, mapper->release()), 0u);
  EXPECT_EQ(scheduler.now() - from, 10s);
  EXPECT_THAT(mapper->mapped(), IsEmpty());
}

TEST(Url, LeadsToNoOtherHost) {
  const auto document = Url::parse("http://192.168.1.1:5000/rootDesc.xml").value();
  EXPECT_EQ(document.resolve("http://192.168.1.1:80/ctl").value().target, "/ctl");
  EXPECT_EQ(document.resolve("/ctl").value().target, "/ctl");
  EXPECT_EQ(error_of(document.resolve("http://10.0.0.1:5000/ctl")), Error::malformed_answer);
}

TEST_F(PortMapperTest, ReleasesWhatItHas) {
  start();
  scheduler.run_for(1s);
  EXPECT_EQ(support::run_task(scheduler, mapper->release()), 1u);
  ASSERT_THAT(gateway.requests, SizeIs(2));
  EXPECT_EQ(gateway.requests[1].lifetime, 0s);  // RFC 6886 §3.4
  EXPECT_EQ(gateway.requests[1].inside_port, 4001);
  EXPECT_THAT(mapper->mapped(), IsEmpty());
  scheduler.run_for(1h);
  EXPECT_THAT(gateway.requests, SizeIs(2));
}

}  // namespace
}  // namespace flaresim::portmap
