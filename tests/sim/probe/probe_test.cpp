#include "sim/probe/probe.h"

#include <gmock/gmock.h>

#include "sim/probe/simulated_lab.h"
#include "sim/world/nat_presets.h"
#include "tests/sim/probe/declared.h"
#include "tests/sim/probe/random_behaviour.h"

namespace flaresim::probe {
namespace {

using testing::IsEmpty;
using testing::Not;

Options quick() { return {.flows = 600}; }

nat::Behaviour parsed(const std::string& text) {
  const auto behaviour = world::parse_nat(text);
  EXPECT_TRUE(behaviour) << text << ": " << behaviour.error().message;
  return behaviour.value_or(nat::Behaviour{});
}

Report probed(const nat::Behaviour& behaviour) { return probe(simulated_labs(behaviour, 7), quick()); }

TEST(Probe, FindsTheDeclaredAxesOfEveryPreset) {
  const auto& catalogue = world::nat_catalogue();
  ASSERT_TRUE(catalogue);
  ASSERT_GE(catalogue->names.size(), 8u);
  for (const auto& preset : catalogue->names) {
    const auto behaviour = parsed(preset.name);
    EXPECT_THAT(differences(declared(behaviour, quick()), probed(behaviour)), IsEmpty()) << preset.name;
  }
}

TEST(Probe, FindsTheDeclaredAxesOfRandomBoxes) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const auto behaviour = random_behaviour(seed);
    EXPECT_THAT(differences(declared(behaviour, quick()), probed(behaviour)), IsEmpty())
        << "seed " << seed << ": " << nat::to_string(behaviour);
  }
}

TEST(ProbeLong, FindsTheDeclaredAxesOfManyRandomBoxes) {
  for (std::uint64_t seed = 1000; seed < 2000; ++seed) {
    const auto behaviour = random_behaviour(seed);
    EXPECT_THAT(differences(declared(behaviour, quick()), probed(behaviour)), IsEmpty())
        << "seed " << seed << ": " << nat::to_string(behaviour);
  }
}

struct Mutation {
  std::string box;
  std::string setting;
};

void PrintTo(const Mutation& mutation, std::ostream* out) { *out << mutation.box << ',' << mutation.setting; }

class ProbeMutation : public testing::TestWithParam<Mutation> {};

TEST_P(ProbeMutation, ShowsInTheReport) {
  const auto& [box, setting] = GetParam();
  const auto original = parsed(box), mutated = parsed(box + "," + setting);
  ASSERT_NE(nat::to_string(original), nat::to_string(mutated));
  EXPECT_THAT(differences(declared(original, quick()), probed(original)), IsEmpty());
  EXPECT_THAT(differences(declared(original, quick()), probed(mutated)), Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(
    OfEachAxis, ProbeMutation,
    testing::Values(
        Mutation{"EIM/APDF", "udp_mapping=APDM"}, Mutation{"EIM/APDF", "tcp_mapping=ADM"},
        Mutation{"EIM/APDF", "udp_filtering=ADF"}, Mutation{"EIM/APDF", "tcp_filtering=EIF"},
        Mutation{"EIM/APDF", "icmp_filtering=EIF"}, Mutation{"EIM/APDF", "udp_ports=random"},
        Mutation{"EIM/APDF", "tcp_ports=sequential"}, Mutation{"EIM/APDF", "contention=sequential"},
        Mutation{"EIM/APDF", "contention=overload"}, Mutation{"EIM/APDF", "contention=drop"},
        Mutation{"EIM/APDF/sequential", "step=3"}, Mutation{"EIM/APDF/random", "parity=on"},
        Mutation{"EIM/APDF/random", "contiguity=on"}, Mutation{"APDM/EIF/random", "reply=session"},
        Mutation{"EIM/APDF", "udp_unsolicited=icmp"}, Mutation{"EIM/APDF", "udp_unsolicited=commit-state"},
        Mutation{"EIM/APDF", "tcp_unsolicited=reset"}, Mutation{"EIM/APDF", "tcp_unsolicited=delayed-icmp"},
        Mutation{"EIM/APDF,tcp_unsolicited=delayed-icmp", "unsolicited_delay=9s"},
        Mutation{"EIM/APDF", "tcp_unsolicited=accept"}, Mutation{"EIM/APDF", "out_of_state=pick-up"},
        Mutation{"EIM/APDF", "out_of_state=reset"}, Mutation{"EIM/APDF", "simultaneous_open=off"},
        Mutation{"EIM/APDF", "syn_ack_after_syn=drop"}, Mutation{"EIM/APDF", "hairpin=internal"},
        Mutation{"EIM/APDF", "hairpin=external"}, Mutation{"EIM/APDF", "udp_timeout=301s"},
        Mutation{"EIM/APDF", "udp_unreplied_timeout=30s"},
        Mutation{"EIM/APDF,udp_unreplied_timeout=30s", "udp_stream_after=2s"},
        Mutation{"EIM/APDF", "udp_refresh=both"}, Mutation{"EIM/APDF", "udp_refresh=inbound"},
        Mutation{"EIM/APDF", "tcp_transitory_timeout=239s"},
        Mutation{"EIM/APDF", "tcp_established_timeout=2h"}, Mutation{"EIM/APDF", "tcp_closing_timeout=10s"},
        Mutation{"EIM/APDF", "tcp_reset_timeout=10s"}, Mutation{"EIM/APDF", "icmp_timeout=30s"},
        Mutation{"EIM/APDF", "icmp_errors=drop"}, Mutation{"EIM/APDF", "echo=answer"},
        Mutation{"EIM/APDF", "ttl_expired=drop"}, Mutation{"EIM/APDF", "fragments=drop"},
        Mutation{"EIM/APDF", "fragments=ordered"}, Mutation{"EIM/APDF", "max_mappings=1000"},
        Mutation{"EIM/APDF", "max_mappings_per_host=100"},
        Mutation{"EIM/APDF,max_mappings_per_host=100", "when_full=evict-oldest"},
        Mutation{"EIM/APDF", "deny_list=20s"}, Mutation{"EIM/APDF,deny_list=20s", "deny_key=address"},
        Mutation{"EIM/APDF", "udp_blocked=on"}, Mutation{"EIM/APDF", "tcp_allowed_ports=80+443"},
        Mutation{"EIM/APDF", "captive=on"}, Mutation{"EIM/APDF", "translate=off"},
        Mutation{"EIM/APDF", "ipv6_udp_filtering=EIF"}, Mutation{"EIM/APDF", "ipv6_tcp_unsolicited=reset"},
        Mutation{"EIM/APDF", "ipv6_udp_timeout=10s"}, Mutation{"EIM/APDF", "ipv6_tcp_blocked=on"}));

}  // namespace
}  // namespace flaresim::probe
