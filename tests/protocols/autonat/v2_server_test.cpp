#include <gmock/gmock.h>

#include "protocols/autonat/v2.h"
#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {
namespace {

using namespace std::chrono_literals;
using support::field;
using support::framed;
using support::joined;
using support::number_field;
using support::Peer;
using testing::AllOf;
using testing::Each;
using testing::Ge;
using testing::Le;

// The wire by hand: libp2p/specs autonat/autonat-v2.md, "RPC Messages".
constexpr std::uint64_t nonce = 0x0123456789abcdef;
io::Bytes request(const std::vector<std::string>& addresses) {
  io::Bytes inside;
  for (const auto& address : addresses) io::append(inside, field(1, parsed(address).bytes()));
  io::append(inside, fixed64_field(2, nonce));
  return framed(field(1, inside));
}
/// Zeros are not written.
io::Bytes refusal(std::uint64_t status) { return field(2, number_field(1, status)); }
io::Bytes answer(std::uint64_t index, std::uint64_t dial_status) {
  auto inside = number_field(1, 200);
  if (index != 0) io::append(inside, number_field(2, index));
  io::append(inside, number_field(3, dial_status));
  return field(2, inside);
}
io::Bytes chunk(std::size_t bytes) { return framed(field(4, field(1, io::Bytes(bytes)))); }

struct V2ServerTest : testing::Test {
  io::Result<io::Bytes> asked(const io::Bytes& bytes) {
    return world.ask(user, server, v2_dial_request_protocol, bytes);
  }
  /// Opens a request for an address with another IP address; how many bytes the server wants for it.
  std::uint64_t open_paid(io::StreamPtr& stream) {
    stream = world.open(user, server, v2_dial_request_protocol);
    EXPECT_TRUE(
        world.run(support::write_all(stream, request({"/ip4/10.1.1.1/tcp/4001", "/ip4/7.7.7.7/tcp/4001"}))));
    const auto price = world.run(support::read_frame(stream));
    EXPECT_TRUE(price);
    if (!price) return 0;
    // 1a: DialDataRequest, its length, 08 01: address 1, 10: the bytes
    EXPECT_EQ((*price)[0], 0x1a);
    EXPECT_EQ((*price)[3], 1);
    std::uint64_t wanted = 0;
    for (std::size_t i = 5; i < price->size(); ++i)
      wanted |= std::uint64_t((*price)[i] & 0x7f) << (7 * (i - 5));
    return wanted;
  }
  /// Sends as many bytes of dial data.
  void pay(const io::StreamPtr& stream, std::uint64_t bytes) {
    while (bytes > 0) {
      // No chunk but the very last may have fewer than 100.
      const auto size = bytes > 4096 + 100 ? 4096 : bytes;
      ASSERT_TRUE(world.run(support::write_all(stream, chunk(size))));
      bytes -= size;
    }
  }
  /// From the arrival of the last byte of dial data to the dial that it pays.
  double seconds_before_paid_dial() {
    io::StreamPtr stream;
    pay(stream, open_paid(stream));
    const auto arrives = world.scheduler.now() + one_way;
    const auto dials = world.internet.syns.size();
    EXPECT_TRUE(world.scheduler.run_until([&] { return world.internet.syns.size() > dials; }, 1min));
    const auto dialled = world.internet.syns.back().at;
    EXPECT_EQ(world.run(support::read_frame(stream)), answer(1, 100));
    return std::chrono::duration<double>(dialled - arrives).count();
  }
  void SetUp() override {
    user.swarm().handle(std::string(v2_dial_back_protocol),
                        [this](swarm::IncomingStream in) { return take(this, std::move(in)); });
    world.connect(user, server);
  }
  static io::Task<> take(V2ServerTest* self, swarm::IncomingStream in) {
    const auto frame = co_await support::read_frame(in.stream);
    if (frame) self->nonces.push_back(*frame);
    self->came_from.push_back(in.connection->facts());
    const io::Bytes empty_message{0};
    (void)co_await in.stream->write(empty_message);
    (void)co_await in.stream->close_write();
  }

  static constexpr auto one_way = 10ms;
  AutonatWorld world;
  Peer& server = world.add("1.1.1.1");
  Peer& user = world.add("2.2.2.2");
  std::unique_ptr<V2Server> service = world.v2_server(server);
  std::vector<io::Bytes> nonces;
  std::vector<swarm::Connection::Facts> came_from;
};

TEST_F(V2ServerTest, ShowsTheNonceFromAnotherPortAndAsAnotherPeer) {
  EXPECT_EQ(asked(request({"/ip4/2.2.2.2/tcp/4001"})), answer(0, 200));
  ASSERT_EQ(nonces.size(), 1u);
  EXPECT_EQ(nonces[0], (io::Bytes{0x09, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01}));
  EXPECT_NE(came_from[0].remote, server.id());
  EXPECT_NE(came_from[0].remote_address.endpoint()->port, 4001);
  EXPECT_EQ(user.swarm().connections().size(), 1u);
  EXPECT_EQ(service->counters().dialled_back, 1u);
}

TEST_F(V2ServerTest, DialsOverQuic) {
  const auto quic = world.listen_quic(user);
  EXPECT_EQ(asked(request({quic.to_string()})), answer(0, 200));
  EXPECT_EQ(came_from[0].remote_address.transport(), multiformats::Transport::quic_v1);
}

TEST_F(V2ServerTest, DialsTheFirstAddressThatItCanAndNoOther) {
  EXPECT_EQ(asked(request({"/ip4/192.168.1.1/tcp/4001", "/ip6/2606:4700::1/tcp/4001",
                           "/ip4/2.2.2.2/tcp/80/ws", "/ip4/2.2.2.2/tcp/9", "/ip4/2.2.2.2/tcp/4001"})),
            answer(3, 100));
  EXPECT_TRUE(nonces.empty());
  EXPECT_EQ(service->counters().failed, 1u);
}

TEST_F(V2ServerTest, RefusesWhatItCannotDial) {
  EXPECT_EQ(asked(request({"/ip4/192.168.1.1/tcp/4001", "/ip6/2606:4700::1/tcp/4001"})), refusal(101));
  EXPECT_EQ(asked(request({})), refusal(101));
}

TEST_F(V2ServerTest, LooksAtFiftyAddresses) {
  std::vector<std::string> addresses(50, "/ip4/192.168.1.1/tcp/4001");
  addresses.back() = "/ip4/2.2.2.2/tcp/4001";
  EXPECT_EQ(asked(request(addresses)), answer(49, 200));
  addresses.insert(addresses.begin(), "/ip4/192.168.1.1/tcp/4001");
  EXPECT_EQ(asked(request(addresses)), refusal(101));
}

TEST_F(V2ServerTest, TellsWhenTheNonceFindsNobody) {
  user.swarm().unhandle(v2_dial_back_protocol);
  EXPECT_EQ(asked(request({"/ip4/2.2.2.2/tcp/4001"})), answer(0, 101));
}

TEST_F(V2ServerTest, RefusesWhoComesOverARelay) {
  auto& relay = world.add("3.3.3.3");
  auto& far = world.add("4.4.4.4");
  const auto connection = world.connect_through(relay, far, server);
  const auto opened = world.run(connection->open_stream({std::string(v2_dial_request_protocol)}));
  ASSERT_TRUE(opened);
  ASSERT_TRUE(world.run(support::write_all(opened->stream, request({"/ip4/4.4.4.4/tcp/4001"}))));
  EXPECT_EQ(world.run(support::read_frame(opened->stream)), refusal(101));
}

TEST_F(V2ServerTest, WantsDataBeforeItDialsAnotherIp) {
  io::StreamPtr stream;
  const auto wanted = open_paid(stream);
  EXPECT_GE(wanted, 30000u);
  EXPECT_LE(wanted, 100000u);
  const auto dials = world.internet.syns.size();
  pay(stream, wanted - 1);
  world.scheduler.run_for(5s);
  EXPECT_EQ(service->counters().dial_data_bytes, wanted - 1);
  EXPECT_EQ(world.internet.syns.size(), dials);
  pay(stream, 1);
  ASSERT_TRUE(world.scheduler.run_until([&] { return world.internet.syns.size() > dials; }, 3s + one_way));
  EXPECT_EQ(service->counters().dial_data_bytes, wanted);
  EXPECT_EQ(world.internet.syns.back().to.address, boost::asio::ip::make_address("7.7.7.7"));
  EXPECT_EQ(world.run(support::read_frame(stream)), answer(1, 100));
}

TEST_F(V2ServerTest, WaitsARandomTimeUpToThreeSecondsOnceItHasTheData) {
  std::vector<double> waited;
  for (int i = 0; i < 12; ++i) waited.push_back(seconds_before_paid_dial());
  EXPECT_THAT(waited, Each(AllOf(Ge(0), Le(3))));
  EXPECT_LT(*std::ranges::min_element(waited), 1);
  EXPECT_GT(*std::ranges::max_element(waited), 2);
}

TEST_F(V2ServerTest, DialsInTheInstantOfTheLastByteWhenItNeedNotWait) {
  service.reset();
  service = world.v2_server(server, {.max_dial_wait = 0s});
  for (int i = 0; i < 12; ++i) EXPECT_EQ(seconds_before_paid_dial(), 0);
}

TEST_F(V2ServerTest, DialsTheIpThatAsksAtOnce) {
  const auto stream = world.open(user, server, v2_dial_request_protocol);
  const auto dials = world.internet.syns.size();
  ASSERT_TRUE(world.run(support::write_all(stream, request({"/ip4/2.2.2.2/tcp/4001"}))));
  const auto written = world.scheduler.now();
  world.scheduler.run_for(one_way);
  ASSERT_EQ(world.internet.syns.size(), dials + 1);
  EXPECT_EQ(world.internet.syns.back().at, written + one_way);
}

TEST_F(V2ServerTest, ResetsOnTinyChunks) {
  io::StreamPtr stream;
  open_paid(stream);
  ASSERT_TRUE(world.run(support::write_all(stream, chunk(100))));
  world.scheduler.run_for(1s);
  EXPECT_EQ(service->counters().bad, 0u);
  ASSERT_TRUE(world.run(support::write_all(stream, chunk(99))));
  EXPECT_FALSE(world.run(support::read_frame(stream)));
  EXPECT_EQ(service->counters().bad, 1u);
}

TEST_F(V2ServerTest, RejectsTheThirdRequestAtATime) {
  io::StreamPtr first, second;
  open_paid(first);
  open_paid(second);
  EXPECT_EQ(asked(request({"/ip4/2.2.2.2/tcp/4001"})), refusal(100));
  EXPECT_EQ(service->counters().refused, 1u);
}

TEST_F(V2ServerTest, RejectsTheThirteenthRequestWithinAMinute) {
  for (int i = 0; i < 12; ++i) EXPECT_EQ(asked(request({"/ip4/2.2.2.2/tcp/4001"})), answer(0, 200));
  EXPECT_EQ(asked(request({"/ip4/2.2.2.2/tcp/4001"})), refusal(100));
}

/// What one request is answered.
io::Task<io::Result<io::Bytes>> one_request(swarm::ConnectionPtr connection, io::Bytes bytes) {
  std::vector<std::string> protocols(1, std::string(v2_dial_request_protocol));
  const auto opened = co_await connection->open_stream(std::move(protocols));
  if (!opened) co_return tl::unexpected(opened.error());
  const auto written = co_await opened->stream->write(bytes);
  if (!written) co_return tl::unexpected(written.error());
  co_return co_await support::read_frame(opened->stream);
}

TEST_F(V2ServerTest, TakesSixtyRequestsOfAllPeersInAnyMinute) {
  const auto ask = [&](Peer& peer) {
    const auto connection = peer.swarm().connection_to(server.id());
    return support::start(world.scheduler, one_request(connection, request({"/ip4/192.168.1.1/tcp/4001"})));
  };
  std::vector<Peer*> others;
  for (int i = 1; i <= 6; ++i)
    world.connect(*others.emplace_back(&world.add("3.3.3." + std::to_string(i))), server);

  const auto began = world.scheduler.now();
  const auto first = ask(user);
  ASSERT_TRUE(world.scheduler.run_until([&] { return service->counters().requests == 1; }));
  const auto counted = world.scheduler.now();
  for (int i = 1; i < 60; ++i) {
    const auto each = ask(*others[i % others.size()]);
    world.scheduler.run_for(100ms);
    EXPECT_EQ(each.value(), refusal(101)) << i;
  }
  EXPECT_EQ(first.value(), refusal(101));

  world.scheduler.run_for(began + 60s - 1ms - world.scheduler.now());
  const auto too_early = ask(user);
  world.scheduler.run_for(1ms);
  const auto in_time = ask(*others[0]);  // `counted` is a minute ago when it arrives
  world.scheduler.run_for(1ms);
  const auto too_many = ask(*others[1]);
  world.scheduler.run_for(counted - began + 1s);
  EXPECT_EQ(too_early.value(), refusal(100));
  EXPECT_EQ(in_time.value(), refusal(101));
  EXPECT_EQ(too_many.value(), refusal(100));
}

TEST_F(V2ServerTest, ResetsOnWhatIsNoRequest) {
  EXPECT_FALSE(asked(framed(refusal(101))));
  EXPECT_FALSE(asked(framed(io::Bytes{0xff, 0xff})));
  EXPECT_FALSE(asked(io::Bytes{0x81, 0x40}));  // 8193 bytes are to come
  EXPECT_EQ(service->counters().bad, 3u);
}

TEST_F(V2ServerTest, StoppingEndsWhatRunsAndLeavesNoTimer) {
  io::StreamPtr stream;
  open_paid(stream);
  service->stop();
  for (const auto& each : world.peers) each->node.shut_down();
  world.scheduler.settle();
  EXPECT_EQ(service->active(), 0u);
  EXPECT_EQ(world.scheduler.armed_timers(), 0u);
}

}  // namespace
}  // namespace flaresim::autonat
