#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "protocols/autonat/exchanges.h"
#include "protocols/autonat/messages.h"
#include "protocols/autonat/own_ips.h"
#include "protocols/autonat/v1.h"

namespace flaresim::autonat {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;
using swarm::Reachability;

namespace {

/// The address at which the server reached us, where it says so, or why it did not.
io::Result<std::optional<Multiaddr>> outcome(const io::Result<pb::V1Message>& reply) {
  if (!reply) return tl::unexpected(reply.error());
  if (reply->type() != static_cast<int>(V1Type::dial_response) || !reply->has_dial_response()) {
    return io::fail(Error::unexpected_message);
  }
  switch (static_cast<V1Status>(reply->dial_response().status())) {
    case V1Status::ok:
      break;
    case V1Status::dial_error:
      return io::fail(Error::dial_failed);
    case V1Status::dial_refused:
      return io::fail(Error::dial_refused);
    case V1Status::bad_request:
      return io::fail(Error::bad_request);
    case V1Status::internal_error:
      return io::fail(Error::server_failed);
    default:
      return io::fail(Error::unknown_status);
  }
  const auto address = Multiaddr::from_bytes(io::as_bytes(reply->dial_response().addr()));
  return address ? std::optional(*address) : std::nullopt;
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct V1Client::State : std::enable_shared_from_this<V1Client::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, V1ClientProfile with)
      : swarm(std::move(on)),
        profile(with),
        random(swarm->network().random("autonat v1 client")),
        timer(swarm->scheduler()) {}

  static io::Task<> probe(Ptr self, ConnectionPtr server);
  static io::Task<io::Result<pb::V1Message>> ask(Ptr self, io::StreamPtr stream);

  io::TimePoint now() const { return swarm->scheduler().now(); }
  void connected(const swarm::Connection& connection);
  void event();
  void reschedule();
  io::TimePoint next_probe() const;
  void probe_now();
  ConnectionPtr pick_server();
  bool is_server(const swarm::Connection& connection, const std::set<io::IpAddress>& own) const;
  std::vector<Multiaddr> own_addresses() const;
  bool has_new_address();
  pb::V1Message request() const;

  void record(const io::Result<std::optional<Multiaddr>>& result);
  void saw_public();
  void saw_private();
  void saw_nothing();
  void become(Reachability what);

  std::shared_ptr<swarm::Swarm> swarm;
  V1ClientProfile profile;
  io::Random random;
  io::Timer timer;  // of the next probe
  Reachability verdict = Reachability::unknown;
  int confidence = 0;
  std::optional<Multiaddr> public_address;
  std::optional<io::TimePoint> last_probe;    // none: long ago
  std::optional<io::TimePoint> last_inbound;  // from a public address
  std::map<PeerId, io::TimePoint> asked;
  std::set<Multiaddr> known_addresses;  // public ones, at the last event
  std::size_t pending = 0;
  bool forced = false;
  std::uint64_t probes = 0;
  Exchanges exchanges;
  std::vector<std::function<void(Reachability)>> when_changed;
  bool stopped = false;
};

/// go-libp2p looks at the first address in it, which is the relay's on a relayed connection, and so does this.
void V1Client::State::connected(const swarm::Connection& connection) {
  const auto& facts = connection.facts();
  if (facts.direction != swarm::Direction::inbound || !facts.remote_address.is_public()) return;
  const auto ip = ip_of(facts.remote_address);
  if (ip && !own_ips(*swarm).contains(*ip)) last_inbound = now();
  event();
}

void V1Client::State::event() {
  if (stopped) return;
  if (has_new_address() && confidence == profile.max_confidence) --confidence;
  reschedule();
}

void V1Client::State::reschedule() {
  timer.arm_at(std::max(next_probe(), now()), [this] { probe_now(); });
}

io::TimePoint V1Client::State::next_probe() const {
  if (!last_probe) return now();
  const bool inbound = last_inbound && *last_inbound > *last_probe;
  const bool is_public = verdict == Reachability::reachable;
  auto after = profile.refresh_interval;
  if (forced && verdict == Reachability::unknown) {
    after = profile.forced_probe_delay;
  } else if (verdict == Reachability::unknown || confidence < profile.max_confidence ||
             (!is_public && inbound)) {
    after = profile.retry_interval;
  } else if (is_public && inbound) {
    after = std::min(2 * after, profile.max_refresh_interval);
  }
  return *last_probe + after;
}

void V1Client::State::probe_now() {
  forced = false;
  last_probe = now();
  if (const auto server = pick_server(); server && pending <= profile.max_pending) {
    asked[server->remote()] = now();
    ++pending;
    ++probes;
    swarm->trace("autonat.probe", server->remote().short_string());
    io::spawn(swarm->scheduler().executor(), probe(shared_from_this(), server));
  }
  event();
}

ConnectionPtr V1Client::State::pick_server() {
  std::erase_if(asked, [&](const auto& entry) { return now() - entry.second >= profile.server_reuse; });
  const auto own = own_ips(*swarm);
  std::set<PeerId> seen;
  std::vector<ConnectionPtr> servers;
  for (const auto& connection : swarm->connections()) {
    if (connection->relayed() || connection->closed() || !seen.insert(connection->remote()).second) continue;
    if (is_server(*connection, own)) servers.push_back(connection);
  }
  if (servers.empty()) return nullptr;
  return servers[random.below(servers.size())];
}

bool V1Client::State::is_server(const swarm::Connection& connection,
                                const std::set<io::IpAddress>& own) const {
  if (asked.contains(connection.remote())) return false;
  const auto& info = swarm->peers().find(connection.remote());
  if (!info.supports(v1_protocol)) return false;
  bool has_public = false;
  for (const auto& address : info.addresses) {
    if (address.is_circuit() || !address.is_public()) continue;
    if (own.contains(*ip_of(address))) return false;
    has_public = true;
  }
  return has_public;
}

/// Whether or not probes of single addresses have shown that they are of no use.
std::vector<Multiaddr> V1Client::State::own_addresses() const {
  auto addresses = swarm->addresses().listening();
  for (auto& address : swarm->addresses().probeable()) {
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(std::move(address));
  }
  return addresses;
}

bool V1Client::State::has_new_address() {
  const auto addresses = swarm->addresses().probeable();
  const bool any = std::ranges::any_of(
      addresses, [&](const Multiaddr& address) { return !known_addresses.contains(address); });
  known_addresses = {addresses.begin(), addresses.end()};
  return any;
}

pb::V1Message V1Client::State::request() const {
  pb::V1Message message;
  message.set_type(static_cast<int>(V1Type::dial));
  auto& peer = *message.mutable_dial()->mutable_peer();
  peer.set_id(swarm->id().bytes().data(), swarm->id().bytes().size());
  for (const auto& address : own_addresses()) peer.add_addrs(address.bytes().data(), address.bytes().size());
  while (message.ByteSizeLong() > profile.max_message_bytes) peer.mutable_addrs()->RemoveLast();
  return message;
}

io::Task<> V1Client::State::probe(Ptr self, ConnectionPtr server) {
  auto& scheduler = self->swarm->scheduler();
  Exchanges::Exchange exchange(self->exchanges);
  const auto until = scheduler.now() + self->profile.request_limit;
  std::vector<std::string> protocols(1, std::string(v1_protocol));
  const auto opened = co_await server->open_stream(std::move(protocols), self->profile.request_limit);
  io::Result<pb::V1Message> reply = tl::unexpected(opened ? std::error_code() : opened.error());
  if (opened) {
    exchange.runs_on(opened->stream);
    const io::Deadline deadline(scheduler, opened->stream, until - scheduler.now());
    reply = co_await ask(self, opened->stream);
  }
  --self->pending;
  const auto result = outcome(reply);
  if (opened && !reply) opened->stream->reset(reply.error());
  self->record(result);
  if (reply) co_await io::end_gracefully(scheduler, opened->stream, self->profile.request_limit);
}

io::Task<io::Result<pb::V1Message>> V1Client::State::ask(Ptr self, io::StreamPtr stream) {
  if (self->stopped) co_return io::fail(Error::stopped);
  const auto written = co_await write(*stream, self->request());
  if (!written) co_return tl::unexpected(written.error());
  co_return co_await read_v1(*stream, self->profile.max_message_bytes);
}

void V1Client::State::record(const io::Result<std::optional<Multiaddr>>& result) {
  if (stopped) return;
  if (result) {
    public_address = *result;
    saw_public();
  } else if (result.error() == Error::dial_refused) {
    forced = true;
  } else if (result.error() == Error::dial_failed) {
    saw_private();
  } else {
    saw_nothing();
  }
  event();
}

void V1Client::State::saw_public() {
  if (verdict == Reachability::reachable) {
    confidence = std::min(confidence + 1, profile.max_confidence);
  } else {
    become(Reachability::reachable);
  }
}

void V1Client::State::saw_private() {
  if (verdict == Reachability::unreachable) {
    confidence = std::min(confidence + 1, profile.max_confidence);
  } else if (confidence > 0) {
    --confidence;
  } else {
    become(Reachability::unreachable);
  }
}

void V1Client::State::saw_nothing() {
  if (confidence > 0) {
    --confidence;
  } else if (verdict != Reachability::unknown) {
    become(Reachability::unknown);
  }
}

void V1Client::State::become(Reachability what) {
  verdict = what;
  confidence = 0;
  if (what != Reachability::reachable) public_address.reset();
  swarm->trace("autonat.verdict", std::string(to_string(what)));
  for (const auto& callback : when_changed) callback(what);
}

V1Client::V1Client(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, V1ClientProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  const std::weak_ptr<State> weak = state_;
  auto& on = *state_->swarm;
  on.on_connected([weak](const ConnectionPtr& connection) {
    if (const auto state = weak.lock()) state->connected(*connection);
  });
  on.addresses().on_change([weak] {
    if (const auto state = weak.lock()) state->event();
  });
  identify.on_identified([weak](const ConnectionPtr& connection) {
    const auto state = weak.lock();
    if (!state) return;
    if (state->swarm->peers().find(connection->remote()).supports(v1_protocol)) state->forced = true;
    state->event();
  });
  state_->timer.arm_after(profile.boot_delay, [state = state_.get()] { state->probe_now(); });
}

V1Client::~V1Client() { stop(); }

Reachability V1Client::verdict() const { return state_->verdict; }
int V1Client::confidence() const { return state_->confidence; }
std::optional<Multiaddr> V1Client::public_address() const { return state_->public_address; }
void V1Client::on_change(std::function<void(Reachability)> callback) {
  state_->when_changed.push_back(std::move(callback));
}
std::uint64_t V1Client::probes() const { return state_->probes; }
std::size_t V1Client::active() const { return state_->exchanges.size(); }

void V1Client::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->timer.cancel();
  state_->exchanges.reset_all(Error::stopped);
}

}  // namespace flaresim::autonat
