#include "sim/net/nat_box.h"

#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/simulator.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace flaresim::net {
namespace {

nat::Address nat_address(const std::optional<io::IpAddress>& address) {
  if (!address) return {};
  if (address->is_v6()) return address->to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address->to_v4()).to_bytes();
}

/// The /64 that an address stands for, as an address with a zero interface identifier.
io::IpAddress network_of(const io::IpAddress& address) {
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return boost::asio::ip::address_v6(bytes);
}

}  // namespace

class NatBox::Box {
 public:
  /// A place in the LAN.
  class Inside final : public Attachment {
   public:
    Inside(Box& box, Port& port, const LinkProfile& lan, const io::Random& random)
        : Attachment(port),
          box_(box),
          up_(lan.up, random.derive("up")),
          down_(lan.down, random.derive("down")) {}

    void send(PacketPtr packet) override { travel(up_, last_up_, std::move(packet), &Inside::reach_router); }
    void deliver_later(PacketPtr packet) {
      travel(down_, last_down_, std::move(packet), &Inside::reach_port);
    }

   private:
    /// Loss and full queues of a LAN are silent, and packets stay in their order.
    void travel(LinkState& link, io::TimePoint& last, PacketPtr packet,
                void (Inside::*arrival)(const PacketPtr&)) {
      const auto now = box_.simulation.now();
      const auto crossing = link.cross(packet->GetSize(), now);
      if (crossing.drop) return;
      last = std::max(last, now + crossing.after);
      ns3::Simulator::Schedule(ns3::NanoSeconds((last - now).count()),
                               [this, arrival, packet = std::move(packet)] { (this->*arrival)(packet); });
    }
    void reach_router(const PacketPtr& packet) { box_.from_inside(*this, packet); }
    void reach_port(const PacketPtr& packet) { deliver(packet); }

    Box& box_;
    LinkState up_;
    LinkState down_;
    io::TimePoint last_up_{};
    io::TimePoint last_down_{};
  };

  class Outside final : public Port {
   public:
    explicit Outside(Box& box) : box_(box) {}
    void deliver(PacketPtr packet) override { box_.from_outside(std::move(packet)); }

   private:
    Box& box_;
  };

  Box(engine::Simulation& world, const nat::Behaviour& behaviour, const std::optional<io::IpAddress>& address,
      const io::Random& random)
      : simulation(world),
        outside(*this),
        core(behaviour, nat_address(address), io::Random(random.derive("nat")).next()),
        random_(random) {}

  io::Result<> attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& lan) {
    for (const auto& address : addresses) {
      if (places_.contains(address)) return io::fail(std::errc::address_in_use);
    }
    const auto name = "lan/" + std::to_string(insides_.size());
    auto* place =
        insides_.emplace_back(std::make_unique<Inside>(*this, port, lan, random_.derive(name))).get();
    for (const auto& address : addresses) places_[address] = place;
    return {};
  }

  void from_inside(Inside& from, const PacketPtr& packet) {
    if (inside_tap != nullptr) inside_tap->record(*packet);
    if (auto* neighbour = find(destination_of(*packet))) return neighbour->deliver_later(packet);

    const auto verdict = pass(Direction::outbound, *packet);
    if (!verdict.answer.empty()) answer_inside(from, verdict.answer);
    if (!verdict.forward) return;
    if (auto* hairpinned = find(destination_of(*packet))) return to_inside(*hairpinned, packet);
    if (outside_tap != nullptr) outside_tap->record(*packet);
    outside.send(packet);
  }

  void from_outside(const PacketPtr& packet) {
    if (outside_tap != nullptr) outside_tap->record(*packet);
    const auto verdict = pass(Direction::inbound, *packet);
    if (!verdict.answer.empty()) answer_outside(verdict.answer);
    if (!verdict.forward) return;
    if (auto* to = find(destination_of(*packet))) to_inside(*to, packet);
  }

  engine::Simulation& simulation;
  Outside outside;
  nat::Nat core;
  std::function<void(const NatEvent&)> observer;
  Capture* inside_tap = nullptr;
  Capture* outside_tap = nullptr;

 private:
  Inside* find(const io::IpAddress& address) const {
    auto found = places_.find(address);
    if (found == places_.end() && address.is_v6()) found = places_.find(network_of(address));
    return found == places_.end() ? nullptr : found->second;
  }

  /// Shows the headers to the NAT and puts them back as it left them.
  nat::Verdict pass(Direction direction, ns3::Packet& packet) {
    NatEvent event;
    if (observer) event.packet = summarise(packet);
    std::array<std::uint8_t, max_head_bytes> bytes;
    const std::span<std::uint8_t> head(bytes.data(), copy_head(packet, bytes));
    const auto now = simulation.now();
    auto verdict = direction == Direction::outbound ? core.outbound(head, now.time_since_epoch())
                                                    : core.inbound(head, now.time_since_epoch());
    if (verdict.forward) replace_head(packet, head);
    if (observer) {
      event.at = now;
      event.direction = direction;
      event.rule = verdict.rule;
      event.forwarded = verdict.forward;
      event.answered = !verdict.answer.empty();
      observer(event);
    }
    return verdict;
  }

  void to_inside(Inside& to, PacketPtr packet) {
    if (inside_tap != nullptr) inside_tap->record(*packet);
    to.deliver_later(std::move(packet));
  }

  void answer_inside(Inside& to, std::span<const std::uint8_t> bytes) { to_inside(to, make_packet(bytes)); }

  void answer_outside(std::span<const std::uint8_t> bytes) {
    auto packet = make_packet(bytes);
    if (outside_tap != nullptr) outside_tap->record(*packet);
    outside.send(std::move(packet));
  }

  io::Random random_;
  std::vector<std::unique_ptr<Inside>> insides_;
  std::map<io::IpAddress, Inside*> places_;
};

NatBox::NatBox(engine::Simulation& simulation, const nat::Behaviour& behaviour,
               std::optional<io::IpAddress> outside, const io::Random& random)
    : box_(std::make_unique<Box>(simulation, behaviour, outside, random)) {}
NatBox::~NatBox() = default;

Port& NatBox::outside() { return box_->outside; }
io::Result<> NatBox::attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& lan) {
  return box_->attach(port, addresses, lan);
}
nat::Nat& NatBox::nat() { return box_->core; }
void NatBox::on_verdict(std::function<void(const NatEvent&)> observer) {
  box_->observer = std::move(observer);
}
void NatBox::capture_inside(Capture* capture) { box_->inside_tap = capture; }
void NatBox::capture_outside(Capture* capture) { box_->outside_tap = capture; }

}  // namespace flaresim::net
