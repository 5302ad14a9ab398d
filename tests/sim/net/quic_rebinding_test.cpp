#include <gmock/gmock.h>

#include <string>

#include "protocols/transport/quic/endpoint.h"
#include "sim/net/nat_box.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

using quic::QuicConnection;
using quic::QuicEndpoint;
using testing::HasSubstr;

const LinkProfile lan{.up = {.delay = 1ms}, .down = {.delay = 1ms}};

/// A QUIC connection from a host at home to a public one, through a NAT that forgets a mapping sooner than the
/// connection speaks up by itself, and never gives the same port again.
struct ForgetfulNat : testing::Test {
  static constexpr auto behaviour = "EIM/APDF/sequential,udp_timeout=10s,udp_unreplied_timeout=10s";

  ForgetfulNat() {
    site = world.plug(box.outside(), "home", {ip("198.51.100.1")});
    EXPECT_TRUE(box.attach(at_home.port(), at_home.addresses(), lan));
    open(client, at_home, 1);
    open(server, in_public, 2);
  }
  ~ForgetfulNat() override {
    here.reset();
    there.reset();
    for (auto* endpoint : {client.get(), server.get()}) {
      endpoint->close();
      EXPECT_EQ(endpoint->connections() + endpoint->lingering(), 0u);
    }
  }

  void open(std::unique_ptr<QuicEndpoint>& into, Host& host, std::uint64_t number) {
    io::Random random(number);
    const auto key = crypto::PrivateKey::generate(random);
    auto identity = std::make_shared<const security::TlsIdentity>(key, random, world.simulation.calendar());
    quic::QuicProfile profile;
    profile.open_qlog = [this](std::string_view name) {
      return [this, side = std::string(name.substr(name.size() - 6))](std::string_view piece) {
        qlog[side] += piece;
      };
    };
    into = QuicEndpoint::open(host, at("0.0.0.0", 4001), std::move(identity), std::move(profile), random)
               .value();
  }
  static io::Task<io::Result<QuicConnection>> accept_one_of(QuicEndpoint* endpoint, QuicEndpoint* dialler,
                                                            std::optional<QuicConnection>* dialled) {
    auto connection = co_await dialler->dial(at("203.0.113.1", 4001), std::nullopt, 10s);
    if (!connection) co_return connection;
    dialled->emplace(std::move(*connection));
    co_return co_await endpoint->accept();
  }
  void connect_both() {
    auto accepted = world.run(accept_one_of(server.get(), client.get(), &here));
    ASSERT_TRUE(accepted) << accepted.error().message();
    there.emplace(std::move(*accepted));
    ASSERT_EQ(there->remote.address, ip("198.51.100.1"));
  }
  /// What `to` reads of a stream that `from` opens.
  static io::Task<std::string> tell(QuicConnection* from, QuicConnection* to, std::string text) {
    auto out = co_await from->muxed->open_stream();
    if (!out || !co_await (*out)->write(io::as_bytes(text)) || !co_await (*out)->close_write()) co_return "";
    auto in = co_await to->muxed->accept_stream();
    if (!in) co_return "";
    auto heard = co_await read_text(*in, text.size());
    co_return heard.value_or("");
  }
  std::uint64_t mappings() { return box.nat().counters().mappings_created; }

  SmallWorld world;
  Internet::SiteId site = 0;
  NatBox box{world.simulation, nat::parse_behaviour(behaviour).value(), ip("198.51.100.1"), io::Random(3)};
  Host at_home{world.simulation, {ip("192.168.1.10")}, io::Random(4)};
  Host& in_public = world.add_host("public", {ip("203.0.113.1")});
  std::map<std::string, std::string> qlog;  // by side: "client", "server"
  std::unique_ptr<QuicEndpoint> client, server;
  std::optional<QuicConnection> here, there;
};

TEST_F(ForgetfulNat, AConnectionOutlivesItsMappings) {
  connect_both();
  EXPECT_EQ(mappings(), 1u);
  world.simulation.run_for(65s);  // four times the interval of the keep-alive
  EXPECT_GE(mappings(), 5u);
  EXPECT_FALSE(here->muxed->closed());
  EXPECT_FALSE(there->muxed->closed());
  EXPECT_EQ(server->connections(), 1u);
  EXPECT_EQ(world.run(tell(&*here, &*there, "from home"), 5s), "from home");
  EXPECT_EQ(world.run(tell(&*there, &*here, "to home"), 5s), "to home");
}

TEST_F(ForgetfulNat, TheServerProvesEachNewPath) {
  connect_both();
  world.simulation.run_for(5s);
  EXPECT_THAT(qlog["server"], Not(HasSubstr("path_challenge")));
  world.simulation.run_for(9s);  // forgotten, and neither side has spoken
  EXPECT_EQ(mappings(), 1u);
  EXPECT_EQ(world.run(tell(&*here, &*there, "from elsewhere"), 5s), "from elsewhere");
  world.simulation.run_for(1s);
  EXPECT_EQ(mappings(), 2u);
  // RFC 9000 §9.3.3: before it sends more than a little to the new address.
  EXPECT_THAT(qlog["server"], HasSubstr("path_challenge"));
  EXPECT_THAT(qlog["server"], HasSubstr("path_response"));
  EXPECT_THAT(qlog["client"], HasSubstr("path_response"));
}

TEST_F(ForgetfulNat, WhatTheServerSaysToALostMappingArrivesAfterTheNextKeepAlive) {
  connect_both();
  world.simulation.run_for(12s);
  const auto begun = world.simulation.now();
  EXPECT_EQ(world.run(tell(&*there, &*here, "late"), 30s), "late");
  EXPECT_GT(world.simulation.now() - begun, 1s);
}

TEST_F(ForgetfulNat, AnEndFromANewPathIsHeard) {
  connect_both();
  world.simulation.run_for(12s);
  here->muxed->close(std::make_error_code(std::errc::operation_canceled));
  world.simulation.run_for(1s);
  EXPECT_EQ(mappings(), 2u);
  EXPECT_TRUE(there->muxed->closed());
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(ForgetfulNat, AConnectionOutlivesTheGatewaysAddress) {
  connect_both();
  box.change_address({ip("198.51.100.77")});
  ASSERT_TRUE(world.internet.readdress(site, {ip("198.51.100.77")}));
  EXPECT_EQ(world.run(tell(&*here, &*there, "from home"), 5s), "from home");
  world.simulation.run_for(1s);
  EXPECT_THAT(qlog["server"], HasSubstr("path_challenge"));
  EXPECT_EQ(world.run(tell(&*there, &*here, "to home"), 5s), "to home");
}

TEST_F(ForgetfulNat, AConnectionFollowsItsHostToAnotherNetwork) {
  NatBox cafe(world.simulation, nat::parse_behaviour("EIM/APDF").value(), ip("198.51.100.99"), io::Random(5));
  world.plug(cafe.outside(), "cafe", {ip("198.51.100.99")});
  connect_both();
  at_home.readdress(0, {ip("10.0.0.7")});
  ASSERT_TRUE(cafe.attach(at_home.port(), {ip("10.0.0.7")}, lan));
  EXPECT_EQ(world.run(tell(&*here, &*there, "from the cafe"), 5s), "from the cafe");
  world.simulation.run_for(1s);
  EXPECT_EQ(cafe.nat().counters().mappings_created, 1u);
  EXPECT_EQ(world.run(tell(&*there, &*here, "to the cafe"), 5s), "to the cafe");
  at_home.port().unplug();  // the boxes of this world end before the host does
}

TEST_F(ForgetfulNat, AConnectionOutlivesAShortRebootAndNotALongOne) {
  connect_both();
  box.reboot(10s);
  world.simulation.run_for(20s);
  EXPECT_FALSE(here->muxed->closed());
  EXPECT_EQ(world.run(tell(&*here, &*there, "after"), 30s), "after");
  box.reboot(5min);
  world.simulation.run_for(2min);
  EXPECT_TRUE(here->muxed->closed());
  EXPECT_TRUE(there->muxed->closed());
}

}  // namespace
}  // namespace flaresim::net
