#include "protocols/portmap/port_mapper.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "protocols/io/random.h"
#include "protocols/io/signal.h"
#include "protocols/portmap/inbox.h"

namespace flaresim::portmap {
namespace {

constexpr std::uint16_t first_random_port = 10000;
constexpr std::uint16_t last_random_port = 65534;
constexpr int random_tries = 3;
// Leases may be shorter than asked for: they are renewed half-way (RFC 6886 §3.3), but not more often (RFC 6887 §11.2.1).
constexpr io::Duration shortest_renewal = std::chrono::seconds(4);

using Key = std::pair<Transport, std::uint16_t>;

}  // namespace

/// Its coroutines hold it, so it lives until the last of them has ended.
struct PortMapper::State {
  using Ptr = std::shared_ptr<State>;

  State(io::Network& on, const PortMapProfile& with)
      : session(std::make_shared<Session>(on)),
        profile(with),
        random(on.random("outside ports")),
        changed(on.scheduler()) {}

  struct Port {
    std::optional<std::uint16_t> outside_port;  // the last one that was given; asked for again
    bool mapped = false;
    io::TimePoint renew_at{};
  };

  io::TimePoint now() const { return session->scheduler().now(); }
  void spawn(io::Task<> task) { io::spawn(session->scheduler().executor(), std::move(task)); }

  static io::Task<> run(Ptr self);
  static io::Task<GatewayPtr> discover(Ptr self);
  static io::Task<> try_one(Ptr self, io::Task<io::Result<GatewayPtr>> search, std::size_t rank);
  static io::Task<> serve(Ptr self);
  static io::Task<bool> refresh_address(Ptr self);
  static io::Task<bool> renew(Ptr self, Key key);
  static io::Task<io::Result<Lease>> ask_for(Ptr self, Key key);
  static io::Task<std::size_t> release(Ptr self);

  void settle() {
    settled = true;
    changed.notify_all();
  }
  io::TimePoint next_due() const;
  void tell_if_changed();
  std::vector<MappedPort> mapped() const;

  const SessionPtr session;
  const PortMapProfile profile;
  io::Random random;
  io::Signal changed;  // what is wanted, what was found, or that it is over
  bool running = false;
  bool stopped = false;
  bool settled = false;
  std::map<Key, Port> ports;
  std::array<std::optional<GatewayPtr>, 3> found;  // by rank, while discovering; null: none
  GatewayPtr gateway;
  std::optional<io::IpAddress> address;
  io::TimePoint address_due{};
  std::vector<MappedPort> told;
  std::function<void()> observer;
};

io::Task<> PortMapper::State::run(Ptr self) {
  while (!self->stopped) {
    self->gateway = co_await discover(self);
    const bool found = self->gateway != nullptr;
    if (found && !self->stopped) co_await serve(self);
    self->settle();
    if (self->stopped) break;
    if (found) continue;
    const auto again_at = self->now() + self->profile.rediscover_every;
    while (!self->stopped && self->now() < again_at) co_await self->changed.wait_until(again_at);
  }
}

io::Task<GatewayPtr> PortMapper::State::discover(Ptr self) {
  const auto& profile = self->profile;
  self->found = {};
  const auto limit = profile.discovery_limit;
  const auto none = std::optional<GatewayPtr>(GatewayPtr());
  if (profile.pcp)
    self->spawn(try_one(self, find_pcp(self->session, limit), 0));
  else
    self->found[0] = none;
  if (profile.nat_pmp)
    self->spawn(try_one(self, find_nat_pmp(self->session, limit), 1));
  else
    self->found[1] = none;
  if (profile.igd)
    self->spawn(try_one(self, find_igd(self->session, limit), 2));
  else
    self->found[2] = none;
  const auto is_gateway = [](const auto& one) { return one && *one; };
  const auto is_known = [](const auto& one) { return one.has_value(); };
  while (!self->stopped && std::ranges::none_of(self->found, is_gateway) &&
         !std::ranges::all_of(self->found, is_known))
    co_await self->changed.wait();
  const auto first = std::ranges::find_if(self->found, is_gateway);
  co_return first == self->found.end() ? GatewayPtr() : **first;
}

io::Task<> PortMapper::State::try_one(Ptr self, io::Task<io::Result<GatewayPtr>> search, std::size_t rank) {
  auto gateway = co_await std::move(search);
  self->found[rank] = gateway ? *gateway : GatewayPtr();
  self->changed.notify_all();
}

/// Until it has failed too often, or all is over.
io::Task<> PortMapper::State::serve(Ptr self) {
  // Each by itself: a protocol that tells the address with its mappings alone need not ask for it, and cannot fail to.
  int failed_renewals = 0;
  int failed_addresses = 0;
  const int limit = self->profile.failures_until_rediscovery;
  self->address_due = self->now();
  for (auto& [key, port] : self->ports) port.renew_at = self->now();
  while (!self->stopped && failed_renewals < limit && failed_addresses < limit) {
    const auto due = std::ranges::find_if(
        self->ports, [&](const auto& one) { return one.second.renew_at <= self->now(); });
    if (due != self->ports.end()) {
      const bool renewed = co_await renew(self, due->first);
      failed_renewals = renewed ? 0 : failed_renewals + 1;
    }
    if (self->address_due <= self->now() && !self->stopped) {
      const bool known = co_await refresh_address(self);
      failed_addresses = known ? 0 : failed_addresses + 1;
    }
    self->tell_if_changed();
    if (!self->settled && self->next_due() > self->now()) self->settle();
    if (!self->stopped && self->next_due() > self->now()) co_await self->changed.wait_until(self->next_due());
  }
  if (self->stopped) co_return;
  self->gateway = nullptr;
  for (auto& [key, port] : self->ports) port.mapped = false;
  self->tell_if_changed();
}

io::Task<bool> PortMapper::State::refresh_address(Ptr self) {
  self->address_due = self->now() + self->profile.external_address_every;
  const auto address = co_await self->gateway->external_address();
  self->address = address ? std::optional(*address) : std::nullopt;
  co_return address.has_value();
}

io::Task<bool> PortMapper::State::renew(Ptr self, Key key) {
  self->ports.at(key).renew_at = self->now() + self->profile.renew_every;
  const auto lease = co_await ask_for(self, key);
  Port& port = self->ports.at(key);
  port.mapped = lease.has_value();
  if (lease) {
    port.outside_port = lease->outside_port;
    if (lease->lifetime > io::Duration::zero()) {
      port.renew_at = std::min(port.renew_at, self->now() + std::max(lease->lifetime / 2, shortest_renewal));
    }
  }
  co_return lease.has_value();
}

io::Task<io::Result<Lease>> PortMapper::State::ask_for(Ptr self, Key key) {
  const auto [transport, inside_port] = key;
  const bool draws = self->profile.outside_port == OutsidePort::random;
  const auto known = self->ports.at(key).outside_port;
  const int tries = draws && !known ? random_tries : 1;
  io::Result<Lease> lease = io::fail(Error::failed);
  for (int i = 0; i < tries && !lease; ++i) {
    std::uint16_t wanted = known.value_or(inside_port);
    if (draws && !known)
      wanted = static_cast<std::uint16_t>(first_random_port +
                                          self->random.below(last_random_port - first_random_port + 1));
    lease = co_await self->gateway->map(transport, inside_port, wanted, self->profile.lease);
  }
  co_return lease;
}

io::Task<std::size_t> PortMapper::State::release(Ptr self) {
  self->stopped = true;
  self->observer = nullptr;
  self->changed.notify_all();
  io::Timer limit(self->session->scheduler());
  limit.arm_after(self->profile.release_limit, [session = self->session] { session->close(); });
  const auto gateway = self->gateway;
  std::size_t removed = 0;
  for (auto& [key, port] : self->ports) {
    if (!gateway || !std::exchange(port.mapped, false)) continue;
    const auto answer = co_await gateway->unmap(key.first, key.second, *port.outside_port);
    removed += answer.has_value();
  }
  self->session->close();
  co_return removed;
}

io::TimePoint PortMapper::State::next_due() const {
  io::TimePoint next = address_due;
  for (const auto& [key, port] : ports) next = std::min(next, port.renew_at);
  return next;
}

std::vector<MappedPort> PortMapper::State::mapped() const {
  std::vector<MappedPort> all;
  if (!gateway || !address) return all;
  for (const auto& [key, port] : ports)
    if (port.mapped) all.push_back({key.first, key.second, {*address, *port.outside_port}});
  return all;
}

void PortMapper::State::tell_if_changed() {
  auto current = mapped();
  if (current == told) return;
  told = std::move(current);
  if (observer) observer();
}

PortMapper::PortMapper(io::Network& network, PortMapProfile profile)
    : state_(std::make_shared<State>(network, profile)) {}

PortMapper::~PortMapper() { stop(); }

void PortMapper::want(Transport transport, std::uint16_t inside_port) {
  const auto [port, is_new] = state_->ports.try_emplace({transport, inside_port});
  if (!is_new) return;
  port->second.renew_at = state_->now();
  state_->changed.notify_all();
  if (std::exchange(state_->running, true)) return;
  state_->spawn(State::run(state_));
}

std::vector<MappedPort> PortMapper::mapped() const { return state_->mapped(); }

std::string PortMapper::gateway() const { return state_->gateway ? state_->gateway->name() : std::string(); }

void PortMapper::on_change(std::function<void()> observer) { state_->observer = std::move(observer); }

io::Task<> PortMapper::settled() {
  const auto state = state_;
  while (state->running && !state->settled && !state->stopped) co_await state->changed.wait();
}

void PortMapper::stop() {
  state_->stopped = true;
  state_->observer = nullptr;
  state_->session->close();
  state_->changed.notify_all();
}

io::Task<std::size_t> PortMapper::release() { return State::release(state_); }

}  // namespace flaresim::portmap
