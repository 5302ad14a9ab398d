#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "sim/report/format.h"

namespace flaresim::report {
namespace {

using world::NetworkReport;

std::vector<NetworkReport> reports_of(const study::CellSummary& cell) {
  std::vector<NetworkReport> reports;
  for (const auto& world : cell.worlds) {
    if (world.report) reports.push_back(*world.report);
  }
  return reports;
}

double number(std::uint64_t whole) { return static_cast<double>(whole); }

double part(std::uint64_t numerator, std::uint64_t denominator) {
  return denominator == 0 ? 0 : 100 * number(numerator) / number(denominator);
}

std::string percent_of(std::uint64_t numerator, std::uint64_t denominator) {
  return denominator == 0 ? "-" : fmt::format("{:.1f} %", part(numerator, denominator));
}

/// Rows about many worlds.
class Figures {
 public:
  using Value = std::function<double(const NetworkReport&)>;

  explicit Figures(std::vector<NetworkReport> reports) : reports_(std::move(reports)) {
    table_.push_back({"of a world", several() ? "mean" : "value"});
    if (several()) table_.front().insert(table_.front().end(), {"lowest", "highest"});
  }

  void add(const std::string& name, const Value& value, const char* unit = "", int digits = 0) {
    std::vector<double> values;
    for (const auto& report : reports_) values.push_back(value(report));
    if (values.empty()) return;
    const auto text = [&](double figure) { return fmt::format("{:.{}f}{}", figure, digits, unit); };
    const auto sum = std::accumulate(values.begin(), values.end(), 0.0);
    table_.push_back({name, text(sum / number(values.size()))});
    const auto [lowest, highest] = std::ranges::minmax(values);
    if (several()) table_.back().insert(table_.back().end(), {text(lowest), text(highest)});
  }
  void add(const std::string& name, const std::function<world::Spread(const NetworkReport&)>& spread,
           const char* unit, int digits) {
    add(
        name + ", median", [&](const auto& report) { return spread(report).median; }, unit, digits);
    add(
        name + ", p90", [&](const auto& report) { return spread(report).p90; }, unit, digits);
  }

  Table table() const { return table_; }

 private:
  bool several() const { return reports_.size() > 1; }

  std::vector<NetworkReport> reports_;
  Table table_;
};

void add_lookups(Figures& figures) {
  using Spread = std::function<world::Spread(const NetworkReport&)>;
  figures.add("lookup", Spread([](const auto& report) { return report.lookups.took_s; }), " s", 3);
  figures.add("lookup that ended with an answer",
              Spread([](const auto& report) { return report.lookups.answered_after_s; }), " s", 3);
  figures.add(
      "lookup hops, mean", [](const auto& report) { return report.lookups.hops.mean; }, "", 2);
  figures.add(
      "requests a lookup, mean", [](const auto& report) { return report.lookups.requests.mean; }, "", 1);
  figures.add(
      "DHT requests that failed",
      [](const auto& report) { return part(report.lookups.requests_failed, report.lookups.requests_sent); },
      " %", 1);
  figures.add("probing lookup", Spread([](const auto& report) { return report.probes.took_s; }), " s", 3);
  figures.add(
      "probing lookup hops, mean", [](const auto& report) { return report.probes.hops.mean; }, "", 2);
  figures.add("routing table, median", [](const auto& report) { return report.tables.size.median; });
  figures.add(
      "entries that are offline",
      [](const auto& report) { return part(report.tables.offline, report.tables.entries); }, " %", 1);
  figures.add(
      "entries that are not public any more",
      [](const auto& report) { return part(report.tables.lapsed, report.tables.entries); }, " %", 1);
  figures.add("entries that never were public",
              [](const auto& report) { return number(report.tables.never_public); });
}

void add_relays(Figures& figures) {
  using Spread = std::function<world::Spread(const NetworkReport&)>;
  figures.add("relays", [](const auto& report) { return number(report.relays.relays); });
  figures.add("reservations of a relay",
              Spread([](const auto& report) { return report.relays.reservations; }), "", 0);
  figures.add("reservations of a relay, most",
              [](const auto& report) { return number(report.relays.most_reservations); });
  figures.add("circuits of a relay", Spread([](const auto& report) { return report.relays.circuits; }), "",
              0);
  figures.add("relays above their limits",
              [](const auto& report) { return number(report.relays.above_limits); });
  figures.add("reservations granted", [](const auto& report) { return number(report.relays.granted); });
  figures.add("reservations lost", [](const auto& report) { return number(report.relays.lost); });
  figures.add("circuits opened", [](const auto& report) { return number(report.relays.opened); });
  figures.add("private nodes", [](const auto& report) { return number(report.relays.private_nodes); });
  figures.add("private nodes without a reservation",
              [](const auto& report) { return number(report.relays.without_reservation); });
}

/// Relay status codes of the protocol (libp2p specification, relay/circuit-v2.md).
std::string status_name(int code) {
  switch (code) {
    case 200:
      return "RESERVATION_REFUSED";
    case 201:
      return "RESOURCE_LIMIT_EXCEEDED";
    case 202:
      return "PERMISSION_DENIED";
    case 203:
      return "CONNECTION_FAILED";
    case 204:
      return "NO_RESERVATION";
    case 400:
      return "MALFORMED_MESSAGE";
    case 401:
      return "UNEXPECTED_MESSAGE";
    default:
      return std::to_string(code);
  }
}

void add_refusals(Figures& figures, const std::vector<NetworkReport>& reports) {
  std::map<int, bool> codes;
  for (const auto& report : reports) {
    for (const auto& [code, count] : report.relays.refused) codes[code] = true;
  }
  for (const auto& each : codes) {
    const auto code = each.first;
    figures.add("refused with " + status_name(code), [code](const auto& report) {
      const auto found = report.relays.refused.find(code);
      return found == report.relays.refused.end() ? 0 : number(found->second);
    });
  }
}

void add_kill(Figures& figures, const std::vector<NetworkReport>& reports) {
  if (reports.empty() ||
      !std::ranges::all_of(reports, [](const auto& report) { return report.kill.has_value(); })) {
    return;
  }
  figures.add("killed at once", [](const auto& report) { return number(report.kill->killed); });
  figures.add("survivors", [](const auto& report) { return number(report.kill->survivors); });
  figures.add("survivors still connected", [](const auto& report) { return number(report.kill->connected); });
  figures.add("of them lost", [](const auto& report) { return number(report.kill->lost); });
}

/// The kinds of all reports added up.
std::vector<world::VerdictFigures> all_verdicts(const std::vector<NetworkReport>& reports) {
  std::vector<world::VerdictFigures> all;
  for (const auto& report : reports) {
    for (const auto& kind : report.verdicts) {
      const auto same = [&](const auto& other) {
        return other.nat == kind.nat && other.dialable == kind.dialable;
      };
      auto found = std::ranges::find_if(all, same);
      if (found == all.end()) {
        all.push_back(kind);
        continue;
      }
      found->nodes += kind.nodes;
      found->says_public += kind.says_public;
      found->says_private += kind.says_private;
      found->says_unknown += kind.says_unknown;
    }
  }
  return all;
}

}  // namespace

Table network_table(const study::CellSummary& cell) {
  const auto reports = reports_of(cell);
  Figures figures(reports);
  figures.add("nodes", [](const auto& report) { return number(report.nodes); });
  figures.add("public nodes", [](const auto& report) { return number(report.public_nodes); });
  figures.add(
      "node hours", [](const auto& report) { return report.node_hours; }, "", 1);
  figures.add("leaves", [](const auto& report) { return number(report.leaves); });
  add_lookups(figures);
  add_relays(figures);
  add_refusals(figures, reports);
  add_kill(figures, reports);
  figures.add("connections of a node, median", [](const auto& report) { return report.connections.median; });
  figures.add("connections of a node, most", [](const auto& report) { return report.connections.max; });
  figures.add("packets a node hour", [](const auto& report) { return report.per_node_hour(report.packets); });
  figures.add("events a node hour", [](const auto& report) { return report.per_node_hour(report.events); });
  figures.add(
      "handshakes a node hour", [](const auto& report) { return report.per_node_hour(report.handshakes); },
      "", 1);
  figures.add("left behind after shutdown", [](const auto& report) { return number(report.left_behind); });
  return figures.table();
}

Table verdict_table(const study::CellSummary& cell) {
  Table table{{"nat", "in truth", "nodes", "says public", "says private", "says unknown", "wrong"}};
  for (const auto& kind : all_verdicts(reports_of(cell))) {
    const auto wrong = kind.dialable ? kind.says_private : kind.says_public;
    const auto* name = kind.dialable ? "false private" : "false public";
    table.push_back(
        {kind.nat.empty() ? "none" : short_nat(kind.nat), kind.dialable ? "public" : "private",
         std::to_string(kind.nodes), std::to_string(kind.says_public), std::to_string(kind.says_private),
         std::to_string(kind.says_unknown),
         wrong == 0 ? "-" : fmt::format("{} {} ({})", wrong, name, percent_of(wrong, kind.nodes))});
  }
  return table;
}

Table funnel_table(const study::CellSummary& cell) {
  world::Funnel sum;
  for (const auto& report : reports_of(cell)) {
    const auto& funnel = report.funnel;
    sum.skipped += funnel.skipped;
    sum.attempts += funnel.attempts;
    sum.found += funnel.found;
    sum.connected += funnel.connected;
    sum.dialled += funnel.dialled;
    sum.relayed += funnel.relayed;
    sum.exchanged += funnel.exchanged;
    sum.reversed += funnel.reversed;
    sum.punched += funnel.punched;
  }
  Table table{{"attempts", "number", "share"}};
  const auto add = [&](const char* name, std::uint64_t count) {
    table.push_back({name, std::to_string(count), percent_of(count, sum.attempts)});
  };
  if (sum.skipped > 0) table.push_back({"due, and nobody was free", std::to_string(sum.skipped), ""});
  add("begun", sum.attempts);
  add("B's addresses found", sum.found);
  add("connected", sum.connected);
  add("directly at once", sum.dialled);
  add("over a relay", sum.relayed);
  add("CONNECT and SYNC exchanged", sum.exchanged);
  add("reversed", sum.reversed);
  add("punched", sum.punched);
  return table;
}

Table network_rate_table(const study::CellSummary& cell) {
  Table table{{"rate", "of", "value", "95 %", "count"}};
  for (const auto& [name, meaning] :
       {std::pair{"true_closest_rate", "lookups that found all of the closest servers that can be dialled"},
        std::pair{"true_verdict_rate", "nodes that know whether they can be dialled"},
        std::pair{"reserved_rate", "nodes that think themselves private and hold a reservation"}}) {
    const auto rate = cell.rate(name);
    table.push_back({name, meaning, percent(rate), interval(rate), fraction(rate)});
  }
  return table;
}

}  // namespace flaresim::report
