#include "sim/os/node_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace flaresim::os {
namespace {

using Json = nlohmann::ordered_json;
using multiformats::Multiaddr;

/// A terminal obeys control characters, and the remote is a stranger.
std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return out;
}

void print_line(std::string_view line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void print(const Json& event) { print_line(event.dump(-1, ' ', false, Json::error_handler_t::replace)); }

template <class Values, class Text>
Json list(const Values& values, Text&& text) {
  auto out = Json::array();
  for (const auto& value : values) out.push_back(text(value));
  return out;
}
Json list(const std::vector<Multiaddr>& addresses) {
  return list(addresses, [](const auto& address) { return address.to_string(); });
}

double milliseconds(io::Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string_view path_of(const swarm::Connection& connection) {
  return connection.relayed() ? "relayed" : "direct";
}

std::string_view direction_of(const swarm::Connection& connection) {
  return connection.facts().direction == swarm::Direction::inbound ? "inbound" : "outbound";
}

std::string_view to_string(dcutr::Outcome outcome) {
  switch (outcome) {
    case dcutr::Outcome::not_started:
      return "not started";
    case dcutr::Outcome::reversed:
      return "reversed";
    case dcutr::Outcome::punched:
      return "punched";
    case dcutr::Outcome::failed:
      return "failed";
  }
  return "";
}

Json limit_of(const swarm::CircuitLimit& limit) {
  auto out = Json::object();
  if (limit.duration) out["duration_s"] = limit.duration->count();
  if (limit.bytes) out["bytes"] = *limit.bytes;
  return out;
}

}  // namespace

void NodeReport::listening(const multiformats::PeerId& self, const std::vector<Multiaddr>& addresses) const {
  if (json_)
    return print({{"event", "listening"}, {"peer", self.to_string()}, {"addresses", list(addresses)}});
  print_line("peer " + self.to_string());
  for (const auto& address : addresses) print_line("listening " + address.to_string());
}

void NodeReport::connected(const swarm::Connection& connection) const {
  const auto& facts = connection.facts();
  const auto peer = facts.remote.to_string();
  const auto address = facts.remote_address.to_string();
  if (!json_) {
    return print_line(fmt::format("connected {} {} {} at {} ({}, {})", peer, direction_of(connection),
                                  path_of(connection), address, facts.security, facts.muxer));
  }
  Json event{{"event", "connected"},
             {"connection", facts.id},
             {"peer", peer},
             {"address", address},
             {"direction", direction_of(connection)},
             {"path", path_of(connection)},
             {"security", facts.security},
             {"muxer", facts.muxer}};
  if (connection.limited()) event["limit"] = limit_of(facts.limit);
  print(event);
}

void NodeReport::disconnected(const swarm::Connection& connection) const {
  const auto peer = connection.remote().to_string();
  if (!json_) return print_line(fmt::format("disconnected {} {}", peer, path_of(connection)));
  print({{"event", "disconnected"}, {"connection", connection.facts().id}, {"peer", peer}});
}

void NodeReport::identified(const multiformats::PeerId& peer, const swarm::PeerInfo& info) const {
  known("identified", peer, info);
}

void NodeReport::updated(const multiformats::PeerId& peer, const swarm::PeerInfo& info) const {
  known("updated", peer, info);
}

void NodeReport::known(std::string_view event, const multiformats::PeerId& peer,
                       const swarm::PeerInfo& info) const {
  const auto observed = info.observed ? info.observed->to_string() : "";
  if (json_) {
    return print({{"event", event},
                  {"peer", peer.to_string()},
                  {"agent", info.agent},
                  {"protocols", info.protocols()},
                  {"addresses", list(info.addresses)},
                  {"observed_address", info.observed ? Json(observed) : Json()}});
  }
  print_line(fmt::format("{} {} as {}", event, peer.to_string(), printable(info.agent)));
  if (info.observed) print_line("  sees us at " + observed);
  for (const auto& address : info.addresses) print_line("  address " + address.to_string());
  for (const auto& protocol : info.protocols()) print_line("  protocol " + printable(protocol));
}

void NodeReport::pinged(const swarm::Connection& connection, io::Duration round_trip) const {
  const auto peer = connection.remote().to_string();
  if (!json_)
    return print_line(
        fmt::format("ping {} {} {:.3f} ms", peer, path_of(connection), milliseconds(round_trip)));
  print({{"event", "ping"},
         {"peer", peer},
         {"path", path_of(connection)},
         {"rtt_ms", milliseconds(round_trip)}});
}

void NodeReport::reserved(const relay::Reservation& reservation,
                          const std::vector<Multiaddr>& circuits) const {
  const auto relay = reservation.relay.to_string();
  const auto expires = reservation.expires.time_since_epoch().count();
  if (json_) {
    return print({{"event", "reserved"},
                  {"relay", relay},
                  {"expires_unix_s", expires},
                  {"limit", limit_of(reservation.limit)},
                  {"addresses", list(circuits)}});
  }
  print_line(fmt::format("reserved on {} until {}", relay, expires));
  for (const auto& address : circuits) print_line("listening " + address.to_string());
}

void NodeReport::reservation_lost(const multiformats::PeerId& relay, std::error_code why) const {
  if (!json_) return print_line(fmt::format("reservation on {} lost: {}", relay.to_string(), why.message()));
  print({{"event", "reservation_lost"}, {"relay", relay.to_string()}, {"error", why.message()}});
}

void NodeReport::punched(const dcutr::PunchReport& punch) const {
  const auto peer = punch.peer.to_string();
  const auto outcome = to_string(punch.outcome);
  const auto why = punch.cause ? punch.cause.message() : "";
  if (!json_) {
    return print_line(fmt::format("punch to {} {} after {} attempts{}{}", peer, outcome,
                                  punch.attempts.size(), why.empty() ? "" : ": ", why));
  }
  Json event{{"event", "punch"},
             {"peer", peer},
             {"outcome", outcome},
             {"attempts", punch.attempts.size()},
             {"relayed_rtt_ms", milliseconds(punch.round_trip())}};
  if (punch.cause) event["error"] = why;
  print(event);
}

void NodeReport::dial_failed(const multiformats::PeerId& peer, const swarm::DialReport& dial) const {
  if (json_) {
    const auto failure = [](const swarm::DialFailure& f) {
      return Json{{"address", f.address.to_string()}, {"error", f.why.message()}};
    };
    return print({{"event", "dial_failed"},
                  {"peer", peer.to_string()},
                  {"error", dial.error.message()},
                  {"failures", list(dial.failures, failure)}});
  }
  print_line(fmt::format("cannot connect to {}: {}", peer.to_string(), dial.error.message()));
  for (const auto& failure : dial.failures)
    print_line(fmt::format("  {}: {}", failure.address.to_string(), failure.why.message()));
}

void NodeReport::failed(std::string_view what, std::error_code why) const {
  if (!json_) return print_line(fmt::format("{} failed: {}", what, why.message()));
  print({{"event", "failed"}, {"what", what}, {"error", why.message()}});
}

void NodeReport::told(std::string_view event, std::string_view member, std::string_view text) const {
  if (!json_) return print_line(fmt::format("{} {}", event, printable(text)));
  print({{"event", event}, {member, text}});
}

void NodeReport::reachability(swarm::Reachability reachability) const {
  told("reachability", "verdict", to_string(reachability));
}

void NodeReport::dht_joined() const {
  if (!json_) return print_line("joined the DHT");
  print({{"event", "dht_joined"}});
}

void NodeReport::stored(std::string_view key) const { told("stored", "key", key); }

void NodeReport::value(std::string_view key, std::string_view value) const {
  if (!json_) return print_line(fmt::format("value of {}: {}", printable(key), printable(value)));
  print({{"event", "value"}, {"key", key}, {"value", value}});
}

void NodeReport::provided(std::string_view content) const { told("provided", "content", content); }

void NodeReport::providers(std::string_view content, const std::vector<swarm::AddressInfo>& providers) const {
  const auto peers = list(providers, [](const auto& provider) { return provider.peer.to_string(); });
  if (json_) return print({{"event", "providers"}, {"content", content}, {"peers", peers}});
  print_line(fmt::format("{} providers of {}", providers.size(), printable(content)));
  for (const auto& provider : providers) print_line("  " + provider.peer.to_string());
}

void NodeReport::located(std::string_view event, const swarm::AddressInfo& peer) const {
  const auto id = peer.peer.to_string();
  if (json_) return print({{"event", event}, {"peer", id}, {"addresses", list(peer.addresses)}});
  print_line(fmt::format("{} {}", event, id));
  for (const auto& address : peer.addresses) print_line("  address " + address.to_string());
}

void NodeReport::found(const swarm::AddressInfo& peer) const { located("found", peer); }

void NodeReport::found_locally(const swarm::AddressInfo& peer) const { located("found_locally", peer); }

void NodeReport::done(const multiformats::PeerId& peer, bool direct) const {
  const auto path = direct ? "direct" : "relayed";
  if (!json_) return print_line(fmt::format("done: connection to {} is {}", peer.to_string(), path));
  print({{"event", "done"}, {"peer", peer.to_string()}, {"path", path}});
}

}  // namespace flaresim::os
