#include "sim/world/scenario_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <numeric>
#include <sstream>

namespace flaresim::world {
namespace {

constexpr std::size_t max_file_bytes = 1 << 20;
constexpr int max_depth = 16;                // an alias inside its own anchor never ends
constexpr std::size_t max_values = 100'000;  // aliases of aliases grow exponentially

/// Turns yaml-cpp's nodes into values, since it keeps duplicate keys silently and shares aliased nodes.
class Converter {
 public:
  explicit Converter(std::string source, bool is_file) : source_(std::move(source)), is_file_(is_file) {}

  Parsed<Value> convert(const YAML::Node& node, const Place& fallback, int depth) {
    Value value;
    value.place = place_of(node.Mark(), fallback);
    if (depth > max_depth) return error_at(value.place, "values are nested too deeply");
    if (++count_ > max_values) return error_at(value.place, "too many values");
    if (const auto& tag = node.Tag(); tag != "?" && tag != "!" && !tag.empty()) {
      return error_at(value.place, fmt::format("tags such as '{}' have no meaning here", tag));
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        value.kind = Value::Kind::scalar;
        value.scalar = node.Scalar();
        value.quoted = node.Tag() == "!";
        return value;
      case YAML::NodeType::Sequence:
        return convert_list(node, std::move(value), depth);
      case YAML::NodeType::Map:
        return convert_map(node, std::move(value), depth);
      default:
        return value;
    }
  }

  Place place_of(const YAML::Mark& mark, const Place& fallback) const {
    if (mark.is_null()) return fallback;
    return {source_, is_file_ ? mark.line + 1 : 0, mark.column + 1};
  }

 private:
  Parsed<Value> convert_list(const YAML::Node& node, Value value, int depth) {
    value.kind = Value::Kind::list;
    for (const auto& item : node) {
      auto converted = convert(item, value.place, depth + 1);
      if (!converted) return converted;
      value.items.push_back(std::move(*converted));
    }
    return value;
  }

  Parsed<Value> convert_map(const YAML::Node& node, Value value, int depth) {
    value.kind = Value::Kind::map;
    for (const auto& pair : node) {
      const auto place = place_of(pair.first.Mark(), value.place);
      if (!pair.first.IsScalar()) return error_at(place, "a key must be a single word");
      const auto& key = pair.first.Scalar();
      const auto first = std::ranges::find(value.entries, key, &MapEntry::key);
      if (first != value.entries.end()) {
        return error_at(place, is_file_ ? fmt::format("key '{}' is given twice (first on line {})", key,
                                                      first->place.line)
                                        : fmt::format("key '{}' is given twice", key));
      }
      auto converted = convert(pair.second, place, depth + 1);
      if (!converted) return converted;
      // yaml-cpp places an empty value where the next token starts.
      if (converted->kind == Value::Kind::null) converted->place = place;
      value.entries.push_back({key, place, std::move(*converted)});
    }
    return value;
  }

  std::string source_;
  bool is_file_;
  std::size_t count_ = 0;
};

Parsed<Value> parse_yaml(const std::string& text, const std::string& source, bool is_file) {
  Converter converter(source, is_file);
  const Place start{source, is_file ? 1 : 0, 1};
  try {
    const auto documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      return error_at(converter.place_of(documents[1].Mark(), start),
                      "a second document; there can be only one");
    }
    if (documents.empty()) return Value::empty(Value::Kind::null, start);
    return converter.convert(documents.front(), start, 0);
  } catch (const YAML::Exception& exception) {
    return error_at(converter.place_of(exception.mark, start), exception.msg);
  }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto replaced = diagonal + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

OwnValue find_among(const std::vector<MapEntry>& entries, const Assignment& assignment) {
  const auto entry = std::ranges::find(entries, assignment.key, &MapEntry::key);
  if (entry == entries.end()) return {};
  const auto values =
      assignment.option == own_sweep ? axis_values(entry->value) : std::span<const Value>(&entry->value, 1);
  const auto value = std::ranges::find(values, assignment.value, flow_text);
  return value == values.end() ? OwnValue{} : OwnValue{&*entry, &*value};
}

/// Whether YAML takes a text for the scalar, unquoted.
bool reads_as(const std::string& text, const std::string& scalar) {
  const auto parsed = parse_yaml(text, "", false);
  return parsed && parsed->kind == Value::Kind::scalar && !parsed->quoted && parsed->scalar == scalar;
}

std::string quoted(const std::string& scalar) {
  YAML::Emitter out;
  out << YAML::DoubleQuoted << scalar;
  return out.c_str();
}

/// Inside of brackets or braces, which end a plain scalar.
std::string flow(const Value& value) {
  std::vector<std::string> parts;
  switch (value.kind) {
    case Value::Kind::null:
      return "~";
    case Value::Kind::scalar: {
      const auto plain = value.scalar.find_first_of(",[]{}:") == std::string::npos;
      return plain && !value.quoted && reads_as(value.scalar, value.scalar) ? value.scalar
                                                                            : quoted(value.scalar);
    }
    case Value::Kind::list:
      for (const auto& item : value.items) parts.push_back(flow(item));
      return fmt::format("[{}]", fmt::join(parts, ", "));
    case Value::Kind::map:
      for (const auto& entry : value.entries) {
        const auto plain =
            entry.key.find_first_of(",[]{}:") == std::string::npos && reads_as(entry.key, entry.key);
        parts.push_back(fmt::format("{}: {}", plain ? entry.key : quoted(entry.key), flow(entry.value)));
      }
      return fmt::format("{{{}}}", fmt::join(parts, ", "));
  }
  return "~";
}

}  // namespace

Value Value::empty(Kind kind, Place place) {
  Value value;
  value.kind = kind;
  value.place = std::move(place);
  return value;
}

tl::unexpected<ScenarioError> error_at(const Place& place, std::string message) {
  return tl::unexpected(ScenarioError{place.source, place.line, place.column, std::move(message)});
}

Parsed<Value> read_yaml_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(max_file_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A directory opens, but cannot be read.
  if (!file.is_open() || file.bad()) return error_at({path, 0, 0}, "cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > max_file_bytes) return error_at({path, 0, 0}, "is larger than 1 MiB");
  return parse_yaml(text, path, true);
}

std::optional<ScenarioError> put(Value& root, const std::string& key, Value value, const Place& place) {
  Value* at = &root;
  std::istringstream words(key + ".");
  for (std::string word; std::getline(words, word, '.');) {
    if (word.empty()) return error_at(place, "a key is words with dots between, such as peers.a.nat").value();
    if (at->kind == Value::Kind::null) *at = Value::empty(Value::Kind::map, place);
    if (at->kind != Value::Kind::map) {
      return error_at(place, fmt::format("there is no key '{}' under a value that is not a map", word))
          .value();
    }
    auto found = std::ranges::find(at->entries, word, &MapEntry::key);
    if (found == at->entries.end()) {
      found = at->entries.insert(at->entries.end(),
                                 MapEntry{word, place, Value::empty(Value::Kind::null, place)});
    }
    at = &found->value;
  }
  *at = std::move(value);
  return std::nullopt;
}

std::optional<ScenarioError> assign(Value& root, const Assignment& assignment) {
  if (const auto own = find_own(root, assignment); own.value) {
    auto value = *own.value;  // it may stand below the key that it replaces
    const auto place = own.entry->place;
    return put(root, assignment.key, std::move(value), place);
  }
  const auto source = fmt::format("{} {}={}", assignment.option, assignment.key, assignment.value);
  const Place place{source, 0, 0};
  auto parsed = parse_yaml(assignment.value, source, false);
  if (!parsed) return parsed.error();
  if (parsed->kind == Value::Kind::null) parsed->place = place;
  return put(root, assignment.key, std::move(*parsed), place);
}

std::span<const Value> axis_values(const Value& axis) {
  if (axis.kind == Value::Kind::list) return axis.items;
  return {&axis, 1};
}

const Value* find_value(const Value& root, std::string_view key) {
  const auto dot = key.find('.');
  const auto entry = std::ranges::find(root.entries, key.substr(0, dot), &MapEntry::key);
  if (entry == root.entries.end()) return nullptr;
  return dot == std::string_view::npos ? &entry->value : find_value(entry->value, key.substr(dot + 1));
}

OwnValue find_own(const Value& root, const Assignment& assignment) {
  if (assignment.option == own_sweep) {
    const auto* sweep = find_value(root, "sweep");
    return sweep ? find_among(sweep->entries, assignment) : OwnValue{};
  }
  const auto* expect = assignment.option == own_condition ? find_value(root, "expect") : nullptr;
  if (!expect) return {};
  for (const auto& item : expect->items) {
    const auto* when = find_value(item, "when");
    if (const auto own = when ? find_among(when->entries, assignment) : OwnValue{}; own.value) return own;
  }
  return {};
}

std::string flow_text(const Value& value) {
  if (value.kind == Value::Kind::scalar) {
    return reads_as(value.scalar, value.scalar) ? value.scalar : quoted(value.scalar);
  }
  return flow(value);
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const auto distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view word, std::span<const std::string> candidates) {
  if (const auto best = nearest(word, candidates); !best.empty())
    return fmt::format("; did you mean '{}'?", best);
  constexpr std::size_t short_list = 24;
  if (candidates.empty() || candidates.size() > short_list) return "";
  return fmt::format("; expected one of: {}", fmt::join(candidates, ", "));
}

}  // namespace flaresim::world
