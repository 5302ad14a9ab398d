#include "sim/world/nat_presets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "sim/world/scenario_reader.h"
#include "sim/world/world_data.h"

namespace flaresim::world {
namespace {

namespace fs = std::filesystem;

constexpr std::array source_kinds{NatSource::Kind::measurement, NatSource::Kind::manual,
                                  NatSource::Kind::code, NatSource::Kind::standard};
constexpr std::string_view index_name = "index";

/// The inline form that the axes of a file make, and where its pieces stand there.
class InlineForm {
 public:
  void append(std::string_view text, const Place& place) {
    pieces_.push_back({text_.size(), place});
    text_ += text;
  }
  /// Punctuation, which belongs to the piece before it.
  void append(char punctuation) { text_ += punctuation; }

  const std::string& text() const { return text_; }

  /// Where the character stands in the file.
  Place place_of(std::size_t offset) const {
    const auto after = std::ranges::upper_bound(pieces_, offset, {}, &Piece::offset);
    const auto& piece = *std::prev(after);
    auto place = piece.place;
    place.column += static_cast<int>(offset - piece.offset);
    return place;
  }

 private:
  struct Piece {
    std::size_t offset = 0;
    Place place;
  };
  std::string text_;
  std::vector<Piece> pieces_;
};

/// Reads one file; the first error is the reader's.
class PresetReader {
 public:
  explicit PresetReader(Reader& reader) : reader_(reader) {}

  NatPreset read(const Value& file, const std::string& name) {
    Keys keys(reader_, file, "", {"name", "summary", "observed_on", "sources", "axes", "assumed", "known"});
    if (const auto* value = keys.need("name")) read_name(*value, name);
    if (const auto* value = keys.need("summary")) preset_.summary = line(*value);
    if (const auto* value = keys.need("observed_on")) read_observed_on(*value);
    if (const auto* value = keys.need("sources")) read_sources(*value);
    if (const auto* value = keys.need("axes")) read_axes(*value);
    mark_assumed(keys.find("assumed"), keys.find("known"));
    preset_.grade = grade();
    return std::move(preset_);
  }

  const InlineForm& form() const { return form_; }

 private:
  /// A text of one line that says something.
  std::string line(const Value& value) {
    auto text = reader_.text(value);
    if (value.kind != Value::Kind::scalar) return text;
    if (text.empty() || text.find('\n') != std::string::npos)
      reader_.fail(value.place, "expected a text of one line");
    return text;
  }

  void read_name(const Value& value, const std::string& name) {
    preset_.name = reader_.text(value);
    if (preset_.name != name)
      reader_.fail(value.place, fmt::format("name is not that of the file, '{}'", name));
  }

  void read_observed_on(const Value& value) {
    if (value.kind == Value::Kind::list && value.items.empty()) return;
    for (const auto* item : reader_.list(value)) preset_.observed_on.push_back(line(*item));
  }

  void read_sources(const Value& value) {
    if (value.kind != Value::Kind::list || value.items.empty()) {
      reader_.fail(value.place, "expected a list of sources, at least one");
      return;
    }
    for (const auto& item : value.items) {
      Keys keys(reader_, item, "a source", {"url", "kind", "says"});
      auto& source = preset_.sources.emplace_back();
      if (const auto* url = keys.need("url")) source.url = read_url(*url);
      if (const auto* kind = keys.need("kind")) source.kind = read_kind(*kind);
      if (const auto* says = keys.need("says")) source.says = line(*says);
    }
  }

  std::string read_url(const Value& value) {
    auto url = line(value);
    if (!url.starts_with("https://") && !url.starts_with("http://") && !is_in_repository(url))
      reader_.fail(value.place, fmt::format("expected a URL or a path below tests/, not '{}'", url));
    return url;
  }

  NatSource::Kind read_kind(const Value& value) {
    std::vector<std::string> words;
    for (const auto kind : source_kinds) words.emplace_back(to_string(kind));
    const auto word = reader_.name(value, "kind of source", words);
    const auto found = std::ranges::find(words, word);
    return found == words.end() ? NatSource::Kind::manual : source_kinds[found - words.begin()];
  }

  void read_axes(const Value& value) {
    if (value.kind != Value::Kind::map) {
      reader_.fail(value.place, "expected a map of axes");
      return;
    }
    for (const auto& entry : value.entries) {
      check_piece(entry.key, entry.place);
      check_piece(reader_.text(entry.value), Reader::inside(entry.value, 0));
      preset_.axes.push_back({entry.key, entry.value.scalar, false});
    }
    for (const auto* key : {"mapping", "filtering"}) {
      const auto* axis = find_value(value, key);
      if (!axis) {
        reader_.fail(value.place, fmt::format("key '{}' is missing in axes", key));
        return;
      }
      if (!form_.text().empty()) form_.append('/');
      form_.append(axis->scalar, Reader::inside(*axis, 0));
    }
    append_settings(value);
    if (reader_.error()) return;
    if (const auto behaviour = nat::parse_behaviour(form_.text(), {}); !behaviour)
      reader_.fail(form_.place_of(behaviour.error().offset), message_of(behaviour.error()));
  }

  void append_settings(const Value& axes) {
    for (const auto& [key, place, value] : axes.entries) {
      if (key == "mapping" || key == "filtering") continue;
      form_.append(',');
      form_.append(key, place);
      form_.append('=');
      form_.append(value.scalar, Reader::inside(value, 0));
    }
  }

  /// What separates pieces of the inline form cannot be part of one.
  void check_piece(std::string_view text, Place place) {
    const auto at = text.find_first_of(",=/");
    if (at == std::string_view::npos) return;
    place.column += static_cast<int>(at);
    reader_.fail(place, fmt::format("an axis has no '{}' in it", text[at]));
  }

  void mark_assumed(const Value* assumed, const Value* known) {
    if (!assumed) {
      if (known) reader_.fail(known->place, "known goes with assumed: [\"*\"]");
      return;
    }
    const auto named = reader_.list(*assumed);
    const bool all = named.size() == 1 && named[0]->scalar == "*";
    if (known && !all) reader_.fail(known->place, "known goes with assumed: [\"*\"]");
    if (all) {
      for (auto& axis : preset_.axes) axis.assumed = true;
      if (known)
        for (const auto* item : reader_.list(*known)) mark(*item, false);
    } else {
      for (const auto* item : named) mark(*item, true);
    }
  }

  void mark(const Value& item, bool assumed) {
    std::vector<std::string> keys;
    for (const auto& axis : preset_.axes) keys.push_back(axis.key);
    const auto key = reader_.name(item, "axis", keys);
    const auto axis = std::ranges::find(preset_.axes, key, &NatPresetAxis::key);
    if (axis != preset_.axes.end()) axis->assumed = assumed;
  }

  NatGrade grade() const {
    const auto rests_on_nothing = [](const NatPresetAxis& axis) {
      return axis.assumed && (axis.key.ends_with("mapping") || axis.key.ends_with("filtering"));
    };
    const auto has = [this](NatSource::Kind kind) {
      return std::ranges::find(preset_.sources, kind, &NatSource::kind) != preset_.sources.end();
    };
    if (std::ranges::any_of(preset_.axes, rests_on_nothing)) return NatGrade::assumed;
    if (has(NatSource::Kind::measurement)) return NatGrade::measured;
    if (preset_.observed_on.empty() && !has(NatSource::Kind::standard)) return NatGrade::assumed;
    return NatGrade::documented;
  }

  static std::string message_of(const nat::NotationError& error) {
    if (error.nearest.empty()) return error.message;
    return fmt::format("{}; did you mean '{}'?", error.message, error.nearest);
  }

  Reader& reader_;
  NatPreset preset_;
  InlineForm form_;
};

/// A preset and how `nat::parse_behaviour` takes it.
struct NamedPreset {
  NatPreset preset;
  std::string inline_form;
};

Parsed<NamedPreset> read_preset(const fs::path& path) {
  const auto file = read_yaml_file(path.string());
  if (!file) return tl::unexpected(file.error());
  Reader reader;
  PresetReader preset_reader(reader);
  NamedPreset named;
  named.preset = preset_reader.read(*file, path.stem().string());
  named.inline_form = preset_reader.form().text();
  if (reader.error()) return tl::unexpected(*reader.error());
  return named;
}

using PresetsByName = std::map<std::string, NamedPreset>;

Parsed<PresetsByName> read_presets(const fs::path& folder) {
  PresetsByName presets;
  std::set<fs::path> paths;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder, error)) {
    if (file.path().extension() == ".yaml" && file.path().stem() != index_name) paths.insert(file.path());
  }
  if (error) return error_at({folder.string(), 0, 0}, "cannot be read");
  for (const auto& path : paths) {
    auto preset = read_preset(path);
    if (!preset) return tl::unexpected(preset.error());
    presets.emplace(path.stem().string(), std::move(*preset));
  }
  return presets;
}

void move_into(NatCatalogue& catalogue, PresetsByName::node_type preset, const std::string& group) {
  auto& [of_file, inline_form] = preset.mapped();
  of_file.group = group;
  catalogue.names.push_back({of_file.name, of_file.summary, inline_form});
  catalogue.presets.push_back(std::move(of_file));
}

/// Moves a group's presets out of `left`.
void read_group(Reader& reader, const Value& value, PresetsByName& left, NatCatalogue& catalogue) {
  Keys keys(reader, value, "a group", {"group", "presets"});
  const auto* group = keys.need("group");
  const auto* presets = keys.need("presets");
  if (!group || !presets) return;
  const auto heading = reader.text(*group);
  for (const auto* item : reader.list(*presets)) {
    if (catalogue.find(item->scalar)) {
      reader.fail(item->place, fmt::format("'{}' is listed twice", item->scalar));
      return;
    }
    std::vector<std::string> names;
    for (const auto& [name, preset] : left) names.push_back(name);
    auto node = left.extract(reader.name(*item, "preset", names));
    if (node) move_into(catalogue, std::move(node), heading);
  }
}

/// The key that the preset's file or the text uses for what `key` stands for: itself, its transports, or all of them.
bool speaks_of(std::string_view said, std::string_view key) {
  if (said == key) return true;
  for (const std::string_view prefix : {"udp_", "tcp_", "icmp_"}) {
    if (key.starts_with(prefix) && key.substr(prefix.size()) == said) return true;
    if (said.starts_with(prefix) && said.substr(prefix.size()) == key) return true;
  }
  return false;
}

/// The keys of the settings in a text, and those of its axes if it begins with them.
std::vector<std::string> given_keys(std::string_view text) {
  std::vector<std::string> keys;
  const auto comma = text.find(',');
  const auto head = text.substr(0, comma);
  if (const auto axes = std::ranges::count(head, '/'); axes > 0) {
    keys = {"mapping", "filtering"};
    if (axes > 1) keys.emplace_back("ports");
  }
  for (auto at = comma; at != std::string_view::npos;) {
    const auto begin = at + 1;
    keys.emplace_back(text.substr(begin, text.find('=', begin) - begin));
    at = text.find(',', begin);
  }
  return keys;
}

NatAxis::Basis basis_of(std::string_view key, const std::vector<std::string>& given,
                        const NatPreset* preset) {
  if (std::ranges::any_of(given, [&](const auto& said) { return speaks_of(said, key); }))
    return NatAxis::Basis::given;
  if (!preset) return NatAxis::Basis::standard;
  // What is said of one transport goes before what is said of all.
  auto axis = std::ranges::find(preset->axes, key, &NatPresetAxis::key);
  if (axis == preset->axes.end())
    axis = std::ranges::find_if(preset->axes, [&](const auto& said) { return speaks_of(said.key, key); });
  if (axis == preset->axes.end()) return NatAxis::Basis::standard;
  return axis->assumed ? NatAxis::Basis::assumed : NatAxis::Basis::source;
}

/// The keys of a behaviour that say something: one for all transports where they agree, else one for each.
std::vector<std::string> telling_keys(const nat::KeyInfo& info, const nat::Behaviour& behaviour) {
  std::vector<std::string> keys;
  for (const std::string family : {"", "ipv6_"}) {
    if (!family.empty() && !info.ipv6) continue;
    const auto bare = family + info.key;
    if (!info.per_transport || nat::value_of(bare, behaviour).find(' ') == std::string::npos) {
      keys.push_back(bare);
      continue;
    }
    for (const auto* prefix : {"udp_", "tcp_", "icmp_"}) keys.push_back(family + prefix + info.key);
  }
  std::erase_if(keys, [&](const auto& key) { return nat::value_of(key, behaviour).empty(); });
  return keys;
}

}  // namespace

bool is_in_repository(std::string_view url) { return url.starts_with("tests/"); }

std::string_view to_string(NatSource::Kind kind) {
  constexpr std::array words{"measurement", "manual", "code", "standard"};
  return words[static_cast<std::size_t>(kind)];
}

std::string_view to_string(NatGrade grade) {
  constexpr std::array words{"measured", "documented", "assumed"};
  return words[static_cast<std::size_t>(grade)];
}

std::string_view to_string(NatAxis::Basis basis) {
  constexpr std::array words{"source", "assumed", "given", "default"};
  return words[static_cast<std::size_t>(basis)];
}

const NatPreset* NatCatalogue::find(std::string_view name) const {
  const auto found = std::ranges::find(presets, name, &NatPreset::name);
  return found == presets.end() ? nullptr : &*found;
}

tl::expected<NatCatalogue, ScenarioError> read_nat_catalogue(const std::string& folder) {
  auto presets = read_presets(folder);
  if (!presets) return tl::unexpected(presets.error());
  const auto index = read_yaml_file((fs::path(folder) / fmt::format("{}.yaml", index_name)).string());
  if (!index) return tl::unexpected(index.error());
  NatCatalogue catalogue;
  Reader reader;
  if (index->kind != Value::Kind::list) return error_at(index->place, "expected a list of groups");
  for (const auto& group : index->items) read_group(reader, group, *presets, catalogue);
  if (reader.error()) return tl::unexpected(*reader.error());
  while (!presets->empty()) move_into(catalogue, presets->extract(presets->begin()), "Others");
  return catalogue;
}

const tl::expected<NatCatalogue, ScenarioError>& nat_catalogue() {
  static const auto catalogue = read_nat_catalogue((fs::path(data_directory()) / "nats").string());
  return catalogue;
}

tl::expected<nat::Behaviour, nat::NotationError> parse_nat(std::string_view text) {
  const auto is_inline = text.substr(0, text.find(',')).find('/') != std::string_view::npos;
  if (is_inline) return nat::parse_behaviour(text, {});
  const auto& catalogue = nat_catalogue();
  if (!catalogue) return tl::unexpected(nat::NotationError{to_string(catalogue.error()), 0, {}});
  return nat::parse_behaviour(text, catalogue->names);
}

tl::expected<NatDescription, nat::NotationError> describe_nat(std::string_view text) {
  const auto behaviour = parse_nat(text);
  if (!behaviour) return tl::unexpected(behaviour.error());
  NatDescription description;
  if (const auto& catalogue = nat_catalogue(); catalogue)
    description.preset = catalogue->find(text.substr(0, text.find(',')));
  description.inline_form = nat::to_string(*behaviour);
  const auto given = given_keys(text);
  for (const auto& info : nat::notation_keys()) {
    for (const auto& key : telling_keys(info, *behaviour)) {
      const auto meaning = key.starts_with("ipv6_") ? std::string("the same over IPv6") : info.meaning;
      description.axes.push_back(
          {key, nat::value_of(key, *behaviour), meaning, basis_of(key, given, description.preset)});
    }
  }
  return description;
}

}  // namespace flaresim::world
