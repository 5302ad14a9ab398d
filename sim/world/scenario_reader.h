#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/io/time.h"
#include "sim/world/scenario_text.h"

namespace flaresim::world {

/// Words that names in a scenario must be among.
struct Vocabulary {
  std::vector<std::string> regions;
  std::vector<std::string> accesses;
};

/// Turns values into what they mean. Keeps the first error; after one, what is returned is meaningless.
class Reader {
 public:
  void fail(const Place& place, std::string message);
  const std::optional<ScenarioError>& error() const { return error_; }

  std::string text(const Value& value);
  /// One of `names`; `what` says what they are names of.
  std::string name(const Value& value, std::string_view what, const std::vector<std::string>& names);
  std::uint64_t whole(const Value& value, std::uint64_t low, std::uint64_t high);
  /// A share or a rate, in [0, 1].
  double rate(const Value& value);
  /// `true` or `false`.
  bool truth(const Value& value);
  /// A number and a unit: `20 ms`, `1.5 s`, `2 min`, `100 us`.
  io::Duration duration(const Value& value, io::Duration low, io::Duration high);
  /// A number and a unit: `10 Mbit/s`; up to 1000 Gbit/s.
  std::uint64_t bits_per_second(const Value& value);
  /// A name or an inline form, as written, that `parse_nat` accepts.
  std::string nat(const Value& value);
  /// The items of a list without repetition; a single value counts as a list of one.
  std::vector<const Value*> list(const Value& value);

  /// Where a character of a scalar stands: its place, without the quotation mark that this may point at.
  static Place inside(const Value& value, std::size_t offset);

 private:
  /// A scalar without quotation marks, which make a text of anything.
  bool is_plain(const Value& value, std::string_view what);

  std::optional<ScenarioError> error_;
};

/// A map of which every key is known. `where` names it in messages; empty for the document itself.
class Keys {
 public:
  Keys(Reader& reader, const Value& map, std::string_view where,
       std::initializer_list<std::string_view> valid)
      : Keys(reader, map, where, std::vector<std::string_view>(valid)) {}
  Keys(Reader& reader, const Value& map, std::string_view where, const std::vector<std::string_view>& valid);

  /// Nothing when the key is not given.
  const Value* find(std::string_view key) const;
  /// As `find`, but its absence is an error.
  const Value* need(std::string_view key);

 private:
  Reader& reader_;
  const Value& map_;
  std::string where_;
};

/// `events:`, a list of changes to a scenario that has its gateways and its peers; if not `has_world`, those are still
/// to come, and names of gateways are whatever they are.
std::vector<Change> read_events(Reader& reader, const Value& value, const Scenario& scenario,
                                const Vocabulary& vocabulary, bool has_world);
/// That every change can happen where it is to happen; `value` is where they stand.
void check_events(Reader& reader, const Value& value, const Scenario& scenario);
/// `expect:`, a map of rates that holds for every cell, or a list of such maps that may have a `when`.
std::vector<Expectation> read_expectations(Reader& reader, const Value& value);
/// `sweep:`, a map of keys to values.
std::vector<Axis> read_sweep(Reader& reader, const Value& value);

/// `10 Mbit/s`, with the largest unit that keeps the number whole; `Reader::bits_per_second` reads it back.
std::string rate_text(std::uint64_t bits_per_second);

/// `20 ms`, with the largest unit that keeps the number whole; `Reader::duration` reads it back.
std::string duration_text(io::Duration duration);

/// A population as its file or a scenario writes it.
Population read_population(Reader& reader, const Value& value, const Vocabulary& vocabulary);
/// The population of `DATA/populations/NAME.yaml`, for a value that is its name.
Population find_population(Reader& reader, const Value& name, const Vocabulary& vocabulary,
                           const std::string& data);

/// Puts the keys of `DATA/worlds/NAME.yaml` in the place of the scenario's own, for a value that is its name. A
/// topology gives all gateways, all peers and the core; of other keys, those that it has. Fills in its summary.
std::optional<ScenarioError> apply_topology(Value& root, const Value& name, const std::string& data,
                                            std::string* summary = nullptr);
/// Sets the keys of a map of dotted keys to its values.
std::optional<ScenarioError> apply_set(Value& root, const Value& set);

/// `gateways:`, a map of names to gateways.
std::vector<GatewaySpec> read_gateways(Reader& reader, const Value& value, const Vocabulary& vocabulary);
/// That every gateway has somebody behind it, and that none is behind itself; `value` is where they stand.
void check_gateways(Reader& reader, const Value& value, const Scenario& scenario);
/// A region's name or the word of a placement.
Location read_location(Reader& reader, const Value& value, const Vocabulary& vocabulary);
/// The word or the name that `read_location` reads back.
std::string location_text(const Location& location);
/// `network:`, but for its `peers`.
NetworkSpec read_network(Reader& reader, const Value& value, const Vocabulary& vocabulary);
/// `core:`, a generator's parameters or a file, with the graph that comes of it.
std::optional<CoreSpec> read_core(Reader& reader, const Value& value);

}  // namespace flaresim::world
