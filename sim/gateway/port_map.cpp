#include "sim/gateway/port_map.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "protocols/io/error_table.h"

namespace flaresim::gateway {
namespace {

// The ports that hosts may have; those below belong to the gateway's own services.
constexpr std::uint32_t first_port = 1024;
constexpr std::uint32_t last_port = 65535;

}  // namespace

std::error_code make_error_code(MapError error) {
  static constexpr std::array<std::string_view, 4> messages{
      "the outside port belongs to somebody else", "no outside port is free",
      "the host has as many mappings as it may have", "the mapping belongs to another client"};
  static const io::ErrorTable category("port map", messages);
  return {static_cast<int>(error), category};
}

PortMap::PortMap(io::Scheduler& scheduler, io::Random random, Forwarder& forwarder, ServiceProfile profile)
    : scheduler_(scheduler),
      random_(std::move(random)),
      forwarder_(forwarder),
      profile_(std::move(profile)),
      started_(scheduler.now()),
      timer_(scheduler) {}

PortMap::~PortMap() {
  while (!entries_.empty()) remove(entries_.begin());
}

io::Result<Mapping> PortMap::add(const MapRequest& request) {
  const Mapping* present = request.exactly ? find(request.transport, request.outside_port)
                                           : find_inside(request.transport, request.inside);
  if (present && present->inside != request.inside && !profile_.takes_over)
    return io::fail(MapError::conflict);
  if (present && present->inside == request.inside) {
    if (present->nonce != request.nonce) return io::fail(MapError::not_owner);
  } else {
    if (holds_as_many_as_it_may(request.inside.address)) return io::fail(MapError::quota);
    const auto port = open(request);
    if (!port) return tl::unexpected(port.error());
    Entry& entry = entries_[{request.transport, *port}];
    entry.mapping.transport = request.transport;
    entry.mapping.outside_port = *port;
    entry.mapping.inside = request.inside;
    present = &entry.mapping;
  }
  Entry& entry = entries_.at({present->transport, present->outside_port});
  entry.mapping.description = request.description;
  entry.mapping.nonce = request.nonce;
  set_lease(entry, request);
  const Mapping granted = entry.mapping;
  expire();
  return granted;
}

bool PortMap::holds_as_many_as_it_may(const io::IpAddress& inside) const {
  const auto held = std::ranges::count_if(
      entries_, [&](const auto& entry) { return entry.second.mapping.inside.address == inside; });
  return entries_.size() >= profile_.most_mappings ||
         static_cast<std::size_t>(held) >= profile_.most_mappings_per_host;
}

io::Result<std::uint16_t> PortMap::open(const MapRequest& request) {
  const std::uint16_t wanted = request.outside_port;
  if (wanted >= first_port) {
    const auto held = entries_.find({request.transport, wanted});
    if (held != entries_.end() && profile_.takes_over) remove(held);
    if (forwarder_.open(request.transport, wanted, request.inside)) return wanted;
  }
  if (request.exactly) return io::fail(MapError::conflict);
  return open_any(request);
}

io::Result<std::uint16_t> PortMap::open_any(const MapRequest& request) {
  constexpr std::uint32_t ports = last_port - first_port + 1;
  const auto offset = static_cast<std::uint32_t>(random_.below(ports));
  for (std::uint32_t i = 0; i < ports; ++i) {
    const auto port = static_cast<std::uint16_t>(first_port + (offset + i) % ports);
    if (forwarder_.open(request.transport, port, request.inside)) return port;
  }
  return io::fail(MapError::no_port);
}

void PortMap::set_lease(Entry& entry, const MapRequest& request) {
  entry.mapping.until.reset();
  entry.ends.reset();
  if (request.lease)
    entry.ends = entry.mapping.until = now() + std::min(*request.lease, profile_.longest_lease);
  if (profile_.forgets_after == io::Duration::zero()) return;
  const auto forgotten = now() + profile_.forgets_after;
  entry.ends = entry.ends ? std::min(*entry.ends, forgotten) : forgotten;
}

const Mapping* PortMap::find(Transport transport, std::uint16_t outside_port) const {
  const auto entry = entries_.find({transport, outside_port});
  return entry == entries_.end() ? nullptr : &entry->second.mapping;
}

const Mapping* PortMap::find_inside(Transport transport, const io::Endpoint& inside) const {
  const auto entry = std::ranges::find_if(entries_, [&](const auto& candidate) {
    return candidate.first.first == transport && candidate.second.mapping.inside == inside;
  });
  return entry == entries_.end() ? nullptr : &entry->second.mapping;
}

const Mapping* PortMap::at(std::size_t index) const {
  return index < entries_.size()
             ? &std::next(entries_.begin(), static_cast<std::ptrdiff_t>(index))->second.mapping
             : nullptr;
}

void PortMap::remove(Transport transport, std::uint16_t outside_port) {
  const auto entry = entries_.find({transport, outside_port});
  if (entry != entries_.end()) remove(entry);
}

void PortMap::remove_all(Transport transport, const io::IpAddress& inside) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto current = entry++;
    if (current->first.first == transport && current->second.mapping.inside.address == inside)
      remove(current);
  }
}

void PortMap::remove(std::map<Key, Entry>::iterator entry) {
  forwarder_.close(entry->first.first, entry->first.second);
  entries_.erase(entry);
}

void PortMap::expire() {
  std::optional<io::TimePoint> next;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto current = entry++;
    const auto& ends = current->second.ends;
    if (ends && *ends <= now())
      remove(current);
    else if (ends && (!next || *ends < *next))
      next = ends;
  }
  timer_.cancel();
  if (next) timer_.arm_at(*next, [this] { expire(); });
}

void PortMap::reopen() {
  std::erase_if(entries_, [&](const auto& entry) {
    const Mapping& mapping = entry.second.mapping;
    return !forwarder_.open(mapping.transport, mapping.outside_port, mapping.inside);
  });
}

void PortMap::restart() {
  while (!entries_.empty()) remove(entries_.begin());
  timer_.cancel();
  started_ = now();
}

std::uint32_t PortMap::epoch_seconds() const {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(now() - started_).count());
}

io::IpAddress PortMap::external_address() const {
  return profile_.claimed_address.value_or(forwarder_.outside_address());
}

std::uint16_t PortMap::told_port(const Mapping& mapping) const {
  return static_cast<std::uint16_t>(mapping.outside_port + profile_.port_error);
}

}  // namespace flaresim::gateway
