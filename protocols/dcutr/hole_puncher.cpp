#include "protocols/dcutr/hole_puncher.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "protocols/dcutr/message.h"
#include "protocols/io/signal.h"

namespace flaresim::dcutr {

using multiformats::Multiaddr;
using multiformats::PeerId;
using security::Role;
using swarm::ConnectionPtr;

/// Its coroutines hold it by their first argument, from before they start until they end.
struct HolePuncher::State : std::enable_shared_from_this<HolePuncher::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, identify::Identify who, DcutrProfile with)
      : swarm(std::move(on)),
        identify(std::move(who)),
        profile(with),
        interrupted(swarm->scheduler()),
        address_poll(swarm->scheduler()) {}

  class Running;

  /// What CONNECT and SYNC agreed on.
  struct Agreed {
    std::vector<Multiaddr> addresses;
    io::Duration round_trip;
    io::TimePoint synced_at;
  };

  static io::Task<> open(Ptr self, ConnectionPtr relayed);
  static io::Task<PunchReport> upgrade(Ptr self, ConnectionPtr relayed);
  static io::Task<> reverse(Ptr self, PunchReport* report);
  static io::Task<> attempt(Ptr self, ConnectionPtr relayed, PunchReport* report);
  static io::Task<io::Result<Agreed>> agree(Ptr self, ConnectionPtr relayed);
  static io::Task<> respond(Ptr self, swarm::IncomingStream in);
  static io::Task<io::Result<Agreed>> agree_as_responder(Ptr self, swarm::IncomingStream in);
  static io::Task<> dial_together(Ptr self, Agreed agreed, Role role, PunchReport* report);
  static io::Task<> wait_until(Ptr self, io::TimePoint at);

  void begin();
  void await_own_address(io::Duration next);
  std::vector<Multiaddr> reversal_addresses(const PeerId& peer) const;
  bool is_direct_now(PunchReport& report);
  void connected(PunchReport& report, ConnectionPtr connection, Outcome outcome);
  void report(const PunchReport& report);
  std::vector<Multiaddr> own_addresses() const;
  /// Our role as opener in the attempt that runs, the first one being 1.
  Role opener_role(std::size_t attempt) const;

  std::shared_ptr<swarm::Swarm> swarm;
  identify::Identify identify;
  DcutrProfile profile;
  std::vector<Reported> when_reported;
  std::vector<Synced> when_synced;
  std::set<PeerId> opening;         // peers with an upgrade of ours
  std::set<PeerId> responding;      // peers with an exchange that has not reached SYNC
  std::multiset<PeerId> answering;  // peers of all exchanges, until their dials are over
  std::size_t active = 0;
  std::multiset<PeerId> busy_with;  // peers of all that runs
  io::Signal interrupted;
  io::Timer address_poll;
  bool stopped = false;
};

/// That something runs with a peer: its connections are not trimmed meanwhile.
class HolePuncher::State::Running {
 public:
  Running(Ptr state, PeerId peer) : state_(std::move(state)), peer_(peer) {
    ++state_->active;
    state_->busy_with.insert(peer_);
    state_->swarm->tags().protect(peer_, tag);
  }
  ~Running() {
    --state_->active;
    state_->busy_with.erase(state_->busy_with.find(peer_));
    if (!state_->busy_with.contains(peer_)) state_->swarm->tags().unprotect(peer_, tag);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  static constexpr std::string_view tag = "hole-punch";
  Ptr state_;
  PeerId peer_;
};

io::Task<> HolePuncher::State::open(Ptr self, ConnectionPtr relayed) {
  std::optional<Running> running(std::in_place, self, relayed->remote());
  const auto report = co_await upgrade(self, std::move(relayed));
  running.reset();
  self->report(report);
}

io::Task<PunchReport> HolePuncher::State::upgrade(Ptr self, ConnectionPtr relayed) {
  PunchReport report{.peer = relayed->remote(), .side = Side::opener};
  // Without its identify the remote may still punch; it has only told us no address for a reversal.
  co_await self->identify.wait_for(relayed);
  if (self->stopped || relayed->closed()) {
    report.cause = Error::relayed_connection_lost;
    co_return report;
  }
  if (self->swarm->direct_connection_to(report.peer)) {
    report.cause = Error::direct_connection_exists;
    co_return report;
  }
  if (!self->opening.insert(report.peer).second) {
    report.cause = Error::already_active;
    co_return report;
  }
  co_await reverse(self, &report);
  for (int i = 0; i < self->profile.attempts && !report.connection && !report.cause; ++i) {
    co_await attempt(self, relayed, &report);
  }
  if (!report.connection && !report.cause) report.cause = Error::no_attempt_connected;
  self->opening.erase(report.peer);
  co_return report;
}

/// Connection reversal: the remote may be reachable without its help.
io::Task<> HolePuncher::State::reverse(Ptr self, PunchReport* report) {
  auto addresses = self->reversal_addresses(report->peer);
  if (addresses.empty()) co_return;

  auto& reversal = report->reversal.emplace();
  reversal.dialled_at = self->swarm->scheduler().now();
  self->swarm->trace("dcutr.reverse", std::to_string(addresses.size()));
  swarm::DialRequest request{report->peer, std::move(addresses), true, std::nullopt,
                             self->profile.reversal_limit};
  request.despite_backoff = true;
  auto dial = co_await self->swarm->dial(std::move(request));
  reversal.cause = dial.error;
  reversal.failures = std::move(dial.failures);
  if (dial.connection) self->connected(*report, std::move(dial.connection), Outcome::reversed);
}

/// None unless a public one is known.
std::vector<Multiaddr> HolePuncher::State::reversal_addresses(const PeerId& peer) const {
  auto addresses = swarm->peers().find(peer).addresses;
  const bool any_public = std::ranges::any_of(addresses, is_usable);
  std::erase_if(addresses, [&](const Multiaddr& address) {
    if (is_usable(address)) return false;
    const auto endpoint = address.endpoint();
    const bool is_private =
        endpoint && !endpoint->address.is_loopback() && !endpoint->address.is_unspecified();
    return !(any_public && profile.reversal_to_private && is_private);
  });
  return addresses;
}

/// One exchange, and the dial that it agreed on. Leaves a cause when there is no point in another one.
io::Task<> HolePuncher::State::attempt(Ptr self, ConnectionPtr relayed, PunchReport* report) {
  if (self->is_direct_now(*report)) co_return;
  if (relayed->closed() || self->own_addresses().empty()) {
    report->cause = relayed->closed() ? Error::relayed_connection_lost : Error::no_address_to_send;
    co_return;
  }
  report->outcome = Outcome::failed;
  report->attempts.emplace_back();
  auto agreed = co_await agree(self, relayed);
  if (!agreed) {
    report->attempts.back().cause = agreed.error();
    // A remote whose last dial has just succeeded may end the relayed connection at once, as js-libp2p does.
    if (self->is_direct_now(*report)) co_return;
    report->cause = relayed->closed() ? Error::relayed_connection_lost : agreed.error();
    report->attempts.back().cause = report->cause;
    co_return;
  }
  // SYNC is half-way to the remote when half a round trip has passed: it will dial then.
  co_await wait_until(self, agreed->synced_at + agreed->round_trip / 2);
  co_await dial_together(self, std::move(*agreed), self->opener_role(report->attempts.size()), report);
}

io::Task<io::Result<HolePuncher::State::Agreed>> HolePuncher::State::agree(Ptr self, ConnectionPtr relayed) {
  auto& scheduler = self->swarm->scheduler();
  std::vector<std::string> protocols(1, std::string(dcutr_protocol));
  const auto opened = co_await relayed->open_stream(std::move(protocols));
  if (!opened) co_return tl::unexpected(opened.error());
  const auto stream = opened->stream;
  const io::Deadline deadline(scheduler, stream, self->profile.stream_limit);
  const auto most = self->profile.max_message_bytes;

  const auto began = scheduler.now();
  self->swarm->trace("dcutr.connect.sent", relayed->remote().short_string());
  const auto connect = co_await write_message(*stream, MessageType::connect, self->own_addresses(), most);
  if (!connect) co_return tl::unexpected(connect.error());

  auto answer = co_await read_message(*stream, MessageType::connect, most);
  if (answer && answer->empty()) answer = io::fail(Error::no_usable_address);
  if (!answer) {
    stream->reset(answer.error());
    co_return tl::unexpected(answer.error());
  }
  const auto round_trip = scheduler.now() - began;
  self->swarm->trace("dcutr.connect.received", std::to_string(round_trip.count()) + " ns");

  std::vector<Multiaddr> none;
  const auto sync = co_await write_message(*stream, MessageType::sync, std::move(none), most);
  if (!sync) co_return tl::unexpected(sync.error());
  const auto synced_at = scheduler.now();
  self->swarm->trace("dcutr.sync.sent", relayed->remote().short_string());
  for (const auto& callback : self->when_synced) callback(relayed->remote());
  io::spawn(scheduler.executor(), io::end_gracefully(scheduler, stream, self->profile.stream_limit));
  co_return Agreed{std::move(*answer), round_trip, synced_at};
}

io::Task<> HolePuncher::State::respond(Ptr self, swarm::IncomingStream in) {
  if (!self) co_return;
  const auto peer = in.connection->remote();
  PunchReport report{.peer = peer, .side = Side::responder};
  if (!in.connection->relayed()) {
    report.cause = Error::not_relayed;
  } else if (in.connection->facts().direction != swarm::Direction::outbound) {
    report.cause = Error::not_dialled_by_us;
  } else if (self->own_addresses().empty()) {
    report.cause = Error::no_address_to_send;
  } else if (self->responding.contains(peer) || self->answering.count(peer) >= self->profile.max_answers) {
    report.cause = Error::already_active;
  }
  if (report.cause) {
    in.stream->reset(report.cause);
    self->report(report);
    co_return;
  }
  std::optional<Running> running(std::in_place, self, peer);
  self->responding.insert(peer);
  const auto answer = self->answering.insert(peer);
  report.outcome = Outcome::failed;
  report.attempts.emplace_back();
  const auto relayed = in.connection;
  auto agreed = co_await agree_as_responder(self, std::move(in));
  self->responding.erase(peer);
  if (agreed) {
    const auto role = self->profile.roles == Roles::legacy ? Role::server : Role::client;
    co_await dial_together(self, std::move(*agreed), role, &report);
    if (!report.connection) report.cause = report.attempts.back().cause;
  } else {
    report.cause = relayed->closed() ? Error::relayed_connection_lost : agreed.error();
    report.attempts.back().cause = report.cause;
  }
  running.reset();
  self->answering.erase(answer);
  self->report(report);
}

io::Task<io::Result<HolePuncher::State::Agreed>> HolePuncher::State::agree_as_responder(
    Ptr self, swarm::IncomingStream in) {
  auto& scheduler = self->swarm->scheduler();
  const auto stream = in.stream;
  const io::Deadline deadline(scheduler, stream, self->profile.stream_limit);
  const auto most = self->profile.max_message_bytes;

  auto addresses = co_await read_message(*stream, MessageType::connect, most);
  if (addresses && addresses->empty()) addresses = io::fail(Error::no_usable_address);
  if (!addresses) {
    stream->reset(addresses.error());
    co_return tl::unexpected(addresses.error());
  }
  self->swarm->trace("dcutr.connect.received", in.connection->remote().short_string());
  const auto connect = co_await write_message(*stream, MessageType::connect, self->own_addresses(), most);
  if (!connect) co_return tl::unexpected(connect.error());
  self->swarm->trace("dcutr.connect.sent", in.connection->remote().short_string());

  const auto sync = co_await read_message(*stream, MessageType::sync, most);
  if (!sync) {
    stream->reset(sync.error());
    co_return tl::unexpected(sync.error());
  }
  self->swarm->trace("dcutr.sync.received", in.connection->remote().short_string());
  io::spawn(scheduler.executor(), io::end_gracefully(scheduler, stream, self->profile.stream_limit));
  co_return Agreed{std::move(*addresses), {}, scheduler.now()};
}

/// Dials all addresses in this instant, and keeps what came of it in the last attempt of the report.
io::Task<> HolePuncher::State::dial_together(Ptr self, Agreed agreed, Role role, PunchReport* report) {
  auto& attempt = report->attempts.back();
  attempt.round_trip = agreed.round_trip;
  attempt.dialled_at = self->swarm->scheduler().now();
  self->swarm->trace("dcutr.dial", role == Role::client ? "client" : "server");
  swarm::DialRequest request{report->peer, std::move(agreed.addresses), true, role, self->profile.dial_limit};
  request.despite_backoff = true;
  auto dial = co_await self->swarm->dial(std::move(request));
  attempt.cause = dial.error;
  attempt.failures = std::move(dial.failures);
  if (dial.connection) self->connected(*report, std::move(dial.connection), Outcome::punched);
}

/// Ends early when everything is stopped.
io::Task<> HolePuncher::State::wait_until(Ptr self, io::TimePoint at) {
  while (!self->stopped && self->swarm->scheduler().now() < at) co_await self->interrupted.wait_until(at);
}

/// Whether a direct connection has come although no dial of ours brought it.
bool HolePuncher::State::is_direct_now(PunchReport& report) {
  auto direct = swarm->direct_connection_to(report.peer);
  if (!direct) return false;
  const bool dialled = std::any_of(report.attempts.begin(), report.attempts.end(),
                                   [](const Attempt& attempt) { return attempt.dialled_at.has_value(); });
  connected(report, std::move(direct), dialled ? Outcome::punched : Outcome::reversed);
  return true;
}

void HolePuncher::State::connected(PunchReport& report, ConnectionPtr connection, Outcome outcome) {
  report.outcome = outcome;
  report.transport = connection->facts().remote_address.transport();
  report.connection = std::move(connection);
}

void HolePuncher::State::report(const PunchReport& report) {
  switch (report.outcome) {
    case Outcome::not_started:
      swarm->trace("dcutr.not_started", report.cause.message());
      break;
    case Outcome::reversed:
      swarm->trace("dcutr.reversed", report.connection->facts().remote_address.to_string());
      break;
    case Outcome::punched:
      swarm->trace("dcutr.success", report.connection->facts().remote_address.to_string());
      break;
    case Outcome::failed:
      swarm->trace("dcutr.failed", report.cause.message());
      break;
  }
  for (const auto& callback : when_reported) callback(report);
}

Role HolePuncher::State::opener_role(std::size_t attempt) const {
  const bool last = attempt >= static_cast<std::size_t>(profile.attempts);
  const bool client =
      profile.roles == Roles::legacy || (profile.roles == Roles::swap_on_last_attempt && last);
  return client ? Role::client : Role::server;
}

std::vector<Multiaddr> HolePuncher::State::own_addresses() const {
  auto addresses = swarm->addresses().punchable();
  std::erase_if(addresses, [](const Multiaddr& address) { return !is_usable(address); });
  return addresses;
}

io::Duration PunchReport::round_trip() const {
  const auto measured = std::find_if(attempts.rbegin(), attempts.rend(),
                                     [](const Attempt& attempt) { return attempt.round_trip.count() > 0; });
  return measured == attempts.rend() ? io::Duration::zero() : measured->round_trip;
}

void HolePuncher::State::await_own_address(io::Duration next) {
  if (!own_addresses().empty()) {
    begin();
    identify.announce();
    return;
  }
  address_poll.arm_after(next,
                         [this, next] { await_own_address(std::min(2 * next, profile.address_poll_max)); });
}

/// Answers, and upgrades connections, from now on.
void HolePuncher::State::begin() {
  const std::weak_ptr<State> weak = shared_from_this();
  swarm->handle(
      std::string(dcutr_protocol),
      [weak](swarm::IncomingStream in) { return State::respond(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
  swarm->on_connected([weak](const ConnectionPtr& connection) {
    const auto state = weak.lock();
    if (!state || !connection->relayed() || connection->facts().direction != swarm::Direction::inbound)
      return;
    io::spawn(state->swarm->scheduler().executor(), State::open(state, connection));
  });
}

HolePuncher::HolePuncher(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify,
                         DcutrProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), std::move(identify), profile)) {
  if (profile.wait_for_own_address) {
    state_->await_own_address(profile.address_poll_min);
  } else {
    state_->begin();
  }
}

HolePuncher::~HolePuncher() { stop(); }

void HolePuncher::on_report(Reported callback) { state_->when_reported.push_back(std::move(callback)); }
void HolePuncher::on_sync(Synced callback) { state_->when_synced.push_back(std::move(callback)); }

std::size_t HolePuncher::active() const { return state_->active; }

void HolePuncher::stop() {
  state_->stopped = true;
  state_->address_poll.cancel();
  state_->swarm->unhandle(dcutr_protocol);
  state_->interrupted.notify_all();
}

}  // namespace flaresim::dcutr
