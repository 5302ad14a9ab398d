#include "sim/os/real_network.h"

#include <gmock/gmock.h>

#include "protocols/io/stream.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/os/real_world.h"

namespace flaresim::os {
namespace {

using namespace std::chrono_literals;
using io::Bytes;

class RealNetworkTest : public RealWorld {
 protected:
  Bytes read_some(io::Stream& stream) {
    Bytes buffer(1024);
    buffer.resize(run(stream.read(buffer)).value());
    return buffer;
  }
  Failure read_error(io::Stream& stream) {
    Bytes buffer(1);
    return error_of(run(stream.read(buffer)));
  }
};

io::Task<std::size_t> echo(std::shared_ptr<io::Stream> stream) {
  Bytes buffer(4096);
  std::size_t total = 0;
  for (;;) {
    const auto got = co_await stream->read(buffer);
    if (!got || *got == 0) break;
    total += *got;
    if (!co_await stream->write(io::BytesView(buffer).first(*got))) break;
  }
  co_await stream->close_write();
  co_return total;
}

io::Task<io::Result<>> write_and_close(std::shared_ptr<io::Stream> stream, Bytes bytes) {
  if (auto written = co_await stream->write(bytes); !written) co_return written;
  co_return co_await stream->close_write();
}

io::Task<Bytes> read_all(std::shared_ptr<io::Stream> stream) {
  Bytes all;
  Bytes buffer(10'000);
  for (;;) {
    const auto got = co_await stream->read(buffer);
    if (!got || *got == 0) co_return all;
    io::append(all, io::BytesView(buffer).first(*got));
  }
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  io::Random(seed).fill(bytes);
  return bytes;
}

TEST_F(RealNetworkTest, BothEndsNameTheSameTwoEndpoints) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  EXPECT_NE(listening->local().port, 0);
  EXPECT_EQ(dialled->remote(), listening->local());
  EXPECT_EQ(accepted->local(), listening->local());
  EXPECT_EQ(accepted->remote(), dialled->local());
  EXPECT_TRUE(run(accepted->connected()).has_value());
}

TEST_F(RealNetworkTest, AMegabyteComesBackAsItWas) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  const auto sent = noise(1 << 20, 1);
  auto echoing = start(echo(accepted));
  auto writing = start(write_and_close(dialled, sent));
  EXPECT_EQ(run(read_all(dialled)), sent);
  EXPECT_TRUE(writing.wait().has_value());
  EXPECT_EQ(echoing.wait(), sent.size());
}

TEST_F(RealNetworkTest, AMegabyteEachWayAtOnce) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  const auto there = noise(1 << 20, 1);
  const auto back = noise(1 << 20, 2);
  auto writing_there = start(write_and_close(dialled, there));
  auto writing_back = start(write_and_close(accepted, back));
  auto reading_back = start(read_all(dialled));
  EXPECT_EQ(run(read_all(accepted)), there);
  EXPECT_EQ(reading_back.wait(), back);
  EXPECT_TRUE(writing_there.wait().has_value());
  EXPECT_TRUE(writing_back.wait().has_value());
}

TEST_F(RealNetworkTest, AWriterWaitsForAReaderThatDoesNotRead) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  auto writing = start(write_and_close(dialled, Bytes(32 << 20)));
  pass(100ms);
  EXPECT_FALSE(writing.done());
  accepted->reset();
  EXPECT_EQ(error_of(writing.wait()), std::errc::connection_reset);
}

TEST_F(RealNetworkTest, ADialToAClosedPortIsRefused) {
  auto listening = listener();
  const auto closed = listening->local();
  listening->close();
  const auto dialled = network_.dial(closed, {}).value();
  EXPECT_EQ(error_of(run(dialled->connected())), std::errc::connection_refused);
  EXPECT_EQ(error_of(run(dialled->connected())), std::errc::connection_refused);
}

TEST_F(RealNetworkTest, ADialWithoutARouteIsUnreachable) {
  // 240.0.0.0/4 is reserved; Linux has no route that accepts it as a broadcast destination for TCP.
  const auto dialled = network_.dial({boost::asio::ip::address_v4::broadcast(), 1}, {}).value();
  EXPECT_EQ(error_of(run(dialled->connected())), std::errc::network_unreachable);
}

TEST_F(RealNetworkTest, AfterHalfAClosureTheOtherDirectionGoesOn) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  must(dialled->write(io::as_bytes("ping")));
  must(dialled->close_write());
  EXPECT_EQ(run(read_all(accepted)), io::to_bytes("ping"));
  must(accepted->write(io::as_bytes("pong")));
  EXPECT_EQ(read_some(*dialled), io::to_bytes("pong"));
}

TEST_F(RealNetworkTest, TheEndOfTheStreamStaysTheEnd) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  must(accepted->close_write());
  EXPECT_TRUE(read_some(*dialled).empty());
  EXPECT_TRUE(read_some(*dialled).empty());
}

TEST_F(RealNetworkTest, TheRemoteSeesAReset) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  dialled->reset();
  EXPECT_EQ(read_error(*accepted), std::errc::connection_reset);
  EXPECT_EQ(error_of(run(accepted->write(io::as_bytes("x")))), std::errc::connection_reset);
}

TEST_F(RealNetworkTest, TheRemoteSeesAResetOnAStreamItHasHalfClosed) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  must(dialled->close_write());
  EXPECT_TRUE(read_some(*accepted).empty());
  dialled->reset();
  pass(10ms);
  EXPECT_EQ(error_of(run(accepted->write(io::as_bytes("x")))), std::errc::connection_reset);
}

TEST_F(RealNetworkTest, AStreamThatIsDestroyedIsReset) {
  const auto listening = listener();
  auto [dialled, accepted] = connect(*listening);
  dialled.reset();
  EXPECT_EQ(read_error(*accepted), std::errc::connection_reset);
}

TEST_F(RealNetworkTest, WhatWasWrittenBeforeBothDirectionsEndedArrives) {
  const auto listening = listener();
  auto [dialled, accepted] = connect(*listening);
  const auto sent = noise(100'000, 3);
  must(accepted->close_write());
  EXPECT_TRUE(read_some(*dialled).empty());
  auto reading = start(read_all(accepted));
  must(write_and_close(dialled, sent));
  dialled.reset();
  EXPECT_EQ(reading.wait(), sent);
}

TEST_F(RealNetworkTest, TheFirstReasonOfAResetStays) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  auto reading = start(read_all(dialled));
  Bytes buffer(1);
  auto pending = start(accepted->read(buffer));
  pass(1ms);
  accepted->reset(std::errc::timed_out);
  accepted->reset(std::errc::bad_message);
  EXPECT_EQ(error_of(pending.wait()), std::errc::timed_out);
  EXPECT_EQ(read_error(*accepted), std::errc::timed_out);
  EXPECT_EQ(error_of(run(accepted->write(io::as_bytes("x")))), std::errc::timed_out);
  EXPECT_EQ(error_of(run(accepted->close_write())), std::errc::timed_out);
  reading.wait();
}

TEST_F(RealNetworkTest, ADialGivenUpFailsWithTheReason) {
  const auto listening = listener();
  const auto dialled = network_.dial(listening->local(), {}).value();
  dialled->reset(std::errc::timed_out);
  EXPECT_EQ(error_of(run(dialled->connected())), std::errc::timed_out);
}

TEST_F(RealNetworkTest, ADeadlineEndsAReadThatWaits) {
  const auto listening = listener();
  const auto [dialled, accepted] = connect(*listening);
  const auto before = scheduler_.now();
  const io::Deadline limit(scheduler_, dialled, 20ms);
  EXPECT_EQ(read_error(*dialled), std::errc::timed_out);
  EXPECT_GE(scheduler_.now() - before, 20ms);
  EXPECT_EQ(read_error(*accepted), std::errc::connection_reset);
}

TEST_F(RealNetworkTest, DialsLeaveFromThePortOfAListener) {
  const auto home = listener();
  const auto first = listener();
  const auto second = listener();
  const auto to_first = connect(*first, home->local().port);
  const auto to_second = connect(*second, home->local().port);
  EXPECT_EQ(to_first.accepted->remote(), home->local());
  EXPECT_EQ(to_second.accepted->remote(), home->local());
  const auto inbound = connect(*home);
  must(inbound.dialled->write(io::as_bytes("still here")));
  EXPECT_EQ(read_some(*inbound.accepted), io::to_bytes("still here"));
}

TEST_F(RealNetworkTest, ATakenFourTupleCannotBeDialled) {
  const auto home = listener();
  const auto away = listener();
  const auto first = connect(*away, home->local().port);
  EXPECT_EQ(error_of(network_.dial(away->local(), home->local().port)), std::errc::address_in_use);
}

TEST_F(RealNetworkTest, APortThatOneListenerHasIsTakenForAnother) {
  const auto home = listener();
  EXPECT_EQ(error_of(network_.listen(home->local())), std::errc::address_in_use);
}

TEST_F(RealNetworkTest, APortCanBeListenedOnAgainAfterItsConnectionsWereClosed) {
  auto home = listener();
  const auto at = home->local();
  {
    const auto [dialled, accepted] = connect(*home);
    must(accepted->close_write());  // our side closes first, and so keeps TIME_WAIT
    EXPECT_TRUE(read_some(*dialled).empty());
    must(dialled->close_write());
    EXPECT_TRUE(read_some(*accepted).empty());
  }
  home->close();
  EXPECT_TRUE(network_.listen(at).has_value());
}

TEST_F(RealNetworkTest, AClosedListenerEndsWhoeverAccepts) {
  auto listening = listener();
  auto accepting = start(listening->accept());
  pass(1ms);
  listening->close();
  EXPECT_EQ(error_of(accepting.wait()), std::errc::operation_canceled);
  EXPECT_EQ(error_of(run(listening->accept())), std::errc::operation_canceled);
}

TEST_F(RealNetworkTest, AListenerMayBeDestroyedUnderWhoeverAccepts) {
  auto listening = listener();
  auto accepting = start(listening->accept());
  pass(1ms);
  listening.reset();
  EXPECT_EQ(error_of(accepting.wait()), std::errc::operation_canceled);
}

TEST_F(RealNetworkTest, Ipv6HasItsOwnPortSpace) {
  const io::Endpoint any_v6{boost::asio::ip::address_v6::any(), 0};
  const auto v6 = network_.listen(any_v6);
  if (!v6) GTEST_SKIP() << "no IPv6 here: " << v6.error().message();
  const auto v4 = network_.listen({boost::asio::ip::address_v4::any(), (*v6)->local().port});
  ASSERT_TRUE(v4.has_value()) << v4.error().message();
  const auto dialled =
      network_.dial({boost::asio::ip::address_v6::loopback(), (*v6)->local().port}, {}).value();
  if (!run(dialled->connected())) GTEST_SKIP() << "no IPv6 loopback address here";
  const auto accepted = run((*v6)->accept()).value();
  EXPECT_EQ(accepted->remote(), dialled->local());
}

TEST_F(RealNetworkTest, DatagramsKeepTheirBoundsAndNameTheirSender) {
  const auto a = network_.bind(loopback()).value();
  const auto b = network_.bind(loopback()).value();
  const Bytes large = noise(60'000, 4);
  ASSERT_TRUE(a->send_to(io::as_bytes("one"), b->local()));
  ASSERT_TRUE(a->send_to({}, b->local()));
  ASSERT_TRUE(a->send_to(large, b->local()));
  const auto first = run(b->receive()).value();
  EXPECT_EQ(first.payload, io::to_bytes("one"));
  EXPECT_EQ(first.from, a->local());
  EXPECT_TRUE(run(b->receive()).value().payload.empty());
  EXPECT_EQ(run(b->receive()).value().payload, large);
}

TEST_F(RealNetworkTest, ADatagramAboveTheLimitOfIpIsRefused) {
  const auto a = network_.bind(loopback()).value();
  EXPECT_EQ(error_of(a->send_to(Bytes(70'000), loopback(9))), std::errc::message_size);
}

TEST_F(RealNetworkTest, AClosedDatagramSocketEndsWhoeverReceives) {
  auto socket = network_.bind(loopback()).value();
  auto receiving = start(socket->receive());
  pass(1ms);
  socket.reset();
  EXPECT_EQ(error_of(receiving.wait()), std::errc::operation_canceled);
}

TEST_F(RealNetworkTest, ADatagramPortIsTakenOnce) {
  const auto socket = network_.bind(loopback()).value();
  EXPECT_EQ(error_of(network_.bind(socket->local())), std::errc::address_in_use);
}

TEST_F(RealNetworkTest, LoopbackAddressesComeLast) {
  const auto addresses = network_.addresses();
  ASSERT_THAT(addresses, testing::Contains(loopback().address));
  const auto first_loopback = std::find_if(addresses.begin(), addresses.end(),
                                           [](const auto& address) { return address.is_loopback(); });
  EXPECT_TRUE(std::all_of(first_loopback, addresses.end(),
                          [](const auto& address) { return address.is_loopback(); }));
}

TEST_F(RealNetworkTest, RandomnessHasTwoSources) {
  RealNetwork other(scheduler_);
  EXPECT_NE(network_.random("x").next(), other.random("x").next());
  EXPECT_NE(network_.random("x").next(), network_.random("y").next());
  RealNetwork seeded(scheduler_, io::Random(7));
  EXPECT_EQ(seeded.random("x").next(), io::Random(7).derive("x").next());
}

}  // namespace
}  // namespace flaresim::os
