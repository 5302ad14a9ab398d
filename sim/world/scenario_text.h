#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/scenario.h"

namespace flaresim::world {

/// Where a piece of text stands: in a file, or in an argument (line 0).
struct Place {
  std::string source;
  int line = 0;
  int column = 0;
};

struct MapEntry;

/// A YAML document as a tree of values that know their place. Keys are unique, tags and aliases are resolved
/// or refused, and depth and size are bounded.
struct Value {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  std::string scalar;
  bool quoted = false;  ///< a quoted scalar is a text, whatever it looks like
  std::vector<Value> items;
  std::vector<MapEntry> entries;
  Place place;

  static Value empty(Kind kind, Place place);
};

struct MapEntry {
  std::string key;
  Place place;
  Value value;
};

template <class T>
using Parsed = tl::expected<T, ScenarioError>;

tl::unexpected<ScenarioError> error_at(const Place& place, std::string message);

/// Reads a file of at most 1 MiB that holds one YAML document.
Parsed<Value> read_yaml_file(const std::string& path);

/// Sets a dotted key to a value written in YAML, making the maps on the way. The value of an `own_sweep` or
/// `own_condition` is the one in the tree that reads the same, with its place.
std::optional<ScenarioError> assign(Value& root, const Assignment& assignment);

/// Sets a dotted key, making the maps on the way; complaints are about `place`.
std::optional<ScenarioError> put(Value& root, const std::string& key, Value value, const Place& place);

/// What stands under a dotted key; nothing when there is nothing.
const Value* find_value(const Value& root, std::string_view key);

/// The values that an axis of a sweep takes; a single one needs no list.
std::span<const Value> axis_values(const Value& axis);

/// The entry of the tree's own sweep or of a condition of its own expectations that an assignment was made from, and
/// the value of it that was meant.
struct OwnValue {
  const MapEntry* entry = nullptr;
  const Value* value = nullptr;
};
OwnValue find_own(const Value& root, const Assignment& assignment);

/// A value as text on one line that `assign` reads back to the same: `[tcp, quic]`, `EIM/APDF,udp_timeout=30s`.
std::string flow_text(const Value& value);

/// The candidate with the fewest edits, when it is near enough to be what was meant; empty otherwise.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// `; did you mean 'X'?`, or the list of candidates when nothing is near and the list is short.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

}  // namespace flaresim::world
