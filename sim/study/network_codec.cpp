#include "sim/study/network_codec.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/study/network_fields.h"

namespace flaresim::study {
namespace {

using Json = nlohmann::ordered_json;

constexpr double nanoseconds_per_s = 1e9;

double seconds(io::Duration duration) { return static_cast<double>(duration.count()) / nanoseconds_per_s; }

/// Writes a value into an object.
struct Writer {
  Json& into;
  void operator()(const char* name, std::uint64_t number) const { into[name] = number; }
  void operator()(const char* name, double number) const { into[name] = number; }
  void operator()(const char* name, io::Duration duration) const { into[name] = seconds(duration); }
  void operator()(const char* name, const world::Spread& spread) const {
    auto& object = into[name] = Json::object();
    visit_spread(spread, Writer{object});
  }
};

/// Reads it from there again. Throws nlohmann::json::exception.
struct Reader {
  const Json& from;
  void operator()(const char* name, std::uint64_t& number) const { from.at(name).get_to(number); }
  void operator()(const char* name, double& number) const { from.at(name).get_to(number); }
  void operator()(const char* name, io::Duration& duration) const {
    duration = io::Duration(std::llround(from.at(name).get<double>() * nanoseconds_per_s));
  }
  void operator()(const char* name, world::Spread& spread) const {
    visit_spread(spread, Reader{from.at(name)});
  }
};

struct Flattener {
  std::vector<std::pair<std::string, Number>>& columns;
  std::string prefix{};
  void operator()(const char* name, std::uint64_t number) const {
    columns.emplace_back(prefix + name, number);
  }
  void operator()(const char* name, double number) const { columns.emplace_back(prefix + name, number); }
  void operator()(const char* name, io::Duration duration) const { (*this)(name, seconds(duration)); }
  void operator()(const char* name, const world::Spread& spread) const {
    visit_spread(spread, Flattener{columns, fmt::format("{}_", name)});
  }
};

template <class Verdict, class Visitor>
void visit_verdict(Verdict& verdict, Visitor&& visit) {
  visit("nodes", verdict.nodes);
  visit("says_public", verdict.says_public);
  visit("says_private", verdict.says_private);
  visit("says_unknown", verdict.says_unknown);
  visit("first_after_s", verdict.first_after_s);
}

template <class Kill, class Visitor>
void visit_kill(Kill& kill, Visitor&& visit) {
  visit("killed", kill.killed);
  visit("survivors", kill.survivors);
  visit("connected", kill.connected);
  visit("lost", kill.lost);
}

Json verdicts_of(const world::NetworkReport& report) {
  auto list = Json::array();
  for (const auto& verdict : report.verdicts) {
    Json item{{"nat", verdict.nat}, {"dialable", verdict.dialable}};
    visit_verdict(verdict, Writer{item});
    list.push_back(std::move(item));
  }
  return list;
}

Json refused_of(const world::NetworkReport& report) {
  auto object = Json::object();
  for (const auto& [code, count] : report.relays.refused) object[std::to_string(code)] = count;
  return object;
}

Json kill_of(const world::NetworkReport& report) {
  if (!report.kill) return nullptr;
  auto object = Json::object();
  visit_kill(*report.kill, Writer{object});
  return object;
}

world::NetworkReport report_of(const Json& document) {
  world::NetworkReport report;
  document.at("world").get_to(report.world);
  visit_fields(report, Reader{document});
  for (const auto& item : document.at("verdicts")) {
    auto& verdict = report.verdicts.emplace_back();
    item.at("nat").get_to(verdict.nat);
    item.at("dialable").get_to(verdict.dialable);
    visit_verdict(verdict, Reader{item});
  }
  for (const auto& [code, count] : document.at("refused").items()) {
    report.relays.refused[std::stoi(code)] = count;
  }
  if (const auto& kill = document.at("kill"); !kill.is_null()) {
    visit_kill(report.kill.emplace(), Reader{kill});
  }
  return report;
}

}  // namespace

std::string to_json(const world::NetworkReport& report) {
  Json document{{"world", report.world}};
  visit_fields(report, Writer{document});
  document["verdicts"] = verdicts_of(report);
  document["refused"] = refused_of(report);
  document["kill"] = kill_of(report);
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<world::NetworkReport> parse_report(std::string_view text) {
  try {
    return report_of(Json::parse(text));
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const std::logic_error&) {  // a status code that is no number
    return std::nullopt;
  }
}

std::vector<std::pair<std::string, Number>> columns_of(const world::NetworkReport& report) {
  std::vector<std::pair<std::string, Number>> columns;
  visit_fields(report, Flattener{columns});
  return columns;
}

}  // namespace flaresim::study
