#include "tests/kernel/kernel_pair.h"

#include <utility>

#include "tests/sim/nat/packets.h"

namespace flaresim::kernel {
namespace {

const std::string server = "198.51.100.1";

}  // namespace

/// A router and what is behind it.
struct KernelPair::Home {
  probe::Side wire;
  std::string outside;
  KernelLab router;
};

KernelPair::KernelPair(const std::string& rules, io::Duration one_way, std::chrono::milliseconds& worst_delay)
    : one_way_(one_way), worst_delay_(worst_delay) {
  const auto make_home = [&](probe::Side wire, const std::string& network, const std::string& outside) {
    const KernelLab::Addresses addresses{{network + "0/24"}, {outside}};
    homes_.push_back(std::unique_ptr<Home>(new Home{wire, outside, KernelLab(rules, addresses)}));
    return boost::asio::ip::make_address(network + "1");
  };
  layout_.inside = {make_home(probe::Side::inside, "10.0.0.", "203.0.113.1")};
  layout_.other_inside = {make_home(probe::Side::other_inside, "10.0.1.", "203.0.113.2")};
  layout_.outside = {boost::asio::ip::make_address(server)};
  start_ = std::chrono::steady_clock::now();
}

KernelPair::~KernelPair() = default;

void KernelPair::send(probe::Side side, io::BytesView packet) {
  const Bytes bytes(packet.begin(), packet.end());
  if (side == probe::Side::outside) return route(bytes);
  for (auto& home : homes_)
    if (home->wire == side) put(*home, Side::inside, bytes);
}

/// Lets a router have a packet, and passes on what it makes of it.
void KernelPair::put(Home& home, Side side, const Bytes& packet) {
  for (auto& [emitted_at, emitted] : home.router.send(side, packet)) {
    if (emitted_at == Side::outside)
      route(emitted);
    else
      arrivals_[home.wire].push_back({now_, emitted});
  }
}

/// Over the Internet, in the middle of which the server is.
void KernelPair::route(const Bytes& packet) {
  const auto header = nat::test::read(packet);
  const bool of_server = header.source.address == server || header.destination.address == server;
  const auto due = now_ + (of_server ? one_way_ / 2 : one_way_);
  if (header.destination.address == server) under_way_.push({due, sent_++, nullptr, packet});
  for (auto& home : homes_)
    if (header.destination.address == home->outside) under_way_.push({due, sent_++, home.get(), packet});
}

void KernelPair::run_for(io::Duration duration) {
  const auto end = now_ + duration;
  while (!under_way_.empty() && under_way_.top().due <= end) {
    const auto next = under_way_.top();
    under_way_.pop();
    now_ = next.due;
    keep_up();
    if (next.to)
      put(*next.to, Side::outside, next.packet);
    else
      arrivals_[probe::Side::outside].push_back({now_, next.packet});
  }
  now_ = end;
  keep_up();
}

/// Real time need not follow in smaller steps than any router could notice.
void KernelPair::keep_up() {
  if (now_ - waited_until_ < 1ms) return;
  waited_until_ = now_;
  const auto delay = sleep_punctually_until(start_ + now_.time_since_epoch());
  worst_delay_ = std::max(worst_delay_, std::chrono::ceil<std::chrono::milliseconds>(delay));
}

std::vector<probe::Arrival> KernelPair::received(probe::Side side) {
  return std::exchange(arrivals_[side], {});
}

}  // namespace flaresim::kernel
