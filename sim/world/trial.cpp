#include "sim/world/trial.h"

#include <fmt/core.h>

#include <exception>
#include <fstream>

#include "protocols/relay/relay_error.h"
#include "protocols/security/noise.h"
#include "protocols/security/tls.h"
#include "sim/world/changes.h"
#include "sim/world/pair_world.h"
#include "sim/world/recorder.h"

namespace flaresim::world {
namespace {

using io::Duration;
using multiformats::Multiaddr;

/// How long both ends of a punched connection may differ in seeing it, before the trial stops waiting for A.
constexpr Duration settle_limit = std::chrono::seconds(5);

/// The story of one trial: what A and B do, and what came of it.
class Story {
 public:
  Story(PairWorld& world, Trial& trial) : world_(world), trial_(trial), progress_(world.simulation()) {}

  /// Everything that happens by itself is set up here; the coroutine below drives the rest.
  void begin() {
    world_.b().node->hole_puncher().on_report([this](const dcutr::PunchReport& report) {
      if (report.peer != world_.a().node->id() || report.side != dcutr::Side::opener) return;
      report_ = report;
      progress_.notify_all();
    });
    world_.a().node->swarm().on_connected([this](const swarm::ConnectionPtr&) { progress_.notify_all(); });
    io::spawn(world_.simulation().executor(), run());
  }

  bool over() const { return over_; }

 private:
  io::Task<> run() {
    co_await tell();
    over_ = true;
  }

  io::Task<> tell() {
    auto& a = world_.a();
    auto& b = world_.b();
    // Peers have been up for a while before they meet.
    if (a.node->port_mapper()) co_await a.node->port_mapper()->settled();
    if (b.node->port_mapper()) co_await b.node->port_mapper()->settled();
    // One at a time: GCC 12 does not stop at the first of several co_await in one condition.
    if (!co_await connect_to_servers(b)) co_return;
    if (!co_await reserve(b)) co_return;
    if (!co_await connect_to_servers(a)) co_return;

    auto relayed = co_await dial_over_relay(a, b);
    if (!relayed) co_return;
    trial_.relayed_after = now();
    // From here on B acts: it was dialled, so it begins the upgrade.
    while (!report_) co_await progress_.wait();
    co_await conclude(*report_, now());
  }

  Duration now() const { return world_.simulation().now().time_since_epoch(); }

  void end(Outcome outcome, Cause cause) {
    trial_.outcome = outcome;
    trial_.cause = cause;
  }

  /// Over each transport: what a server sees of us there is an address to punch with.
  io::Task<bool> connect_to_servers(Machine& peer) {
    for (auto& server : world_.servers()) {
      for (const auto transport : world_.transports()) {
        swarm::DialRequest request{.peer = server.node->id(),
                                   .addresses = world_.addresses_of(server, transport)};
        request.over = request.addresses.front().transport();
        const auto dial = co_await peer.node->swarm().dial(std::move(request));
        if (dial.connection) co_await peer.node->identify().wait_for(dial.connection);
      }
      if (!peer.node->swarm().connection_to(server.node->id())) {
        end(Outcome::no_connection, Cause::relay_unreachable);
        co_return false;
      }
    }
    co_return true;
  }

  io::Task<bool> reserve(Machine& peer) {
    for (std::size_t i = 0; i < world_.relays(); ++i) {
      auto& relay = world_.servers()[i];
      std::vector<Multiaddr> connected_already;
      const auto reservation =
          co_await peer.node->relay_client().reserve(relay.node->id(), std::move(connected_already));
      if (!reservation) {
        end(Outcome::no_connection, Cause::reservation_refused);
        co_return false;
      }
    }
    co_return true;
  }

  io::Task<bool> dial_over_relay(Machine& from, Machine& to) {
    const auto& relay = world_.relay();
    // Any address will do: both peers are connected to the relay.
    const auto address = world_.addresses_of(relay, world_.transports().front()).front();
    swarm::DialRequest request{
        .peer = to.node->id(),
        .addresses = {
            address.with_peer(relay.node->id()).encapsulate(Multiaddr::circuit()).with_peer(to.node->id())}};
    const auto dial = co_await from.node->swarm().dial(std::move(request));
    if (dial.connection) co_return true;
    const bool circuit_stood = !dial.failures.empty() && dial.failures.front().connected;
    end(Outcome::no_connection, circuit_stood ? Cause::relayed_upgrade_failed : Cause::circuit_refused);
    co_return false;
  }

  io::Task<> conclude(dcutr::PunchReport report, Duration reported_at) {
    trial_.attempts = static_cast<int>(report.attempts.size());
    if (const auto rtt = report.round_trip(); rtt > Duration::zero()) trial_.relayed_rtt = rtt;

    if (report.outcome == dcutr::Outcome::reversed || report.outcome == dcutr::Outcome::punched) {
      if (co_await both_connected()) {
        end(report.outcome == dcutr::Outcome::reversed ? Outcome::connection_reversed : Outcome::success,
            Cause::none);
        const auto quic = report.transport == multiformats::Transport::quic_v1;
        trial_.transport = to_string(quic ? Transport::quic : Transport::tcp);
        trial_.direct_after = reported_at - *trial_.relayed_after;
      } else {
        end(Outcome::failed, Cause::security_failed);
      }
      co_return;
    }
    const bool exchanged =
        std::any_of(report.attempts.begin(), report.attempts.end(),
                    [](const dcutr::Attempt& attempt) { return attempt.dialled_at.has_value(); });
    end(exchanged ? Outcome::failed : Outcome::no_stream, cause_of_failure(report));
  }

  /// A direct connection counts when it carries data both ways.
  io::Task<bool> both_connected() {
    const auto& b = world_.b().node->id();
    auto& a = *world_.a().node;
    const auto deadline = world_.simulation().now() + settle_limit;
    bool in_time = true;
    while (in_time && !a.swarm().direct_connection_to(b)) in_time = co_await progress_.wait_until(deadline);
    const auto connection = a.swarm().direct_connection_to(b);
    if (!connection) co_return false;
    const auto rtt = co_await a.ping().ping(connection);
    if (!rtt) co_return false;
    trial_.direct_rtt = *rtt;
    co_return true;
  }

  static Cause cause_of_failure(const dcutr::PunchReport& report) {
    if (report.attempts.empty() || !report.attempts.back().dialled_at) {
      const auto cause = report.attempts.empty() ? report.cause : report.attempts.back().cause;
      if (cause == dcutr::Error::no_address_to_send || cause == dcutr::Error::no_usable_address ||
          cause == std::errc::connection_reset) {
        return Cause::no_address_to_send;
      }
      if (cause == negotiation::Error::no_protocol) return Cause::stream_refused;
      return Cause::protocol_error;
    }
    const auto& failures = report.attempts.back().failures;
    const auto any = [&](auto&& holds) { return std::any_of(failures.begin(), failures.end(), holds); };
    // B is the server of the pair: connected, and then nothing said, means that A waits for B as well.
    if (any([](const auto& f) { return f.connected && f.why == std::errc::timed_out; }))
      return Cause::both_servers;
    if (any([](const auto& f) { return f.connected; })) return Cause::security_failed;
    if (any([](const auto& f) { return f.why == std::errc::connection_refused; })) return Cause::refused;
    return Cause::silence;
  }

  PairWorld& world_;
  Trial& trial_;
  io::Signal progress_;
  std::optional<dcutr::PunchReport> report_;
  bool over_ = false;
};

node::NodeProfile profile_of(const ProtocolSpec& protocol) {
  node::NodeProfile profile;
  profile.swarm.quic.initial_rtt = protocol.quic_initial_rtt;
  profile.swarm.accepted_socket_takes_punch_role = protocol.accepted_socket_takes_punch_role;
  profile.swarm.security.clear();
  for (const auto security : protocol.security) {
    profile.swarm.security.emplace_back(security == Security::tls ? security::tls_protocol
                                                                  : security::noise_protocol);
  }
  if (protocol.port_mapping) profile.port_mapping.emplace();
  switch (protocol.roles) {
    case Roles::spec:
      profile.dcutr.roles = dcutr::Roles::spec;
      break;
    case Roles::legacy:
      profile.dcutr.roles = dcutr::Roles::legacy;
      break;
    case Roles::swap_on_last_attempt:
      profile.dcutr.roles = dcutr::Roles::swap_on_last_attempt;
      break;
  }
  return profile;
}

void run_story(const Scenario& scenario, const WorldData& data, Geography& geography,
               const io::Random& random, const Draw& drawn, const TrialOptions& options, Trial& trial) {
  Recorder recorder(options, trial);
  PairWorld world(scenario, data, geography, drawn, random,
                  engine::SimulationOptions{options.captures.packets}, profile_of(scenario.protocol),
                  recorder.tap());
  recorder.attach(world);
  Story story(world, trial);
  const Changes changes(world, scenario.events, random,
                        [&](const std::string& node, std::string_view what, std::string detail) {
                          recorder.say(world, node, what, std::move(detail));
                        });
  story.begin();
  const auto deadline = world.simulation().now() + scenario.time_limit;
  if (!world.simulation().run_until([&] { return story.over(); }, deadline)) {
    trial.outcome = trial.relayed_after ? Outcome::no_stream : Outcome::no_connection;
    trial.cause = Cause::time_limit;
  }
  trial.events = world.simulation().events_executed();
  trial.packets = world.internet().counters().forwarded;
  world.for_each_machine(
      [&](Machine& machine) { trial.handshakes += machine.node->swarm().counters().handshakes; });
  recorder.finish();
  world.shut_down();
}

}  // namespace

Trial run_trial(const Scenario& scenario, const WorldData& data, std::uint64_t seed, std::uint64_t index,
                const TrialOptions& options) {
  Trial trial;
  trial.index = index;
  try {
    const auto random = io::Random(seed).derive(fmt::format("trial/{}", index));
    Geography geography(scenario, data);
    const auto drawn = draw(scenario, geography, random);
    trial.a = drawn.a;
    trial.b = drawn.b;
    trial.relay_region = drawn.relay_regions[drawn.relay];
    run_story(scenario, data, geography, random, drawn, options, trial);
  } catch (const std::exception& error) {
    trial.outcome = Outcome::unknown;
    trial.cause = Cause::internal_error;
    trial.error = error.what();
  }
  return trial;
}

}  // namespace flaresim::world
