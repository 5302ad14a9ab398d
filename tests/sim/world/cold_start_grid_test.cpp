// The nine NATs of RFC 4787's axes against each other from a cold start, held against the predicate of the punch. What
// finding each other adds to it stands in `exceptions`, each with its reason.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/sim/world/cold_start_scenario.h"
#include "tests/sim/world/predicate.h"

namespace flaresim::test {
namespace {

constexpr std::array all_axes{Axis::endpoint_independent, Axis::address_dependent,
                              Axis::address_and_port_dependent};

std::vector<NatAxes> all_nats() {
  std::vector<NatAxes> nats;
  for (const auto mapping : all_axes) {
    for (const auto filtering : all_axes) nats.push_back({mapping, filtering});
  }
  return nats;
}

struct Cell {
  NatAxes a;
  NatAxes b;
  const char* transport;

  bool quic() const { return std::string(transport) == "quic"; }
};

bool is_public(NatAxes nat) {
  return nat.mapping == Axis::endpoint_independent && nat.filtering == Axis::endpoint_independent;
}
bool punched(const Cell& cell) {
  return cell.quic() ? punched_over_quic(cell.a, cell.b) : predict_tcp(cell.a, cell.b) == Verdict::punched;
}

/// NATs of B that end the trial before any punch, unless B reaches A: B takes itself for public, which it is not, and so
/// looks for no relay. The packets: the server that dials back does so from the address that B has asked, to the port that it
/// sees of B.
const std::map<std::string, const char*> exceptions{
    {"EIM/ADF/random",
     "The dial-back comes from an address that B has sent to, and is let in. A's SYNs and Initials, to the "
     "same port, come "
     "from one that it has not, and are dropped as filtered."},
    {"ADM/ADF/random",
     "As EIM/ADF; the port that the server sees is that for its address, and the answer to its dial-back "
     "leaves from it. "
     "No two others see the same port, so B tells no public address at all, and nobody sends it a packet."},
    {"ADM/EIF/random",
     "As ADM/ADF. A stranger's packet would be let in, but be answered from another port, which is no answer "
     "to him."},
};

/// What comes out better than the punch, as A and B, all of it over QUIC: A takes itself for public, which it is not, serves the
/// DHT and tells its address. B dials that plainly, as the client, before and beside the punch. Its Initials to A's port are
/// dropped as filtered until A's own, in the punch, have made B's address known; the next one is let in, from whatever
/// port, and B waits for no first word.
const std::set<std::pair<std::string, std::string>> better_over_quic{
    {"EIM/ADF/random", "ADM/APDF/random"},
    {"EIM/ADF/random", "APDM/EIF/random"},
    {"EIM/ADF/random", "APDM/ADF/random"},
    {"EIM/ADF/random", "APDM/APDF/random"},
};

class ColdStartGrid : public testing::TestWithParam<Cell> {};

TEST_P(ColdStartGrid, IsDirectWhereThePunchIsAndVerdictsAreTrue) {
  const auto& cell = GetParam();
  const auto scenario = cold_start(notation(cell.a), notation(cell.b),
                                   {{"transports", std::string("[") + cell.transport + "]"}});
  const auto trial =
      world::run_trial(scenario, world_data(), /*seed=*/5, 0, {.timeline = true, .captures = {}});
  ASSERT_TRUE(trial.error.empty()) << trial.error;
  const auto& a = trial.dialability_a;
  const auto& b = trial.dialability_b;
  EXPECT_EQ(a.truth, is_public(cell.a) ? "public" : "private") << told(trial);
  EXPECT_EQ(b.truth, is_public(cell.b) ? "public" : "private") << told(trial);
  const auto exception = exceptions.find(notation(cell.b));
  if (b.verdict == "public") {
    EXPECT_TRUE(is_public(cell.b) || exception != exceptions.end()) << told(trial);
  }
  // Whom anybody can dial needs no punch.
  const bool should = punched(cell) || is_public(cell.a) || is_public(cell.b);
  const bool is_better = cell.quic() && better_over_quic.contains({notation(cell.a), notation(cell.b)});
  if (is_direct(trial)) {
    EXPECT_NE(should, is_better) << told(trial);
    EXPECT_TRUE(should || a.verdict == "public") << told(trial);
    return;
  }
  EXPECT_FALSE(is_better) << told(trial);
  if (exception != exceptions.end()) {
    EXPECT_EQ(trial.outcome, world::Outcome::no_connection) << exception->second << told(trial);
    EXPECT_EQ(trial.cause, world::Cause::verdict_wrong) << exception->second << told(trial);
    return;
  }
  EXPECT_FALSE(should) << told(trial);
  EXPECT_TRUE(trial.relayed_after) << told(trial);
  EXPECT_TRUE(trial.outcome == world::Outcome::failed || trial.outcome == world::Outcome::no_stream)
      << told(trial);
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const auto* transport : {"tcp", "quic"}) {
    for (const auto a : all_nats()) {
      for (const auto b : all_nats()) cells.push_back({a, b, transport});
    }
  }
  return cells;
}

std::string cell_name(const testing::TestParamInfo<Cell>& info) {
  auto name = notation(info.param.a) + "_x_" + notation(info.param.b) + "_" + info.param.transport;
  std::ranges::replace(name, '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Nats, ColdStartGrid, testing::ValuesIn(all_cells()), cell_name);

}  // namespace
}  // namespace flaresim::test
