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

/// What the intervals of these trials assume, in a sentence.
std::string about_intervals(const study::Rate& rate);

/// `300 attempts in 2 worlds` or `300 trials`, with what went wrong of them, and the seed.
std::string size_of(const study::Summary& summary);

/// `EIM/APDF+tcp-unfriendly`: a NAT of a population in fewer words than its inline form, for tables.
std::string short_nat(const std::string& nat);
/// `quic 71.2 %, tcp 28.8 %` of the punched connections; `-` without any.
std::string won_by(const study::Tally& tally);
/// What the command line changed about the scenario's own sweep and expectations, a sentence each.
std::vector<std::string> notes(const study::Summary& summary);

/// Outcomes and causes that occurred, with their shares.
Table outcome_table(const study::Tally& tally);
Table cause_table(const study::Tally& tally);
/// A row a phase of a cold start that any trial ended: how many did, and how long it took them.
Table phase_table(const study::CellSummary& cell);
/// A row a cell of the sweep.
Table cell_table(const study::Summary& summary);
/// A row a pair of NATs, as sorted in `groups`.
Table group_table(const std::vector<study::Group>& groups);

/// What became of a cell's networks: a column of means over its worlds, and with several ones their lowest and highest.
Table network_table(const study::CellSummary& cell);
/// What the nodes of all its worlds make of themselves at the last look, a row a kind of NAT.
Table verdict_table(const study::CellSummary& cell);
/// How far the attempts of all its worlds came.
Table funnel_table(const study::CellSummary& cell);
/// The rates that only networks have.
Table network_rate_table(const study::CellSummary& cell);

}  // namespace flaresim::report
