#include "sim/net/internet.h"

#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/simulator.h>

#include <algorithm>
#include <cstring>

namespace flaresim::net {
namespace {

std::uint64_t network_of(const boost::asio::ip::address_v6& address) {
  const auto bytes = address.to_bytes();
  std::uint64_t upper = 0;
  for (int i = 0; i < 8; ++i) upper = upper << 8 | bytes[static_cast<std::size_t>(i)];
  return upper;
}

CoreDrop reason(LinkDrop drop) { return drop == LinkDrop::loss ? CoreDrop::loss : CoreDrop::queue_full; }

bool jitters(const LinkDirection& direction) { return direction.jitter > io::Duration::zero(); }

}  // namespace

std::string_view to_string(CoreDrop drop) {
  switch (drop) {
    case CoreDrop::cut:
      return "cut";
    case CoreDrop::no_route:
      return "no_route";
    case CoreDrop::loss:
      return "loss";
    case CoreDrop::queue_full:
      return "queue_full";
  }
  return "";
}

class Internet::Access final : public Attachment {
 public:
  Access(Internet& internet, Port& port, const Site& site, SiteId number)
      : Attachment(port),
        region(site.region),
        id(number),
        up(site.link.up, internet.random_.derive("up/" + site.name)),
        down(site.link.down, internet.random_.derive("down/" + site.name)),
        internet_(internet) {}

  void send(PacketPtr packet) override { internet_.forward(*this, std::move(packet)); }
  void arrive(const PacketPtr& packet) { deliver(packet); }
  io::TimePoint in_order(io::TimePoint at) { return last_ = std::max(at, last_); }
  io::TimePoint up_in_order(io::TimePoint at) { return last_up_ = std::max(at, last_up_); }

  const std::size_t region;
  const SiteId id;
  LinkState up;
  LinkState down;
  std::vector<io::IpAddress> addresses;

 private:
  void unplugged() override { internet_.release(*this); }

  Internet& internet_;
  io::TimePoint last_up_{};  // when the last packet from this site entered the core
  io::TimePoint last_{};     // delivery of the last packet that was queued for this site
};

struct Internet::CoreLink {
  LinkState state;
  io::TimePoint last{};  // when the last packet left it
};

Internet::Internet(engine::Simulation& simulation, DelayMatrix one_way, io::Random random,
                   CoreProfile profile)
    : simulation_(simulation),
      one_way_(std::move(one_way)),
      random_(std::move(random)),
      core_noise_(random_.derive("core")),
      profile_(profile) {}

Internet::~Internet() = default;

io::Result<Internet::SiteId> Internet::attach(Port& port, const Site& site) {
  if (site.region >= one_way_.size()) return io::fail(std::errc::invalid_argument);
  for (const auto& address : site.addresses) {
    if (!is_free(address, nullptr)) return io::fail(std::errc::address_in_use);
  }
  auto* access = sites_.emplace_back(std::make_unique<Access>(*this, port, site, sites_.size())).get();
  hold(*access, site.addresses);
  return access->id;
}

io::Result<> Internet::readdress(SiteId site, const std::vector<io::IpAddress>& addresses) {
  auto& access = *sites_.at(site);
  for (const auto& address : addresses) {
    if (!is_free(address, &access)) return io::fail(std::errc::address_in_use);
  }
  release(access);
  hold(access, addresses);
  return {};
}

bool Internet::is_free(const io::IpAddress& address, const Access* but_for) const {
  if (address.is_v4()) {
    const auto found = v4_.find(address.to_v4().to_uint());
    return found == v4_.end() || found->second == but_for;
  }
  const auto found = v6_.find(network_of(address.to_v6()));
  return found == v6_.end() || found->second == but_for;
}

void Internet::hold(Access& site, const std::vector<io::IpAddress>& addresses) {
  site.addresses = addresses;
  for (const auto& address : addresses) {
    if (address.is_v4()) {
      v4_[address.to_v4().to_uint()] = &site;
    } else {
      v6_[network_of(address.to_v6())] = &site;
    }
  }
}

void Internet::release(const Access& site) {
  for (const auto& address : site.addresses) {
    address.is_v4() ? v4_.erase(address.to_v4().to_uint()) : v6_.erase(network_of(address.to_v6()));
  }
}

void Internet::set_core(const CoreLinks& core) {
  core_links_.clear();
  for (const auto& [name, direction] : core.links) {
    core_links_.push_back({LinkState(direction, random_.derive("core/" + name)), {}});
  }
  core_ways_ = core.ways;
}

void Internet::set_extra_delay(SiteId from, SiteId to, io::Duration one_way) { extra_[{from, to}] = one_way; }

Internet::Access* Internet::route(const ns3::Packet& packet) const {
  const auto destination = destination_of(packet);
  if (destination.is_v4()) {
    const auto found = v4_.find(destination.to_v4().to_uint());
    return found == v4_.end() ? nullptr : found->second;
  }
  const auto found = v6_.find(network_of(destination.to_v6()));
  return found == v6_.end() ? nullptr : found->second;
}

io::Duration Internet::extra_delay(const Access& from, const Access& to) const {
  if (extra_.empty()) return {};
  const auto found = extra_.find({from.id, to.id});
  return found == extra_.end() ? io::Duration{} : found->second;
}

io::Duration Internet::region_delay(const Access& from, const Access& to) const {
  return one_way_[from.region][to.region] + extra_delay(from, to);
}

/// The first part of the way: up the own access link, and to the far one.
void Internet::forward(Access& from, PacketPtr packet) {
  if (capture_ != nullptr) capture_->record(*packet);
  if (on_packet_) on_packet_(summarise(*packet));
  auto* const to = route(*packet);
  if (to == nullptr) return drop(CoreDrop::no_route, *packet);
  if (!cuts_.empty() && cuts_.contains({from.id, to->id})) return drop(CoreDrop::cut, *packet);

  const auto now = simulation_.now();
  const auto up = from.up.cross(packet->GetSize(), now);
  if (up.drop) return drop(reason(*up.drop), *packet);
  if (core_ways_.empty())
    return leave_core(from, *to, std::move(packet), now + up.after + region_delay(from, *to));
  const auto after = from.up_in_order(now + up.after) - now;
  ns3::Simulator::Schedule(ns3::NanoSeconds(after.count()), [this, &from, to, packet = std::move(packet)] {
    cross_core(from, *to, packet, 0);
  });
}

/// The next link of the core, once the packet has reached it: only then is known who waits there.
void Internet::cross_core(Access& from, Access& to, const PacketPtr& packet, std::size_t crossed) {
  const auto now = simulation_.now();
  const auto& way = core_ways_[from.region][to.region];
  if (crossed == way.size()) return leave_core(from, to, packet, now + extra_delay(from, to));
  auto& link = core_links_[way[crossed]];
  const auto crossing = link.state.cross(packet->GetSize(), now);
  if (crossing.drop) return drop(reason(*crossing.drop), *packet);
  link.last = std::max(link.last, now + crossing.after);
  ns3::Simulator::Schedule(ns3::NanoSeconds((link.last - now).count()), [this, &from, &to, packet, crossed] {
    cross_core(from, to, packet, crossed + 1);
  });
}

/// The far access link, which the packet reaches at that time; where that link has no rate to queue for, all of it.
void Internet::leave_core(Access& from, Access& to, PacketPtr packet, io::TimePoint at) {
  if (profile_.loss > 0 && core_noise_.uniform() < profile_.loss) return drop(CoreDrop::loss, *packet);
  if (profile_.jitter > io::Duration::zero()) at += core_noise_.between({}, profile_.jitter);

  const bool queued_at_the_far_end = to.down.direction().bits_per_second != 0;
  if (!queued_at_the_far_end) {
    const auto down = to.down.cross(packet->GetSize(), at);
    if (down.drop) return drop(reason(*down.drop), *packet);
    at += down.after;
  }
  at = in_order(from, to, at);
  ++counters_.forwarded;
  const auto delay = ns3::NanoSeconds((at - simulation_.now()).count());
  if (queued_at_the_far_end) {
    ns3::Simulator::Schedule(delay, [this, &to, packet = std::move(packet)] { enter_last_mile(to, packet); });
  } else {
    ns3::Simulator::Schedule(delay, [&to, packet = std::move(packet)] { to.arrive(packet); });
  }
}

void Internet::enter_last_mile(Access& to, const PacketPtr& packet) {
  const auto now = simulation_.now();
  const auto down = to.down.cross(packet->GetSize(), now);
  if (down.drop) return drop(reason(*down.drop), *packet);
  const auto at = to.in_order(now + down.after);
  ns3::Simulator::Schedule(ns3::NanoSeconds((at - now).count()), [&to, packet] { to.arrive(packet); });
}

/// Nothing can overtake where nothing jitters, so that such paths need no memory of their last delivery.
io::TimePoint Internet::in_order(const Access& from, const Access& to, io::TimePoint at) {
  if (profile_.jitter <= io::Duration::zero() && !jitters(from.up.direction()) &&
      !jitters(to.down.direction())) {
    return at;
  }
  if (last_delivery_.size() >= prune_at_) {
    const auto now = simulation_.now();
    std::erase_if(last_delivery_, [&](const auto& entry) { return entry.second < now; });
    prune_at_ = std::max<std::size_t>(1024, 2 * last_delivery_.size());
  }
  auto& last = last_delivery_[static_cast<std::uint64_t>(from.id) << 32 | to.id];
  return last = std::max(at, last);
}

void Internet::drop(CoreDrop drop_reason, const ns3::Packet& packet) {
  switch (drop_reason) {
    case CoreDrop::no_route:
      ++counters_.no_route;
      break;
    case CoreDrop::cut:
      ++counters_.cut;
      break;
    case CoreDrop::loss:
      ++counters_.lost;
      break;
    case CoreDrop::queue_full:
      ++counters_.queue_full;
      break;
  }
  if (on_drop_) on_drop_(drop_reason, summarise(packet));
}

}  // namespace flaresim::net
