#include "protocols/mdns/dns_message.h"

#include <gtest/gtest.h>

#include "protocols/io/random.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::mdns {
namespace {

using namespace std::chrono_literals;

Name name(std::string_view text) { return Name::from_text(text).value(); }

// Bytes by hand, from RFC 1035 §4.1: header, then `_p2p._udp.local`.
const std::string service_hex = "045f703270 045f756470 056c6f63616c 00";
const std::string query_hex = "0000 0000 0001 0000 0000 0000 " + service_hex + "000c 0001";
// One PTR and one TXT; the instance's name points to the service at 12, and is pointed to at 39.
const std::string answer_hex = "0000 8400 0000 0001 0000 0001 " + service_hex + "000c 0001 00000078 0007 04" +
                               "70656572 c00c" + "c027 0010 8001 00000078 000a 03 613d31 05 68656c6c6f";

DnsMessage query() { return {.questions = {{name("_p2p._udp.local"), RecordType::ptr}}}; }

DnsMessage answer() {
  const auto instance = Name::below("peer", name("_p2p._udp.local")).value();
  return {.response = true,
          .authoritative = true,
          .answers = {{name("_p2p._udp.local"), RecordType::ptr, false, 120s, instance}},
          .additional = {{instance, RecordType::txt, true, 120s, Text{"a=1", "hello"}}}};
}

void expect_refused(const std::string& bytes, DnsError why) {
  const auto message = decode(hex(bytes));
  EXPECT_EQ(error_of(message), why) << bytes;
}

TEST(DnsMessage, AQueryHasTheBytesOfRfc1035) {
  EXPECT_EQ(encode(query()).value(), hex(query_hex));
  EXPECT_EQ(decode(hex(query_hex)).value(), query());
}

TEST(DnsMessage, AnAnswerPointsToNamesThatWereWrittenBefore) {
  EXPECT_EQ(encode(answer()).value(), hex(answer_hex));
  EXPECT_EQ(decode(hex(answer_hex)).value(), answer());
}

// RFC 1035 §4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, and the root at 92.
TEST(DnsMessage, ReadsTheNamesOfTheExampleInRfc1035) {
  io::Bytes bytes = hex("0000 0000 0004 0000 0000 0000");
  const auto question = hex("0001 0001");
  const auto put = [&](std::string_view of_name) {
    io::append(bytes, hex(of_name));
    io::append(bytes, question);
  };
  put("0146 03495349 0441525041 00");  // at 12
  put("03464f4f c00c");
  put("c012");
  put("00");
  const auto message = decode(bytes).value();
  ASSERT_EQ(message.questions.size(), 4u);
  EXPECT_EQ(message.questions[0].name, name("F.ISI.ARPA"));
  EXPECT_EQ(message.questions[1].name, name("FOO.F.ISI.ARPA"));
  EXPECT_EQ(message.questions[2].name, name("ARPA"));
  EXPECT_EQ(message.questions[3].name, Name());
}

TEST(DnsMessage, ReadsTheTopBitOfAClassAsMulticastDnsDoes) {
  const auto message = decode(hex("0000 0000 0001 0000 0000 0000 " + service_hex + "000c 8001")).value();
  EXPECT_TRUE(message.questions.at(0).unicast_response);
}

TEST(DnsMessage, LeavesOutWhatIsNotOfTheInternetClass) {
  EXPECT_TRUE(
      decode(hex("0000 0000 0001 0000 0000 0000 " + service_hex + "000c 0003")).value().questions.empty());
}

TEST(DnsMessage, NamesAreEqualWithoutRegardToCase) {
  EXPECT_EQ(name("_P2P._udp.LOCAL"), name("_p2p._UDP.local"));
  EXPECT_FALSE(name("_p2p._udp.local") == name("_p2p.udp.local"));
  EXPECT_TRUE(name("x._p2p._udp.local").is_child_of(name("_P2P._udp.local")));
  EXPECT_FALSE(name("y.x._p2p._udp.local").is_child_of(name("_p2p._udp.local")));
}

TEST(DnsMessage, NamesAreBounded) {
  EXPECT_EQ(error_of(Name::from_text("a..b")), DnsError::bad_label);
  EXPECT_EQ(error_of(Name::from_text(std::string(64, 'x'))), DnsError::bad_label);
  EXPECT_TRUE(Name::from_text(std::string(63, 'x')));
  std::string longest;
  for (int i = 0; i < 3; ++i) longest += std::string(63, 'x') + ".";
  EXPECT_TRUE(Name::from_text(longest + std::string(61, 'x')));
  EXPECT_EQ(error_of(Name::from_text(longest + std::string(62, 'x'))), DnsError::name_too_long);
}

TEST(DnsMessage, RefusesPointersThatDoNotLeadBackwards) {
  const std::string header = "0000 0000 0001 0000 0000 0000";
  expect_refused(header + "c00c 000c 0001", DnsError::bad_pointer);       // to itself
  expect_refused(header + "c00e 000c 0001", DnsError::bad_pointer);       // forward
  expect_refused(header + "0161 c00c 000c 0001", DnsError::bad_pointer);  // round and round
  expect_refused("0000 0000 0002 0000 0000 0000 0161 c010 0001 0001 c00c 0001 0001", DnsError::bad_pointer);
}

TEST(DnsMessage, RefusesReservedLabelsAndLongNames) {
  const std::string header = "0000 0000 0001 0000 0000 0000";
  expect_refused(header + "40 000c 0001", DnsError::bad_label);
  expect_refused(header + "80 000c 0001", DnsError::bad_label);
  std::string labels;
  for (int i = 0; i < 128; ++i) labels += "0161";
  expect_refused(header + labels + "00 000c 0001", DnsError::name_too_long);
}

TEST(DnsMessage, RefusesDataThatDoesNotFitItsType) {
  const std::string header = "0000 8400 0000 0001 0000 0000";
  expect_refused(header + "00 0010 0001 00000078 0003 05 6162", DnsError::bad_record);
  expect_refused(header + "00 000c 0001 00000078 0004 016100 ff", DnsError::bad_record);
}

TEST(DnsMessage, RefusesOpcodesAndResponseCodes) {
  expect_refused("0000 2800 0000 0000 0000 0000", DnsError::not_multicast_form);
  expect_refused("0000 8003 0000 0000 0000 0000", DnsError::not_multicast_form);
}

TEST(DnsMessage, RefusesEveryMessageThatIsCutShort) {
  for (const auto& whole : {hex(query_hex), hex(answer_hex)}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto message = decode(io::BytesView(whole).first(length));
      EXPECT_EQ(error_of(message), DnsError::truncated) << length;
    }
  }
}

TEST(DnsMessage, ReadsWhatItWroteWhateverChangedBytesItWasMadeOf) {
  io::Random random(11);
  const auto whole = hex(answer_hex);
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = whole;
    for (auto changes = 1 + random.below(4); changes > 0; --changes)
      bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.below(256));
    const auto message = decode(bytes);
    if (!message) continue;
    ++good;
    EXPECT_EQ(decode(encode(*message).value()).value(), *message);
  }
  EXPECT_GT(good, 1000);
}

TEST(DnsMessage, CountsThatPromiseMoreThanThereIsEndAtTheEnd) {
  expect_refused("0000 8400 ffff ffff ffff ffff", DnsError::truncated);
}

}  // namespace
}  // namespace flaresim::mdns
