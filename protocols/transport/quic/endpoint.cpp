#include "protocols/transport/quic/endpoint.h"

#include <array>
#include <bit>
#include <deque>
#include <map>

#include "protocols/transport/quic/connection.h"

namespace flaresim::quic {
namespace {

constexpr std::size_t first_destination_bytes = 18;  // RFC 9000 §7.2: unpredictable, at least 8 bytes
constexpr std::size_t stateless_reset_bytes = 43;    // RFC 9000 §10.3: looks like any short packet

QuicConnection hand_over(const std::shared_ptr<Connection>& connection, const io::Endpoint& local) {
  return {muxed(connection), connection->remote_key(), local, connection->remote(), connection->role()};
}

/// Runs a dial that nobody else can give up.
io::Task<io::Result<QuicConnection>> run(io::Result<std::shared_ptr<QuicDial>> dial) {
  if (!dial) co_return tl::unexpected(dial.error());
  co_return co_await (*dial)->connected();
}

std::error_code canceled() { return std::make_error_code(std::errc::operation_canceled); }

}  // namespace

/// Leads datagrams to connections.
class QuicEndpoint::Core final : public Hub, public std::enable_shared_from_this<Core> {
 public:
  Core(io::Network& network, std::unique_ptr<io::DatagramSocket> socket, security::TlsIdentityPtr identity,
       QuicProfile profile, io::Random random);

  static io::Task<> receive_all(std::shared_ptr<Core> core);
  io::Result<std::shared_ptr<QuicDial>> begin_dial(const io::Endpoint& remote,
                                                   std::optional<multiformats::PeerId> expected,
                                                   io::Duration limit);
  static io::Task<io::Result<QuicConnection>> accept(std::shared_ptr<Core> core);
  void close();
  std::size_t connections() const { return connections_.size(); }
  std::size_t lingering() const { return remnants_.size(); }
  const QuicCounters& counters() const { return counters_; }

  // Hub
  io::Scheduler& scheduler() override { return scheduler_; }
  io::Random& random() override { return random_; }
  const Tokens& tokens() const override { return tokens_; }
  const QuicProfile& profile() const override { return profile_; }
  const security::TlsIdentityPtr& identity() const override { return identity_; }
  io::Endpoint local() const override { return local_; }
  io::Result<> send(const io::Endpoint& to, io::BytesView datagram) override;
  ConnectionId issue_id(Connection& connection) override;
  void forget_id(const ConnectionId& id) override { routes_.erase(id); }
  void watch_reset(const ResetToken& token, Connection& connection) override;
  void unwatch_reset(const ResetToken& token) override { reset_tokens_.erase(token); }
  void on_established(Connection& connection) override;
  void on_ended(Connection& connection, io::Bytes close_packet, io::Duration lingering) override;

 private:
  /// What is left of a connection in its closing or draining period.
  struct Remnant {
    Remnant(io::Scheduler& scheduler, std::vector<ConnectionId> own, io::Bytes last)
        : ids(std::move(own)), close_packet(std::move(last)), timer(scheduler) {}

    std::vector<ConnectionId> ids;
    io::Bytes close_packet;
    std::uint64_t heard = 0;
    io::Timer timer;
  };
  struct Route {
    Connection* connection = nullptr;
    Remnant* remnant = nullptr;
  };

  void on_datagram(const io::Endpoint& from, io::BytesView datagram);
  void on_unknown(const io::Endpoint& from, io::BytesView datagram, Header::Kind kind);
  void on_initial(const io::Endpoint& from, io::BytesView datagram, const Initial& initial);
  void answer(Remnant& remnant, const io::Endpoint& from, io::BytesView datagram);
  /// True when it was one.
  bool take_stateless_reset(const io::Endpoint& from, io::BytesView datagram);
  void send_stateless_reset(const io::Endpoint& to, io::BytesView cause);
  void send_retry(const io::Endpoint& to, const Initial& initial);
  void refuse(const io::Endpoint& to, const Initial& initial, RefusalCode code, std::error_code why);
  void report_refusal(const io::Endpoint& remote, std::error_code why) const;
  ConnectionId random_id(std::size_t bytes);
  std::shared_ptr<Connection> add(security::Role role);
  void linger(Connection& connection, io::Bytes close_packet, io::Duration duration);
  void forget(std::uint64_t remnant);
  bool counts_as_unvalidated(const Connection& connection) const;

  io::Scheduler& scheduler_;
  std::unique_ptr<io::DatagramSocket> socket_;
  security::TlsIdentityPtr identity_;
  QuicProfile profile_;
  io::Random random_;
  Tokens tokens_;
  io::Endpoint local_;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;  // by serial number
  std::map<std::uint64_t, Remnant> remnants_;                         // likewise
  std::map<ConnectionId, Route> routes_;
  std::map<ResetToken, Connection*> reset_tokens_;
  std::deque<std::shared_ptr<Connection>> to_accept_;
  io::Signal acceptable_;
  std::uint64_t next_serial_ = 0;
  std::size_t unvalidated_ = 0;  // inbound handshakes under way without a Retry
  QuicCounters counters_;
  bool closed_ = false;
};

QuicEndpoint::Core::Core(io::Network& network, std::unique_ptr<io::DatagramSocket> socket,
                         security::TlsIdentityPtr identity, QuicProfile profile, io::Random random)
    : scheduler_(network.scheduler()),
      socket_(std::move(socket)),
      identity_(std::move(identity)),
      profile_(std::move(profile)),
      random_(random),
      tokens_(random_),
      local_(socket_->local()),
      acceptable_(scheduler_) {}

// --- Datagrams.

io::Task<> QuicEndpoint::Core::receive_all(std::shared_ptr<Core> core) {
  for (;;) {
    const auto datagram = co_await core->socket_->receive();
    if (!datagram || core->closed_) break;
    core->on_datagram(datagram->from, datagram->payload);
  }
  core->close();
}

io::Result<> QuicEndpoint::Core::send(const io::Endpoint& to, io::BytesView datagram) {
  return socket_->send_to(datagram, to);
}

void QuicEndpoint::Core::on_datagram(const io::Endpoint& from, io::BytesView datagram) {
  const auto header = read_header(datagram);
  if (header.kind == Header::Kind::unreadable) {
    ++counters_.dropped;
    return;
  }
  if (header.kind == Header::Kind::unknown_version) {
    ++counters_.version_negotiations;
    (void)send(from, version_negotiation(datagram, static_cast<std::uint8_t>(random_.next())));
    return;
  }
  const auto route = routes_.find(header.destination);
  if (route == routes_.end()) {
    on_unknown(from, datagram, header.kind);
  } else if (route->second.connection != nullptr) {
    route->second.connection->receive(from, datagram);
  } else {
    answer(*route->second.remnant, from, datagram);
  }
}

void QuicEndpoint::Core::on_unknown(const io::Endpoint& from, io::BytesView datagram, Header::Kind kind) {
  if (kind == Header::Kind::short_header) {
    if (take_stateless_reset(from, datagram)) return;
    if (datagram.size() > profile_.reset_above_bytes) {
      send_stateless_reset(from, datagram);
    } else {
      ++counters_.dropped;
    }
  } else if (const auto initial = read_initial(datagram)) {
    on_initial(from, datagram, *initial);
  } else {
    ++counters_.dropped;
  }
}

/// RFC 9000 §10.2.1: the more comes in, the less often it is answered, and never by much more than came in.
void QuicEndpoint::Core::answer(Remnant& remnant, const io::Endpoint& from, io::BytesView datagram) {
  ++remnant.heard;
  const bool amplifies = remnant.close_packet.size() > 3 * datagram.size();
  if (remnant.close_packet.empty() || amplifies || !std::has_single_bit(remnant.heard)) {
    ++counters_.dropped;
    return;
  }
  (void)send(from, remnant.close_packet);
}

bool QuicEndpoint::Core::take_stateless_reset(const io::Endpoint& from, io::BytesView datagram) {
  ResetToken token;
  if (datagram.size() < token.size()) return false;
  const auto last = datagram.last(token.size());
  std::copy(last.begin(), last.end(), token.begin());
  const auto known = reset_tokens_.find(token);
  if (known == reset_tokens_.end()) return false;
  known->second->receive(from, datagram);
  return true;
}

void QuicEndpoint::Core::send_stateless_reset(const io::Endpoint& to, io::BytesView cause) {
  std::array<std::uint8_t, stateless_reset_bytes> packet;
  const auto size = std::min(packet.size(), cause.size() - 1);  // RFC 9000 §10.3.3: no loops
  const auto token = tokens_.reset_token(ConnectionId(cause.subspan(1, ConnectionId::own_bytes)));
  const auto unpredictable = size - token.size();
  random_.fill(std::span(packet).first(unpredictable));
  packet[0] = (packet[0] & 0x3f) | 0x40;  // a short header
  std::copy(token.begin(), token.end(), packet.begin() + static_cast<std::ptrdiff_t>(unpredictable));
  ++counters_.stateless_resets;
  (void)send(to, io::BytesView(packet).first(size));
}

void QuicEndpoint::Core::on_initial(const io::Endpoint& from, io::BytesView datagram,
                                    const Initial& initial) {
  std::optional<ConnectionId> original;
  if (Tokens::is_retry_token(initial.token)) {
    original = tokens_.open_retry_token(initial.token, from, initial.destination, scheduler_.now(),
                                        profile_.retry_token_lifetime);
    if (!original) return refuse(from, initial, RefusalCode::invalid_token, QuicError::invalid_token);
  }
  if (!original && unvalidated_ >= profile_.retry_above) return send_retry(from, initial);
  if (connections_.size() >= profile_.max_connections)
    return refuse(from, initial, RefusalCode::connection_refused,
                  std::make_error_code(std::errc::no_buffer_space));

  const auto connection = add(security::Role::server);
  connection->address_validated = original.has_value();
  if (!original) ++unvalidated_;
  EngineStart start;
  start.role = security::Role::server;
  start.local = local_;
  start.remote = from;
  start.own = connection->issue_id();
  start.peers = initial.source;
  start.handshake_timeout = profile_.handshake_timeout;
  start.original_destination = original.value_or(initial.destination);
  if (original) {
    start.retry_source = initial.destination;
    start.token = initial.token;
  }
  // Until it hears from us the client uses the id that it made up, and may repeat its first packets later.
  routes_[initial.destination] = {connection.get(), nullptr};
  connection->ids().push_back(initial.destination);
  connection->start(start);
  connection->receive(from, datagram);
}

void QuicEndpoint::Core::send_retry(const io::Endpoint& to, const Initial& initial) {
  const auto source = random_id(ConnectionId::own_bytes);
  const auto token = tokens_.retry_token(to, source, initial.destination, scheduler_.now());
  ++counters_.retries;
  (void)send(to, retry_packet(initial, source, token));
}

void QuicEndpoint::Core::refuse(const io::Endpoint& to, const Initial& initial, RefusalCode code,
                                std::error_code why) {
  ++counters_.refused;
  report_refusal(to, why);
  (void)send(to, refusal_packet(initial, code));
}

void QuicEndpoint::Core::report_refusal(const io::Endpoint& remote, std::error_code why) const {
  if (profile_.on_refused) profile_.on_refused(remote, why);
}

// --- Connections.

ConnectionId QuicEndpoint::Core::random_id(std::size_t bytes) {
  std::array<std::uint8_t, ConnectionId::max_bytes> id;
  random_.fill(std::span(id).first(bytes));
  return ConnectionId(io::BytesView(id).first(bytes));
}

ConnectionId QuicEndpoint::Core::issue_id(Connection& connection) {
  for (;;) {
    const auto id = random_id(ConnectionId::own_bytes);
    if (routes_.try_emplace(id, Route{&connection, nullptr}).second) return id;
  }
}

void QuicEndpoint::Core::watch_reset(const ResetToken& token, Connection& connection) {
  reset_tokens_.insert_or_assign(token, &connection);
}

std::shared_ptr<Connection> QuicEndpoint::Core::add(security::Role role) {
  const auto serial = next_serial_++;
  return connections_.emplace(serial, std::make_shared<Connection>(*this, serial, role)).first->second;
}

bool QuicEndpoint::Core::counts_as_unvalidated(const Connection& connection) const {
  return connection.role() == security::Role::server && !connection.address_validated;
}

void QuicEndpoint::Core::on_established(Connection& connection) {
  if (connection.role() == security::Role::client) return;
  if (counts_as_unvalidated(connection)) --unvalidated_;
  if (to_accept_.size() >= profile_.accept_backlog) {
    connection.refuse(QuicError::backlog_full);
    return;
  }
  to_accept_.push_back(connection.shared_from_this());
  acceptable_.notify_all();
}

void QuicEndpoint::Core::on_ended(Connection& connection, io::Bytes close_packet, io::Duration lingering) {
  if (!connection.is_established() && counts_as_unvalidated(connection)) --unvalidated_;
  if (!connection.is_established() && connection.role() == security::Role::server)
    report_refusal(connection.remote(), connection.ended());
  std::erase_if(to_accept_, [&](const auto& waiting) { return waiting.get() == &connection; });
  linger(connection, std::move(close_packet), lingering);
  connections_.erase(connection.serial());
}

void QuicEndpoint::Core::linger(Connection& connection, io::Bytes close_packet, io::Duration duration) {
  auto& ids = connection.ids();
  if (closed_ || duration <= io::Duration::zero() || remnants_.size() >= profile_.max_connections) {
    for (const auto& id : ids) routes_.erase(id);
    return;
  }
  const auto serial = connection.serial();
  auto& remnant =
      remnants_.try_emplace(serial, scheduler_, std::move(ids), std::move(close_packet)).first->second;
  for (const auto& id : remnant.ids) routes_[id] = {nullptr, &remnant};
  remnant.timer.arm_after(duration, [this, serial] { forget(serial); });
}

void QuicEndpoint::Core::forget(std::uint64_t serial) {
  const auto remnant = remnants_.find(serial);
  for (const auto& id : remnant->second.ids) routes_.erase(id);
  remnants_.erase(remnant);
}

io::Result<std::shared_ptr<QuicDial>> QuicEndpoint::Core::begin_dial(
    const io::Endpoint& remote, std::optional<multiformats::PeerId> expected, io::Duration limit) {
  if (closed_) return tl::unexpected(canceled());
  if (remote.address.is_v4() != local_.address.is_v4())
    return io::fail(std::errc::address_family_not_supported);
  if (connections_.size() >= profile_.max_connections) return io::fail(std::errc::no_buffer_space);

  const auto connection = add(security::Role::client);
  EngineStart start;
  start.local = local_;
  start.remote = remote;
  start.own = connection->issue_id();
  start.peers = random_id(first_destination_bytes);
  start.handshake_timeout = limit;
  start.expected = std::move(expected);
  connection->start(start);
  connection->flush();
  return std::make_shared<QuicDial>(connection, local_, scheduler_.now() + limit);
}

io::Task<io::Result<QuicConnection>> QuicEndpoint::Core::accept(std::shared_ptr<Core> core) {
  while (!core->closed_ && core->to_accept_.empty()) co_await core->acceptable_.wait();
  if (core->closed_) co_return tl::unexpected(canceled());
  const auto connection = std::move(core->to_accept_.front());
  core->to_accept_.pop_front();
  co_return hand_over(connection, core->local_);
}

void QuicEndpoint::Core::close() {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  while (!connections_.empty()) {
    const auto [serial, connection] = *connections_.begin();
    connection->close(canceled());
    connections_.erase(serial);  // one that an exception left half made does not leave by itself
  }
  remnants_.clear();
  routes_.clear();
  socket_->close();
  acceptable_.notify_all();
}

// --- A dial.

QuicDial::QuicDial(std::shared_ptr<Connection> connection, io::Endpoint local, io::TimePoint deadline)
    : connection_(std::move(connection)), local_(std::move(local)), deadline_(deadline) {}

QuicDial::~QuicDial() { reset(canceled()); }

io::Task<io::Result<QuicConnection>> QuicDial::connected() {
  const auto connection = connection_;
  const auto up = co_await connection->established_by(deadline_);
  if (up) {
    connection_.reset();
    co_return hand_over(connection, local_);
  }
  connection->close(up.error());
  if (up.error() == QuicError::handshake_timeout) co_return io::fail(std::errc::timed_out);
  co_return tl::unexpected(up.error());
}

void QuicDial::reset(std::error_code why) {
  if (connection_) connection_->close(why);
}

// --- The face of it.

io::Result<std::unique_ptr<QuicEndpoint>> QuicEndpoint::open(io::Network& network, const io::Endpoint& local,
                                                             security::TlsIdentityPtr identity,
                                                             QuicProfile profile, io::Random random) {
  auto socket = network.bind(local);
  if (!socket) return tl::unexpected(socket.error());
  auto core =
      std::make_shared<Core>(network, std::move(*socket), std::move(identity), std::move(profile), random);
  io::spawn(network.scheduler().executor(), Core::receive_all(core));
  return std::unique_ptr<QuicEndpoint>(new QuicEndpoint(std::move(core)));
}

QuicEndpoint::~QuicEndpoint() { close(); }

io::Endpoint QuicEndpoint::local() const { return core_->local(); }

io::Result<std::shared_ptr<QuicDial>> QuicEndpoint::begin_dial(const io::Endpoint& remote,
                                                               std::optional<multiformats::PeerId> expected,
                                                               io::Duration limit) {
  return core_->begin_dial(remote, std::move(expected), limit);
}

io::Task<io::Result<QuicConnection>> QuicEndpoint::dial(io::Endpoint remote,
                                                        std::optional<multiformats::PeerId> expected,
                                                        io::Duration limit) {
  return run(begin_dial(remote, std::move(expected), limit));
}

io::Task<io::Result<QuicConnection>> QuicEndpoint::accept() { return Core::accept(core_); }

io::Result<> QuicEndpoint::send_raw(const io::Endpoint& to, io::BytesView datagram) {
  return core_->send(to, datagram);
}

void QuicEndpoint::close() { core_->close(); }
std::size_t QuicEndpoint::connections() const { return core_->connections(); }
std::size_t QuicEndpoint::lingering() const { return core_->lingering(); }
const QuicCounters& QuicEndpoint::counters() const { return core_->counters(); }

}  // namespace flaresim::quic
