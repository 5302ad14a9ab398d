#include "sim/study/trial_codec.h"

#include <nlohmann/json.hpp>

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

}  // namespace

std::vector<std::uint8_t> encode(const world::Trial& trial) {
  return json::to_cbor(json::array(
      {trial.index, to_string(trial.outcome), to_string(trial.cause), trial.error, from(trial.a),
       from(trial.b), trial.relay_region, trial.transport, trial.attempts, from(trial.relayed_after),
       from(trial.direct_after), from(trial.relayed_rtt), from(trial.direct_rtt), from(trial.dialability_a),
       from(trial.dialability_b), phases_of(trial), trial.events, trial.packets, trial.handshakes}));
}

std::optional<world::Trial> decode_trial(std::span<const std::uint8_t> bytes) {
  try {
    return trial_of(json::from_cbor(bytes.begin(), bytes.end()));
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace flaresim::study
