#include "sim/net/lan.h"

#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/simulator.h>

#include <algorithm>
#include <string>
#include <utility>

namespace flaresim::net {
namespace {

/// The /64 that an address stands for, as an address with a zero interface identifier.
io::IpAddress network_of(const io::IpAddress& address) {
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return boost::asio::ip::address_v6(bytes);
}

}  // namespace

class Lan::Place final : public Attachment {
 public:
  Place(Lan& lan, Port& port, const LinkProfile& link, const io::Random& random)
      : Attachment(port),
        lan_(lan),
        up_(link.up, random.derive("up")),
        down_(link.down, random.derive("down")) {}

  void send(PacketPtr packet) override { travel(up_, last_up_, std::move(packet), &Place::reach_box); }
  void send_down(PacketPtr packet) { travel(down_, last_down_, std::move(packet), &Place::reach_port); }

 private:
  void travel(LinkState& link, io::TimePoint& last, PacketPtr packet,
              void (Place::*arrival)(const PacketPtr&)) {
    const auto now = lan_.simulation_.now();
    const auto crossing = link.cross(packet->GetSize(), now);
    if (crossing.drop) return;
    last = std::max(last, now + crossing.after);
    ns3::Simulator::Schedule(ns3::NanoSeconds((last - now).count()),
                             [this, arrival, packet = std::move(packet)] { (this->*arrival)(packet); });
  }
  void reach_box(const PacketPtr& packet) { lan_.arrival_(*this, packet); }
  void reach_port(const PacketPtr& packet) { deliver(packet); }
  void unplugged() override { lan_.release(*this); }

  Lan& lan_;
  LinkState up_;
  LinkState down_;
  io::TimePoint last_up_{};
  io::TimePoint last_down_{};
};

Lan::Lan(engine::Simulation& simulation, io::Random random, Arrival arrival)
    : simulation_(simulation), random_(std::move(random)), arrival_(std::move(arrival)) {}
Lan::~Lan() = default;

io::Result<> Lan::attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& link) {
  if (!are_free(addresses, nullptr)) return io::fail(std::errc::address_in_use);
  const auto random = random_.derive("lan/" + std::to_string(places_.size()));
  auto* place = places_.emplace_back(std::make_unique<Place>(*this, port, link, random)).get();
  for (const auto& address : addresses) holders_[address] = place;
  return {};
}

io::Result<> Lan::readdress(const Port& port, const std::vector<io::IpAddress>& addresses) {
  const auto found =
      std::find_if(places_.begin(), places_.end(), [&](const auto& place) { return place->holds(port); });
  if (found == places_.end()) return io::fail(std::errc::not_connected);
  if (!are_free(addresses, found->get())) return io::fail(std::errc::address_in_use);
  release(**found);
  for (const auto& address : addresses) holders_[address] = found->get();
  return {};
}

Lan::Place* Lan::find(const io::IpAddress& address) const {
  auto found = holders_.find(address);
  if (found == holders_.end() && address.is_v6()) found = holders_.find(network_of(address));
  return found == holders_.end() ? nullptr : found->second;
}

void Lan::send(Place& to, PacketPtr packet) { to.send_down(std::move(packet)); }

void Lan::send_to_others(const Place& from, const PacketPtr& packet) {
  for (const auto& place : places_) {
    if (place.get() != &from) place->send_down(packet->Copy());
  }
}

bool Lan::are_free(const std::vector<io::IpAddress>& addresses, const Place* but_for) const {
  return std::all_of(addresses.begin(), addresses.end(), [&](const auto& address) {
    const auto found = holders_.find(address);
    return found == holders_.end() || found->second == but_for;
  });
}

void Lan::release(const Place& place) {
  std::erase_if(holders_, [&](const auto& entry) { return entry.second == &place; });
}

}  // namespace flaresim::net
