#include "sim/report/nat.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace flaresim::report {
namespace {

using Json = nlohmann::ordered_json;

void add_preset(Json& into, const world::NatPreset& preset) {
  into["name"] = preset.name;
  into["group"] = preset.group;
  into["grade"] = to_string(preset.grade);
  into["summary"] = preset.summary;
  into["observed_on"] = preset.observed_on;
  into["sources"] = Json::array();
  for (const auto& source : preset.sources)
    into["sources"].push_back({{"url", source.url}, {"kind", to_string(source.kind)}, {"says", source.says}});
}

/// Text in a cell, which a bar would end.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string row(const std::vector<std::string>& cells) {
  return fmt::format("| {} |\n", fmt::join(cells, " | "));
}

/// One word where the transports agree.
std::string of_transports(const std::string& udp, const std::string& tcp) {
  return udp == tcp ? udp : fmt::format("UDP {}, TCP {}", udp, tcp);
}

/// What a preset declares, in the notation's words.
class Facts {
 public:
  explicit Facts(const std::string& inline_form)
      : behaviour_(nat::parse_behaviour(inline_form, {}).value()) {}

  std::string of(const std::string& key) const {
    return of_transports(value("udp_" + key), value("tcp_" + key));
  }
  std::string value(const std::string& key) const { return nat::value_of(key, behaviour_); }

  std::string translation() const {
    if (value("captive") == "on") return "captive";
    return of_transports(translation_of("udp_"), translation_of("tcp_"));
  }

  /// A refusal by RST, and one that waits for a SYN of our own, are TCP's alone.
  std::string unsolicited() const {
    const auto udp = value("udp_unsolicited");
    return of_transports(udp == "reset" || udp == "delayed-icmp" ? "drop" : udp, value("tcp_unsolicited"));
  }

  std::string udp_timers() const {
    if (value("udp_blocked") == "on") return "blocked";
    const auto unreplied = value("udp_unreplied_timeout"), stream = value("udp_timeout");
    return unreplied == stream ? stream : fmt::format("{}, {}", unreplied, stream);
  }

 private:
  std::string translation_of(const std::string& prefix) const {
    if (value(prefix + "blocked") == "on") return "blocked";
    return nat_translation(value("translate"), value(prefix + "mapping"), value(prefix + "filtering"),
                           value(prefix + "ports"));
  }

  nat::Behaviour behaviour_;
};

std::string observed(const world::NatPreset& preset) {
  return preset.observed_on.empty() ? "by definition"
                                    : fmt::format("{}", fmt::join(preset.observed_on, "; "));
}

/// Numbers reasons in the order in which they come up.
class Reasons {
 public:
  /// The text with the number of its reason at each dash.
  std::string numbered(const NatCell& from) {
    std::string text;
    std::size_t at = 0;
    for (const auto& why : from.why) {
      const auto dash = from.text.find(untold, at);
      if (dash == std::string::npos) break;
      text += from.text.substr(at, dash + untold.size() - at);
      text += fmt::format("<sup>[{0}](#{1})</sup>", number_of(why), heading);
      at = dash + untold.size();
    }
    return text + from.text.substr(at);
  }

  std::string list() const {
    if (reasons_.empty()) return {};
    std::string text = "\n## What packets cannot tell\n\n";
    for (std::size_t i = 0; i < reasons_.size(); ++i) text += fmt::format("{}. {}\n", i + 1, reasons_[i]);
    return text;
  }

 private:
  static constexpr std::string_view heading = "what-packets-cannot-tell";

  std::size_t number_of(const std::string& why) {
    const auto known = std::ranges::find(reasons_, why);
    const auto number = static_cast<std::size_t>(known - reasons_.begin()) + 1;
    if (known == reasons_.end()) reasons_.push_back(why);
    return number;
  }

  std::vector<std::string> reasons_;
};

using Fields = std::vector<std::pair<std::string, std::string>>;  // title and cell

Fields fields_of(const world::NatPreset& preset, const std::string& inline_form) {
  const Facts facts(inline_form);
  return {{"preset", fmt::format("[`{0}`](#{0})", preset.name)},
          {"mapping / filtering / ports", facts.translation()},
          {"unsolicited", facts.unsolicited()},
          {"UDP timeout", facts.udp_timers()},
          {"TCP timeout", facts.value("tcp_established_timeout")},
          {"hairpin", facts.of("hairpin")},
          {"grade", std::string(to_string(preset.grade))},
          {"observed on", cell(observed(preset))}};
}

void add_table(std::string& text, const world::NatCatalogue& catalogue, std::size_t first, std::size_t last,
               const std::vector<NatColumn>& more, Reasons& reasons) {
  for (auto i = first; i < last; ++i) {
    const auto& preset = catalogue.presets[i];
    std::vector<std::string> titles, cells;
    for (const auto& [title, declared] : fields_of(preset, catalogue.names[i].inline_form)) {
      titles.push_back(title);
      cells.push_back(declared);
      for (const auto& column : more) {
        if (column.beside != title) continue;
        titles.push_back(column.title);
        cells.push_back(cell(reasons.numbered(column.cell(preset))));
      }
    }
    if (i == first)
      text +=
          row(titles) + fmt::format("|{}\n", fmt::join(std::vector<std::string>(titles.size(), "---|"), ""));
    text += row(cells);
  }
}

void add_sources(std::string& text, const world::NatPreset& preset) {
  text += fmt::format("\n### {}\n\n{}.\n\n", preset.name, preset.summary);
  for (const auto& source : preset.sources)
    text += fmt::format("* [{}]({}{}): {}\n", to_string(source.kind),
                        world::is_in_repository(source.url) ? "../../" : "", source.url, source.says);
  std::vector<std::string> assumed;
  for (const auto& axis : preset.axes)
    if (axis.assumed) assumed.push_back(fmt::format("`{}`", axis.key));
  if (!assumed.empty()) text += fmt::format("\nAssumed: {}.\n", fmt::join(assumed, ", "));
}

constexpr std::string_view introduction = R"(# NAT presets

Written by `flaresim nat list --format md`; a test holds it to the files.

A preset is a file of this folder, and adding one is enough: `flaresim nat show NAME` explains it. Where a NAT is asked
for, `NAME,key=value` changes what it says. The words are those of RFC 4787 (`EIM`, `ADM`, `APDM`: endpoint-independent,
address-dependent, address- and port-dependent mapping; `EIF`, `ADF`, `APDF`: filtering likewise); two UDP timeouts are
those before and after an answer. Where the transports differ, both are named.

What a column is called after is what the file declares; the column *seen* beside it is what `flaresim nat probe` found
by packets alone, in a simulated world with such a box in it. A dash is what packets cannot tell there, with the reason
[below](#what-packets-cannot-tell).

The grade says what mapping and filtering, which decide whether a punch can work, rest on: somebody's measurement, a
document (manual, code or standard), or nothing that a reader can open. Below the tables each preset has its sources,
and the axes whose value none of them gives.
)";

std::size_t end_of_group(const world::NatCatalogue& catalogue, std::size_t first) {
  auto last = first;
  while (last < catalogue.presets.size() && catalogue.presets[last].group == catalogue.presets[first].group)
    ++last;
  return last;
}

std::string_view in_words(world::NatAxis::Basis basis) {
  switch (basis) {
    case world::NatAxis::Basis::source:
      return "";
    case world::NatAxis::Basis::assumed:
      return "assumed";
    case world::NatAxis::Basis::given:
      return "given";
    case world::NatAxis::Basis::standard:
      return "default";
  }
  return "";
}

}  // namespace

std::string nat_list(const world::NatCatalogue& catalogue) {
  std::string text;
  for (const auto& preset : catalogue.presets)
    text += fmt::format("{:<31} {:<11} {}\n", preset.name, to_string(preset.grade), preset.summary);
  return text;
}

std::string nat_list_json(const world::NatCatalogue& catalogue) {
  auto list = Json::array();
  for (std::size_t i = 0; i < catalogue.presets.size(); ++i) {
    auto item = Json::object();
    add_preset(item, catalogue.presets[i]);
    item["inline"] = to_string(nat::parse_behaviour(catalogue.names[i].inline_form, {}).value());
    list.push_back(std::move(item));
  }
  return list.dump(2) + "\n";
}

std::string nat_translation(std::string_view translate, std::string_view mapping, std::string_view filtering,
                            std::string_view ports) {
  if (translate == "on") return fmt::format("{} / {} / {}", mapping, filtering, ports);
  return fmt::format("{}, {}", translate == "off" ? "none" : "1:1", filtering);
}

std::string nat_table(const world::NatCatalogue& catalogue, const std::vector<NatColumn>& more) {
  std::string text(introduction);
  Reasons reasons;
  for (std::size_t first = 0; first < catalogue.presets.size(); first = end_of_group(catalogue, first)) {
    text += fmt::format("\n## {}\n\n", catalogue.presets[first].group);
    add_table(text, catalogue, first, end_of_group(catalogue, first), more, reasons);
  }
  text += reasons.list();
  text += "\n## Sources\n";
  for (const auto& preset : catalogue.presets) add_sources(text, preset);
  return text;
}

std::string nat_text(const world::NatDescription& nat) {
  const auto line = [](std::string_view what, std::string_view value) {
    return fmt::format("{:<12} {}\n", what, value);
  };
  auto text = line("inline form", nat.inline_form);
  if (const auto* preset = nat.preset) {
    text += line("preset", fmt::format("{}: {}", preset->name, preset->summary));
    text += line("grade", to_string(preset->grade));
    text += line("observed on", observed(*preset));
    for (const auto& source : preset->sources)
      text += line(to_string(source.kind), fmt::format("{}\n{:<12} {}", source.url, "", source.says));
  }
  text += "\n";
  for (const auto& axis : nat.axes)
    text += fmt::format("{:<23} {:<22} {:<8} {}\n", axis.key, axis.value, in_words(axis.basis), axis.meaning);
  return text;
}

std::string nat_json(const world::NatDescription& nat) {
  auto document = Json::object();
  if (nat.preset) add_preset(document, *nat.preset);
  document["inline"] = nat.inline_form;
  document["axes"] = Json::array();
  for (const auto& axis : nat.axes)
    document["axes"].push_back({{"key", axis.key},
                                {"value", axis.value},
                                {"basis", to_string(axis.basis)},
                                {"meaning", axis.meaning}});
  return document.dump(2) + "\n";
}

}  // namespace flaresim::report
