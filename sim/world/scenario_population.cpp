#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "sim/world/scenario_reader.h"

namespace flaresim::world {
namespace {

/// A map of names to weights that add up to 1, so that a forgotten line is noticed.
template <class ReadName>
std::vector<Population::Share> read_shares(Reader& reader, const Value* value, std::string_view where,
                                           ReadName read_name) {
  std::vector<Population::Share> shares;
  if (!value) return shares;
  if (value->kind != Value::Kind::map || value->entries.empty()) {
    reader.fail(value->place, fmt::format("expected a map of names to shares in {}", where));
    return shares;
  }
  double total = 0;
  for (const auto& entry : value->entries) {
    auto name = Value::empty(Value::Kind::scalar, entry.place);
    name.scalar = entry.key;
    shares.push_back({read_name(name), reader.rate(entry.value)});
    total += shares.back().weight;
  }
  constexpr double rounding = 1e-9;
  if (std::abs(total - 1) > rounding) {
    reader.fail(value->place, fmt::format("the shares in {} add up to {:.6g}, not 1", where, total));
  }
  return shares;
}

std::vector<std::string> population_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;  // a missing folder has no populations
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
    if (file.path().extension() == ".yaml") names.push_back(file.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

Population read_population(Reader& reader, const Value& value, const Vocabulary& vocabulary) {
  Population population;
  Keys keys(reader, value, "a population", {"name", "nats", "regions", "accesses", "tcp_unfriendly"});
  if (const auto* name = keys.need("name")) population.name = reader.text(*name);
  population.nats =
      read_shares(reader, keys.need("nats"), "nats", [&](const Value& name) { return reader.nat(name); });
  population.regions = read_shares(reader, keys.need("regions"), "regions", [&](const Value& name) {
    return reader.name(name, "region", vocabulary.regions);
  });
  population.accesses = read_shares(reader, keys.need("accesses"), "accesses", [&](const Value& name) {
    return reader.name(name, "access link", vocabulary.accesses);
  });
  if (const auto* share = keys.find("tcp_unfriendly")) population.tcp_unfriendly = reader.rate(*share);
  return population;
}

Population find_population(Reader& reader, const Value& name, const Vocabulary& vocabulary,
                           const std::string& data) {
  const auto folder = std::filesystem::path(data) / "populations";
  const auto word = reader.name(name, "population", population_names(folder));
  if (reader.error()) return {};
  const auto file = read_yaml_file((folder / (word + ".yaml")).string());
  if (!file) {
    reader.fail({file.error().file, file.error().line, file.error().column}, file.error().message);
    return {};
  }
  auto population = read_population(reader, *file, vocabulary);
  if (population.name != word)
    reader.fail(file->place, fmt::format("name is not that of the file, '{}'", word));
  return population;
}

}  // namespace flaresim::world
