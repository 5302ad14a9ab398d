#include "sim/world/cold_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/world/upgrade.h"

namespace flaresim::world {
namespace {

using io::Duration;
using multiformats::Multiaddr;
using swarm::Reachability;

/// Between two looks for B. A choice of ours: no implementation retries for its application.
constexpr Duration look_again = std::chrono::seconds(5);
/// For a dial of the stranger: go-libp2p's limit for one address and some more.
constexpr Duration stranger_limit = std::chrono::seconds(20);

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

/// Tells the timeline when phases end, and how long they took.
class Phases {
 public:
  Phases(PairWorld& world, std::string node, Story::Say say)
      : world_(world), node_(std::move(node)), say_(std::move(say)) {}

  /// The first start counts.
  void start(Phase phase) {
    auto& began = began_[index(phase)];
    if (!began) began = world_.since_began();
  }
  /// Of one that has started; the first end counts.
  void end(Phase phase, std::string_view with) {
    const auto& began = began_[index(phase)];
    auto& took = took_[index(phase)];
    if (!began || took) return;
    took = world_.since_began() - *began;
    say_(node_, "phase",
         fmt::format("{}: from {:.3f} ms, for {:.3f} ms: {}", to_string(phase), milliseconds(*began),
                     milliseconds(*took), with));
  }
  /// Those that have started and not ended never will.
  void give_up() {
    for (const auto phase : all_phases) {
      const auto& began = began_[index(phase)];
      if (!began || took_[index(phase)]) continue;
      say_(node_, "phase",
           fmt::format("{}: from {:.3f} ms, never ended", to_string(phase), milliseconds(*began)));
    }
  }
  std::optional<Duration> took(Phase phase) const { return took_[index(phase)]; }

 private:
  static std::size_t index(Phase phase) { return static_cast<std::size_t>(phase); }

  PairWorld& world_;
  std::string node_;
  Story::Say say_;
  std::array<std::optional<Duration>, all_phases.size()> began_{};
  std::array<std::optional<Duration>, all_phases.size()> took_{};
};

class ColdStart final : public Story {
 public:
  ColdStart(const Scenario& scenario, PairWorld& world, Trial& trial, Say say)
      : scenario_(scenario),
        world_(world),
        trial_(trial),
        say_(say),
        upgrade_(world.simulation(), trial),
        a_(world, "A", say),
        b_(world, "B", say) {}

  void begin() override {
    trial_.relay_region.clear();
    upgrade_.watch(*world_.a().node, *world_.b().node, world_.began());
    follow(world_.a(), a_);
    follow(world_.b(), b_);
    world_.on_trace([this](const std::string& machine, std::string_view what, const std::string& detail) {
      if (machine == "A") follow(a_, what, detail);
      if (machine == "B") follow(b_, what, detail);
    });
    io::spawn(world_.simulation().executor(), run());
  }

  bool over() const override { return over_; }

  void give_up() override {
    a_.give_up();
    b_.give_up();
    trial_.outcome = upgrade_.so_far();
    trial_.cause = trial_.relayed_after ? Cause::time_limit : why_no_connection();
    upgrade_.abandon();
  }

  void look_back() override {
    for (const auto phase : {Phase::dialability, Phase::relays_found, Phase::reservation}) keep(phase, b_);
    for (const auto phase : {Phase::connection, Phase::punch}) keep(phase, a_);
    trial_.dialability_a.verdict = to_string(world_.a().node->reachability());
    trial_.dialability_b.verdict = to_string(world_.b().node->reachability());
    find_truth();
    // A peer that is public indeed was missed for another reason.
    if (trial_.cause == Cause::verdict_wrong && trial_.dialability_b.truth == "public")
      trial_.cause = last_look_.failures.empty() ? Cause::peer_not_found : Cause::peer_unreachable;
  }

 private:
  void keep(Phase phase, const Phases& of) {
    trial_.phases[static_cast<std::size_t>(phase)] = of.took(phase);
  }

  /// 1.1 ends with a verdict, and begins 1.2 if it is the one that makes a peer look for relays.
  void follow(Machine& machine, Phases& phases) {
    phases.start(Phase::dialability);
    machine.node->on_reachability([&phases](Reachability verdict) {
      if (verdict != Reachability::unknown) phases.end(Phase::dialability, to_string(verdict));
      if (verdict == Reachability::unreachable) phases.start(Phase::relays_found);
    });
  }

  static void follow(Phases& phases, std::string_view what, const std::string& detail) {
    if (what == "reserve.sent") {
      phases.end(Phase::relays_found, detail);
      phases.start(Phase::reservation);
    } else if (what == "reserve.ok") {
      phases.end(Phase::reservation, detail);
    }
  }

  io::Task<> run() {
    const auto connection = co_await look();
    const bool direct =
        static_cast<bool>(world_.a().node->swarm().direct_connection_to(world_.b().node->id()));
    a_.end(Phase::connection, direct ? "direct" : "relayed");
    if (direct) {
      co_await upgrade_.finish_direct();
    } else {
      trial_.relay_region = region_of_relay(*connection);
      a_.start(Phase::punch);
      co_await upgrade_.finish();
      if (trial_.direct_after) a_.end(Phase::punch, to_string(trial_.outcome));
    }
    a_.give_up();
    b_.give_up();
    over_ = true;
  }

  /// Until there is a connection to B.
  io::Task<swarm::ConnectionPtr> look() {
    auto& a = *world_.a().node;
    const auto b = world_.b().node->id();
    co_await a.dht()->bootstrapped();
    co_await world_.simulation().sleep_until(world_.began() + scenario_.meet_at);
    a_.start(Phase::connection);
    for (;;) {
      last_look_ = co_await a.find_and_connect(b);
      if (last_look_.connection) co_return last_look_.connection;
      if (auto connection = a.swarm().connection_to(b)) co_return connection;
      co_await world_.simulation().sleep_for(look_again);
    }
  }

  std::string region_of_relay(const swarm::Connection& connection) {
    const auto relay = connection.facts().remote_address.relay();
    const auto id = relay ? relay->peer_id() : std::nullopt;
    const auto* server = id ? world_.server(*id) : nullptr;
    return server ? world_.region_of(*server) : "";
  }

  bool knows_anybody(const Machine& machine) {
    const auto connections = machine.node->swarm().connections();
    return std::ranges::any_of(connections, [&](const auto& each) { return world_.server(each->remote()); });
  }

  Cause why_no_connection() {
    const auto& b = *world_.b().node;
    if (!knows_anybody(world_.a()) || !knows_anybody(world_.b())) return Cause::bootstrap_unreachable;
    const auto verdict = b.reachability();
    if (verdict != Reachability::reachable && !b_.took(Phase::reservation)) {
      if (verdict == Reachability::unknown) return Cause::verdict_missing;
      return refused() ? Cause::reservation_refused : Cause::relays_missing;
    }
    const auto& failures = last_look_.failures;
    // Who takes itself for public looks for no relays; without an address that observers agree on, it tells none at all.
    if (failures.empty())
      return verdict == Reachability::reachable ? Cause::verdict_wrong : Cause::peer_not_found;
    const auto circuit =
        std::ranges::find_if(failures, [](const auto& each) { return each.address.is_circuit(); });
    if (circuit != failures.end())
      return circuit->connected ? Cause::relayed_upgrade_failed : Cause::circuit_refused;
    return verdict == Reachability::reachable ? Cause::verdict_wrong : Cause::peer_unreachable;
  }

  bool refused() const {
    const auto* auto_relay = world_.b().node->auto_relay();
    return auto_relay && auto_relay->counters().refused > 0;
  }

  /// Dials both from a host that neither has ever heard of, at every public address that they know of themselves: what
  /// gets in is let in by the gateways, and owes nothing to what the peer has sent.
  void find_truth() {
    bool done = false;
    auto stranger = std::make_unique<node::Node>(
        world_.stranger(), crypto::PrivateKey::generate(stranger_random_), node::NodeProfile{});
    io::spawn(world_.simulation().executor(), dial_both(*stranger, done));
    world_.simulation().run_until([&] { return done; }, world_.simulation().now() + 3 * stranger_limit);
    stranger->shut_down();
    world_.simulation().drain();
  }

  io::Task<> dial_both(node::Node& stranger, bool& done) {
    trial_.dialability_a.truth = co_await dial(stranger, *world_.a().node);
    trial_.dialability_b.truth = co_await dial(stranger, *world_.b().node);
    done = true;
  }

  static io::Task<std::string> dial(node::Node& stranger, node::Node& peer) {
    auto addresses = peer.swarm().addresses().punchable();
    for (auto& address : peer.swarm().addresses().probeable()) addresses.push_back(std::move(address));
    std::ranges::sort(addresses, {}, [](const Multiaddr& address) { return address.bytes(); });
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    swarm::DialRequest request{
        .peer = peer.id(), .addresses = std::move(addresses), .direct_only = true, .limit = stranger_limit};
    const auto report = co_await stranger.swarm().dial(std::move(request));
    co_return report.connection ? "public" : "private";
  }

  const Scenario& scenario_;
  PairWorld& world_;
  Trial& trial_;
  Say say_;
  Upgrade upgrade_;
  Phases a_;
  Phases b_;
  swarm::DialReport last_look_;
  io::Random stranger_random_ = io::Random(0).derive("stranger");
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Story> make_cold_start(const Scenario& scenario, PairWorld& world, Trial& trial,
                                       Story::Say say) {
  return std::make_unique<ColdStart>(scenario, world, trial, std::move(say));
}

}  // namespace flaresim::world
