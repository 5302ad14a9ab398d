// The part of the table that chooses outside addresses and ports. RFC 4787 §4.1-4.2, RFC 5382 §7.1, RFC 7422.

#include <algorithm>
#include <numeric>

#include "sim/nat/table.h"

namespace flaresim::nat {

namespace {

/// So many draws hit a free port almost surely while one port in four is free; after that a scan is cheaper.
constexpr int random_draws = 32;

std::uint32_t size_of(PortRange range) { return std::uint32_t{range.last} - range.first + 1; }

}  // namespace

/// splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t Table::random() {
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Nobody has this port towards the remote, nor towards everybody.
bool Table::is_free(Outside outside, const Endpoint& remote) const {
  const Endpoint at = endpoint(outside);
  return session_at(at, remote) == nobody && binding_at(at, remote) == nobody && forwarded_to(at) == nullptr;
}

/// The inside endpoint has this port towards the remote already, for another mapping.
bool Table::is_ours(Outside outside, const Endpoint& inside, const Endpoint& remote) const {
  const Endpoint at = endpoint(outside);
  const Id binding = binding_at(at, remote);
  const Id session = session_at(at, remote);
  return binding != nobody && bindings_[binding].inside == inside &&
         (session == nobody || sessions_[session].inside == inside) && forwarded_to(at) == nullptr;
}

/// Who has the port is another inside endpoint, rather than the router itself or a forward.
bool Table::may_overload(Outside outside, const Endpoint& inside, const Endpoint& remote) const {
  const Endpoint at = endpoint(outside);
  const Id session = session_at(at, remote);
  return rules_.contention == Contention::overload && inside.port != 0 && forwarded_to(at) == nullptr &&
         (session == nobody || !sessions_[session].router);
}

/// Paired hosts keep their address, and are refused when it has no port left (RFC 4787 REQ-2).
tl::expected<Table::Outside, Rule> Table::choose_outside(const Endpoint& inside, const Endpoint& remote) {
  if (!translated_) return Outside{0, inside.port};  // and there may be no outside address at all
  const auto count = outside_.size();
  const auto* host = subscribers_.counts() ? subscribers_.find(inside.address) : nullptr;
  const bool paired = behaviour_.pooling == Pooling::paired && host != nullptr && host->paired;
  const Id latest = latest_of(inside);
  std::size_t first = count > 1 ? random() % count : 0;
  if (latest != nobody) first = sessions_[latest].outside_number;
  if (paired) first = *host->paired;
  for (std::size_t i = 0; i < (paired ? 1 : count); ++i) {
    const auto number = static_cast<std::uint8_t>((first + i) % count);
    if (const auto port = choose_port(number, inside, remote)) return Outside{number, *port};
  }
  return tl::unexpected(Rule::no_port);
}

Table::Port Table::choose_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote) {
  const Port neighbour = rules_.contiguity ? neighbour_port(number, inside, remote) : std::nullopt;
  if (neighbour) return neighbour;
  if (rules_.ports != Ports::preserve)
    return free_port(number, inside, remote, rules_.ports == Ports::sequential, next_port_);
  if (const Port port = reused_port(number, inside, remote)) return port;
  // Well-known or not; several mappings of one inside endpoint keep the same. Port 0 is none.
  const Outside same{number, inside.port};
  const bool in_range = rules_.port_range == PortRange{} ||
                        (inside.port >= rules_.port_range.first && inside.port <= rules_.port_range.last);
  const bool is_available = inside.port != 0 && in_range &&
                            (is_free(same, remote) || is_ours(same, inside, remote)) &&
                            (is_in_own_block(number, inside.port, inside.address) ||
                             take_block_around(number, inside.port, inside.address));
  if (is_available || may_overload(same, inside, remote)) return inside.port;
  if (rules_.contention == Contention::drop) return {};
  const bool in_order = rules_.contention == Contention::sequential;
  return free_port(number, inside, remote, in_order, static_cast<std::uint16_t>(inside.port + rules_.step));
}

Table::Port Table::reused_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote) const {
  const Id latest = latest_of(inside);
  if (latest == nobody || sessions_[latest].outside_number != number) return {};
  const Outside outside{number, sessions_[latest].outside_port};
  return is_free(outside, remote) ? Port(outside.port) : std::nullopt;
}

PortRange Table::range_for(std::uint16_t inside_port) const {
  if (!rules_.port_classes || transport_ == Transport::icmp || rules_.port_range != PortRange{} ||
      inside_port >= 1024)
    return rules_.port_range;
  return inside_port < 512 ? PortRange{1, 511} : PortRange{600, 1023};
}

/// The port above that of the inside port below, as RTCP's is above RTP's. RFC 4787 §4.2.3.
Table::Port Table::neighbour_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote) const {
  const Endpoint below{inside.address, static_cast<std::uint16_t>(inside.port - 1)};
  const Id binding = binds_ ? find_binding(below, key_of(remote)) : nobody;
  Id session = session_from(below, remote);
  if (session == nobody)
    session = session_from(below, {remote.address, static_cast<std::uint16_t>(remote.port - 1)});
  Outside outside;
  if (binding != nobody)
    outside = {bindings_[binding].outside_number, bindings_[binding].outside_port};
  else if (session != nobody)
    outside = {sessions_[session].outside_number, sessions_[session].outside_port};
  else
    return {};
  ++outside.port;
  const bool is_available = outside.number == number && outside.port != 0 && is_free(outside, remote) &&
                            is_in_own_block(number, outside.port, inside.address);
  return is_available ? Port(outside.port) : std::nullopt;
}

/// Remembers a search in vain, so that an exhausted NAT does not search again for every packet.
Table::Port Table::free_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote,
                             bool in_order, std::uint16_t first) {
  if (behaviour_.port_block > 0) return block_port(number, inside, remote, in_order, first);
  const Endpoint key = owner_key(remote, rules_);
  if (exhausted_ && exhausted_->number == number && exhausted_->key == key) return {};
  const Port port = port_in(range_for(inside.port), number, inside, remote, in_order, first);
  if (!port && !rules_.parity && !rules_.port_classes) exhausted_ = {number, key};
  return port;
}

Table::Port Table::port_in(PortRange range, std::uint8_t number, const Endpoint& inside,
                           const Endpoint& remote, bool in_order, std::uint16_t first) {
  const std::uint32_t count = size_of(range);
  const auto fits = [&](std::uint16_t port) {
    return (!rules_.parity || (port ^ inside.port) % 2 == 0) && is_free({number, port}, remote);
  };
  const auto at = [&](std::uint64_t place) {
    return static_cast<std::uint16_t>(range.first + place % count);
  };
  if (!in_order) {
    for (int draw = 0; draw < random_draws; ++draw)
      if (const auto port = at(random()); fits(port)) return port;
    first = at(random());
  }
  // Steps round the range until they meet themselves, and then from the next place, so that no port is left out.
  const std::uint32_t step = in_order ? rules_.step : 1;
  const std::uint32_t round = count / std::gcd(count, step);
  const std::uint64_t start = first >= range.first && first <= range.last ? first - range.first : 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto port = at(start + i * step + i / round);
    if (!fits(port)) continue;
    if (in_order && rules_.ports == Ports::sequential) next_port_ = at(port - range.first + step);
    return port;
  }
  return {};
}

// Blocks

PortRange Table::block_range(std::uint16_t block) const {
  const auto first = static_cast<std::uint16_t>(rules_.port_range.first + block * behaviour_.port_block);
  return {first, static_cast<std::uint16_t>(first + behaviour_.port_block - 1)};
}

bool Table::is_in_own_block(std::uint8_t number, std::uint16_t port, const Address& inside) const {
  if (behaviour_.port_block == 0) return true;
  const auto* host = subscribers_.find(inside);
  if (host == nullptr) return false;
  const auto& blocks = host->blocks[static_cast<std::size_t>(transport_)];
  return std::any_of(blocks.begin(), blocks.end(), [&](const auto& block) {
    const PortRange range = block_range(block.number);
    return block.outside == number && range.first <= port && port <= range.last;
  });
}

/// Where no other port would do, a host's blocks are those in which its own ports lie.
bool Table::take_block_around(std::uint8_t number, std::uint16_t port, const Address& inside) {
  const auto* host = subscribers_.find(inside);
  const auto held = host == nullptr ? 0 : host->blocks[static_cast<std::size_t>(transport_)].size();
  if (rules_.contention != Contention::drop || held >= behaviour_.port_blocks) return false;
  if (port < rules_.port_range.first) return false;
  auto& taken = taken_blocks(number);
  const std::size_t block = (port - rules_.port_range.first) / behaviour_.port_block;
  if (block >= taken.size() || taken[block]) return false;
  taken[block] = true;
  subscribers_.at(inside).blocks[static_cast<std::size_t>(transport_)].push_back(
      {number, static_cast<std::uint16_t>(block), 0});
  return true;
}

Table::Port Table::block_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote,
                              bool in_order, std::uint16_t first) {
  std::size_t held = 0;
  if (const auto* host = subscribers_.find(inside.address)) {
    const auto& blocks = host->blocks[static_cast<std::size_t>(transport_)];
    held = blocks.size();
    for (const auto& block : blocks) {
      if (block.outside != number) continue;
      if (const Port port = port_in(block_range(block.number), number, inside, remote, in_order, first))
        return port;
    }
  }
  if (held >= behaviour_.port_blocks) return {};
  const Port block = add_block(number);
  if (!block) return {};
  const PortRange range = block_range(*block);
  const Port port = port_in(range, number, inside, remote, in_order, range.first);
  blocks_[number][*block] = port.has_value();
  if (port)
    subscribers_.at(inside.address)
        .blocks[static_cast<std::size_t>(transport_)]
        .push_back({number, *block, 0});
  return port;
}

std::vector<bool>& Table::taken_blocks(std::uint8_t number) {
  if (blocks_.empty()) {
    const auto count = size_of(rules_.port_range) / behaviour_.port_block;
    blocks_.resize(outside_.size(), std::vector<bool>(count, false));
  }
  return blocks_[number];
}

/// A block that nobody holds. Where they lie says nothing about who came when.
Table::Port Table::add_block(std::uint8_t number) {
  auto& taken = taken_blocks(number);
  if (taken.empty()) return {};
  const std::size_t first = random() % taken.size();
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const std::size_t block = (first + i) % taken.size();
    if (taken[block]) continue;
    taken[block] = true;
    return static_cast<std::uint16_t>(block);
  }
  return {};
}

/// A block that no mapping uses any more is given back.
void Table::count_block(Subscribers::Subscriber& host, Outside outside, int change) {
  if (behaviour_.port_block == 0) return;
  auto& blocks = host.blocks[static_cast<std::size_t>(transport_)];
  const auto block = std::find_if(blocks.begin(), blocks.end(), [&](const auto& b) {
    const PortRange range = block_range(b.number);
    return b.outside == outside.number && range.first <= outside.port && outside.port <= range.last;
  });
  if (block == blocks.end()) return;  // a forwarded port
  if ((block->mappings += change) > 0) return;
  blocks_[block->outside][block->number] = false;
  blocks.erase(block);
}

// Ports that several inside endpoints may share

bool Table::is_port_in_use(const Endpoint& outside) const {
  if (!translated_) return find_binding(outside, {}) != nobody;
  if (!counts_ports()) return binding_at(outside, {}) != nobody;
  const Outside at = number_of(outside);
  return port_use_index_.find(hash_of(outside, {}), [&](Id id) {
    return port_uses_[id].port == at.port && port_uses_[id].number == at.number;
  }) != nobody;
}

void Table::count_port(Outside outside, int change) {
  const std::uint32_t hash = hash_of(endpoint(outside), {});
  Id id = port_use_index_.find(hash, [&](Id other) {
    return port_uses_[other].port == outside.port && port_uses_[other].number == outside.number;
  });
  if (id == nobody) {
    id = port_uses_.add({0, outside.port, outside.number});
    port_use_index_.insert(hash, id);
  }
  if (port_uses_[id].mappings += change) return;
  port_use_index_.erase(hash, id);
  port_uses_.remove(id);
}

}  // namespace flaresim::nat
