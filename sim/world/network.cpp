#include "sim/world/network.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <stdexcept>

#include "protocols/kademlia/key.h"
#include "sim/world/network_gauge.h"
#include "sim/world/network_lives.h"
#include "sim/world/network_pairs.h"
#include "sim/world/network_probes.h"
#include "sim/world/network_world.h"

namespace flaresim::world {
namespace {

/// What the kernel holds for this process.
std::uint64_t resident_now() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total_pages = 0, resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// One world from its beginning to its end.
class NetworkRun {
 public:
  NetworkRun(const Scenario& scenario, const WorldData& data, Geography& geography, const io::Random& random,
             std::uint64_t number, const NetworkOptions& options)
      : options_(options),
        number_(number),
        bare_bytes_(resident_now()),
        world_(scenario, data, geography, random),
        gauge_(world_),
        lives_(world_),
        pairs_(world_, number, random.derive("pairs"), options.timeline),
        probes_(world_, random.derive("probes")),
        kill_(world_, lives_, random.derive("kill")) {
    if (options.on_packet) {
      world_.internet().on_packet([this](const net::PacketSummary& packet) {
        options_.on_packet(world_.simulation().now(), packet);
      });
    }
  }

  NetworkResult operator()() {
    const auto& spec = world_.spec();
    lives_.begin();
    if (spec.pairs) pairs_.begin();
    if (spec.probes) probes_.begin();
    if (spec.kill) kill_.begin();
    for (auto at = spec.check_every; at < spec.duration; at += spec.check_every) look(at);
    look(spec.duration);
    pairs_.stop();
    auto result = NetworkResult{pairs_.rows(), report(), cost_};
    take_down();
    result.report.left_behind = world_.left_behind();
    result.cost.wall_s = wall_s();
    return result;
  }

 private:
  void look(io::Duration at) {
    world_.simulation().run_until(io::TimePoint{} + at);
    gauge_.look();
    const auto resident = resident_now();
    cost_.resident_bytes = resident - std::min(resident, bare_bytes_);
    cost_.peak_resident_bytes = std::max(cost_.peak_resident_bytes, cost_.resident_bytes);
    cost_.connections = gauge_.connections_now();
    cost_.wall_s = wall_s();
    if (options_.on_look) options_.on_look(at, report(), cost_);
  }

  NetworkReport report() const {
    auto report = gauge_.report();
    report.world = number_;
    report.probes = probes_.figures();
    report.funnel = pairs_.funnel();
    report.kill = kill_.figures();
    return report;
  }

  void take_down() {
    lives_.stop();
    probes_.stop();
    kill_.stop();
    world_.shut_down();
  }

  double wall_s() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_began_).count();
  }

  const NetworkOptions& options_;
  std::uint64_t number_;
  std::uint64_t bare_bytes_;
  std::chrono::steady_clock::time_point wall_began_ = std::chrono::steady_clock::now();
  NetworkWorld world_;
  NetworkGauge gauge_;
  NetworkLives lives_;
  NetworkPairs pairs_;
  NetworkProbes probes_;
  NetworkKill kill_;
  NetworkCost cost_;
};

}  // namespace

NetworkResult run_network(const Scenario& scenario, const WorldData& data, std::uint64_t seed,
                          std::uint64_t world, const NetworkOptions& options) {
  if (!scenario.network) throw std::logic_error("the scenario has no network");
  Geography geography(scenario, data);
  const auto random = io::Random(seed).derive(fmt::format("network/{}", world));
  return NetworkRun(scenario, data, geography, random, world, options)();
}

}  // namespace flaresim::world
