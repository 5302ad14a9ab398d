#include "sim/probe/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace flaresim::probe {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

std::string number_text(double number) {
  return fmt::format("{:g}", number).find('e') == std::string::npos ? fmt::format("{:g}", number)
                                                                    : fmt::format("{:.3f}", number);
}

bool is_in_seconds(const std::string& key) { return key.ends_with("_s"); }

std::string cell(const Report& report, std::string_view section, std::string_view key) {
  const auto* finding = report.find(section, key);
  return finding == nullptr ? "—" : to_string(*finding);
}

struct Column {
  std::string_view title, section, key;
};
constexpr std::array columns = {
    Column{"UDP passes to", "udp", "remote_ports"},
    Column{"UDP mapping", "udp", "mapping"},
    Column{"filtering", "udp", "filtering"},
    Column{"ports", "udp", "port_assignment"},
    Column{"contention", "udp", "contention"},
    Column{"hairpin", "udp", "hairpin"},
    Column{"unsolicited", "udp", "unsolicited"},
    Column{"unreplied", "udp", "unreplied_lifetime_s"},
    Column{"lifetime", "udp", "mapping_lifetime_s"},
    Column{"refreshed by", "udp", "refresh"},
    Column{"TCP mapping", "tcp", "mapping"},
    Column{"filtering", "tcp", "filtering"},
    Column{"ports", "tcp", "port_assignment"},
    Column{"unsolicited SYN", "tcp", "unsolicited_syn"},
    Column{"simultaneous open", "tcp", "simultaneous_open"},
    Column{"out of state", "tcp", "out_of_state"},
    Column{"transitory", "tcp", "transitory_lifetime_s"},
    Column{"established", "tcp", "mapping_lifetime_s"},
    Column{"after RST", "tcp", "reset_lifetime_s"},
    Column{"IPv6 UDP filtering", "ipv6_udp", "filtering"},
    Column{"IPv6 TCP filtering", "ipv6_tcp", "filtering"},
};

}  // namespace

const Finding* Section::find(std::string_view key) const {
  const auto found =
      std::find_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.key == key; });
  return found == findings.end() ? nullptr : &*found;
}

const Section* Report::find(std::string_view section) const {
  const auto found =
      std::find_if(sections.begin(), sections.end(), [&](const Section& s) { return s.name == section; });
  return found == sections.end() ? nullptr : &*found;
}

const Finding* Report::find(std::string_view section, std::string_view key) const {
  const auto* part = find(section);
  return part == nullptr ? nullptr : part->find(key);
}

std::string to_string(const Finding& finding) {
  if (!finding.value) return "—";
  if (const auto* flag = std::get_if<bool>(&*finding.value)) return *flag ? "yes" : "no";
  if (const auto* text = std::get_if<std::string>(&*finding.value)) return *text;
  return number_text(std::get<double>(*finding.value)) + (is_in_seconds(finding.key) ? " s" : "");
}

std::string text(const Report& report) {
  std::string lines, unknown;
  for (const auto& section : report.sections) {
    lines += fmt::format("{}{}\n", lines.empty() ? "" : "\n", section.name);
    for (const auto& finding : section.findings) {
      if (!finding.value) {
        unknown += fmt::format("  {:<32} {}\n", section.name + "." + finding.key, finding.note);
        continue;
      }
      const auto note = finding.note.empty() ? "" : "  (" + finding.note + ")";
      lines += fmt::format("  {:<24} {}{}\n", finding.key, to_string(finding), note);
    }
  }
  return unknown.empty() ? lines : lines + "\nindistinguishable\n" + unknown;
}

std::string json(std::string_view name, const Report& report) {
  Json document{{"name", name}};
  auto unknown = Json::array();
  for (const auto& section : report.sections) {
    auto& object = document[section.name] = Json::object();
    for (const auto& finding : section.findings) {
      object[finding.key] = finding.value ? to_json(*finding.value) : Json();
      if (!finding.value)
        unknown.push_back({{"axis", section.name + "." + finding.key}, {"why", finding.note}});
    }
  }
  document["indistinguishable"] = std::move(unknown);
  return document.dump(2) + "\n";
}

std::string markdown_header() {
  std::string titles = "| NAT |", rule = "|---|";
  for (const auto& column : columns) titles += fmt::format(" {} |", column.title), rule += "---|";
  return titles + "\n" + rule + "\n";
}

std::string markdown_row(std::string_view name, const Report& report) {
  std::string row = fmt::format("| `{}` |", name);
  for (const auto& column : columns) row += fmt::format(" {} |", cell(report, column.section, column.key));
  return row + "\n";
}

}  // namespace flaresim::probe
