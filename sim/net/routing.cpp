#include "sim/net/routing.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace flaresim::net {
namespace {

constexpr std::uint16_t min_mtu_bytes = 1280;  // RFC 8200 §5

bool matches(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, unsigned bits) {
  const auto whole = bits / 8, rest = bits % 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

void require_valid(const std::vector<io::IpAddress>& addresses) {
  const auto v4 = std::count_if(addresses.begin(), addresses.end(), [](const auto& a) { return a.is_v4(); });
  if (v4 > 1 || static_cast<std::ptrdiff_t>(addresses.size()) - v4 > 1)
    throw std::logic_error("an interface has at most one address a family");
}

}  // namespace

bool Prefix::contains(const io::IpAddress& other) const {
  if (address.is_v4() != other.is_v4()) return false;
  if (address.is_v4())
    return matches(address.to_v4().to_bytes(), other.to_v4().to_bytes(), std::min(bits, 32u));
  return matches(address.to_v6().to_bytes(), other.to_v6().to_bytes(), std::min(bits, 128u));
}

RoutingTable::Index RoutingTable::add(Interface interface, const Port& port) {
  require_valid(interface.addresses);
  if (interface.mtu_bytes < min_mtu_bytes) throw std::logic_error("an MTU is at least 1280 bytes");
  entries_.push_back({std::move(interface), &port});
  return entries_.size() - 1;
}

void RoutingTable::readdress(Index index, std::vector<io::IpAddress> addresses) {
  require_valid(addresses);
  entries_.at(index).interface.addresses = std::move(addresses);
}

std::optional<io::IpAddress> RoutingTable::address(Index index, bool v4) const {
  for (const auto& address : entries_[index].interface.addresses) {
    if (address.is_v4() == v4) return address;
  }
  return {};
}

std::vector<io::IpAddress> RoutingTable::addresses() const {
  std::vector<io::IpAddress> all;
  for (Index i = 0; i < entries_.size(); ++i) {
    for (const bool v4 : {true, false}) {
      if (const auto own = address(i, v4)) all.push_back(*own);
    }
  }
  return all;
}

std::optional<RoutingTable::Index> RoutingTable::holder(const io::IpAddress& wanted) const {
  for (Index i = 0; i < entries_.size(); ++i) {
    const auto& own = entries_[i].interface.addresses;
    if (std::find(own.begin(), own.end(), wanted) != own.end()) return i;
  }
  return {};
}

std::optional<unsigned> RoutingTable::match(const Interface& interface, const io::IpAddress& destination) {
  std::optional<unsigned> best;
  if (interface.default_route) best = 0;
  for (const auto& route : interface.routes) {
    if (route.contains(destination)) best = std::max(best.value_or(0), route.bits);
  }
  return best;
}

std::optional<RoutingTable::Index> RoutingTable::towards(const io::IpAddress& destination) const {
  // The first of the best: link, length of the match, and then the smaller metric.
  using Rank = std::tuple<bool, unsigned, std::int64_t>;
  std::optional<std::pair<Rank, Index>> best;
  for (Index i = 0; i < entries_.size(); ++i) {
    const auto bits = match(entries_[i].interface, destination);
    if (!bits || !address(i, destination.is_v4())) continue;
    const Rank rank{entries_[i].port->link_up(), *bits, -std::int64_t{entries_[i].interface.metric}};
    if (!best || rank > best->first) best = {rank, i};
  }
  return best ? std::optional(best->second) : std::nullopt;
}

std::optional<io::IpAddress> RoutingTable::source_for(const io::IpAddress& destination) const {
  const auto index = towards(destination);
  return index ? address(*index, destination.is_v4()) : std::nullopt;
}

bool RoutingTable::can_reach(const io::IpAddress& destination) const {
  static const io::IpAddress broadcast = boost::asio::ip::address_v4::broadcast();
  return !destination.is_loopback() && !destination.is_unspecified() && !destination.is_multicast() &&
         destination != broadcast && !holder(destination) && towards(destination);
}

bool RoutingTable::can_reach_group(const io::IpAddress& destination) const {
  return destination.is_v4() && destination.is_multicast() && towards(destination);
}

}  // namespace flaresim::net
