#include "sim/probe/stagger.h"

#include <gmock/gmock.h>

#include "sim/probe/simulated_lab.h"
#include "sim/world/nat_presets.h"

namespace flaresim::probe {
namespace {

using std::chrono::milliseconds;

constexpr auto one_way = milliseconds(20);

/// From -100 to 100 ms, without the offsets at which two packets meet at a box.
std::vector<io::Duration> offsets() {
  std::vector<io::Duration> all;
  for (auto offset = milliseconds(-98); offset <= milliseconds(98); offset += milliseconds(7))
    all.push_back(offset);
  return all;
}

std::vector<Punch> curve(const std::string& nat, Protocol transport) {
  const auto box = world::parse_nat(nat);
  EXPECT_TRUE(box) << nat;
  return stagger([&] { return simulated_pair(*box, *box, one_way, 3); }, transport, offsets());
}

TEST(Stagger, AcceptingLinuxRoutersAllowLessThanTheOneWayDelay) {
  for (const auto transport : {Protocol::udp, Protocol::tcp})
    for (const auto& punch : curve("linux", transport))
      EXPECT_EQ(punch.success, std::chrono::abs(punch.offset) < one_way) << punch.offset.count();
}

TEST(Stagger, DroppingRoutersDoNotCareWhoBegins) {
  for (const auto transport : {Protocol::udp, Protocol::tcp})
    for (const auto& punch : curve("linux-input-drop", transport))
      EXPECT_TRUE(punch.success) << punch.offset.count();
}

TEST(Stagger, SymmetricNatsFailAtEveryOffset) {
  for (const auto transport : {Protocol::udp, Protocol::tcp})
    for (const auto& punch : curve("symmetric", transport))
      EXPECT_FALSE(punch.success) << punch.offset.count();
}

TEST(Stagger, WithoutSimultaneousOpenTcpNeedsAFilterThatIsOpen) {
  for (const auto& punch : curve("EIM/APDF,simultaneous_open=off", Protocol::tcp))
    EXPECT_FALSE(punch.success);
  for (const auto& punch : curve("EIM/EIF", Protocol::tcp)) EXPECT_TRUE(punch.success);
}

TEST(Stagger, DenyListsForbidEarlyPackets) {
  for (const auto& punch : curve("EIM/APDF,deny_list=30s", Protocol::udp))
    EXPECT_EQ(punch.success, std::chrono::abs(punch.offset) < one_way) << punch.offset.count();
}

}  // namespace
}  // namespace flaresim::probe
