// Two homes behind Linux routers, 20 ms apart one way, that start to punch at different times. What a real
// kernel's nftables masquerade did: UDP 10 of 10 up to a stagger of 18 ms and 0 of 10 from 22 ms on, a retry
// lost after 5 s and 15 s and good after 40 s; TCP 9 of 9 up to 15 ms and 0 of 6 from 25 ms on (refused), a
// retry good after 0.2 s. With an INPUT chain that drops, every stagger worked.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/net/nat_box.h"
#include "sim/world/nat_presets.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

constexpr io::Duration one_way = 20ms;
constexpr std::uint16_t port = 4001;
const auto outside_a = at("198.51.100.1", port);
const auto outside_b = at("198.51.100.2", port);

/// How much later B starts than A, on both sides of the one-way delay; never exactly at it, where a packet
/// and a start share an instant.
const std::vector<io::Duration> staggers{-40ms, -30ms, -25ms, -21ms, -19ms, -15ms, -10ms, -5ms, 0ms,
                                         5ms,   10ms,  15ms,  19ms,  21ms,  25ms,  30ms,  40ms};

bool within_one_way(io::Duration stagger) { return std::chrono::abs(stagger) < one_way; }

/// Host `a` behind one router and host `b` behind another of the same kind. Routers keep ports, so that each
/// side knows where the other will be seen.
struct TwoRouters : SmallWorld {
  explicit TwoRouters(const char* preset)
      : SmallWorld({}, {}, 1, one_way),
        router_a(simulation, world::parse_nat(preset).value(), outside_a.address, random.derive("router a")),
        router_b(simulation, world::parse_nat(preset).value(), outside_b.address, random.derive("router b")),
        a(simulation, {ip("192.168.1.10")}, random.derive("a")),
        b(simulation, {ip("192.168.2.10")}, random.derive("b")) {
    plug(router_a.outside(), "home a", {outside_a.address});
    plug(router_b.outside(), "home b", {outside_b.address});
    EXPECT_TRUE(router_a.attach(a.port(), a.addresses(), {}));
    EXPECT_TRUE(router_b.attach(b.port(), b.addresses(), {}));
  }

  /// Calls one function at once and the other `stagger` later; or the other way round when it is negative.
  template <class StartA, class StartB>
  void start(io::Duration stagger, StartA start_a, StartB start_b) {
    const auto now = simulation.now();
    const auto first = std::min(io::Duration::zero(), stagger);
    simulation.start_timer(now - first, start_a);
    simulation.start_timer(now - first + stagger, start_b);
  }

  NatBox router_a;
  NatBox router_b;
  Host a;
  Host b;
};

/// A UDP socket that punches towards one remote endpoint.
class UdpSide {
 public:
  UdpSide(TwoRouters& world, Host& host, const io::Endpoint& remote)
      : world_(world), remote_(remote), socket_(host.bind(at("0.0.0.0", port)).value()) {
    io::spawn(world.simulation.executor(), listen(this));
  }

  /// Five datagrams, 100 ms apart.
  void punch() {
    heard_ = false;
    for (int i = 0; i < 5; ++i) {
      world_.simulation.start_timer(world_.simulation.now() + i * 100ms, [this] {
        EXPECT_TRUE(socket_->send_to(io::as_bytes("punch"), remote_));
      });
    }
  }
  bool heard() const { return heard_; }
  void close() { socket_->close(); }

 private:
  static io::Task<> listen(UdpSide* side) {
    for (;;) {
      const auto datagram = co_await side->socket_->receive();
      if (!datagram) co_return;
      side->heard_ = side->heard_ || datagram->from == side->remote_;
    }
  }

  TwoRouters& world_;
  io::Endpoint remote_;
  std::unique_ptr<io::DatagramSocket> socket_;
  bool heard_ = false;
};

struct UdpPunch {
  explicit UdpPunch(const char* preset) : world(preset) {}
  ~UdpPunch() {
    a.close();
    b.close();
    world.simulation.drain();
  }

  /// One attempt on the same two sockets, a second long: true when each side hears the other where it expects
  /// it.
  bool attempt(io::Duration stagger) {
    world.start(
        stagger, [this] { a.punch(); }, [this] { b.punch(); });
    world.simulation.run_for(1s);
    EXPECT_EQ(a.heard(), b.heard()) << "one direction alone is open";
    return a.heard() && b.heard();
  }

  TwoRouters world;
  UdpSide a{world, world.a, outside_b};
  UdpSide b{world, world.b, outside_a};
};

TEST(UdpThroughLinux, PunchesWhenTheSidesStartWithinTheOneWayDelayAndNotBeyondIt) {
  for (const auto stagger : staggers) {
    UdpPunch punch("linux");
    EXPECT_EQ(punch.attempt(stagger), within_one_way(stagger)) << stagger / 1ms << " ms";
  }
}

TEST(UdpThroughLinux, TheStepIsAtTheOneWayDelayToTheMicrosecond) {
  for (const auto sign : {-1, 1}) {
    EXPECT_TRUE(UdpPunch("linux").attempt(sign * (one_way - 1us)));
    EXPECT_FALSE(UdpPunch("linux").attempt(sign * (one_way + 1us)));
  }
}

TEST(UdpThroughLinux, APerfectlyTimedRetryAfter5sOr15sIsLostAndAfter40sWorks) {
  for (const auto& [silence, works] : {std::pair{5s, false}, {15s, false}, {40s, true}}) {
    UdpPunch punch("linux");
    ASSERT_FALSE(punch.attempt(40ms));
    punch.world.simulation.run_for(silence);
    EXPECT_EQ(punch.attempt(0ms), works) << "after " << silence.count() << " s of silence";
  }
}

TEST(UdpThroughLinux, ThreeQuickRetriesAreAllLost) {
  UdpPunch punch("linux");
  ASSERT_FALSE(punch.attempt(40ms));
  for (int retry = 0; retry < 3; ++retry) EXPECT_FALSE(punch.attempt(0ms));
}

TEST(UdpThroughLinuxInputDrop, PunchesWhateverTheStagger) {
  for (const auto stagger : staggers)
    EXPECT_TRUE(UdpPunch("linux-input-drop").attempt(stagger)) << stagger / 1ms << " ms";
}

/// Both sides listen, and dial each other from the port that they listen on.
struct TcpPunch {
  explicit TcpPunch(const char* preset) : world(preset) {}

  struct Ends {
    io::Result<> a;
    io::Result<> b;
  };
  /// How the two dials end.
  Ends attempt(io::Duration stagger) {
    std::shared_ptr<io::StreamSocket> from_a, from_b;
    world.start(
        stagger, [&] { from_a = world.a.dial(outside_b, port).value(); },
        [&] { from_b = world.b.dial(outside_a, port).value(); });
    world.simulation.run_for(std::chrono::abs(stagger));
    const Ends ends{world.run(connect(from_a)), world.run(connect(from_b))};
    from_a->reset();
    from_b->reset();
    world.simulation.run_for(2 * one_way);
    return ends;
  }

  TwoRouters world;
  std::unique_ptr<io::Listener> listens_a = world.a.listen(at("0.0.0.0", port)).value();
  std::unique_ptr<io::Listener> listens_b = world.b.listen(at("0.0.0.0", port)).value();
};

TEST(TcpThroughLinux, PunchesWhenTheSidesDialWithinTheOneWayDelay) {
  for (const auto stagger : staggers) {
    if (!within_one_way(stagger)) continue;
    const auto ends = TcpPunch("linux").attempt(stagger);
    EXPECT_TRUE(ends.a && ends.b) << stagger / 1ms << " ms";
  }
}

TEST(TcpThroughLinux, BothSidesAreRefusedByTheRoutersBeyondTheOneWayDelay) {
  for (const auto stagger : staggers) {
    if (within_one_way(stagger)) continue;
    const auto ends = TcpPunch("linux").attempt(stagger);
    EXPECT_EQ(error_of(ends.a), std::errc::connection_refused) << stagger / 1ms << " ms";
    EXPECT_EQ(error_of(ends.b), std::errc::connection_refused) << stagger / 1ms << " ms";
  }
}

TEST(TcpThroughLinux, TheStepIsAtTheOneWayDelayToTheMicrosecond) {
  for (const auto sign : {-1, 1}) {
    EXPECT_TRUE(TcpPunch("linux").attempt(sign * (one_way - 1us)).a);
    EXPECT_FALSE(TcpPunch("linux").attempt(sign * (one_way + 1us)).a);
  }
}

TEST(TcpThroughLinux, AnImmediateRetryWorksBecauseTheRoutersRememberNothing) {
  for (const auto pause : {0ms, 200ms, 5000ms}) {
    TcpPunch punch("linux");
    const auto refused = punch.attempt(40ms);
    ASSERT_FALSE(refused.a || refused.b);
    EXPECT_EQ(punch.world.router_a.nat().size(punch.world.simulation.now().time_since_epoch()), 0u);
    EXPECT_EQ(punch.world.router_b.nat().size(punch.world.simulation.now().time_since_epoch()), 0u);
    punch.world.simulation.run_for(pause);
    const auto retried = punch.attempt(0ms);
    EXPECT_TRUE(retried.a && retried.b) << pause / 1ms << " ms later";
  }
}

TEST(TcpThroughLinuxInputDrop, PunchesWhateverTheStagger) {
  for (const auto stagger : staggers) {
    const auto ends = TcpPunch("linux-input-drop").attempt(stagger);
    EXPECT_TRUE(ends.a && ends.b) << stagger / 1ms << " ms";
  }
}

}  // namespace
}  // namespace flaresim::net
