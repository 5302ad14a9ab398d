#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/nat/behaviour.h"
#include "sim/study/summary.h"

namespace flaresim::report {

/// For people at a terminal: rates with intervals, outcomes, causes, phases of a cold start, what became of networks, and
/// the pairs of NATs or the cells of a sweep.
std::string text(const study::Summary& summary);

/// One JSON document (RFC 8259): `scenario, seed, trials, outcomes{}, causes{}, transports{} (of the punched
/// connections), punch_rate{value, low, high, numerator, denominator, interval, worlds}, direct_rate{}, phases{},
/// groups[], expectations[], notes[], build{}`; of a network also `worlds[]{world, error, report{}}` (the report as
/// `study::to_json` has it), `true_closest_rate{}`, `true_verdict_rate{}` and `reserved_rate{}`; with a sweep also
/// `cells[]`, each of the same shape with its values in `set{}`, while the top level counts all cells together and has no
/// phases and no worlds.
std::string json(const study::Summary& summary);

/// GitHub-flavoured Markdown of at most 60 kB, as a CI job's summary takes it; long tables are cut and say
/// so.
std::string markdown(const study::Summary& summary);

/// JUnit XML: a cell is a test case that errs when trials did, and so is each of its expectations.
std::string junit(const study::Summary& summary);

/// One trial told from its timeline, with how it ended and why.
std::string story(const world::Scenario& scenario, const world::Trial& trial);

/// A value of a row's column; durations are in milliseconds.
using FieldValue = std::variant<std::string, std::uint64_t, std::optional<double>>;
struct Field {
  std::string name;
  FieldValue value;
};
/// The columns of a row: the sweep's values, then the trial. Names and order are the same for all rows of a
/// plan.
std::vector<Field> fields(const study::Plan& plan, const study::Row& row);

/// The columns of a world: the sweep's values, its number, why it went wrong, and the numbers of its report.
std::vector<Field> fields(const study::Plan& plan, const study::World& world);

/// CSV (RFC 4180, but lines end in a line feed): a line of column names, and one of values.
std::string csv_header(const std::vector<Field>& fields);
std::string csv_row(const std::vector<Field>& fields);

}  // namespace flaresim::report
