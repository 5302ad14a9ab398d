#include "sim/world/scenario_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "sim/world/nat_presets.h"

namespace flaresim::world {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
constexpr std::array time_units{
    Unit{"h", 3'600'000'000'000}, Unit{"min", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},           Unit{"ns", 1}};

struct RateUnit {
  std::string_view name;
  std::uint64_t bits_per_second;
};
constexpr std::array rate_units{RateUnit{"Gbit/s", 1'000'000'000}, RateUnit{"Mbit/s", 1'000'000},
                                RateUnit{"kbit/s", 1'000}, RateUnit{"bit/s", 1}};
constexpr double max_bits_per_second = 1e12;

std::string kind_of(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null:
      return "nothing";
    case Value::Kind::list:
      return "a list";
    case Value::Kind::map:
      return "a map";
    case Value::Kind::scalar:
      return fmt::format("'{}'", value.scalar);
  }
  return "";
}

/// The number at the start of a text, and what follows it without blanks.
std::optional<std::pair<double, std::string_view>> number_and_rest(std::string_view text) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || !std::isfinite(number)) return std::nullopt;
  auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return std::pair{number, rest};
}

}  // namespace

void Reader::fail(const Place& place, std::string message) {
  if (!error_) error_ = error_at(place, std::move(message)).value();
}

std::string Reader::text(const Value& value) {
  if (value.kind != Value::Kind::scalar) fail(value.place, "expected a text, not " + kind_of(value));
  return value.scalar;
}

std::string Reader::name(const Value& value, std::string_view what, const std::vector<std::string>& names) {
  auto word = text(value);
  if (value.kind == Value::Kind::scalar && std::ranges::find(names, word) == names.end()) {
    fail(value.place, fmt::format("there is no {} '{}'{}", what, word, suggestion(word, names)));
  }
  return word;
}

bool Reader::is_plain(const Value& value, std::string_view what) {
  if (value.kind == Value::Kind::scalar && !value.quoted) return true;
  fail(value.place, fmt::format("expected {}, not {}", what, value.quoted ? "a text" : kind_of(value)));
  return false;
}

std::uint64_t Reader::whole(const Value& value, std::uint64_t low, std::uint64_t high) {
  const auto expected = fmt::format("a whole number from {} to {}", low, high);
  if (!is_plain(value, expected)) return low;
  const auto& text = value.scalar;
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || end != text.data() + text.size() || number < low || number > high) {
    fail(value.place, fmt::format("expected {}, not '{}'", expected, text));
  }
  return number;
}

double Reader::rate(const Value& value) {
  constexpr std::string_view expected = "a rate from 0 to 1";
  if (!is_plain(value, expected)) return 0;
  const auto parsed = number_and_rest(value.scalar);
  if (!parsed || !parsed->second.empty() || !(parsed->first >= 0 && parsed->first <= 1)) {
    fail(value.place, fmt::format("expected {}, not '{}'", expected, value.scalar));
    return 0;
  }
  return parsed->first;
}

bool Reader::truth(const Value& value) {
  constexpr std::string_view expected = "true or false";
  if (!is_plain(value, expected)) return false;
  if (value.scalar != "true" && value.scalar != "false")
    fail(value.place, fmt::format("expected {}, not '{}'", expected, value.scalar));
  return value.scalar == "true";
}

io::Duration Reader::duration(const Value& value, io::Duration low, io::Duration high) {
  if (value.kind != Value::Kind::scalar) {
    fail(value.place, fmt::format("expected a duration such as 20 ms, not {}", kind_of(value)));
    return low;
  }
  const auto parsed = number_and_rest(value.scalar);
  const auto unit = parsed ? std::ranges::find(time_units, parsed->second, &Unit::name) : time_units.end();
  if (unit == time_units.end()) {
    fail(value.place,
         fmt::format("expected a number with one of the units h, min, s, ms, us, ns, such as 20 ms, "
                     "not '{}'",
                     value.scalar));
    return low;
  }
  const auto nanoseconds = parsed->first * static_cast<double>(unit->nanoseconds);
  if (!(nanoseconds >= static_cast<double>(low.count()) &&
        nanoseconds <= static_cast<double>(high.count()))) {
    fail(value.place, fmt::format("expected a duration from {} to {}, not '{}'", duration_text(low),
                                  duration_text(high), value.scalar));
    return low;
  }
  return io::Duration(std::llround(nanoseconds));
}

std::uint64_t Reader::bits_per_second(const Value& value) {
  const auto written = value.kind == Value::Kind::scalar ? value.scalar : "";
  const auto parsed = number_and_rest(written);
  const auto unit =
      parsed ? std::ranges::find(rate_units, parsed->second, &RateUnit::name) : rate_units.end();
  const auto bits =
      unit == rate_units.end() ? -1 : parsed->first * static_cast<double>(unit->bits_per_second);
  if (bits >= 1 && bits <= max_bits_per_second) return static_cast<std::uint64_t>(std::llround(bits));
  fail(value.place,
       fmt::format("expected a rate up to 1000 Gbit/s with one of the units bit/s, kbit/s, Mbit/s, "
                   "Gbit/s, such as 10 Mbit/s, not {}",
                   kind_of(value)));
  return 0;
}

Place Reader::inside(const Value& value, std::size_t offset) {
  auto place = value.place;
  if (place.column > 0) place.column += static_cast<int>(offset) + (value.quoted ? 1 : 0);
  return place;
}

std::string Reader::nat(const Value& value) {
  auto written = text(value);
  if (value.kind != Value::Kind::scalar) return written;
  if (const auto behaviour = parse_nat(written); !behaviour) {
    const auto& error = behaviour.error();
    fail(inside(value, error.offset),
         error.nearest.empty() ? error.message
                               : fmt::format("{}; did you mean '{}'?", error.message, error.nearest));
  }
  return written;
}

std::vector<const Value*> Reader::list(const Value& value) {
  if (value.kind == Value::Kind::scalar) return {&value};
  if (value.kind != Value::Kind::list || value.items.empty()) {
    fail(value.place, value.kind == Value::Kind::list ? "expected at least one item"
                                                      : "expected a list, not " + kind_of(value));
    return {};
  }
  std::vector<const Value*> items;
  for (const auto& item : value.items) {
    const auto twice = std::ranges::any_of(items, [&](auto* other) { return other->scalar == item.scalar; });
    if (item.kind == Value::Kind::scalar && twice) {
      fail(item.place, fmt::format("'{}' is listed twice", item.scalar));
    }
    items.push_back(&item);
  }
  return items;
}

Keys::Keys(Reader& reader, const Value& map, std::string_view where,
           const std::vector<std::string_view>& valid)
    : reader_(reader), map_(map), where_(where) {
  const auto in_where = where.empty() ? "" : fmt::format(" in {}", where);
  const std::vector<std::string> words(valid.begin(), valid.end());
  if (map.kind != Value::Kind::map) {
    reader.fail(map.place, fmt::format("expected a map{}, not {}", in_where, kind_of(map)));
  }
  for (const auto& entry : map.entries) {
    if (std::ranges::find(words, entry.key) != words.end()) continue;
    reader.fail(entry.place,
                fmt::format("unknown key '{}'{}{}", entry.key, in_where, suggestion(entry.key, words)));
  }
}

const Value* Keys::find(std::string_view key) const {
  const auto found = std::ranges::find(map_.entries, key, &MapEntry::key);
  return found == map_.entries.end() ? nullptr : &found->value;
}

const Value* Keys::need(std::string_view key) {
  const auto* value = find(key);
  if (!value) {
    reader_.fail(map_.place,
                 fmt::format("key '{}' is missing{}", key, where_.empty() ? "" : " in " + where_));
  }
  return value;
}

std::string rate_text(std::uint64_t bits_per_second) {
  const auto whole = [&](const RateUnit& unit) { return bits_per_second % unit.bits_per_second == 0; };
  const auto unit = *std::ranges::find_if(rate_units, whole);
  return fmt::format("{} {}", bits_per_second / unit.bits_per_second, unit.name);
}

std::string duration_text(io::Duration duration) {
  if (duration.count() == 0) return "0 s";
  for (const auto& unit : time_units) {
    if (duration.count() % unit.nanoseconds == 0) {
      return fmt::format("{} {}", duration.count() / unit.nanoseconds, unit.name);
    }
  }
  return "";
}

}  // namespace flaresim::world
