#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace flaresim::probe {

/// A switch, a number (seconds, ports, flows), or a word of the NAT notation.
using Value = std::variant<bool, double, std::string>;

/// What was found out about one axis. Without a value it cannot be told from outside, and `note` says why.
struct Finding {
  std::string key;  ///< stable; names its unit
  std::optional<Value> value{};
  std::string note{};

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// What belongs together: a transport, or the box as a whole.
struct Section {
  std::string name;  ///< stable: `udp`, `tcp`, `icmp`, `box`, `ipv6_udp`, `ipv6_tcp`, `ipv6_icmp`
  std::vector<Finding> findings{};

  const Finding* find(std::string_view key) const;
};

/// All that packets tell about a box.
struct Report {
  std::vector<Section> sections{};

  const Section* find(std::string_view section) const;
  const Finding* find(std::string_view section, std::string_view key) const;
};

/// `preserve`, `120 s`, `on`; an em dash for what cannot be told.
std::string to_string(const Finding& finding);

/// For people: a table a section, then what cannot be told apart and why.
std::string text(const Report& report);

/// One JSON document (RFC 8259): an object a section with a member an axis, null for what cannot be told, and
/// `indistinguishable`, an array of `{axis, why}`.
std::string json(std::string_view name, const Report& report);

/// The row of a table of many boxes, and what stands above it. GitHub-flavoured Markdown.
std::string markdown_header();
std::string markdown_row(std::string_view name, const Report& report);

}  // namespace flaresim::probe
