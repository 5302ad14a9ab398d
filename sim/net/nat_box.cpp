#include "sim/net/nat_box.h"

#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/simulator.h>

#include <array>
#include <optional>
#include <span>
#include <utility>

#include "sim/net/lan.h"
#include "sim/net/nat_address.h"

namespace flaresim::net {
namespace {

/// A fragment may have to wait inside the NAT, whole. The payload of anything else is nobody's business.
bool may_be_fragment(std::span<const std::uint8_t> head) {
  constexpr std::uint8_t hop_by_hop = 0, fragment = 44, destination_options = 60;
  if (head.size() < 20) return false;
  if (head[0] >> 4 == 4) return (head[6] & 0x3f) != 0 || head[7] != 0;
  return head[6] == hop_by_hop || head[6] == fragment || head[6] == destination_options;
}

}  // namespace

class NatBox::Box {
 public:
  class Outside final : public Port {
   public:
    explicit Outside(Box& box) : box_(box) {}
    void deliver(PacketPtr packet) override { box_.from_outside(packet); }

   private:
    Box& box_;
  };

  Box(engine::Simulation& world, const nat::Behaviour& how, std::vector<io::IpAddress> outside_addresses,
      const io::Random& random, std::unique_ptr<nat::HeaderTranslation> inside_edge)
      : simulation(world),
        outside(*this),
        lan(world, random, [this](Lan::Place& from, const PacketPtr& packet) { from_inside(from, packet); }),
        addresses(std::move(outside_addresses)),
        behaviour(how),
        edge_(std::move(inside_edge)),
        seeds_(random.derive("nat")) {
    start_anew();
  }

  /// A table without entries, and other ports than before.
  void start_anew() {
    std::vector<nat::Address> own;
    for (const auto& address : addresses) own.push_back(to_nat(address));
    core = std::make_unique<nat::Nat>(behaviour, own, seeds_.next());
  }

  void lose_table(bool rebooted) {
    start_anew();
    if (loss_observer) loss_observer(rebooted);
  }

  bool restarting() const { return simulation.now() < off_until; }

  engine::Simulation& simulation;
  Outside outside;
  Lan lan;
  std::vector<io::IpAddress> addresses;
  nat::Behaviour behaviour;
  std::unique_ptr<nat::Nat> core;
  io::TimePoint off_until{};
  std::function<void(const NatEvent&)> observer;
  std::function<void(bool)> loss_observer;
  Capture* inside_tap = nullptr;
  Capture* outside_tap = nullptr;

 private:
  void from_inside(Lan::Place& from, const PacketPtr& packet) {
    if (inside_tap != nullptr) inside_tap->record(*packet);
    if (restarting()) return lose(Direction::outbound, *packet);
    const auto destination = destination_of(*packet);
    if (auto* neighbour = lan.find(destination)) return lan.send(*neighbour, packet);
    if (destination.is_v4() && destination.is_multicast()) return lan.send_to_others(from, packet);
    if (!edge_) return leave(&from, packet, observed(*packet));

    const auto as_seen = observed(*packet);
    const auto translated = edge_->outbound(whole(*packet));
    if (!translated.answer.empty()) to_place(from, make_packet(translated.answer));
    switch (translated.outcome) {
      case nat::Translated::Outcome::untouched:
        return leave(&from, packet, as_seen);
      case nat::Translated::Outcome::translated:
        for (const auto& bytes : translated.packets) leave(&from, make_packet(bytes), as_seen);
        return;
      case nat::Translated::Outcome::dropped:
        return tell({.direction = Direction::outbound, .rule = translated.rule, .packet = as_seen});
    }
  }

  /// From inside through the NAT. `from` is who gets its answers; null for none.
  void leave(Lan::Place* from, const PacketPtr& packet, const PacketSummary& as_seen) {
    const auto verdict = pass(Direction::outbound, *packet, as_seen);
    if (!verdict.answer.empty() && from != nullptr) answer_inside(*from, verdict.answer);
    if (verdict.forward) forward_out(packet);
    for (const auto& late : verdict.released) forward_out(make_packet(late));
  }

  void forward_out(const PacketPtr& packet) {
    if (arrive(packet)) return;  // hairpinned
    if (outside_tap != nullptr) outside_tap->record(*packet);
    outside.send(packet);
  }

  void from_outside(const PacketPtr& packet) {
    if (outside_tap != nullptr) outside_tap->record(*packet);
    if (restarting()) return lose(Direction::inbound, *packet);
    const auto verdict = pass(Direction::inbound, *packet, observed(*packet));
    if (!verdict.answer.empty()) answer_outside(verdict.answer);
    if (verdict.forward) arrive(packet);
    for (const auto& late : verdict.released) arrive(make_packet(late));
  }

  /// To an inside host, as the NAT knows it; says whether it was for one.
  bool arrive(const PacketPtr& packet) {
    if (edge_) {
      auto translated = edge_->inbound(whole(*packet));
      // The sender knows nothing of what lies between the NAT and its edge, so the NAT translates the answer.
      if (!translated.answer.empty()) {
        const auto answer = make_packet(translated.answer);
        leave(nullptr, answer, observed(*answer));
      }
      if (translated.outcome != nat::Translated::Outcome::untouched) {
        for (const auto& bytes : translated.packets) to_holder(make_packet(bytes));
        return true;
      }
    }
    return to_holder(packet);
  }

  bool to_holder(const PacketPtr& packet) {
    auto* const holder = lan.find(destination_of(*packet));
    if (holder != nullptr) to_place(*holder, packet);
    return holder != nullptr;
  }

  void to_place(Lan::Place& to, const PacketPtr& packet) {
    if (inside_tap != nullptr) inside_tap->record(*packet);
    lan.send(to, packet);
  }

  /// What the NAT itself says to the inside.
  void answer_inside(Lan::Place& to, std::span<const std::uint8_t> bytes) {
    if (edge_) {
      const auto translated = edge_->inbound(bytes);
      for (const auto& packet : translated.packets) to_place(to, make_packet(packet));
      if (translated.outcome != nat::Translated::Outcome::untouched) return;
    }
    to_place(to, make_packet(bytes));
  }

  void answer_outside(std::span<const std::uint8_t> bytes) {
    auto packet = make_packet(bytes);
    if (outside_tap != nullptr) outside_tap->record(*packet);
    outside.send(std::move(packet));
  }

  /// Shows the headers to the NAT and puts them back as it left them.
  nat::Verdict pass(Direction direction, ns3::Packet& packet, const PacketSummary& as_seen) {
    std::array<std::uint8_t, max_head_bytes> bytes;
    std::span<std::uint8_t> head(bytes.data(), copy_head(packet, bytes));
    std::vector<std::uint8_t> all;
    if (may_be_fragment(head)) head = all = whole(packet);
    const auto now = simulation.now().time_since_epoch();
    auto verdict = direction == Direction::outbound ? core->outbound(head, now) : core->inbound(head, now);
    if (verdict.forward) replace_head(packet, head);
    tell({.direction = direction,
          .rule = verdict.rule,
          .forwarded = verdict.forward,
          .answered = !verdict.answer.empty(),
          .packet = as_seen});
    expect_late_answers();
    return verdict;
  }

  /// Wakes up when the NAT will have something to say of its own accord.
  void expect_late_answers() {
    const auto due = core->due();
    if (!due || (wakes_at_ && *wakes_at_ <= *due)) return;
    wakes_at_ = *due;
    ns3::Simulator::Schedule(ns3::NanoSeconds((*due - simulation.now().time_since_epoch()).count()),
                             [this] { speak_late(); });
  }

  void speak_late() {
    wakes_at_.reset();
    for (const auto& bytes : core->emit(simulation.now().time_since_epoch())) {
      if (!restarting()) answer_outside(bytes);
    }
    expect_late_answers();
  }

  void lose(Direction direction, const ns3::Packet& packet) {
    tell({.direction = direction, .restarting = true, .packet = observed(packet)});
  }

  PacketSummary observed(const ns3::Packet& packet) const {
    return observer ? summarise(packet) : PacketSummary{};
  }
  void tell(NatEvent event) const {
    if (!observer) return;
    event.at = simulation.now();
    observer(event);
  }

  std::unique_ptr<nat::HeaderTranslation> edge_;
  io::Random seeds_;
  std::optional<nat::Time> wakes_at_;
};

NatBox::NatBox(engine::Simulation& simulation, const nat::Behaviour& behaviour,
               std::vector<io::IpAddress> outside, const io::Random& random,
               std::unique_ptr<nat::HeaderTranslation> edge)
    : box_(std::make_unique<Box>(simulation, behaviour, std::move(outside), random, std::move(edge))) {}
NatBox::NatBox(engine::Simulation& simulation, const nat::Behaviour& behaviour,
               std::optional<io::IpAddress> outside, const io::Random& random,
               std::unique_ptr<nat::HeaderTranslation> edge)
    : NatBox(simulation, behaviour, outside ? std::vector{*outside} : std::vector<io::IpAddress>{}, random,
             std::move(edge)) {}
NatBox::~NatBox() = default;

Port& NatBox::outside() { return box_->outside; }
io::Result<> NatBox::attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& lan) {
  return box_->lan.attach(port, addresses, lan);
}
io::Result<> NatBox::readdress(const Port& port, const std::vector<io::IpAddress>& addresses) {
  return box_->lan.readdress(port, addresses);
}

void NatBox::reboot(io::Duration off) {
  box_->off_until = box_->simulation.now() + off;
  box_->lose_table(true);
}
void NatBox::flush() { box_->lose_table(false); }
void NatBox::change_address(std::vector<io::IpAddress> outside) {
  box_->addresses = std::move(outside);
  box_->lose_table(false);
}
void NatBox::set_behaviour(const nat::Behaviour& behaviour) {
  box_->behaviour = behaviour;
  box_->lose_table(false);
}

bool NatBox::restarting() const { return box_->restarting(); }
const std::vector<io::IpAddress>& NatBox::outside_addresses() const { return box_->addresses; }
nat::Nat& NatBox::nat() { return *box_->core; }
void NatBox::on_loss(std::function<void(bool)> observer) { box_->loss_observer = std::move(observer); }
void NatBox::on_verdict(std::function<void(const NatEvent&)> observer) {
  box_->observer = std::move(observer);
}
void NatBox::capture_inside(Capture* capture) { box_->inside_tap = capture; }
void NatBox::capture_outside(Capture* capture) { box_->outside_tap = capture; }

}  // namespace flaresim::net
