#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

/// A host against a peer whose every segment is made by hand; 50 ms each way.
class TcpSegments : public testing::Test {
 protected:
  TcpSegments() { world.plug(peer, "peer", {peer_end.address}); }

  std::shared_ptr<io::StreamSocket> dial() { return world.host.dial(peer_end, 4001).value(); }
  void peer_sends(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged = 0) {
    peer.send_segment(peer_end, host_end, flags, sequence, acknowledged);
    world.simulation.run_for(110ms);
  }
  const Probe::Received& last() const { return peer.received.back(); }
  /// The SYN of a dial, arrived at the peer.
  std::uint32_t syn_of_dial() {
    world.simulation.run_for(60ms);
    EXPECT_EQ(last().packet.tcp_flags, tcp_syn);
    return last().packet.tcp_sequence;
  }
  bool is_connected(const std::shared_ptr<io::StreamSocket>& socket) {
    return world.try_run(connect(socket), 1ns).has_value();
  }

  struct World : SmallWorld {
    Host& host = add_host("host", {ip("192.0.2.1")});
  } world;
  Probe peer{world.simulation};
  const io::Endpoint host_end = at("192.0.2.1", 4001);
  const io::Endpoint peer_end = at("192.0.2.9", 4001);
};

constexpr std::uint32_t irs = 0x9000'0000;  // where the peer begins, in the upper half of the numbers

TEST_F(TcpSegments, SynsAreRepeatedAfterOneThreeSevenSecondsAndGivenUpAfter127) {
  const auto socket = dial();
  EXPECT_EQ(error_of(world.run(connect(socket))), std::errc::timed_out);
  EXPECT_EQ(world.simulation.now(), t0 + 127s);
  std::vector<io::Duration> sent;
  for (const auto& each : peer.received) {
    EXPECT_EQ(each.packet.tcp_flags, tcp_syn);
    EXPECT_EQ(each.packet.tcp_sequence, peer.received[0].packet.tcp_sequence);
    sent.push_back(each.at - t0 - 50ms);
  }
  EXPECT_EQ(sent, (std::vector<io::Duration>{0s, 1s, 3s, 7s, 15s, 31s, 63s}));
  EXPECT_EQ(world.host.tcp_connections(), 0u);
}

TEST_F(TcpSegments, SynAcksAreRepeatedAfterOneThreeSevenSecondsAndGivenUpAfter63) {
  auto listener = world.host.listen(host_end).value();
  peer_sends(tcp_syn, irs);
  world.simulation.run_until(t0 + 63s + 49ms);
  EXPECT_EQ(world.host.tcp_connections(), 1u);
  world.simulation.run_for(2ms);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
  std::vector<io::Duration> sent;
  for (const auto& each : peer.received) {
    EXPECT_EQ(each.packet.tcp_flags, tcp_syn | tcp_ack);
    EXPECT_EQ(each.acknowledged, irs + 1);
    sent.push_back(each.at - t0 - 100ms);
  }
  EXPECT_EQ(sent, (std::vector<io::Duration>{0s, 1s, 3s, 7s, 15s, 31s}));
}

TEST_F(TcpSegments, AGivenUpDialPutsNothingOnTheWire) {
  const auto socket = dial();
  syn_of_dial();
  socket->reset(std::errc::operation_canceled);
  EXPECT_EQ(error_of(world.run(connect(socket))), std::errc::operation_canceled);
  world.simulation.run_for(200s);
  EXPECT_EQ(peer.received.size(), 1u);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
}

TEST_F(TcpSegments, AnAbandonedDialPutsNothingOnTheWireEither) {
  dial();  // destroyed at once
  world.simulation.run_for(200s);
  EXPECT_EQ(peer.received.size(), 1u);
}

TEST_F(TcpSegments, InitialSequenceNumbersDiffer) {
  std::set<std::uint32_t> seen;
  for (std::uint16_t port = 5000; port < 5032; ++port) {
    const auto socket = world.host.dial(peer_end, port).value();
    world.simulation.run_for(60ms);
    seen.insert(last().packet.tcp_sequence);
  }
  EXPECT_EQ(seen.size(), 32u);
}

TEST_F(TcpSegments, TheHandshakeCompletesWithAnyNumbers) {
  const auto socket = dial();
  const auto iss = syn_of_dial();
  peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
  EXPECT_TRUE(is_connected(socket));
  EXPECT_EQ(last().packet.tcp_flags, tcp_ack);
  EXPECT_EQ(last().packet.tcp_sequence, iss + 1);
  EXPECT_EQ(last().acknowledged, irs + 1);
}

// SYN-SENT, RFC 9293 §3.10.7.3

TEST_F(TcpSegments, InSynSentAResetWithoutAcknowledgementIsIgnored) {
  const auto socket = dial();
  const auto iss = syn_of_dial();
  peer_sends(tcp_rst, 0);
  peer_sends(tcp_rst, iss + 1);
  peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
  EXPECT_TRUE(is_connected(socket));
}

TEST_F(TcpSegments, InSynSentAResetThatAcknowledgesSomethingElseIsIgnored) {
  const auto socket = dial();
  const auto iss = syn_of_dial();
  peer_sends(tcp_rst | tcp_ack, 0, iss);
  peer_sends(tcp_rst | tcp_ack, 0, iss + 2);
  EXPECT_EQ(peer.received.size(), 1u);
  peer_sends(tcp_rst | tcp_ack, 0, iss + 1);
  EXPECT_EQ(error_of(world.run(connect(socket))), std::errc::connection_refused);
}

TEST_F(TcpSegments, InSynSentAWrongAcknowledgementIsAnsweredWithItsReset) {
  const auto socket = dial();
  const auto iss = syn_of_dial();
  peer_sends(tcp_syn | tcp_ack, irs, iss + 77);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst);
  EXPECT_EQ(last().packet.tcp_sequence, iss + 77);
  peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
  EXPECT_TRUE(is_connected(socket));
}

TEST_F(TcpSegments, InSynSentAnAcknowledgementWithoutSynChangesNothing) {
  const auto socket = dial();
  const auto iss = syn_of_dial();
  peer_sends(tcp_ack, irs, iss + 1);
  EXPECT_EQ(peer.received.size(), 1u);
  peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
  EXPECT_TRUE(is_connected(socket));
}

// SYN-RECEIVED after our own SYN

/// Both SYNs have crossed; the host has sent its SYN|ACK.
class TcpSimultaneous : public TcpSegments {
 protected:
  TcpSimultaneous() : socket(dial()), iss(syn_of_dial()) {
    peer_sends(tcp_syn, irs);
    EXPECT_EQ(last().packet.tcp_flags, tcp_syn | tcp_ack);
    EXPECT_EQ(last().packet.tcp_sequence, iss);
    EXPECT_EQ(last().acknowledged, irs + 1);
  }
  void expect_completes() {
    peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
    EXPECT_TRUE(is_connected(socket));
  }
  void expect_answer(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged) {
    EXPECT_EQ(last().packet.tcp_flags, flags);
    EXPECT_EQ(last().packet.tcp_sequence, sequence);
    EXPECT_EQ(last().acknowledged, acknowledged);
  }

  std::shared_ptr<io::StreamSocket> socket;
  std::uint32_t iss;
};

TEST_F(TcpSimultaneous, TheOtherSynAckCompletesIt) {
  expect_completes();
  expect_answer(tcp_ack, iss + 1, irs + 1);
}

TEST_F(TcpSimultaneous, ABareAcknowledgementCompletesIt) {
  peer_sends(tcp_ack, irs + 1, iss + 1);
  EXPECT_TRUE(is_connected(socket));
}

TEST_F(TcpSimultaneous, AThirdSynWithAnotherNumberIsAnsweredWithWhatIsExpected) {
  peer_sends(tcp_syn, irs + 100'000);
  expect_answer(tcp_ack, iss + 1, irs + 1);
  peer_sends(tcp_syn, irs - 100'000);
  expect_answer(tcp_ack, iss + 1, irs + 1);
  expect_completes();
}

TEST_F(TcpSimultaneous, ASynAckWithAnotherNumberIsNotTheSecondHalf) {
  peer_sends(tcp_syn | tcp_ack, irs + 5, iss + 1);
  expect_answer(tcp_ack, iss + 1, irs + 1);
  EXPECT_FALSE(is_connected(socket));
  expect_completes();
}

TEST_F(TcpSimultaneous, ASynAckThatAcknowledgesSomethingElseIsReset) {
  peer_sends(tcp_syn | tcp_ack, irs, iss + 9);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst);
  EXPECT_EQ(last().packet.tcp_sequence, iss + 9);
  expect_completes();
}

TEST_F(TcpSimultaneous, AnAcknowledgementOfSomethingElseIsReset) {
  peer_sends(tcp_ack, irs + 1, iss + 9);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst);
  EXPECT_EQ(last().packet.tcp_sequence, iss + 9);
  expect_completes();
}

TEST_F(TcpSimultaneous, AResetCountsAtTheExpectedNumberOnly) {
  peer_sends(tcp_rst, irs + 2);  // in the window: questioned
  expect_answer(tcp_ack, iss + 1, irs + 1);
  const auto answers = peer.received.size();
  peer_sends(tcp_rst, irs - 2);  // outside: ignored
  EXPECT_EQ(peer.received.size(), answers);
  EXPECT_EQ(world.host.tcp_connections(), 1u);
  peer_sends(tcp_rst, irs + 1);
  EXPECT_EQ(error_of(world.run(connect(socket))), std::errc::connection_refused);
}

TEST_F(TcpSimultaneous, TheSynAckIsWhatIsRepeated) {
  peer.received.clear();
  world.simulation.run_for(2s);
  ASSERT_FALSE(peer.received.empty());
  for (const auto& each : peer.received) EXPECT_EQ(each.packet.tcp_flags, tcp_syn | tcp_ack);
}

// SYN-RECEIVED after a passive opening

class TcpPassive : public TcpSegments {
 protected:
  TcpPassive() : listener(world.host.listen(host_end).value()) {
    peer_sends(tcp_syn, irs);
    EXPECT_EQ(last().packet.tcp_flags, tcp_syn | tcp_ack);
    iss = last().packet.tcp_sequence;
  }

  std::unique_ptr<io::Listener> listener;
  std::uint32_t iss = 0;
};

TEST_F(TcpPassive, TheSameSynAgainGetsTheSameSynAck) {
  peer_sends(tcp_syn, irs);
  EXPECT_EQ(last().packet.tcp_flags, tcp_syn | tcp_ack);
  EXPECT_EQ(last().packet.tcp_sequence, iss);
  EXPECT_EQ(world.host.tcp_connections(), 1u);
}

TEST_F(TcpPassive, AnotherSynInTheWindowStartsOver) {
  peer_sends(tcp_syn, irs + 1000);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
  peer_sends(tcp_syn, irs + 1000);
  EXPECT_EQ(last().packet.tcp_flags, tcp_syn | tcp_ack);
  EXPECT_EQ(last().acknowledged, irs + 1001);
}

TEST_F(TcpPassive, AResetEndsItSilently) {
  peer_sends(tcp_rst, irs + 1);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
  EXPECT_EQ(peer.received.size(), 1u);
}

TEST_F(TcpPassive, NothingIsAcceptedBeforeTheHandshakeEnds) {
  auto accepting = accept_one(*listener);
  peer_sends(tcp_ack, irs + 1, iss + 1);
  const auto accepted = world.run(std::move(accepting));
  EXPECT_EQ(accepted->remote(), peer_end);
}

TEST_F(TcpPassive, AListenerThatHasClosedResetsTheLatecomer) {
  listener->close();
  peer_sends(tcp_ack, irs + 1, iss + 1);
  EXPECT_NE(last().packet.tcp_flags & tcp_rst, 0);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
}

// ESTABLISHED

class TcpEstablished : public TcpSegments {
 protected:
  TcpEstablished() : socket(dial()), iss(syn_of_dial()) {
    peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
    EXPECT_TRUE(is_connected(socket));
    peer.received.clear();
  }
  void expect_challenge() {
    ASSERT_EQ(peer.received.size(), 1u);
    EXPECT_EQ(last().packet.tcp_flags, tcp_ack);
    EXPECT_EQ(last().packet.tcp_sequence, iss + 1);
    EXPECT_EQ(last().acknowledged, irs + 1);
    EXPECT_EQ(world.host.tcp_connections(), 1u);
  }

  std::shared_ptr<io::StreamSocket> socket;
  std::uint32_t iss;
};

TEST_F(TcpEstablished, AResetOutsideOfTheWindowIsIgnored) {
  peer_sends(tcp_rst, irs);
  peer_sends(tcp_rst, irs + 0x1000'0000);
  EXPECT_TRUE(peer.received.empty());
  EXPECT_EQ(world.host.tcp_connections(), 1u);
}

TEST_F(TcpEstablished, AResetInTheWindowButNotNextIsQuestioned) {
  peer_sends(tcp_rst, irs + 2);
  expect_challenge();
}

TEST_F(TcpEstablished, AResetAtTheNextNumberEndsIt) {
  peer_sends(tcp_rst, irs + 1);
  EXPECT_EQ(error_of(world.run(read_some(socket))), std::errc::connection_reset);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
}

TEST_F(TcpEstablished, ARepeatedSynAckIsAcknowledgedAgain) {
  peer_sends(tcp_syn | tcp_ack, irs, iss + 1);
  expect_challenge();
}

TEST_F(TcpEstablished, ASynIsQuestioned) {
  peer_sends(tcp_syn, irs + 7777);
  expect_challenge();
}

TEST_F(TcpEstablished, AnAcknowledgementOfTheFutureIsAnsweredAndDropped) {
  peer_sends(tcp_ack, irs + 1, iss + 1000);
  expect_challenge();
}

TEST_F(TcpEstablished, ASegmentWithoutAcknowledgementIsDropped) {
  peer_sends(tcp_fin, irs + 1);
  EXPECT_TRUE(peer.received.empty());
}

TEST_F(TcpEstablished, ARepeatedFinIsAcknowledgedAgain) {
  peer_sends(tcp_fin | tcp_ack, irs + 1, iss + 1);
  EXPECT_EQ(world.run(read_some(socket)).value(), 0u);
  ASSERT_FALSE(peer.received.empty());
  EXPECT_EQ(last().acknowledged, irs + 2);
  peer.received.clear();
  peer_sends(tcp_fin | tcp_ack, irs + 1, iss + 1);
  ASSERT_FALSE(peer.received.empty());
  EXPECT_EQ(last().acknowledged, irs + 2);
}

TEST_F(TcpEstablished, AFinIsRepeatedWithDoublingIntervalsAndGivenUp) {
  ASSERT_TRUE(world.run(finish(socket)));
  world.simulation.run_for(600s);
  EXPECT_EQ(peer.received.size(), 9u);
  for (std::size_t i = 2; i < peer.received.size(); ++i) {
    const auto interval = peer.received[i].at - peer.received[i - 1].at;
    const auto previous = peer.received[i - 1].at - peer.received[i - 2].at;
    EXPECT_EQ(interval, previous * 2);
  }
  EXPECT_EQ(error_of(world.run(read_some(socket))), std::errc::timed_out);
  EXPECT_EQ(world.host.tcp_connections(), 0u);
}

TEST_F(TcpEstablished, AResetOfOursCarriesTheNumberThePeerExpects) {
  socket->reset(std::errc::operation_canceled);
  world.simulation.run_for(60ms);
  ASSERT_EQ(peer.received.size(), 1u);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst | tcp_ack);
  EXPECT_EQ(last().packet.tcp_sequence, iss + 1);
}

// CLOSED and LISTEN, RFC 9293 §3.10.7.1-2

TEST_F(TcpSegments, WhatFitsNoConnectionIsReset) {
  peer_sends(tcp_syn, irs);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst | tcp_ack);
  EXPECT_EQ(last().acknowledged, irs + 1);
  peer_sends(tcp_ack, irs, 4242);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst);
  EXPECT_EQ(last().packet.tcp_sequence, 4242u);
  const auto answers = peer.received.size();
  peer_sends(tcp_rst, irs);
  EXPECT_EQ(peer.received.size(), answers);
}

TEST_F(TcpSegments, AListenerResetsAnAcknowledgementAndIgnoresAReset) {
  auto listener = world.host.listen(host_end).value();
  peer_sends(tcp_ack, irs, 4242);
  EXPECT_EQ(last().packet.tcp_flags, tcp_rst);
  EXPECT_EQ(last().packet.tcp_sequence, 4242u);
  peer_sends(tcp_rst, irs);
  EXPECT_EQ(peer.received.size(), 1u);
}

TEST_F(TcpSegments, ATruncatedTcpHeaderIsDropped) {
  const std::vector<std::uint8_t> bytes = {0x45, 0,   0, 24, 0, 0, 0, 0, 64, protocol_tcp, 0, 0, 192, 0, 2,
                                           9,    192, 0, 2,  1, 0, 1, 2, 3};
  peer.send(make_packet(bytes));
  std::vector<std::uint8_t> long_options(40);
  std::copy(bytes.begin(), bytes.begin() + 20, long_options.begin());
  long_options[3] = 40;
  long_options[32] = 0xf0;
  peer.send(make_packet(long_options));
  world.simulation.run_for(1s);
  EXPECT_TRUE(peer.received.empty());
}

}  // namespace
}  // namespace flaresim::net
