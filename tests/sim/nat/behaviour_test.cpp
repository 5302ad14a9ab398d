#include "sim/nat/behaviour.h"

#include <gtest/gtest.h>

#include <set>

namespace flaresim::nat {
namespace {

NotationError error_of(std::string_view text) {
  const auto parsed = parse_behaviour(text);
  EXPECT_FALSE(parsed) << text;
  return parsed ? NotationError{} : parsed.error();
}

TEST(NatNotation, ReadsTheAxes) {
  const auto b = parse_behaviour("ADM/EIF/random");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->mapping, Mapping::address_dependent);
  EXPECT_EQ(b->filtering, Filtering::endpoint_independent);
  EXPECT_EQ(b->ports, Ports::random);
  EXPECT_TRUE(b->translates);
}

TEST(NatNotation, PreservesPortsAndDropsWhatIsUnsolicitedUnlessToldOtherwise) {
  const auto b = parse_behaviour("EIM/APDF");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->ports, Ports::preserve);
  EXPECT_EQ(b->udp_unsolicited, Unsolicited::drop);
  EXPECT_EQ(b->tcp_unsolicited, Unsolicited::drop);
  EXPECT_EQ(b->reply, Reply::fresh);
  EXPECT_TRUE(b->tcp_simultaneous_open);
}

TEST(NatNotation, TakesTheTimersOfTheRfcs) {
  const auto b = parse_behaviour("EIM/APDF");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp_timeout, std::chrono::minutes(5));  // RFC 4787 REQ-5
  EXPECT_EQ(b->udp_unreplied_timeout, std::chrono::minutes(5));
  EXPECT_EQ(b->tcp_transitory_timeout, std::chrono::minutes(4));  // RFC 5382 REQ-5
  EXPECT_EQ(b->tcp_established_timeout, std::chrono::minutes(124));
  EXPECT_EQ(b->tcp_reset_timeout, std::chrono::minutes(4));  // RFC 7857 §2.2
}

TEST(NatNotation, ReadsEveryKey) {
  const auto b = parse_behaviour(
      "APDM/ADF/sequential,udp_timeout=90s,udp_unreplied_timeout=500ms,tcp_transitory_timeout=2min,"
      "tcp_established_timeout=1h,tcp_reset_timeout=1.5s,udp_refresh=both,reply=session,"
      "udp_unsolicited=commit-state,tcp_unsolicited=reset,simultaneous_open=off,udp_blocked=on,translate="
      "off");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp_timeout, std::chrono::seconds(90));
  EXPECT_EQ(b->udp_unreplied_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(b->tcp_transitory_timeout, std::chrono::minutes(2));
  EXPECT_EQ(b->tcp_established_timeout, std::chrono::hours(1));
  EXPECT_EQ(b->tcp_reset_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(b->udp_refresh, Refresh::both);
  EXPECT_EQ(b->reply, Reply::session);
  EXPECT_EQ(b->udp_unsolicited, Unsolicited::commit_state);
  EXPECT_EQ(b->tcp_unsolicited, Unsolicited::reset);
  EXPECT_FALSE(b->tcp_simultaneous_open);
  EXPECT_TRUE(b->udp_blocked);
  EXPECT_FALSE(b->translates);
}

TEST(NatNotation, UnrepliedFollowsTheUdpTimeoutUnlessGiven) {
  EXPECT_EQ(parse_behaviour("EIM/EIF,udp_timeout=30s")->udp_unreplied_timeout, std::chrono::seconds(30));
  EXPECT_EQ(parse_behaviour("EIM/EIF,udp_unreplied_timeout=10s,udp_timeout=30s")->udp_unreplied_timeout,
            std::chrono::seconds(10));
}

TEST(NatNotation, UnsolicitedSpeaksForBothTransports) {
  const auto b = parse_behaviour("EIM/APDF,unsolicited=icmp,tcp_unsolicited=reset");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp_unsolicited, Unsolicited::icmp);
  EXPECT_EQ(b->tcp_unsolicited, Unsolicited::reset);
}

TEST(NatNotation, WritesWhatItReads) {
  for (const auto* mapping : {"EIM", "ADM", "APDM"})
    for (const auto* filtering : {"EIF", "ADF", "APDF"})
      for (const auto* ports : {"preserve", "sequential", "random"})
        for (const auto* rest :
             {"", ",udp_timeout=30s", ",udp_timeout=30s,udp_unreplied_timeout=5min", ",unsolicited=icmp",
              ",tcp_unsolicited=commit-state,udp_refresh=inbound", ",tcp_reset_timeout=0.1s,reply=session",
              ",tcp_transitory_timeout=33.333s", ",simultaneous_open=off,translate=off,udp_blocked=on",
              ",tcp_established_timeout=0.0000001h"}) {
          const std::string text = std::string(mapping) + "/" + filtering + "/" + ports + rest;
          const auto parsed = parse_behaviour(text);
          ASSERT_TRUE(parsed) << text;
          const auto again = parse_behaviour(to_string(*parsed));
          ASSERT_TRUE(again) << to_string(*parsed);
          EXPECT_EQ(*again, *parsed) << text << " became " << to_string(*parsed);
        }
}

TEST(NatNotation, WritesOnlyWhatDiffersAndInWholeUnits) {
  EXPECT_EQ(to_string(*parse_behaviour("EIM/APDF")), "EIM/APDF/preserve");
  EXPECT_EQ(to_string(*parse_behaviour("EIM/APDF/preserve,udp_timeout=300s")), "EIM/APDF/preserve");
  EXPECT_EQ(to_string(*parse_behaviour("EIM/EIF/random,udp_timeout=120s,tcp_reset_timeout=0.5s")),
            "EIM/EIF/random,udp_timeout=2min,tcp_reset_timeout=500ms");
}

TEST(NatNotation, NamesTheOffendingWordItsPlaceAndTheNearestOne) {
  struct Case {
    std::string_view text;
    std::size_t offset;
    std::string_view nearest;
  };
  for (const Case& c :
       {Case{"eim/APDF", 0, "EIM"}, Case{"EIM/APFD", 4, "APDF"}, Case{"EIM/APDF/preserv", 9, "preserve"},
        Case{"EIM/APDF,udp_timout=30s", 9, "udp_timeout"}, Case{"EIM/APDF,udp_timeout=30sec", 23, "s"},
        Case{"EIM/APDF,udp_refresh=bth", 21, "both"},
        Case{"EIM/APDF,unsolicited=commit_state", 21, "commit-state"},
        Case{"EIM/APDF,reply=sesion", 15, "session"}, Case{"EIM/APDF,udp_blocked=yes", 21, ""},
        Case{"EIM/APDF/random,zzzzzzzz=1", 16, ""}, Case{"symetric", 0, "symmetric"},
        Case{"port-restrictd", 0, "port-restricted"}, Case{"quantum", 0, ""}, Case{"", 0, ""}}) {
    const auto error = error_of(c.text);
    EXPECT_EQ(error.offset, c.offset) << c.text << ": " << error.message;
    EXPECT_EQ(error.nearest, c.nearest) << c.text;
    EXPECT_FALSE(error.message.empty()) << c.text;
  }
}

TEST(NatNotation, RefusesWhatMakesNoSense) {
  struct Case {
    std::string_view text;
    std::size_t offset;
  };
  for (const Case& c : {Case{"EIM", 3}, Case{"EIM/", 4}, Case{"EIM/APDF/random/", 15}, Case{"EIM/APDF,", 9},
                        Case{"EIM/APDF,udp_timeout", 20}, Case{"EIM/APDF,udp_timeout=", 21},
                        Case{"EIM/APDF,udp_timeout=30", 23}, Case{"EIM/APDF,udp_timeout=s", 21},
                        Case{"EIM/APDF,udp_timeout=0s", 21}, Case{"EIM/APDF,udp_timeout=-1s", 21},
                        Case{"EIM/APDF,udp_timeout=nan", 21}, Case{"EIM/APDF,udp_timeout=inf", 21},
                        Case{"EIM/APDF,udp_timeout=9999999h", 21}, Case{"EIM/APDF,unsolicited=reset", 21},
                        Case{"EIM/APDF,udp_unsolicited=reset", 25},
                        Case{"EIM/APDF,reply=fresh,reply=session", 21}, Case{"EIM/APDF, reply=fresh", 9}}) {
    const auto error = error_of(c.text);
    EXPECT_EQ(error.offset, c.offset) << c.text << ": " << error.message;
  }
}

TEST(NatPresets, AreTheEightNamesInOrder) {
  std::vector<std::string_view> names;
  for (const auto& preset : presets()) names.push_back(preset.name);
  EXPECT_EQ(names,
            (std::vector<std::string_view>{"full-cone", "address-restricted", "port-restricted", "symmetric",
                                           "open", "udp-blocked", "linux", "linux-input-drop"}));
}

TEST(NatPresets, MeanTheirInlineForm) {
  for (const auto& preset : presets()) {
    const auto by_name = parse_behaviour(preset.name), by_form = parse_behaviour(preset.inline_form);
    ASSERT_TRUE(by_name && by_form) << preset.name;
    EXPECT_EQ(*by_name, *by_form);
    EXPECT_FALSE(preset.summary.empty());
  }
}

TEST(NatPresets, LinuxHasTheTimersOfConnectionTracking) {
  const auto b = parse_behaviour("linux");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp_unreplied_timeout, std::chrono::seconds(30));
  EXPECT_EQ(b->udp_timeout, std::chrono::seconds(120));
  EXPECT_EQ(b->udp_refresh, Refresh::both);
  EXPECT_EQ(b->tcp_transitory_timeout, std::chrono::seconds(120));
  EXPECT_EQ(b->tcp_established_timeout, std::chrono::hours(5 * 24));
  EXPECT_EQ(b->tcp_reset_timeout, std::chrono::seconds(10));
  EXPECT_EQ(b->udp_unsolicited, Unsolicited::commit_state);
  EXPECT_EQ(b->tcp_unsolicited, Unsolicited::reset);

  auto dropping = parse_behaviour("linux-input-drop");
  ASSERT_TRUE(dropping);
  EXPECT_EQ(dropping->udp_unsolicited, Unsolicited::drop);
  EXPECT_EQ(dropping->tcp_unsolicited, Unsolicited::drop);
  dropping->udp_unsolicited = b->udp_unsolicited;
  dropping->tcp_unsolicited = b->tcp_unsolicited;
  EXPECT_EQ(*dropping, *b);
}

}  // namespace
}  // namespace flaresim::nat
