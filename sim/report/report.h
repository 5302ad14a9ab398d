#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/nat/behaviour.h"
#include "sim/study/summary.h"

namespace flaresim::report {

/// For people at a terminal: rates with intervals, outcomes, causes, and the pairs of NATs or the cells of a
/// sweep.
std::string text(const study::Summary& summary);

/// One JSON document (RFC 8259): `scenario, seed, trials, outcomes{}, causes{}, transports{} (of the punched connections), punch_rate{value, low, high,
/// numerator, denominator}, direct_rate{}, groups[], expectations[], notes[], build{}`; with a sweep also `cells[]`,
/// each of the same shape with its values in `set{}`, while the top level counts all cells together.
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

/// CSV (RFC 4180, but lines end in a line feed): a line of column names.
std::string csv_header(const study::Plan& plan);
std::string csv_row(const study::Plan& plan, const study::Row& row);

}  // namespace flaresim::report
