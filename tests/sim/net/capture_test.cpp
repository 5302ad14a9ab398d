#include "sim/net/capture.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/net/nat_box.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

using Octets = std::vector<std::uint8_t>;

/// A pcap reader of its own.
struct PcapFile {
  struct Record {
    std::uint64_t nanoseconds = 0;
    Octets bytes;
  };

  explicit PcapFile(const std::string& text) {
    const auto number = [&](std::size_t at) {
      std::uint32_t value = 0;
      for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(text.at(at + i));
      return value;
    };
    magic = number(0);
    link_type = number(20);
    for (std::size_t at = 24; at < text.size();) {
      const auto kept = number(at + 8);
      EXPECT_EQ(kept, number(at + 12));
      const auto begin = text.begin() + static_cast<std::ptrdiff_t>(at + 16);
      records.push_back({number(at) * 1'000'000'000ull + number(at + 4), Octets(begin, begin + kept)});
      at += 16 + kept;
    }
  }

  std::uint32_t magic = 0;
  std::uint32_t link_type = 0;
  std::vector<Record> records;
};

/// The ones' complement sum of RFC 1071, over words; a valid checksum makes it 0xffff.
std::uint32_t sum_of(const std::uint8_t* begin, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; ++i) sum += i % 2 == 0 ? begin[i] << 8 : begin[i];
  return sum;
}
std::uint16_t folded(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// Computes every checksum of an IPv4 or IPv6 packet from nothing.
void expect_valid(const Octets& packet) {
  const bool v4 = packet.at(0) >> 4 == 4;
  const std::size_t header = v4 ? (packet[0] & 15u) * 4u : 40;
  if (v4) {
    EXPECT_EQ(folded(sum_of(packet.data(), header)), 0xffff);
    EXPECT_EQ(packet.size(), static_cast<std::size_t>(packet[2] << 8 | packet[3]));
  }
  const auto protocol = v4 ? packet[9] : packet[6];
  const auto payload = packet.size() - header;
  auto sum = sum_of(packet.data() + header, payload);
  if (protocol != 1) {  // a pseudo-header, save for ICMP
    sum += v4 ? sum_of(&packet[12], 8) : sum_of(&packet[8], 32);
    sum += protocol + static_cast<std::uint32_t>(payload);
  }
  EXPECT_EQ(folded(sum), 0xffff) << "protocol " << int{protocol};
  ASSERT_GE(payload, 8u);
  const std::size_t checksum_at = protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
  EXPECT_NE(packet[header + checksum_at] << 8 | packet[header + checksum_at + 1], 0) << "no checksum at all";
}

const LinkProfile lan{.up = {.delay = 1ms}, .down = {.delay = 1ms}};

/// Traffic of every kind through a NAT, captured everywhere.
struct CapturedWorld : SmallWorld {
  explicit CapturedWorld(bool checksums = true,
                         const char* behaviour = "EIM/APDF/random,tcp_unsolicited=icmp")
      : SmallWorld({.checksums = checksums}),
        box(simulation, nat::parse_behaviour(behaviour).value(), ip("198.51.100.1"), random.derive("box")),
        a(simulation, {ip("192.168.1.10"), ip("2001:db8:a::10")}, random.derive("a")) {
    plug(box.outside(), "home", {ip("198.51.100.1"), ip("2001:db8:a::")});
    EXPECT_TRUE(box.attach(a.port(), a.addresses(), lan));
    s.on_syn([this](const SynEvent& event) { syns.push_back(event.at); });
  }

  void traffic() {
    auto listener = s.listen(at("0.0.0.0", 443)).value();
    auto listener6 = s.listen(at("::", 443)).value();
    auto server = s.bind(at("0.0.0.0", 53)).value();
    auto client = a.bind(at("0.0.0.0", 5000)).value();
    auto client6 = a.bind(at("::", 5000)).value();
    const auto v4 = a.dial(at("203.0.113.1", 443), std::nullopt).value();
    const auto v6 = a.dial(at("2001:db8:5::1", 443), std::nullopt).value();
    const auto accepted4 = run(accept_one(*listener));
    const auto accepted6 = run(accept_one(*listener6));
    for (const auto& stream : {v4, v6}) EXPECT_TRUE(run(write_text(stream, std::string(5001, 'o'))));
    for (const auto& stream : {accepted4, accepted6}) EXPECT_TRUE(run(read_text(stream, 5001)));
    EXPECT_TRUE(client->send_to(io::as_bytes("odd"), at("203.0.113.1", 53)));
    EXPECT_TRUE(client->send_to(io::as_bytes("closed port"), at("203.0.113.1", 54)));
    EXPECT_TRUE(client6->send_to(io::as_bytes("closed port"), at("2001:db8:5::1", 54)));
    const auto unsolicited = s.dial(at("198.51.100.1", 1), std::nullopt).value();
    EXPECT_EQ(error_of(run(connect(unsolicited))), std::errc::host_unreachable);
    const auto unsolicited6 = s.dial(at("2001:db8:a::10", 1), std::nullopt).value();
    EXPECT_EQ(error_of(run(connect(unsolicited6))), std::errc::host_unreachable);
    const auto refused = a.dial(at("203.0.113.1", 1), std::nullopt).value();
    EXPECT_EQ(error_of(run(connect(refused))), std::errc::connection_refused);
    v4->reset();
    v6->reset();
    simulation.run_for(1s);
  }

  NatBox box;
  Host a;
  Host& s = add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
  std::vector<io::TimePoint> syns;
};

TEST(Capture, EveryPacketIsValidAtEveryPlace) {
  CapturedWorld world;
  std::ostringstream at_host, inside, outside, core;
  Capture host_tap(world.simulation, at_host), inside_tap(world.simulation, inside),
      outside_tap(world.simulation, outside), core_tap(world.simulation, core);
  world.a.capture(&host_tap);
  world.box.capture_inside(&inside_tap);
  world.box.capture_outside(&outside_tap);
  world.internet.capture(&core_tap);
  world.traffic();
  for (const auto& text : {at_host.str(), inside.str(), outside.str(), core.str()}) {
    const PcapFile file(text);
    EXPECT_EQ(file.magic, 0xa1b23c4du);
    EXPECT_EQ(file.link_type, 101u);
    EXPECT_GT(file.records.size(), 20u);
    std::uint64_t last = 1767225600ull * 1'000'000'000;
    for (const auto& record : file.records) {
      EXPECT_GE(record.nanoseconds, last);
      last = record.nanoseconds;
      expect_valid(record.bytes);
    }
  }
  EXPECT_EQ(PcapFile(at_host.str()).records.size(), PcapFile(inside.str()).records.size());
}

TEST(Capture, SameSeedSameBytes) {
  const auto captured = [] {
    CapturedWorld world;
    std::ostringstream text;
    Capture tap(world.simulation, text);
    world.internet.capture(&tap);
    world.traffic();
    return text.str();
  };
  const auto first = captured();
  EXPECT_EQ(first, captured());
}

TEST(Capture, ChecksumsChangeNoOutcome) {
  const auto observed = [](bool checksums) {
    CapturedWorld world(checksums);
    world.traffic();
    return std::pair(world.syns, world.simulation.now());
  };
  EXPECT_EQ(observed(true), observed(false));
}

TEST(Capture, ASimulationWithoutChecksumsCannotBeCaptured) {
  SmallWorld world;
  std::ostringstream text;
  EXPECT_THROW(Capture(world.simulation, text), std::logic_error);
}

}  // namespace
}  // namespace flaresim::net
