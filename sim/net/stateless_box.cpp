#include "sim/net/stateless_box.h"

#include <ns3/packet.h>

#include <optional>
#include <utility>

#include "sim/nat/packet.h"
#include "sim/net/lan.h"

namespace flaresim::net {

class StatelessBox::Box {
 public:
  class Outside final : public Port {
   public:
    explicit Outside(Box& box) : box_(box) {}
    void deliver(PacketPtr packet) override { box_.from_outside(*packet); }

   private:
    Box& box_;
  };

  Box(engine::Simulation& world, std::unique_ptr<nat::HeaderTranslation> translation,
      const io::Random& random)
      : outside(*this),
        lan(world, random, [this](Lan::Place& from, const PacketPtr& packet) { from_inside(from, packet); }),
        simulation_(world),
        translation_(std::move(translation)) {}

  Outside outside;
  Lan lan;
  std::function<void(const NatEvent&)> observer;
  Capture* inside_tap = nullptr;
  Capture* outside_tap = nullptr;

 private:
  using Bytes = std::vector<std::uint8_t>;

  void from_inside(Lan::Place& from, const PacketPtr& packet) {
    record(inside_tap, *packet);
    if (auto* neighbour = lan.find(destination_of(*packet))) return lan.send(*neighbour, packet);
    const auto result = translate(Direction::outbound, *packet);
    if (!result.answer.empty()) to_place(from, make_packet(result.answer));
    for (const auto& bytes : result.packets) send_outside(bytes);
  }

  void from_outside(const ns3::Packet& packet) {
    record(outside_tap, packet);
    const auto result = translate(Direction::inbound, packet);
    if (!result.answer.empty()) send_outside(result.answer);
    for (const auto& bytes : result.packets) {
      const auto inner = make_packet(bytes);
      if (auto* const holder = lan.find(destination_of(*inner))) to_place(*holder, inner);
    }
  }

  /// What goes on in place of the packet, also where that is the packet itself.
  nat::Translated translate(Direction direction, const ns3::Packet& packet) {
    auto bytes = whole(packet);
    const auto lost = lose_hop(bytes);
    auto result = lost                               ? nat::dropped(*lost)
                  : direction == Direction::outbound ? translation_->outbound(bytes)
                                                     : translation_->inbound(bytes);
    tell(direction, packet, result);
    if (result.outcome == nat::Translated::Outcome::untouched) result.packets.push_back(std::move(bytes));
    return result;
  }

  /// Why it cannot.
  static std::optional<nat::Rule> lose_hop(Bytes& bytes) {
    const auto packet = nat::parse_packet(bytes);
    if (!packet) return packet.error();
    if (packet->hop_limit() <= 1) return nat::Rule::ttl_expired;
    nat::decrement_hop_limit(*packet);
    return {};
  }

  void tell(Direction direction, const ns3::Packet& packet, const nat::Translated& result) const {
    if (!observer) return;
    observer({.at = simulation_.now(),
              .direction = direction,
              .rule = result.rule,
              .forwarded = result.outcome != nat::Translated::Outcome::dropped,
              .answered = !result.answer.empty(),
              .packet = summarise(packet)});
  }

  void to_place(Lan::Place& to, const PacketPtr& packet) {
    record(inside_tap, *packet);
    lan.send(to, packet);
  }
  void send_outside(const Bytes& bytes) {
    const auto packet = make_packet(bytes);
    record(outside_tap, *packet);
    outside.send(packet);
  }
  static void record(Capture* tap, const ns3::Packet& packet) {
    if (tap != nullptr) tap->record(packet);
  }

  engine::Simulation& simulation_;
  std::unique_ptr<nat::HeaderTranslation> translation_;
};

StatelessBox::StatelessBox(engine::Simulation& simulation,
                           std::unique_ptr<nat::HeaderTranslation> translation, const io::Random& random)
    : box_(std::make_unique<Box>(simulation, std::move(translation), random)) {}
StatelessBox::~StatelessBox() = default;

Port& StatelessBox::outside() { return box_->outside; }
io::Result<> StatelessBox::attach(Port& port, const std::vector<io::IpAddress>& addresses,
                                  const LinkProfile& lan) {
  return box_->lan.attach(port, addresses, lan);
}
io::Result<> StatelessBox::readdress(const Port& port, const std::vector<io::IpAddress>& addresses) {
  return box_->lan.readdress(port, addresses);
}
void StatelessBox::on_verdict(std::function<void(const NatEvent&)> observer) {
  box_->observer = std::move(observer);
}
void StatelessBox::capture_inside(Capture* capture) { box_->inside_tap = capture; }
void StatelessBox::capture_outside(Capture* capture) { box_->outside_tap = capture; }

}  // namespace flaresim::net
