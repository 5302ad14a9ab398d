#include "protocols/negotiation/multistream.h"

#include <gtest/gtest.h>

#include "protocols/io/random.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::negotiation {
namespace {

using namespace std::chrono_literals;
using Agreed = io::Result<std::string>;

// Written by hand from the specification: length including the newline, text, newline.
const std::string header = "\x13/multistream/1.0.0\n";
const std::string noise = "\x07/noise\n";
const std::string yamux = "\x0d/yamux/1.0.0\n";
const std::string na = "\x03na\n";

class Multistream : public ::testing::Test {
 protected:
  ~Multistream() override { EXPECT_EQ(scheduler.armed_timers(), 0u); }

  void connect(const support::PipeOptions& options) { pipe = support::pipe(scheduler, options); }

  void say(support::PipeEnd& from, std::string_view text) { from.inject(io::as_bytes(text)); }

  /// Everything that has arrived at an end.
  std::string heard(support::PipeEnd& at) {
    io::Bytes bytes(at.unread_bytes());
    EXPECT_TRUE(run_task(scheduler, io::read_exactly(at, bytes)));
    return io::as_text(bytes);
  }

  /// What `respond` makes of bytes from a remote that then says no more.
  Agreed respond_to(std::string_view bytes, std::vector<std::string> supported = {"/noise"}) {
    say(*pipe.a, bytes);
    EXPECT_TRUE(run_task(scheduler, pipe.a->close_write()));
    return run_task(scheduler, respond(*pipe.b, std::move(supported)));
  }

  /// What `select` makes of bytes from a remote that then says no more.
  Agreed select_from(std::string_view bytes, std::vector<std::string> proposals = {"/noise"}) {
    say(*pipe.b, bytes);
    EXPECT_TRUE(run_task(scheduler, pipe.b->close_write()));
    return run_task(scheduler, select(*pipe.a, std::move(proposals)));
  }

  void expect_failed(const Agreed& agreed, std::error_code why, const support::PipeEnd& end) {
    EXPECT_EQ(error_of(agreed), why);
    EXPECT_EQ(end.reset_reason(), why);
    EXPECT_EQ(scheduler.armed_timers(), 0u);
  }

  support::TestScheduler scheduler;
  support::Pipe pipe = support::pipe(scheduler);
};

TEST_F(Multistream, AgreesOnTheFirstChoiceInOneRoundTrip) {
  connect({.latency = 10ms});
  auto initiator = support::start(scheduler, select(*pipe.a, {"/noise", "/tls/1.0.0"}));
  auto responder = support::start(scheduler, respond(*pipe.b, {"/tls/1.0.0", "/noise"}));
  ASSERT_TRUE(scheduler.run_until([&] { return initiator.done(); }));
  EXPECT_EQ(initiator.value(), "/noise");
  EXPECT_EQ(responder.value(), "/noise");
  EXPECT_EQ(scheduler.now().time_since_epoch(), 20ms);
  EXPECT_EQ(pipe.a->writes(), 1u);
}

TEST_F(Multistream, InitiatorSaysWhatTheSpecificationSays) {
  auto initiator = support::start(scheduler, select(*pipe.a, {"/noise"}));
  scheduler.settle();
  EXPECT_EQ(heard(*pipe.b), header + noise);
  say(*pipe.b, header + noise);
  scheduler.settle();
  ASSERT_TRUE(initiator.done());
  EXPECT_EQ(initiator.value(), "/noise");
}

TEST_F(Multistream, InitiatorGoesOnToItsNextChoiceAfterARefusal) {
  auto initiator = support::start(scheduler, select(*pipe.a, {"/tls/1.0.0", "/noise"}));
  say(*pipe.b, header + na);
  scheduler.settle();
  EXPECT_EQ(heard(*pipe.b), header + "\x0b/tls/1.0.0\n" + noise);
  say(*pipe.b, noise);
  scheduler.settle();
  EXPECT_EQ(initiator.value(), "/noise");
}

TEST_F(Multistream, ResponderGreetsAnInitiatorThatWaitsForIt) {
  auto responder = support::start(scheduler, respond(*pipe.b, {"/noise"}));
  say(*pipe.a, header);
  scheduler.settle();
  EXPECT_EQ(heard(*pipe.a), header);
  say(*pipe.a, noise);
  scheduler.settle();
  EXPECT_EQ(responder.value(), "/noise");
}

TEST_F(Multistream, ResponderRefusesWhatItDoesNotHave) {
  // An unknown protocol, the historical `ls`, a name that is no UTF-8, the header once more.
  auto responder = support::start(scheduler, respond(*pipe.b, {"/noise"}));
  say(*pipe.a, header + yamux + "\x03ls\n" + "\x03\xff\xfe\n" + header + noise);
  scheduler.settle();
  EXPECT_EQ(heard(*pipe.a), header + na + na + na + na + noise);
  EXPECT_EQ(responder.value(), "/noise");
}

TEST_F(Multistream, LeavesBytesBehindTheProposalToTheAgreedProtocol) {
  auto responder = support::start(scheduler, respond(*pipe.b, {"/noise"}));
  say(*pipe.a, header + noise + "first words");
  scheduler.settle();
  ASSERT_EQ(responder.value(), "/noise");
  EXPECT_EQ(heard(*pipe.b), "first words");
}

TEST_F(Multistream, LeavesBytesBehindTheAnswerToTheAgreedProtocol) {
  auto initiator = support::start(scheduler, select(*pipe.a, {"/noise"}));
  say(*pipe.b, header + noise + "last words");
  scheduler.settle();
  ASSERT_EQ(initiator.value(), "/noise");
  EXPECT_EQ(heard(*pipe.a), "last words");
}

TEST_F(Multistream, SurvivesBeingCutIntoSingleBytes) {
  connect({.max_read_bytes = 1});
  auto initiator = support::start(scheduler, select(*pipe.a, {"/tls/1.0.0", "/yamux/1.0.0", "/noise"}));
  auto responder = support::start(scheduler, respond(*pipe.b, {"/noise"}));
  scheduler.run();
  EXPECT_EQ(initiator.value(), "/noise");
  EXPECT_EQ(responder.value(), "/noise");
}

TEST_F(Multistream, FailsOnBothSidesWithoutACommonProtocol) {
  auto initiator = support::start(scheduler, select(*pipe.a, {"/tls/1.0.0", "/yamux/1.0.0"}));
  auto responder = support::start(scheduler, respond(*pipe.b, {"/noise"}));
  scheduler.run();
  expect_failed(initiator.value(), Error::no_protocol, *pipe.a);
  ASSERT_FALSE(responder.value());
  EXPECT_TRUE(pipe.b->ended());
}

TEST_F(Multistream, InitiatorThatGivesUpAfterRefusalsLeavesNoProtocol) {
  expect_failed(respond_to(header + yamux), Error::no_protocol, *pipe.b);
}

TEST_F(Multistream, TwoInitiatorsTakeEachOthersProposalForAnAnswer) {
  // Which is why the roles of a punched connection are agreed elsewhere: the layer above has to find out.
  auto one = support::start(scheduler, select(*pipe.a, {"/noise"}));
  auto other = support::start(scheduler, select(*pipe.b, {"/noise"}));
  scheduler.run();
  EXPECT_EQ(one.value(), "/noise");
  EXPECT_EQ(other.value(), "/noise");
}

TEST_F(Multistream, TwoRespondersWaitUntilTheTimeLimit) {
  auto one = support::start(scheduler, respond(*pipe.a, {"/noise"}));
  auto other = support::start(scheduler, respond(*pipe.b, {"/noise"}));
  scheduler.run_for(1h);
  EXPECT_FALSE(one.done() || other.done());
  {
    const io::Deadline limit(scheduler, pipe.a, 15s);
    scheduler.run_for(15s);
  }
  expect_failed(one.value(), std::make_error_code(std::errc::timed_out), *pipe.a);
  expect_failed(other.value(), std::make_error_code(std::errc::connection_reset), *pipe.b);
}

TEST_F(Multistream, RefusesAnotherVersionOfItself) {
  expect_failed(respond_to("\x13/multistream/2.0.0\n"), Error::not_multistream, *pipe.b);
}

TEST_F(Multistream, RefusesAResponderThatSpeaksSomethingElse) {
  expect_failed(select_from(noise + noise), Error::not_multistream, *pipe.a);
}

TEST_F(Multistream, RefusesAMessageWithoutNewline) {
  expect_failed(respond_to(header + "\x06/noise"), Error::malformed, *pipe.b);
}

TEST_F(Multistream, RefusesAnEmptyMessage) {
  expect_failed(respond_to(header + std::string(1, '\0')), Error::malformed, *pipe.b);
}

TEST_F(Multistream, RefusesAPaddedLength) {
  expect_failed(respond_to(header + std::string("\x87\x00/noise\n", 9)), Error::malformed, *pipe.b);
}

TEST_F(Multistream, RefusesALengthWithoutEnd) {
  expect_failed(respond_to(std::string(12, '\xff')), Error::malformed, *pipe.b);
}

TEST_F(Multistream, RefusesAMessageAboveTheLimitBeforeReadingIt) {
  // 1025 in varint; the body never comes.
  say(*pipe.a, header + "\x81\x08");
  expect_failed(run_task(scheduler, respond(*pipe.b, {"/noise"})), Error::message_too_long, *pipe.b);
}

TEST_F(Multistream, TakesAMessageOfExactlyTheLimit) {
  const std::string longest(1023, 'x');
  say(*pipe.a, header + "\x80\x08" + longest + "\n");
  EXPECT_EQ(run_task(scheduler, respond(*pipe.b, {longest})), longest);
}

TEST_F(Multistream, RefusesAnAnswerThatIsNoAnswer) {
  expect_failed(select_from(header + yamux), Error::unexpected, *pipe.a);
}

TEST_F(Multistream, FailsWhenTheRemoteStopsInsideAMessage) {
  expect_failed(respond_to("\x13/multi"), std::make_error_code(std::errc::connection_aborted), *pipe.b);
  connect({});
  expect_failed(select_from(""), std::make_error_code(std::errc::connection_aborted), *pipe.a);
}

TEST_F(Multistream, EndsARemoteThatProposesForEver) {
  std::string proposals = header;
  for (int i = 0; i < 33; ++i) proposals += yamux;
  expect_failed(respond_to(proposals), Error::too_many_proposals, *pipe.b);
}

TEST_F(Multistream, SurvivesRandomBytes) {
  io::Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    connect({});
    // Half of them begin well, so that what follows the header is reached too.
    auto bytes = i % 2 == 0 ? io::to_bytes(header) : io::Bytes();
    const auto known = bytes.size();
    bytes.resize(known + random.below(64));
    random.fill(std::span(bytes).subspan(known));
    pipe.a->inject(bytes);
    EXPECT_TRUE(run_task(scheduler, pipe.a->close_write()));
    ASSERT_FALSE(run_task(scheduler, respond(*pipe.b, {"/noise"})));
    ASSERT_TRUE(pipe.b->reset_reason());
    ASSERT_EQ(scheduler.armed_timers(), 0u);
  }
}

}  // namespace
}  // namespace flaresim::negotiation
