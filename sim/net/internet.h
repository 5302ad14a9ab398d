#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocols/io/network.h"
#include "sim/engine/simulation.h"
#include "sim/net/capture.h"
#include "sim/net/link.h"
#include "sim/net/packet.h"
#include "sim/net/port.h"

namespace flaresim::net {

/// One-way delays between regions, `[from][to]`.
using DelayMatrix = std::vector<std::vector<io::Duration>>;

/// Links inside of the core that do more than delay, and the ways over them.
struct CoreLinks {
  struct Link {
    std::string name;  ///< names its random stream; unique
    LinkDirection direction{};
  };
  std::vector<Link> links{};
  /// `[from][to]`, both regions: numbers of links, in the order in which packets cross them.
  std::vector<std::vector<std::vector<std::size_t>>> ways{};
};

/// What the core itself does to packets, beside the delay between regions.
struct CoreProfile {
  io::Duration jitter{};  ///< added to a packet's delay, uniform in [0, jitter]
  double loss = 0;        ///< probability, in [0, 1]
};

/// Where a port is plugged into the Internet, and how.
struct Site {
  std::string name;        ///< names its random streams; unique
  std::size_t region = 0;  ///< row of the delay matrix
  LinkProfile link{};
  /// What is routed here: IPv4 addresses as they are, IPv6 addresses with the whole /64 around them.
  std::vector<io::IpAddress> addresses{};
};

enum class CoreDrop { no_route, cut, loss, queue_full };
std::string_view to_string(CoreDrop reason);

struct CoreCounters {
  std::uint64_t forwarded = 0;
  std::uint64_t no_route = 0;
  std::uint64_t cut = 0;
  std::uint64_t lost = 0;
  std::uint64_t queue_full = 0;
};

/// The Internet between access links: takes a packet to the port that holds its destination.
///
/// 1. The delay is access link up, region to region, extra delay of the ordered pair, access link down; all
///    exact to the nanosecond.
/// 2. Packets from one site to another never overtake each other, whatever the jitter: none is delivered
///    earlier than the one sent before it.
/// 3. A packet that nobody's address matches is dropped.
/// 4. Random numbers come from streams named after the sites, so adding a site changes no other's packets.
/// 5. It outlives the run: packets that are under way hold on to it.
/// 6. Where the core has links, packets cross those of their way one after the other, and wait in the queue of each;
///    packets on a link stay in their order. Their delays take the place of those between regions.
/// 7. A port that is unplugged gives its addresses back. Its site number is never used again.
class Internet {
 public:
  using SiteId = std::size_t;

  Internet(engine::Simulation& simulation, DelayMatrix one_way, io::Random random, CoreProfile profile = {});
  ~Internet();

  /// Fails with `errc::invalid_argument` for an unknown region, `errc::address_in_use` when an address or a
  /// /64 is held by another site.
  io::Result<SiteId> attach(Port& port, const Site& site);

  /// The site holds other addresses from now on, as after a new lease; everything else about it stays.
  /// Fails, and changes nothing, with `errc::address_in_use` when another site holds one of them.
  io::Result<> readdress(SiteId site, const std::vector<io::IpAddress>& addresses);

  /// From now on packets cross these links. Every way must be there.
  void set_core(const CoreLinks& core);

  /// A delay that only packets from one site to another have, on top of everything else; makes paths
  /// asymmetric.
  void set_extra_delay(SiteId from, SiteId to, io::Duration one_way);
  /// From now on no packet passes from one site to another: a fault on the path.
  void cut(SiteId from, SiteId to) { cuts_.insert({from, to}); }

  /// Records every packet that enters the core; null stops.
  void capture(Capture* capture) { capture_ = capture; }
  /// Called for every packet that enters the core.
  void on_packet(std::function<void(const PacketSummary&)> observer) { on_packet_ = std::move(observer); }
  void on_drop(std::function<void(CoreDrop, const PacketSummary&)> observer) {
    on_drop_ = std::move(observer);
  }
  const CoreCounters& counters() const { return counters_; }

 private:
  class Access;
  struct CoreLink;

  bool is_free(const io::IpAddress& address, const Access* but_for) const;
  void hold(Access& site, const std::vector<io::IpAddress>& addresses);
  void release(const Access& site);
  Access* route(const ns3::Packet& packet) const;
  void forward(Access& from, PacketPtr packet);
  void cross_core(Access& from, Access& to, const PacketPtr& packet, std::size_t crossed);
  void leave_core(Access& from, Access& to, PacketPtr packet, io::TimePoint at);
  void enter_last_mile(Access& to, const PacketPtr& packet);
  io::Duration extra_delay(const Access& from, const Access& to) const;
  io::Duration region_delay(const Access& from, const Access& to) const;
  io::TimePoint in_order(const Access& from, const Access& to, io::TimePoint at);
  void drop(CoreDrop reason, const ns3::Packet& packet);

  engine::Simulation& simulation_;
  DelayMatrix one_way_;
  io::Random random_;
  io::Random core_noise_;
  CoreProfile profile_;
  std::vector<std::unique_ptr<Access>> sites_;
  std::unordered_map<std::uint32_t, Access*> v4_;
  std::unordered_map<std::uint64_t, Access*> v6_;  // by /64
  std::map<std::pair<SiteId, SiteId>, io::Duration> extra_;
  std::set<std::pair<SiteId, SiteId>> cuts_;
  std::vector<CoreLink> core_links_;
  std::vector<std::vector<std::vector<std::size_t>>> core_ways_;  ///< `[from][to]`; empty: there are no links
  std::unordered_map<std::uint64_t, io::TimePoint> last_delivery_;  // by ordered pair of sites
  std::size_t prune_at_ = 1024;
  Capture* capture_ = nullptr;
  std::function<void(const PacketSummary&)> on_packet_;
  std::function<void(CoreDrop, const PacketSummary&)> on_drop_;
  CoreCounters counters_;
};

}  // namespace flaresim::net
