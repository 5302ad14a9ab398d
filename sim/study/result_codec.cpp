#include "sim/study/result_codec.h"

#include <nlohmann/json.hpp>

#include "sim/study/network_codec.h"

namespace flaresim::study {
namespace {

using nlohmann::json;

json from(const std::optional<io::Duration>& duration) {
  return duration ? json(duration->count()) : json(nullptr);
}
json from(const world::PeerKind& kind) { return {kind.nat, kind.region, kind.access}; }
json from(const world::Dialability& peer) { return {peer.verdict, peer.truth}; }
json phases_of(const world::Trial& trial) {
  auto phases = json::array();
  for (const auto& phase : trial.phases) phases.push_back(from(phase));
  return phases;
}

std::optional<io::Duration> duration_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  return io::Duration(value.get<std::int64_t>());
}
world::PeerKind kind_of(const json& value) { return {value.at(0), value.at(1), value.at(2)}; }
world::Dialability dialability_of(const json& value) { return {value.at(0), value.at(1)}; }

world::Trial trial_of(const json& fields) {
  world::Trial trial;
  std::size_t i = 0;
  const auto next = [&]() -> const json& { return fields.at(i++); };
  trial.index = next();
  trial.world = next();
  trial.outcome = world::outcome_of(next().get<std::string>()).value_or(world::Outcome::unknown);
  trial.cause = world::cause_of(next().get<std::string>()).value_or(world::Cause::internal_error);
  trial.error = next();
  trial.a = kind_of(next());
  trial.b = kind_of(next());
  trial.relay_region = next();
  trial.transport = next();
  trial.attempts = next();
  trial.relayed_after = duration_of(next());
  trial.direct_after = duration_of(next());
  trial.relayed_rtt = duration_of(next());
  trial.direct_rtt = duration_of(next());
  trial.dialability_a = dialability_of(next());
  trial.dialability_b = dialability_of(next());
  const auto& phases = next();
  for (std::size_t phase = 0; phase < trial.phases.size(); ++phase) {
    trial.phases[phase] = duration_of(phases.at(phase));
  }
  trial.events = next();
  trial.packets = next();
  trial.handshakes = next();
  return trial;
}

json from(const world::Trial& trial) {
  return json::array({trial.index,
                      trial.world,
                      to_string(trial.outcome),
                      to_string(trial.cause),
                      trial.error,
                      from(trial.a),
                      from(trial.b),
                      trial.relay_region,
                      trial.transport,
                      trial.attempts,
                      from(trial.relayed_after),
                      from(trial.direct_after),
                      from(trial.relayed_rtt),
                      from(trial.direct_rtt),
                      from(trial.dialability_a),
                      from(trial.dialability_b),
                      phases_of(trial),
                      trial.events,
                      trial.packets,
                      trial.handshakes});
}

JobResult result_of(const json& document) {
  JobResult result;
  for (const auto& trial : document.at("trials")) result.trials.push_back(trial_of(trial));
  if (const auto& report = document.at("report"); !report.is_null()) {
    result.report = parse_report(report.get<std::string>());
    if (!result.report) throw std::invalid_argument("report");
  }
  result.failure = document.at("failure");
  return result;
}

}  // namespace

std::vector<std::uint8_t> encode(const JobResult& result) {
  auto trials = json::array();
  for (const auto& trial : result.trials) trials.push_back(from(trial));
  return json::to_cbor({{"trials", std::move(trials)},
                        {"report", result.report ? json(to_json(*result.report)) : json(nullptr)},
                        {"failure", result.failure}});
}

std::optional<JobResult> decode(std::span<const std::uint8_t> bytes) {
  try {
    return result_of(json::from_cbor(bytes.begin(), bytes.end()));
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

}  // namespace flaresim::study
