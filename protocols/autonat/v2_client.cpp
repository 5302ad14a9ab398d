#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "protocols/autonat/exchanges.h"
#include "protocols/autonat/messages.h"
#include "protocols/autonat/v2.h"
#include "protocols/autonat/v2_probes.h"

namespace flaresim::autonat {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;
using swarm::Reachability;

namespace {

/// Whether a connection that came to `local` can be the one that was dialled at `dialled`: NATs change IP addresses and
/// ports, but neither the IP version nor the transport.
bool same_transport(const Multiaddr& local, const Multiaddr& dialled) {
  return (*local.begin()).protocol == (*dialled.begin()).protocol && local.transport() == dialled.transport();
}

/// The dial response in an answer, or why it says nothing.
io::Result<pb::DialResponse> checked(const io::Result<pb::V2Message>& reply, std::size_t asked) {
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->has_dial_response()) return io::fail(Error::unexpected_message);
  const auto& response = reply->dial_response();
  switch (static_cast<V2Status>(response.status())) {
    case V2Status::ok:
      break;
    case V2Status::dial_refused:
      return io::fail(Error::dial_refused);
    case V2Status::request_rejected:
      return io::fail(Error::request_rejected);
    case V2Status::internal_error:
      return io::fail(Error::server_failed);
    default:
      return io::fail(Error::unknown_status);
  }
  if (response.dial_status() == static_cast<int>(DialStatus::unused))
    return io::fail(Error::missing_dial_status);
  if (response.addr_idx() >= asked) return io::fail(Error::bad_address_index);
  return response;
}

pb::V2Message request_for(const V2Probes::Probe& probe, std::uint64_t nonce) {
  pb::V2Message message;
  auto& request = *message.mutable_dial_request();
  request.set_nonce(nonce);
  for (const auto& address : probe) request.add_addrs(address.bytes().data(), address.bytes().size());
  return message;
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct V2Client::State : std::enable_shared_from_this<V2Client::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, V2ClientProfile with)
      : swarm(std::move(on)),
        profile(with),
        random(swarm->network().random("autonat v2 client")),
        probes(profile),
        began(swarm->scheduler().now()),
        probe_timer(swarm->scheduler()),
        check_timer(swarm->scheduler()) {}

  /// A request whose nonce may be shown to us.
  struct Awaited {
    explicit Awaited(io::Scheduler& scheduler) : came(scheduler) {}

    io::Signal came;
    std::optional<Multiaddr> to;  // our end of the connection that it came on
  };
  using AwaitedPtr = std::shared_ptr<Awaited>;
  /// Probes that run together until nothing is left to ask; go-libp2p reachabilityTask.
  struct Round {
    std::size_t workers = 0;
    std::size_t errors = 0;  // in a row
    bool back_off = false;
    bool cancelled = false;  // our addresses have changed: nothing more is begun
  };

  static io::Task<> work(Ptr self);
  static io::Task<io::Result<V2Probes::Outcome>> probe(Ptr self, ConnectionPtr server, V2Probes::Probe probe);
  static io::Task<io::Result<V2Probes::Outcome>> exchange(Ptr self, io::StreamPtr stream,
                                                          V2Probes::Probe probe, std::uint64_t nonce,
                                                          AwaitedPtr awaited);
  static io::Task<io::Result<pb::V2Message>> ask(Ptr self, io::StreamPtr stream, V2Probes::Probe probe,
                                                 std::uint64_t nonce);
  static io::Task<io::Result<>> pay(Ptr self, io::StreamPtr stream, pb::DialDataRequest price,
                                    std::size_t asked);
  static io::Task<> take_dial_back(Ptr self, swarm::IncomingStream in);
  static io::Task<> end_gracefully(Ptr self, io::StreamPtr stream, io::Duration limit);

  io::TimePoint now() const { return swarm->scheduler().now(); }
  void look_at_addresses();
  void take_addresses();
  void set_next_probe(io::TimePoint at);
  void start_check_timer();
  void start_round();
  void end_round();
  ConnectionPtr pick_server();
  void settle(const V2Probes::Probe& probe, const io::Result<V2Probes::Outcome>& result);
  void look_at_verdicts();

  std::shared_ptr<swarm::Swarm> swarm;
  V2ClientProfile profile;
  io::Random random;
  V2Probes probes;
  V2Probes::Verdicts verdicts;
  io::TimePoint began;
  io::Timer probe_timer;
  io::Timer check_timer;
  std::optional<io::TimePoint> next_probe;
  std::optional<Round> round;
  io::Duration backoff{0};
  std::map<PeerId, io::TimePoint> not_before;   // servers that were asked lately
  std::map<std::uint64_t, AwaitedPtr> awaited;  // by nonce
  std::uint64_t sent = 0;
  Exchanges exchanges;
  std::vector<std::function<void()>> when_changed;
  bool stopped = false;
};

/// What runs is neither thrown away nor mixed with what is to come: a change waits for it.
void V2Client::State::look_at_addresses() {
  if (stopped || probes.tracks(swarm->addresses().probeable())) return;
  if (round) {
    round->cancelled = true;
  } else {
    take_addresses();
  }
}

void V2Client::State::take_addresses() {
  probes.track(swarm->addresses().probeable());
  const auto at = now() + profile.new_address_delay;
  set_next_probe(next_probe ? std::max(*next_probe, at) : at);
  look_at_verdicts();
}

void V2Client::State::set_next_probe(io::TimePoint at) {
  next_probe = at;
  start_check_timer();
  probe_timer.arm_at(at, [this] {
    next_probe.reset();
    start_round();
  });
}

/// At every `check_interval` from our beginning, as long as there is something to check.
void V2Client::State::start_check_timer() {
  if (check_timer.armed() || stopped) return;
  const auto passed = (now() - began) / profile.check_interval;
  check_timer.arm_at(began + (passed + 1) * profile.check_interval, [this] {
    look_at_addresses();
    look_at_verdicts();
    if (!next_probe) start_round();
    if (!probes.empty()) start_check_timer();
  });
}

void V2Client::State::start_round() {
  if (round || stopped || probes.next(now()).empty()) return;
  round.emplace();
  round->workers = profile.max_concurrent_probes;
  for (std::size_t i = 0; i < profile.max_concurrent_probes; ++i) {
    io::spawn(swarm->scheduler().executor(), work(shared_from_this()));
  }
}

io::Task<> V2Client::State::work(Ptr self) {
  auto& round = *self->round;
  while (!self->stopped && !round.cancelled) {
    const auto probe = self->probes.next(self->now());
    if (probe.empty()) break;
    const auto server = self->pick_server();
    if (!server) {
      round.back_off = true;
      break;
    }
    self->probes.begin(probe);
    const auto result = co_await State::probe(self, server, probe);
    self->settle(probe, result);
    if (round.errors > self->profile.max_consecutive_errors) {
      round.back_off = true;
      break;
    }
  }
  if (--round.workers == 0) self->end_round();
}

void V2Client::State::end_round() {
  const auto ended = *round;
  round.reset();
  if (stopped) return;
  if (ended.cancelled) {
    take_addresses();
    return;
  }
  if (!ended.back_off) {
    backoff = io::Duration::zero();
  } else if (backoff == io::Duration::zero()) {
    backoff = profile.backoff_start;
  } else {
    backoff = std::min(2 * backoff, profile.backoff_max);
  }
  set_next_probe(now() + backoff);
}

/// From a random one on, the first that was not asked lately.
ConnectionPtr V2Client::State::pick_server() {
  std::erase_if(not_before, [&](const auto& entry) { return entry.second <= now(); });
  std::set<PeerId> seen;
  std::vector<ConnectionPtr> servers;
  for (const auto& connection : swarm->connections()) {
    if (connection->relayed() || connection->closed() || !seen.insert(connection->remote()).second) continue;
    if (swarm->peers().find(connection->remote()).supports(v2_dial_request_protocol))
      servers.push_back(connection);
  }
  if (servers.empty()) return nullptr;
  std::ranges::rotate(servers, servers.begin() + static_cast<std::ptrdiff_t>(random.below(servers.size())));
  const auto rested = std::ranges::find_if(
      servers, [&](const ConnectionPtr& server) { return !not_before.contains(server->remote()); });
  if (rested == servers.end()) return nullptr;
  not_before.emplace((*rested)->remote(), now() + profile.server_reuse);
  return *rested;
}

void V2Client::State::settle(const V2Probes::Probe& probe, const io::Result<V2Probes::Outcome>& result) {
  round->errors = result || result.error() == Error::dial_refused ? 0 : round->errors + 1;
  if (result) {
    probes.end(probe, *result, now());
  } else if (result.error() == Error::dial_refused) {
    probes.end_refused(probe, now());
  } else {
    probes.end(probe);
    swarm->trace("autonat.probe_failed", result.error().message());
  }
  look_at_verdicts();
}

void V2Client::State::look_at_verdicts() {
  if (stopped) return;
  auto current = probes.verdicts(now());
  if (current == verdicts) return;
  for (const auto& [address, what] : current) {
    const auto before = verdicts.find(address);
    if (before != verdicts.end() && before->second == what) continue;
    if (before == verdicts.end() && what == Reachability::unknown) continue;
    swarm->trace("autonat.address", address.to_string() + " " + std::string(to_string(what)));
  }
  verdicts = std::move(current);
  for (const auto& callback : when_changed) callback();
}

io::Task<io::Result<V2Probes::Outcome>> V2Client::State::probe(Ptr self, ConnectionPtr server,
                                                               V2Probes::Probe probe) {
  auto& scheduler = self->swarm->scheduler();
  ++self->sent;
  self->swarm->trace("autonat.probe", server->remote().short_string());
  Exchanges::Exchange exchange(self->exchanges);
  const auto until = scheduler.now() + self->profile.request_limit;
  std::vector<std::string> protocols(1, std::string(v2_dial_request_protocol));
  const auto opened = co_await server->open_stream(std::move(protocols), self->profile.request_limit);
  if (!opened) co_return tl::unexpected(opened.error());
  if (self->stopped) co_return io::fail(Error::stopped);
  exchange.runs_on(opened->stream);
  const io::Deadline deadline(scheduler, opened->stream, until - scheduler.now());

  const auto nonce = self->random.next();
  const auto awaited = std::make_shared<Awaited>(scheduler);
  self->awaited.emplace(nonce, awaited);
  auto result = co_await State::exchange(self, opened->stream, std::move(probe), nonce, awaited);
  self->awaited.erase(nonce);
  co_return result;
}

io::Task<io::Result<V2Probes::Outcome>> V2Client::State::exchange(Ptr self, io::StreamPtr stream,
                                                                  V2Probes::Probe probe, std::uint64_t nonce,
                                                                  AwaitedPtr awaited) {
  const auto reply = co_await ask(self, stream, probe, nonce);
  const auto response = checked(reply, probe.size());
  if (reply && reply->has_dial_response()) {
    io::spawn(self->swarm->scheduler().executor(),
              end_gracefully(self, stream, self->profile.dial_back_limit));
  } else {
    stream->reset(response.error());
  }
  if (!response) co_return tl::unexpected(response.error());

  const auto& address = probe[response->addr_idx()];
  const auto status = static_cast<DialStatus>(response->dial_status());
  if (status == DialStatus::dial_error) co_return V2Probes::Outcome{address, false};
  // Whatever went wrong for the server afterwards: who has seen the nonce was reached.
  if (status != DialStatus::ok && status != DialStatus::dial_back_error)
    co_return io::fail(Error::unknown_status);
  const auto until =
      self->now() + (status == DialStatus::ok ? self->profile.dial_back_limit : io::Duration::zero());
  while (!awaited->to && !self->stopped && self->now() < until) co_await awaited->came.wait_until(until);
  if (!awaited->to) co_return io::fail(Error::no_dial_back);
  if (!same_transport(*awaited->to, address)) co_return io::fail(Error::wrong_transport);
  co_return V2Probes::Outcome{address, true};
}

io::Task<io::Result<pb::V2Message>> V2Client::State::ask(Ptr self, io::StreamPtr stream,
                                                         V2Probes::Probe probe, std::uint64_t nonce) {
  auto written = co_await write(*stream, request_for(probe, nonce));
  if (!written) co_return tl::unexpected(written.error());
  auto reply = co_await read_v2(*stream, self->profile.max_message_bytes);
  if (reply && reply->has_dial_data_request()) {
    written = co_await pay(self, stream, reply->dial_data_request(), probe.size());
    if (!written) co_return tl::unexpected(written.error());
    reply = co_await read_v2(*stream, self->profile.max_message_bytes);
  }
  co_return reply;
}

io::Task<io::Result<>> V2Client::State::pay(Ptr self, io::StreamPtr stream, pb::DialDataRequest price,
                                            std::size_t asked) {
  if (price.addr_idx() >= asked) co_return io::fail(Error::bad_address_index);
  if (price.num_bytes() > self->profile.max_dial_data_bytes) co_return io::fail(Error::too_much_dial_data);
  for (auto left = price.num_bytes(); left > 0;) {
    const auto size = std::min<std::uint64_t>(left, self->profile.dial_data_chunk_bytes);
    pb::V2Message chunk;
    chunk.mutable_dial_data_response()->mutable_data()->assign(size, '\0');
    const auto written = co_await write(*stream, std::move(chunk));
    if (!written) co_return written;
    left -= size;
  }
  co_return io::Result<>{};
}

io::Task<> V2Client::State::take_dial_back(Ptr self, swarm::IncomingStream in) {
  if (!self || self->stopped) co_return;
  const Exchanges::Exchange exchange(self->exchanges, in.stream);
  const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.dial_back_limit);
  const auto message = co_await read_dial_back(*in.stream, self->profile.max_dial_back_message_bytes);
  const auto found = message ? self->awaited.find(message->nonce()) : self->awaited.end();
  if (found == self->awaited.end() || found->second->to) {
    in.stream->reset(message ? make_error_code(Error::unexpected_message) : message.error());
    co_return;
  }
  found->second->to = in.connection->facts().local_address;
  found->second->came.notify_all();
  const auto written = co_await write(*in.stream, pb::DialBackResponse());
  if (written)
    co_await io::end_gracefully(self->swarm->scheduler(), in.stream, self->profile.dial_back_limit);
}

io::Task<> V2Client::State::end_gracefully(Ptr self, io::StreamPtr stream, io::Duration limit) {
  const Exchanges::Exchange exchange(self->exchanges, stream);
  co_await io::end_gracefully(self->swarm->scheduler(), stream, limit);
}

V2Client::V2Client(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, V2ClientProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  const std::weak_ptr<State> weak = state_;
  auto& on = *state_->swarm;
  on.handle(std::string(v2_dial_back_protocol),
            [weak](swarm::IncomingStream in) { return State::take_dial_back(weak.lock(), std::move(in)); });
  const auto look = [weak] {
    if (const auto state = weak.lock()) state->look_at_addresses();
  };
  // What is advertised may stay the same when what there is to probe changes, which comes of observations.
  on.addresses().on_change(look);
  on.on_disconnected([look](const ConnectionPtr&) { look(); });
  identify.on_identified([look](const ConnectionPtr&) { look(); });
  state_->look_at_addresses();
}

V2Client::~V2Client() { stop(); }

std::map<Multiaddr, Reachability> V2Client::verdicts() const { return state_->verdicts; }

Reachability V2Client::verdict() const {
  auto whole = Reachability::unknown;
  for (const auto& [address, what] : state_->verdicts) {
    if (what == Reachability::reachable) return what;
    if (what == Reachability::unreachable) whole = what;
  }
  return whole;
}

void V2Client::on_change(std::function<void()> callback) {
  state_->when_changed.push_back(std::move(callback));
}
std::uint64_t V2Client::probes() const { return state_->sent; }
std::size_t V2Client::active() const { return state_->exchanges.size(); }

void V2Client::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->swarm->unhandle(v2_dial_back_protocol);
  state_->probe_timer.cancel();
  state_->check_timer.cancel();
  for (const auto& [nonce, awaited] : state_->awaited) awaited->came.notify_all();
  state_->exchanges.reset_all(Error::stopped);
}

}  // namespace flaresim::autonat
