#include "sim/probe/simulated_lab.h"

#include <ns3/packet.h>

#include <map>
#include <utility>

#include "sim/engine/simulation.h"
#include "sim/net/internet.h"
#include "sim/net/nat_box.h"

namespace flaresim::probe {
namespace {

constexpr std::size_t inside_hosts = 8, outside_hosts = 3;
constexpr io::Duration wire_delay = std::chrono::milliseconds(1);

io::IpAddress v4(const std::string& prefix, std::size_t last) {
  return boost::asio::ip::make_address_v4(prefix + std::to_string(last));
}
io::IpAddress v6(const std::string& text) { return boost::asio::ip::make_address_v6(text); }

/// The end of a wire: whatever comes out is kept until somebody looks.
class WireEnd final : public net::Port {
 public:
  explicit WireEnd(engine::Simulation& simulation) : simulation_(simulation) {}

  void deliver(net::PacketPtr packet) override {
    io::Bytes bytes(packet->GetSize());
    packet->CopyData(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
    arrivals_.push_back({simulation_.now(), std::move(bytes)});
  }
  std::vector<Arrival> take() { return std::exchange(arrivals_, {}); }

 private:
  engine::Simulation& simulation_;
  std::vector<Arrival> arrivals_;
};

net::LinkProfile both_ways(io::Duration delay) { return {.up = {.delay = delay}, .down = {.delay = delay}}; }

/// Behind which addresses a box stands, and how far from the middle.
struct Place {
  std::string name;
  std::vector<io::IpAddress> outside;
  std::vector<io::IpAddress> inside;
  io::Duration lan_delay, wan_delay;
};

class SimulatedLab final : public Lab {
 public:
  SimulatedLab(std::uint64_t seed, io::Duration crossing)
      : simulation_({.checksums = true}),
        random_(seed),
        internet_(simulation_, {{io::Duration::zero()}}, random_.derive("internet")),
        crossing_(crossing) {}

  void add_outside(const std::vector<io::IpAddress>& addresses, io::Duration delay) {
    auto& end = wire(Side::outside);
    must(internet_.attach(end, {.name = "outside", .link = both_ways(delay), .addresses = addresses})
             .has_value());
  }

  void add_box(Side side, const nat::Behaviour& behaviour, const Place& place) {
    auto& box = boxes_[side];
    box = std::make_unique<net::NatBox>(simulation_, behaviour, place.outside, random_.derive(place.name));
    // Whatever a box lets out untranslated must find its way back, too.
    auto reachable = place.outside;
    reachable.insert(reachable.end(), place.inside.begin(), place.inside.end());
    must(internet_
             .attach(box->outside(),
                     {.name = place.name, .link = both_ways(place.wan_delay), .addresses = reachable})
             .has_value());
    must(box->attach(wire(side), place.inside, both_ways(place.lan_delay)).has_value());
  }

  void lay_out(Layout layout) { layout_ = std::move(layout); }

  const Layout& layout() const override { return layout_; }
  void send(Side side, io::BytesView packet) override { wire(side).send(net::make_packet(packet)); }
  void run_for(io::Duration duration) override { simulation_.run_for(duration); }
  std::vector<Arrival> received(Side side) override { return wire(side).take(); }
  io::TimePoint now() const override { return simulation_.now(); }
  io::Duration longest_crossing() const override { return crossing_; }

 private:
  WireEnd& wire(Side side) {
    return *wires_.try_emplace(side, std::make_unique<WireEnd>(simulation_)).first->second;
  }

  static void must(bool held) {
    if (!held) throw std::logic_error("a lab's addresses are its own");
  }

  engine::Simulation simulation_;
  io::Random random_;
  net::Internet internet_;
  Layout layout_;
  io::Duration crossing_;
  std::map<Side, std::unique_ptr<WireEnd>> wires_;
  std::map<Side, std::unique_ptr<net::NatBox>> boxes_;
};

std::vector<io::IpAddress> joined(std::vector<io::IpAddress> first,
                                  const std::vector<io::IpAddress>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<io::IpAddress> hosts(const std::string& prefix, std::size_t count) {
  std::vector<io::IpAddress> all;
  for (std::size_t i = 1; i <= count; ++i) all.push_back(v4(prefix, i));
  return all;
}

Layout single_layout() {
  Layout layout;
  layout.inside = hosts("10.0.0.", inside_hosts);
  layout.outside = hosts("198.51.100.", outside_hosts);
  layout.inside_v6 = {v6("2001:db8:1::1"), v6("2001:db8:1::2")};
  layout.outside_v6 = {v6("2001:db8:a::1"), v6("2001:db8:b::1"), v6("2001:db8:c::1")};
  return layout;
}

std::unique_ptr<Lab> simulated_lab(const nat::Behaviour& behaviour, std::uint64_t seed,
                                   std::size_t addresses) {
  // Each way is one wire long on both sides of the box.
  auto lab = std::make_unique<SimulatedLab>(seed, 2 * wire_delay + wire_delay / 2);
  const auto layout = single_layout();
  lab->add_outside(joined(layout.outside, layout.outside_v6), wire_delay);
  lab->add_box(Side::inside, behaviour,
               {.name = "box",
                .outside = hosts("203.0.113.", addresses),
                .inside = joined(layout.inside, {v6("2001:db8:1::")}),
                .lan_delay = wire_delay,
                .wan_delay = io::Duration::zero()});
  lab->lay_out(layout);
  return lab;
}

}  // namespace

MakeLab simulated_labs(const nat::Behaviour& behaviour, std::uint64_t seed) {
  return [behaviour, seed](const LabRequest& request) -> std::unique_ptr<Lab> {
    return simulated_lab(behaviour, seed, request.outside_addresses);
  };
}

std::unique_ptr<Lab> simulated_pair(const nat::Behaviour& box, const nat::Behaviour& other,
                                    io::Duration one_way, std::uint64_t seed) {
  auto lab = std::make_unique<SimulatedLab>(seed, one_way + wire_delay);
  Layout layout;
  layout.inside = {v4("10.0.0.", 1)};
  layout.other_inside = {v4("10.0.1.", 1)};
  layout.outside = {v4("198.51.100.", 1)};
  lab->add_outside(layout.outside, io::Duration::zero());
  const auto none = io::Duration::zero();
  lab->add_box(Side::inside, box, {"box", {v4("203.0.113.", 1)}, layout.inside, none, one_way / 2});
  lab->add_box(Side::other_inside, other,
               {"other", {v4("203.0.113.", 2)}, layout.other_inside, none, one_way / 2});
  lab->lay_out(std::move(layout));
  return lab;
}

}  // namespace flaresim::probe
