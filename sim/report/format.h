#pragma once

#include <string>
#include <vector>

#include "sim/study/summary.h"

namespace flaresim::report {

/// Texts in rows and columns. The first row is the heading.
using Table = std::vector<std::vector<std::string>>;

/// `85.9 %`; `-` without a value.
std::string percent(const study::Rate& rate);
/// `[83.6, 87.9]`; `-` without a value.
std::string interval(const study::Rate& rate);
/// `850 of 990`
std::string fraction(const study::Rate& rate);
/// `at least 0.82 and at most 0.89`
std::string bounds(const world::Expectation& expectation);
/// `punch_rate 70.9 % [66.5, 75.0] of 438 is not at least 0.82 and at most 0.89`
std::string sentence(const study::Verdict& verdict);
/// `peers.a.nat=EIM/APDF, peers.b.nat=linux`
std::string place(const study::CellSummary& cell);

/// `EIM/APDF+tcp-unfriendly`: a NAT of a population in fewer words than its inline form, for tables.
std::string short_nat(const std::string& nat);
/// `quic 71.2 %, tcp 28.8 %` of the punched connections; `-` without any.
std::string won_by(const study::Tally& tally);
/// What the command line changed about the scenario's own sweep and expectations, a sentence each.
std::vector<std::string> notes(const study::Summary& summary);

/// Outcomes and causes that occurred, with their shares.
Table outcome_table(const study::Tally& tally);
Table cause_table(const study::Tally& tally);
/// A row a cell of the sweep.
Table cell_table(const study::Summary& summary);
/// A row a pair of NATs, as sorted in `groups`.
Table group_table(const std::vector<study::Group>& groups);

}  // namespace flaresim::report
