// The part of the table that chooses outside ports. RFC 4787 §4.2, RFC 5382 §7.1.

#include "sim/nat/table.h"

namespace flaresim::nat {

namespace {

/// What a NAT gives out of its own accord: everything but the well-known ports.
constexpr std::uint32_t first_port = 1024, last_port = 65535, port_count = last_port - first_port + 1;
/// So many draws hit a free port almost surely while one port in four is free; after that a scan is cheaper.
constexpr int random_draws = 32;

}  // namespace

/// splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t Table::random() {
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Nobody has this port towards the flow's remote.
bool Table::is_free(const Flow& flow, std::uint16_t port) const {
  return find_ownership(flow.transport, port, owner_key(flow.remote, rules_)) == nobody &&
         find_taken(flow.transport, port, flow.remote) == nobody;
}

/// The flow's own inside endpoint has this port towards its remote already, for another mapping.
bool Table::is_ours(const Flow& flow, std::uint16_t port) const {
  const Id ownership = find_ownership(flow.transport, port, owner_key(flow.remote, rules_));
  return ownership != nobody && bindings_[ownerships_[ownership].bindings.front()].inside == flow.local &&
         find_taken(flow.transport, port, flow.remote) == nobody;
}

std::optional<std::uint16_t> Table::choose_port(const Flow& flow) {
  if (rules_.ports == Ports::preserve)
    if (const auto port = preserved_port(flow)) return port;
  return free_port(flow);
}

/// Remembers a search in vain, so that an exhausted NAT does not search again for every packet.
std::optional<std::uint16_t> Table::free_port(const Flow& flow) {
  const Endpoint key = owner_key(flow.remote, rules_);
  if (exhausted_ && exhausted_->transport == flow.transport && exhausted_->key == key) return {};
  const auto port = rules_.ports == Ports::sequential
                        ? next_free_port(flow, next_port_[static_cast<int>(flow.transport)])
                        : random_port(flow);
  if (!port && taken_.size() == 0) exhausted_ = {flow.transport, key};
  return port;
}

/// The inside port, well-known or not; several mappings of one inside endpoint keep the same. Port 0 is none.
std::optional<std::uint16_t> Table::preserved_port(const Flow& flow) const {
  const std::uint16_t port = flow.local.port;
  if (port != 0 && (is_free(flow, port) || is_ours(flow, port))) return port;
  return {};
}

std::optional<std::uint16_t> Table::random_port(const Flow& flow) {
  std::uint16_t port = 0;
  for (int draw = 0; draw < random_draws; ++draw) {
    port = static_cast<std::uint16_t>(first_port + random() % port_count);
    if (is_free(flow, port)) return port;
  }
  return next_free_port(flow, port);
}

std::optional<std::uint16_t> Table::next_free_port(const Flow& flow, std::uint16_t first) {
  for (std::uint32_t i = 0; i < port_count; ++i) {
    const auto port =
        static_cast<std::uint16_t>(first_port + (first + port_count - first_port + i) % port_count);
    if (!is_free(flow, port)) continue;
    next_port_[static_cast<int>(flow.transport)] =
        static_cast<std::uint16_t>(port == last_port ? first_port : port + 1);
    return port;
  }
  return {};
}

}  // namespace flaresim::nat
