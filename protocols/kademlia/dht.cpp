#include "protocols/kademlia/dht.h"

#include <cmath>
#include <utility>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::PeerId;

io::Duration DhtProfile::silence_limit() const {
  if (alpha >= k) return refresh_interval;
  const auto refreshes = std::log(1.0 / static_cast<double>(k)) /
                         std::log(1.0 - static_cast<double>(alpha) / static_cast<double>(k));
  return io::Duration(
      static_cast<io::Duration::rep>(refreshes * static_cast<double>(refresh_interval.count())));
}

namespace {

TableLimits table_limits(const DhtProfile& profile) {
  return {profile.k, profile.diverse && profile.public_only, profile.max_per_group,
          profile.max_per_group_prefix, 2 * profile.silence_limit()};
}

}  // namespace

Dht::State::State(std::shared_ptr<swarm::Swarm> on, identify::Identify by, DhtProfile with)
    : swarm(std::move(on)),
      identify(std::move(by)),
      profile(std::move(with)),
      protocol(profile.prefix + "/kad/1.0.0"),
      place(key_of(swarm->id())),
      table(place, table_limits(profile)),
      records(profile.records),
      providers(profile.providers),
      random(swarm->network().random(swarm->profile().random_stream + "/kademlia")),
      timer(scheduler()),
      next_low_check(now() + jittered(profile.low_peers_interval)),
      next_fill(now()),
      next_refresh(now() + jittered(profile.refresh_interval)),
      next_cleanup(now() + profile.cleanup_interval),
      looked_for_self(scheduler()) {
  validators["pk"] = std::make_shared<PublicKeyValidator>();
}

Dht::Dht(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, DhtProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), std::move(identify), std::move(profile))) {
  const std::weak_ptr<State> weak = state_;
  const auto found = [weak](const swarm::ConnectionPtr& connection) {
    if (const auto state = weak.lock()) state->peer_found(connection);
  };
  state_->identify.on_identified(found);
  state_->identify.on_pushed(found);
  // Those near to us in the key space shall know where we are now; looking for ourselves connects to them.
  state_->swarm->addresses().on_change([weak] {
    if (const auto state = weak.lock()) state->start_refresh(false);
  });
  state_->arm();
}

Dht::~Dht() { stop(); }

void Dht::set_mode(Mode mode) {
  if (state_->stopped || std::exchange(state_->mode, mode) == mode) return;
  const std::weak_ptr<State> weak = state_;
  if (mode == Mode::server) {
    state_->swarm->handle(state_->protocol, [weak](swarm::IncomingStream in) {
      return State::serve(weak.lock(), std::move(in));
    });
  } else {
    state_->swarm->unhandle(state_->protocol);
    state_->reset_inbound(Error::client_mode);
  }
  state_->swarm->trace("dht.mode", mode == Mode::server ? "server" : "client");
  state_->identify.announce();
}

Mode Dht::mode() const { return state_->mode; }

void Dht::set_validator(std::string name_space, std::shared_ptr<const Validator> validator) {
  state_->validators.insert_or_assign(std::move(name_space), std::move(validator));
}

void Dht::bootstrap(std::vector<swarm::AddressInfo> peers) {
  state_->bootstrap_peers = std::move(peers);
  state_->fill_if_low();
}

io::Task<> Dht::bootstrapped() {
  constexpr auto wait = [](State::Ptr state) -> io::Task<> {
    while (!state->first_self_lookup_ended) co_await state->looked_for_self.wait();
  };
  return wait(state_);
}

io::Task<LookupReport> Dht::closest_peers(io::Bytes key) {
  return State::look_up(state_, state_->new_lookup(std::move(key), MessageType::find_node),
                        state_->profile.lookup_limit);
}

io::Task<io::Result<Dht::Found>> Dht::find_peer(PeerId peer) { return State::find_peer(state_, peer); }

io::Task<io::Result<>> Dht::put_value(io::Bytes key, io::Bytes value) {
  return State::put_value(state_, std::move(key), std::move(value));
}

io::Task<io::Result<io::Bytes>> Dht::get_value(io::Bytes key) {
  return State::get_value(state_, std::move(key));
}

io::Task<io::Result<>> Dht::provide(io::Bytes multihash) {
  return State::provide(state_, std::move(multihash));
}

void Dht::stop_providing(const io::Bytes& multihash) {
  state_->provided.erase(multihash);
  state_->providers.remove(multihash, state_->swarm->id());
}

io::Task<std::vector<swarm::AddressInfo>> Dht::find_providers(io::Bytes multihash, std::size_t enough) {
  return State::find_providers(state_, std::move(multihash), enough);
}

std::vector<PeerId> Dht::table() const {
  std::vector<PeerId> out;
  for (const auto* entry : state_->table.nearest(state_->place, state_->table.size()))
    out.push_back(entry->peer);
  return out;
}

const DhtCounters& Dht::counters() const { return state_->counters; }

void Dht::on_admitted(std::function<void(const PeerId&)> callback) {
  state_->when_admitted.push_back(std::move(callback));
}
void Dht::on_lookup(std::function<void(const LookupReport&)> callback) {
  state_->when_looked_up.push_back(std::move(callback));
}

std::size_t Dht::active() const { return state_->requesting + state_->answering + state_->lookups.size(); }

void Dht::stop() { state_->stop(); }

}  // namespace flaresim::kademlia
