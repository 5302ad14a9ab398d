#include <fmt/format.h>

#include <cmath>

#include "sim/world/scenario_reader.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;

constexpr auto longest = 24h * 30;
constexpr std::uint64_t max_attempts = 1'000'000;
constexpr std::uint64_t max_water = 100'000;

class NetworkReader {
 public:
  NetworkReader(Reader& reader, const Vocabulary& vocabulary) : reader_(reader), vocabulary_(vocabulary) {}

  NetworkSpec read(const Value& value) {
    NetworkSpec network;
    Keys keys(reader_, value, "network",
              {"nodes", "peers", "join", "duration", "public_share", "public_access", "bootstrap", "churn",
               "low_water", "high_water", "refresh", "max_reservations", "max_circuits_per_peer", "channel",
               "pairs", "probes", "kill", "check_every"});
    if (const auto* nodes = keys.need("nodes")) network.nodes = reader_.whole(*nodes, 2, network.max_nodes);
    time(keys, "join", network.join, 0s);
    time(keys, "duration", network.duration, 1s);
    time(keys, "refresh", network.refresh, 1s);
    time(keys, "check_every", network.check_every, 1s);
    share(keys, "public_share", network.public_share);
    count(keys, "bootstrap", network.bootstrap, network.nodes);
    count(keys, "low_water", network.low_water, max_water);
    count(keys, "high_water", network.high_water, max_water);
    count(keys, "max_reservations", network.max_reservations, max_water);
    count(keys, "max_circuits_per_peer", network.max_circuits_per_peer, max_water);
    if (const auto* access = keys.find("public_access"))
      network.public_access = reader_.name(*access, "access link", vocabulary_.accesses);
    if (const auto* channel = keys.find("channel")) {
      const auto word = reader_.name(*channel, "channel", {"full", "modelled"});
      network.channel = word == "full" ? BackgroundChannel::full : BackgroundChannel::modelled;
    }
    if (const auto* churn = keys.find("churn")) network.churn = read_churn(*churn);
    if (const auto* pairs = keys.find("pairs")) network.pairs = read_pairs(*pairs);
    if (const auto* probes = keys.find("probes")) network.probes = read_probes(*probes);
    if (const auto* kill = keys.find("kill")) network.kill = read_kill(*kill);
    check(value, network);
    return network;
  }

 private:
  void time(const Keys& keys, std::string_view key, io::Duration& into, io::Duration low) {
    if (const auto* value = keys.find(key)) into = reader_.duration(*value, low, longest);
  }
  void share(const Keys& keys, std::string_view key, double& into) {
    if (const auto* value = keys.find(key)) into = reader_.rate(*value);
  }
  void count(const Keys& keys, std::string_view key, std::uint64_t& into, std::uint64_t high) {
    if (const auto* value = keys.find(key)) into = reader_.whole(*value, 1, high);
  }

  void read_lengths(const Value& value, std::string_view where, LengthSpec& lengths) {
    Keys keys(reader_, value, where, {"median", "p80"});
    if (const auto* median = keys.need("median")) lengths.median = reader_.duration(*median, 1s, longest);
    if (const auto* p80 = keys.need("p80")) lengths.p80 = reader_.duration(*p80, 1s, longest);
    if (lengths.p80 <= lengths.median) reader_.fail(value.place, "expected a p80 above the median");
  }

  ChurnSpec read_churn(const Value& value) {
    ChurnSpec churn;
    Keys keys(reader_, value, "network.churn", {"from", "session", "off", "silent"});
    time(keys, "from", churn.from, 0s);
    if (const auto* session = keys.find("session")) {
      read_lengths(*session, "network.churn.session", churn.session);
    }
    if (const auto* off = keys.find("off")) read_lengths(*off, "network.churn.off", churn.off);
    share(keys, "silent", churn.silent);
    return churn;
  }

  PairsSpec read_pairs(const Value& value) {
    PairsSpec pairs;
    Keys keys(reader_, value, "network.pairs", {"peers", "attempts", "from", "limit"});
    count(keys, "peers", pairs.peers, NetworkSpec::max_nodes);
    count(keys, "attempts", pairs.attempts, max_attempts);
    time(keys, "from", pairs.from, 0s);
    time(keys, "limit", pairs.limit, 1s);
    return pairs;
  }

  ProbesSpec read_probes(const Value& value) {
    ProbesSpec probes;
    Keys keys(reader_, value, "network.probes", {"count", "at", "over"});
    count(keys, "count", probes.count, max_attempts);
    time(keys, "at", probes.at, 0s);
    time(keys, "over", probes.over, 0s);
    return probes;
  }

  KillSpec read_kill(const Value& value) {
    KillSpec kill;
    Keys keys(reader_, value, "network.kill", {"at", "share", "settle"});
    if (const auto* at = keys.need("at")) kill.at = reader_.duration(*at, 0s, longest);
    share(keys, "share", kill.share);
    time(keys, "settle", kill.settle, 1s);
    return kill;
  }

  void check(const Value& value, const NetworkSpec& network) {
    if (network.high_water < network.low_water) {
      reader_.fail(value.place, "high_water is below low_water");
    }
    const auto in_time = [&](const char* what, io::Duration end) {
      if (end <= network.duration) return;
      reader_.fail(value.place, fmt::format("{} would end at {}, after the world's duration of {}", what,
                                            duration_text(end), duration_text(network.duration)));
    };
    const auto publics = public_nodes(network);
    if (network.bootstrap > publics) {
      reader_.fail(value.place,
                   fmt::format("{} bootstrap nodes, but {} public nodes (a public_share of {} of {}): "
                               "bootstrap nodes are some of them",
                               network.bootstrap, publics, network.public_share, network.nodes));
    }
    in_time("joining", network.join);
    if (network.pairs) in_time("the pairs' attempts", network.pairs->from + network.pairs->limit);
    if (network.probes) in_time("the probes", network.probes->at + network.probes->over);
    if (network.kill) in_time("what follows the kill", network.kill->at + network.kill->settle);
  }

  Reader& reader_;
  const Vocabulary& vocabulary_;
};

}  // namespace

std::uint64_t public_nodes(const NetworkSpec& network) {
  return static_cast<std::uint64_t>(std::llround(network.public_share * static_cast<double>(network.nodes)));
}

std::string_view to_string(BackgroundChannel channel) {
  switch (channel) {
    case BackgroundChannel::full:
      return "full";
    case BackgroundChannel::modelled:
      return "modelled";
  }
  return "?";
}

NetworkSpec read_network(Reader& reader, const Value& value, const Vocabulary& vocabulary) {
  return NetworkReader(reader, vocabulary).read(value);
}

}  // namespace flaresim::world
