#include <fmt/format.h>

#include "sim/report/report.h"
#include "sim/study/network_codec.h"

namespace flaresim::report {
namespace {

std::optional<double> milliseconds(const std::optional<io::Duration>& duration) {
  if (!duration) return std::nullopt;
  return std::chrono::duration<double, std::milli>(*duration).count();
}

FieldValue field_value(const study::Number& number) {
  if (const auto* whole = std::get_if<std::uint64_t>(&number)) return *whole;
  return std::optional(std::get<double>(number));
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

struct CsvValue {
  std::string operator()(const std::string& text) const { return csv_cell(text); }
  std::string operator()(std::uint64_t number) const { return std::to_string(number); }
  /// Six digits are nanoseconds, the resolution of simulated time.
  std::string operator()(const std::optional<double>& number) const {
    return number ? fmt::format("{:.6f}", *number) : "";
  }
};

}  // namespace

std::vector<Field> fields(const study::Plan& plan, const study::Row& row) {
  std::vector<Field> fields;
  for (const auto& assignment : plan.cells[row.cell].at) fields.push_back({assignment.key, assignment.value});
  const auto& trial = row.trial;
  fields.insert(fields.end(), {{"trial", trial.index},
                               {"world", trial.world},
                               {"outcome", std::string(to_string(trial.outcome))},
                               {"cause", std::string(to_string(trial.cause))},
                               {"error", trial.error},
                               {"nat_a", trial.a.nat},
                               {"region_a", trial.a.region},
                               {"access_a", trial.a.access},
                               {"nat_b", trial.b.nat},
                               {"region_b", trial.b.region},
                               {"access_b", trial.b.access},
                               {"relay_region", trial.relay_region},
                               {"transport", trial.transport},
                               {"attempts", static_cast<std::uint64_t>(trial.attempts)},
                               {"relayed_after_ms", milliseconds(trial.relayed_after)},
                               {"direct_after_ms", milliseconds(trial.direct_after)},
                               {"relayed_rtt_ms", milliseconds(trial.relayed_rtt)},
                               {"direct_rtt_ms", milliseconds(trial.direct_rtt)},
                               {"verdict_a", trial.dialability_a.verdict},
                               {"truth_a", trial.dialability_a.truth},
                               {"verdict_b", trial.dialability_b.verdict},
                               {"truth_b", trial.dialability_b.truth},
                               {"phase_1_1_ms", milliseconds(trial.phases[0])},
                               {"phase_1_2_ms", milliseconds(trial.phases[1])},
                               {"phase_1_3_ms", milliseconds(trial.phases[2])},
                               {"phase_2_1_ms", milliseconds(trial.phases[3])},
                               {"phase_2_2_ms", milliseconds(trial.phases[4])},
                               {"events", trial.events},
                               {"packets", trial.packets},
                               {"handshakes", trial.handshakes}});
  return fields;
}

std::vector<Field> fields(const study::Plan& plan, const study::World& world) {
  std::vector<Field> fields;
  for (const auto& assignment : plan.cells[world.cell].at) {
    fields.push_back({assignment.key, assignment.value});
  }
  fields.push_back({"world", world.number});
  fields.push_back({"error", world.error});
  for (const auto& [name, number] : study::columns_of(world.report.value_or(world::NetworkReport{}))) {
    fields.push_back({name, world.report ? field_value(number) : FieldValue(std::optional<double>())});
  }
  return fields;
}

std::string csv_header(const std::vector<Field>& fields) {
  std::string line;
  for (const auto& field : fields) line += (line.empty() ? "" : ",") + csv_cell(field.name);
  return line + "\n";
}

std::string csv_row(const std::vector<Field>& fields) {
  std::string line;
  bool first = true;
  for (const auto& field : fields) {
    if (!std::exchange(first, false)) line += ",";
    line += std::visit(CsvValue{}, field.value);
  }
  return line + "\n";
}

}  // namespace flaresim::report
