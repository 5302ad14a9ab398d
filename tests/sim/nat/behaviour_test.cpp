#include "sim/nat/behaviour.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

namespace flaresim::nat {
namespace {

const Presets named = {{"linux", "a router", "APDM/APDF,udp_timeout=2min,udp_unreplied_timeout=30s"},
                       {"symmetric", "", "APDM/APDF/random"},
                       {"port-restricted", "", "EIM/APDF"},
                       {"box", "a box", "ADM/EIF/random,hairpin=internal"}};

NotationError error_of(std::string_view text) {
  const auto parsed = parse_behaviour(text, named);
  EXPECT_FALSE(parsed) << text;
  return parsed ? NotationError{} : parsed.error();
}

TEST(NatNotation, ReadsTheAxes) {
  const auto b = parse_behaviour("ADM/EIF/random");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp.mapping, Mapping::address_dependent);
  EXPECT_EQ(b->udp.filtering, Filtering::endpoint_independent);
  EXPECT_EQ(b->udp.ports, Ports::random);
  EXPECT_EQ(b->translate, Translate::on);
}

TEST(NatNotation, PreservesPortsAndDropsWhatIsUnsolicitedUnlessToldOtherwise) {
  const auto b = parse_behaviour("EIM/APDF");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp.ports, Ports::preserve);
  EXPECT_EQ(b->udp.unsolicited, Unsolicited::drop);
  EXPECT_EQ(b->tcp.unsolicited, Unsolicited::drop);
  EXPECT_EQ(b->udp.reply, Reply::fresh);
  EXPECT_TRUE(b->simultaneous_open);
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
  EXPECT_EQ(b->udp.reply, Reply::session);
  EXPECT_EQ(b->udp.unsolicited, Unsolicited::commit_state);
  EXPECT_EQ(b->tcp.unsolicited, Unsolicited::reset);
  EXPECT_FALSE(b->simultaneous_open);
  EXPECT_TRUE(b->udp.blocked);
  EXPECT_EQ(b->translate, Translate::off);
}

TEST(NatNotation, UnrepliedFollowsTheUdpTimeoutUnlessGiven) {
  EXPECT_EQ(parse_behaviour("EIM/EIF,udp_timeout=30s")->udp_unreplied_timeout, std::chrono::seconds(30));
  EXPECT_EQ(parse_behaviour("EIM/EIF,udp_unreplied_timeout=10s,udp_timeout=30s")->udp_unreplied_timeout,
            std::chrono::seconds(10));
}

TEST(NatNotation, UnsolicitedSpeaksForBothTransports) {
  const auto b = parse_behaviour("EIM/APDF,unsolicited=icmp,tcp_unsolicited=reset");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp.unsolicited, Unsolicited::icmp);
  EXPECT_EQ(b->tcp.unsolicited, Unsolicited::reset);
}

TEST(NatNotation, UnsolicitedEchoesAreNoDatagrams) {
  const auto b = parse_behaviour("EIM/APDF,icmp_unsolicited=icmp-port,ipv6_icmp_unsolicited=icmp");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->icmp.unsolicited, Unsolicited::icmp_port);
  EXPECT_EQ(ipv6_side(*b).icmp.unsolicited, Unsolicited::icmp);
  EXPECT_EQ(b->udp.unsolicited, Unsolicited::drop);
  EXPECT_EQ(ipv6_side(*b).udp.unsolicited, Unsolicited::drop);
}

TEST(NatNotation, ABareResetMeansTcpAlone) {
  const auto b = parse_behaviour("EIM/APDF,unsolicited=reset");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp.unsolicited, Unsolicited::drop);
  EXPECT_EQ(b->tcp.unsolicited, Unsolicited::reset);
}

TEST(NatNotation, OneTransportWinsOverAllWhateverTheOrder) {
  for (const auto* text :
       {"EIM/APDF,tcp_mapping=ADM,mapping=APDM", "EIM/APDF,mapping=APDM,tcp_mapping=ADM"}) {
    const auto b = parse_behaviour(text);
    ASSERT_TRUE(b) << text;
    EXPECT_EQ(b->udp.mapping, Mapping::address_and_port_dependent) << text;
    EXPECT_EQ(b->tcp.mapping, Mapping::address_dependent) << text;
    EXPECT_EQ(b->icmp.mapping, Mapping::address_and_port_dependent) << text;
  }
}

TEST(NatNotation, APresetMayBeOverridden) {
  const auto linux_ = parse_behaviour("linux", named);
  ASSERT_TRUE(linux_);
  EXPECT_EQ(*linux_, *parse_behaviour("APDM/APDF,udp_timeout=2min,udp_unreplied_timeout=30s"));
  EXPECT_EQ(parse_behaviour("linux,udp_timeout=30s", named)->udp_timeout, std::chrono::seconds(30));
  EXPECT_EQ(parse_behaviour("linux,udp_timeout=90s", named)->udp_unreplied_timeout,
            linux_->udp_unreplied_timeout);
  EXPECT_EQ(parse_behaviour("box,echo=answer", named)->udp.hairpin, Hairpin::internal);
  EXPECT_FALSE(parse_behaviour("linux"));
}

TEST(NatNotation, TheIpv6SideIsTheSameUnlessItIsTold) {
  const auto b = parse_behaviour(
      "EIM/EIF,udp_timeout=30s,ipv6_filtering=ADF,ipv6_tcp_filtering=APDF,ipv6_tcp_unsolicited=delayed-icmp,"
      "ipv6_udp_timeout=2min,ipv6_simultaneous_open=off");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->udp.filtering, Filtering::endpoint_independent);
  const Behaviour six = ipv6_side(*b);
  EXPECT_EQ(six.translate, Translate::off);
  EXPECT_EQ(six.udp.filtering, Filtering::address_dependent);
  EXPECT_EQ(six.tcp.filtering, Filtering::address_and_port_dependent);
  EXPECT_EQ(six.icmp.filtering, Filtering::address_dependent);
  EXPECT_EQ(six.tcp.unsolicited, Unsolicited::delayed_icmp);
  EXPECT_EQ(six.udp.unsolicited, Unsolicited::drop);
  EXPECT_EQ(six.udp_timeout, std::chrono::minutes(2));
  EXPECT_EQ(six.udp_unreplied_timeout, std::chrono::minutes(2));
  EXPECT_FALSE(six.simultaneous_open);
  EXPECT_EQ(six.tcp_established_timeout, b->tcp_established_timeout);
}

/// Every word of every key, as the key's own description lists them, and some values of each other kind.
TEST(NatNotation, EveryWordOfEveryKeyComesBack) {
  int tried = 0;
  const auto comes_back = [&](const std::string& setting) {
    const auto parsed = parse_behaviour("ADM/ADF/random," + setting, {});
    if (setting.ends_with("udp_unsolicited=reset")) return;  // UDP has none
    ASSERT_TRUE(parsed) << setting << ": " << parsed.error().message;
    const auto again = parse_behaviour(to_string(*parsed), {});
    ASSERT_TRUE(again) << to_string(*parsed);
    EXPECT_EQ(*again, *parsed) << setting << " became " << to_string(*parsed);
    ++tried;
  };
  for (const auto& info : notation_keys()) {
    std::vector<std::string> prefixes = {""}, values;
    if (info.per_transport) prefixes = {"", "udp_", "tcp_"};
    if (info.ipv6)
      for (std::size_t i = 0, count = prefixes.size(); i < count; ++i)
        prefixes.push_back("ipv6_" + prefixes[i]);
    if (info.values.starts_with("a duration"))
      values = {"1s", "90s", "3h"};
    else if (info.values.starts_with("a number"))
      values = {"1", "64", "1024"};
    else if (info.values == "FIRST-LAST")
      values = {"1-1", "20000-30000"};
    else if (info.values.starts_with("any"))
      values = {"any", "443", "80+443"};
    else
      for (std::size_t at = 0, end = 0; end != std::string::npos; at = end + 2)
        end = info.values.find(", ", at), values.push_back(info.values.substr(at, end - at));
    for (const auto& prefix : prefixes)
      for (const auto& value : values) comes_back(prefix + info.key + "=" + value);
  }
  EXPECT_GT(tried, 250);
}

TEST(NatNotation, IsTheOneThatTheReadmeTells) {
  std::ifstream file(FLARESIM_SOURCE_DIR "/README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  for (const auto& info : notation_keys()) {
    const auto row = "| `" + info.key + "`" + (info.per_transport ? " P" : "") + (info.ipv6 ? " 6" : "") +
                     " | " + info.values + " | " + info.meaning + " |\n";
    EXPECT_NE(readme.find(row), std::string::npos) << row;
  }
}

TEST(NatNotation, SaysWhatABehaviourSaysUnderAKey) {
  const auto b = *parse_behaviour("EIM/APDF,tcp_mapping=APDM,ipv6_filtering=EIF");
  EXPECT_EQ(value_of("mapping", b), "EIM APDM EIM");
  EXPECT_EQ(value_of("tcp_mapping", b), "APDM");
  EXPECT_EQ(value_of("filtering", b), "APDF");
  EXPECT_EQ(value_of("ipv6_filtering", b), "EIF");
  EXPECT_EQ(value_of("ipv6_tcp_unsolicited", b), "");
  EXPECT_EQ(value_of("udp_timeout", b), "5min");
  EXPECT_EQ(value_of("no_such_key", b), "");
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
        Case{"linx,udp_timeout=3s", 0, "linux"}, Case{"linux,udp_timeot=3s", 6, "udp_timeout"},
        Case{"EIM/APDF,translate=statc", 19, "static"},
        Case{"EIM/APDF,ipv6_tcp_filtring=EIF", 9, "ipv6_tcp_filtering"},
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
  for (const Case& c : {Case{"EIM", 3},
                        Case{"EIM/", 4},
                        Case{"EIM/APDF/random/", 15},
                        Case{"EIM/APDF,", 9},
                        Case{"EIM/APDF,udp_timeout", 20},
                        Case{"EIM/APDF,udp_timeout=", 21},
                        Case{"EIM/APDF,udp_timeout=30", 23},
                        Case{"EIM/APDF,udp_timeout=s", 21},
                        Case{"EIM/APDF,udp_timeout=0s", 21},
                        Case{"EIM/APDF,udp_timeout=-1s", 21},
                        Case{"EIM/APDF,udp_timeout=nan", 21},
                        Case{"EIM/APDF,udp_timeout=inf", 21},
                        Case{"EIM/APDF,udp_timeout=9999999h", 21},
                        Case{"EIM/APDF,udp_unsolicited=reset", 25},
                        Case{"EIM/APDF,step=0", 14},
                        Case{"EIM/APDF,step=1025", 14},
                        Case{"EIM/APDF,port_range=5-4", 22},
                        Case{"EIM/APDF,port_range=5", 20},
                        Case{"EIM/APDF,port_range=0-4", 20},
                        Case{"EIM/APDF,allowed_ports=80+", 26},
                        Case{"EIM/APDF,allowed_ports=65536", 23},
                        Case{"EIM/APDF,icmp_unsolicited=reset", 26},
                        Case{"EIM/APDF,max_mappings=4194305", 22},
                        Case{"linux/APDF", 0},
                        Case{"linux,", 6},
                        Case{"EIM/APDF,reply=fresh,reply=session", 21},
                        Case{"EIM/APDF, reply=fresh", 9}}) {
    const auto error = error_of(c.text);
    EXPECT_EQ(error.offset, c.offset) << c.text << ": " << error.message;
  }
}

}  // namespace
}  // namespace flaresim::nat
