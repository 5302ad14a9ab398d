#include "sim/cli/probed_columns.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "sim/cli/probe_command.h"
#include "sim/probe/probe.h"
#include "sim/probe/simulated_lab.h"

namespace flaresim::cli {
namespace {

using report::NatCell;

/// What a report says, in the words of the presets' table.
class Seen {
 public:
  explicit Seen(probe::Report report) : report_(std::move(report)) {}

  NatCell translation() const {
    if (text("box", "captive") == "on") return {"captive", {}};
    return both(translation_of("udp"), translation_of("tcp"));
  }
  NatCell unsolicited() const { return both(found("udp", "unsolicited"), found("tcp", "unsolicited_syn")); }
  NatCell hairpin() const { return both(found("udp", "hairpin"), found("tcp", "hairpin")); }
  NatCell udp_timeout() const {
    if (is_blocked("udp") && text("box", "captive") != "on") return {"blocked", {}};
    return join(found("udp", "unreplied_lifetime_s"), found("udp", "mapping_lifetime_s"), "{}, {}");
  }
  NatCell tcp_timeout() const { return found("tcp", "mapping_lifetime_s"); }

 private:
  std::string text(const std::string& section, const std::string& key) const {
    const auto* finding = report_.find(section, key);
    return finding ? probe::to_string(*finding) : std::string();
  }
  bool is_blocked(const std::string& section) const { return text(section, "remote_ports") == "none"; }

  NatCell found(const std::string& section, const std::string& key) const {
    const auto* finding = report_.find(section, key);
    if (!finding) return {std::string(report::untold), {"nothing passes"}};
    if (!finding->value) return {std::string(report::untold), {finding->note}};
    if (const auto* seconds = std::get_if<double>(&*finding->value)) return {duration(*seconds), {}};
    return {probe::to_string(*finding), {}};
  }

  /// As the notation writes it; timers are measured to the millisecond.
  static std::string duration(double seconds) {
    nat::Behaviour behaviour;
    behaviour.udp_timeout = nat::Seconds(std::round(seconds * 1000) / 1000);
    return nat::value_of("udp_timeout", behaviour);
  }

  NatCell translation_of(const std::string& transport) const {
    if (is_blocked(transport)) return {"blocked", {}};
    const auto translate = text("box", "translate");
    const auto mapping = found(transport, "mapping"), filtering = found(transport, "filtering"),
               ports = found(transport, "port_assignment");
    NatCell cell{report::nat_translation(translate, mapping.text, filtering.text, ports.text), {}};
    const auto because = [&](const NatCell& part) {
      cell.why.insert(cell.why.end(), part.why.begin(), part.why.end());
    };
    if (translate == "on") because(mapping);
    because(filtering);
    if (translate == "on") because(ports);
    return cell;
  }

  /// Two cells in one; what is said alike is said once.
  static NatCell join(const NatCell& first, const NatCell& second, std::string_view both) {
    if (first.text == second.text && first.why == second.why) return first;
    NatCell cell{fmt::format(fmt::runtime(both), first.text, second.text), first.why};
    cell.why.insert(cell.why.end(), second.why.begin(), second.why.end());
    return cell;
  }
  static NatCell both(const NatCell& udp, const NatCell& tcp) { return join(udp, tcp, "UDP {}, TCP {}"); }

  probe::Report report_;
};

}  // namespace

std::vector<report::NatColumn> probed_columns(const world::NatCatalogue& catalogue) {
  const auto seen = std::make_shared<std::map<std::string, Seen>>();
  for (const auto& preset : catalogue.names) {
    const auto behaviour = nat::parse_behaviour(preset.inline_form, {}).value();
    seen->emplace(preset.name, Seen(probe::probe(probe::simulated_labs(behaviour, probe_seed))));
  }
  const auto column = [&](const std::string& beside, NatCell (Seen::*cell)() const) {
    return report::NatColumn{beside, "seen", [seen, cell](const world::NatPreset& preset) {
                               return (seen->at(preset.name).*cell)();
                             }};
  };
  return {column("mapping / filtering / ports", &Seen::translation),
          column("unsolicited", &Seen::unsolicited), column("UDP timeout", &Seen::udp_timeout),
          column("TCP timeout", &Seen::tcp_timeout), column("hairpin", &Seen::hairpin)};
}

}  // namespace flaresim::cli
