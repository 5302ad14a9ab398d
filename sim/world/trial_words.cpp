#include <algorithm>
#include <array>
#include <utility>

#include "sim/world/trial.h"

namespace flaresim::world {
namespace {

template <class Enum, std::size_t count>
using Words = std::array<std::pair<Enum, std::string_view>, count>;

constexpr Words<Outcome, 7> outcome_words{{{Outcome::unknown, "UNKNOWN"},
                                           {Outcome::no_connection, "NO_CONNECTION"},
                                           {Outcome::no_stream, "NO_STREAM"},
                                           {Outcome::connection_reversed, "CONNECTION_REVERSED"},
                                           {Outcome::cancelled, "CANCELLED"},
                                           {Outcome::failed, "FAILED"},
                                           {Outcome::success, "SUCCESS"}}};

constexpr Words<Cause, 22> cause_words{{{Cause::none, "none"},
                                        {Cause::relay_unreachable, "relay_unreachable"},
                                        {Cause::reservation_refused, "reservation_refused"},
                                        {Cause::circuit_refused, "circuit_refused"},
                                        {Cause::relayed_upgrade_failed, "relayed_upgrade_failed"},
                                        {Cause::no_address_to_send, "no_address_to_send"},
                                        {Cause::stream_refused, "stream_refused"},
                                        {Cause::relayed_connection_lost, "relayed_connection_lost"},
                                        {Cause::protocol_error, "protocol_error"},
                                        {Cause::refused, "refused"},
                                        {Cause::silence, "silence"},
                                        {Cause::both_servers, "both_servers"},
                                        {Cause::both_clients, "both_clients"},
                                        {Cause::security_failed, "security_failed"},
                                        {Cause::bootstrap_unreachable, "bootstrap_unreachable"},
                                        {Cause::verdict_missing, "verdict_missing"},
                                        {Cause::verdict_wrong, "verdict_wrong"},
                                        {Cause::relays_missing, "relays_missing"},
                                        {Cause::peer_not_found, "peer_not_found"},
                                        {Cause::peer_unreachable, "peer_unreachable"},
                                        {Cause::time_limit, "time_limit"},
                                        {Cause::internal_error, "internal_error"}}};

constexpr Words<Phase, 5> phase_words{{{Phase::dialability, "1.1 dialability"},
                                       {Phase::relays_found, "1.2 relays found"},
                                       {Phase::reservation, "1.3 reservation"},
                                       {Phase::connection, "2.1 connection"},
                                       {Phase::punch, "2.2 DCUtR"}}};

template <class Enum, std::size_t count>
std::string_view word_of(const Words<Enum, count>& words, Enum value) {
  const auto found = std::ranges::find(words, value, &std::pair<Enum, std::string_view>::first);
  return found == words.end() ? std::string_view("?") : found->second;
}

template <class Enum, std::size_t count>
std::optional<Enum> value_of(const Words<Enum, count>& words, std::string_view word) {
  const auto found = std::ranges::find(words, word, &std::pair<Enum, std::string_view>::second);
  if (found == words.end()) return std::nullopt;
  return found->first;
}

}  // namespace

std::string_view to_string(Outcome outcome) { return word_of(outcome_words, outcome); }
std::string_view to_string(Cause cause) { return word_of(cause_words, cause); }
std::string_view to_string(Phase phase) { return word_of(phase_words, phase); }
std::optional<Outcome> outcome_of(std::string_view word) { return value_of(outcome_words, word); }
std::optional<Cause> cause_of(std::string_view word) { return value_of(cause_words, word); }

}  // namespace flaresim::world
