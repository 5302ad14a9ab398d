#include "protocols/transport/quic/engine.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <cassert>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "protocols/security/tls_session.h"
#include "protocols/transport/quic/quic_error.h"

namespace flaresim::quic {
namespace {

using security::Role;
using security::TlsError;

constexpr std::uint64_t no_application_error = 0;  // libp2p: 0 is a normal end
constexpr std::uint64_t crypto_error = 0x100;      // RFC 9001 §4.8: plus the TLS alert
constexpr std::size_t active_ids = 4;              // what quic-go offers

void must(int outcome) {
  if (outcome != 0) throw std::runtime_error(std::string("ngtcp2: ") + ngtcp2_strerror(outcome));
}

ngtcp2_cid to_cid(const ConnectionId& id) {
  ngtcp2_cid cid;
  ngtcp2_cid_init(&cid, id.bytes().data(), id.bytes().size());
  return cid;
}

ConnectionId from_cid(const ngtcp2_cid& cid) { return ConnectionId({cid.data, cid.datalen}); }

ngtcp2_tstamp to_stamp(io::TimePoint time) {
  return static_cast<ngtcp2_tstamp>(time.time_since_epoch().count());
}

ngtcp2_duration to_duration(io::Duration duration) { return static_cast<ngtcp2_duration>(duration.count()); }

/// An address in the form of the system's socket interface.
struct Address {
  explicit Address(const io::Endpoint& endpoint) {
    if (endpoint.address.is_v4()) {
      v4 = {};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(endpoint.port);
      const auto bytes = endpoint.address.to_v4().to_bytes();
      std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    } else {
      v6 = {};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(endpoint.port);
      const auto bytes = endpoint.address.to_v6().to_bytes();
      std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
    }
  }
  ngtcp2_addr view() {
    const bool is_v4 = any.sa_family == AF_INET;
    return {&any, static_cast<ngtcp2_socklen>(is_v4 ? sizeof v4 : sizeof v6)};
  }

  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
};

io::Endpoint from_address(const ngtcp2_addr& address) {
  if (address.addr->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address.addr, sizeof v4);
    boost::asio::ip::address_v4::bytes_type bytes;
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return {boost::asio::ip::address_v4(bytes), ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, address.addr, sizeof v6);
  boost::asio::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return {boost::asio::ip::address_v6(bytes), ntohs(v6.sin6_port)};
}

std::string hex(io::BytesView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// ngtcp2 counts a qlog's times from the connection's begin at this end, and says that this was in 1970: without the
/// date, the logs of two ends do not fit each other, nor a capture.
QlogSink dated(QlogSink sink, io::CalendarTime begun) {
  return [sink = std::move(sink), begun, is_head = true](std::string_view piece) mutable {
    static constexpr std::string_view zero = R"("reference_time":0)";
    const auto at = is_head ? piece.find(zero) : std::string_view::npos;
    is_head = false;
    if (at == std::string_view::npos) return sink(piece);
    const auto since_1970 = std::chrono::floor<std::chrono::milliseconds>(begun.time_since_epoch());
    std::string head(piece);
    sink(head.replace(at + zero.size() - 1, 1, std::to_string(since_1970.count())));
  };
}

const std::vector<std::string>& protocols() {
  static const std::vector<std::string> names{"libp2p"};
  return names;
}

ngtcp2_pkt_hd to_packet_header(const Initial& initial) {
  ngtcp2_pkt_hd header{};
  header.version = NGTCP2_PROTO_VER_V1;
  header.dcid = to_cid(initial.destination);
  header.scid = to_cid(initial.source);
  return header;
}

}  // namespace

// --- Datagrams that belong to no connection.

Header read_header(io::BytesView datagram) {
  Header header;
  if (datagram.empty()) return header;
  const bool is_long = (datagram[0] & 0x80) != 0;
  // The fixed bit says nothing: ngtcp2 always tells remotes that they may clear it (RFC 9287).
  ngtcp2_version_cid found;
  const int outcome =
      ngtcp2_pkt_decode_version_cid(&found, datagram.data(), datagram.size(), ConnectionId::own_bytes);
  const bool unknown =
      outcome == NGTCP2_ERR_VERSION_NEGOTIATION ||
      (outcome == 0 && is_long && found.version != 0 && found.version != NGTCP2_PROTO_VER_V1);
  if (unknown) {
    if (datagram.size() >= min_initial_bytes) header.kind = Header::Kind::unknown_version;
    return header;
  }
  if (outcome != 0 || found.dcidlen > ConnectionId::max_bytes) return header;
  header.kind = is_long ? Header::Kind::long_header : Header::Kind::short_header;
  header.destination = ConnectionId({found.dcid, found.dcidlen});
  return header;
}

std::optional<Initial> read_initial(io::BytesView datagram) {
  ngtcp2_pkt_hd header;
  if (ngtcp2_accept(&header, datagram.data(), datagram.size()) != 0) return std::nullopt;
  return Initial{from_cid(header.dcid),
                 from_cid(header.scid),
                 {header.token.base, header.token.base + header.token.len}};
}

io::Bytes version_negotiation(io::BytesView datagram, std::uint8_t unused) {
  ngtcp2_version_cid found;
  ngtcp2_pkt_decode_version_cid(&found, datagram.data(), datagram.size(), ConnectionId::own_bytes);
  const std::uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
  io::Bytes packet(min_initial_bytes);
  const auto size =
      ngtcp2_pkt_write_version_negotiation(packet.data(), packet.size(), unused, found.scid, found.scidlen,
                                           found.dcid, found.dcidlen, versions, std::size(versions));
  packet.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return packet;
}

io::Bytes retry_packet(const Initial& initial, const ConnectionId& source, io::BytesView token) {
  const auto client = to_packet_header(initial);
  const auto own = to_cid(source);
  io::Bytes packet(min_initial_bytes);
  const auto size = ngtcp2_crypto_write_retry(packet.data(), packet.size(), client.version, &client.scid,
                                              &own, &client.dcid, token.data(), token.size());
  packet.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return packet;
}

io::Bytes refusal_packet(const Initial& initial, RefusalCode code) {
  const auto client = to_packet_header(initial);
  io::Bytes packet(min_initial_bytes);
  const auto size =
      ngtcp2_crypto_write_connection_close(packet.data(), packet.size(), client.version, &client.scid,
                                           &client.dcid, static_cast<std::uint64_t>(code), nullptr, 0);
  packet.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return packet;
}

// --- One connection.

struct Engine::Native {
  Native(const EngineStart& start, const QuicProfile& profile, security::TlsIdentityPtr tls_identity,
         EngineEvents& to, io::TimePoint now);
  ~Native();
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;

  ngtcp2_settings settings_for(const EngineStart& start, const QuicProfile& profile, io::TimePoint now);
  ngtcp2_transport_params parameters_for(const EngineStart& start, const QuicProfile& profile);
  void start_tls(Role role);
  void free_tls_when_done();
  Ending ending_of(int error);
  Ending close_received();

  static Native& of(void* user_data) { return *static_cast<Native*>(user_data); }
  static Native& of(gnutls_session_t session) {
    return of(static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session))->user_data);
  }
  static ngtcp2_callbacks callbacks(Role role);
  static int on_crypto(ngtcp2_conn* connection, ngtcp2_crypto_level level, std::uint64_t offset,
                       const std::uint8_t* data, std::size_t size, void* self);
  static int on_new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size, void* self);
  static int on_peer_id(ngtcp2_conn*, int type, std::uint64_t, const ngtcp2_cid*, const std::uint8_t* token,
                        void* self);
  static int on_data(ngtcp2_conn*, std::uint32_t flags, StreamId id, std::uint64_t, const std::uint8_t* data,
                     std::size_t size, void* self, void*);
  static int on_closed(ngtcp2_conn* connection, std::uint32_t flags, StreamId id, std::uint64_t, void* self,
                       void*);
  static int verify(gnutls_session_t session);
  static int log_key(gnutls_session_t session, const char* label, const gnutls_datum_t* secret);

  EngineEvents& events;
  security::TlsIdentityPtr identity;
  std::optional<multiformats::PeerId> expected;
  Address local;
  ngtcp2_crypto_conn_ref reference;
  security::SessionPtr session;
  ngtcp2_conn* connection = nullptr;
  QlogSink qlog;
  std::optional<crypto::PublicKey> remote_key;
  std::error_code refused;  ///< why we do not like the remote's certificate
  ngtcp2_connection_close_error close_error{};
  bool confirmed = false;
  bool was_reset = false;
};

Engine::Native::Native(const EngineStart& start, const QuicProfile& profile,
                       security::TlsIdentityPtr tls_identity, EngineEvents& to, io::TimePoint now)
    : events(to),
      identity(std::move(tls_identity)),
      expected(start.expected),
      local(start.local),
      reference{[](ngtcp2_crypto_conn_ref* self) { return of(self->user_data).connection; }, this} {
  ngtcp2_connection_close_error_default(&close_error);
  const bool is_client = start.role == Role::client;
  const auto callbacks_used = callbacks(start.role);
  const auto settings = settings_for(start, profile, now);
  const auto parameters = parameters_for(start, profile);
  const auto peers = to_cid(start.peers), own = to_cid(start.own);
  Address remote(start.remote);
  const ngtcp2_path path{local.view(), remote.view(), nullptr};
  const auto create = is_client ? ngtcp2_conn_client_new_versioned : ngtcp2_conn_server_new_versioned;
  must(create(&connection, &peers, &own, &path, NGTCP2_PROTO_VER_V1, NGTCP2_CALLBACKS_VERSION,
              &callbacks_used, NGTCP2_SETTINGS_VERSION, &settings, NGTCP2_TRANSPORT_PARAMS_VERSION,
              &parameters, nullptr, this));
  ngtcp2_conn_set_keep_alive_timeout(connection, to_duration(profile.keep_alive));
  start_tls(start.role);
}

Engine::Native::~Native() { ngtcp2_conn_del(connection); }

ngtcp2_settings Engine::Native::settings_for(const EngineStart& start, const QuicProfile& profile,
                                             io::TimePoint now) {
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = to_stamp(now);
  settings.initial_rtt = to_duration(profile.initial_rtt);
  settings.handshake_timeout = to_duration(start.handshake_timeout);
  settings.max_tx_udp_payload_size = min_initial_bytes;
  settings.no_pmtud = 1;
  settings.max_stream_window = profile.max_stream_window_bytes;
  settings.max_window = profile.max_connection_window_bytes;
  settings.rand_ctx.native_handle = this;
  // ngtcp2 copies the token.
  settings.token = {const_cast<std::uint8_t*>(start.token.data()), start.token.size()};
  if (profile.open_qlog) {
    const bool is_client = start.role == Role::client;
    const auto& original = is_client ? start.peers : start.original_destination;
    qlog = dated(profile.open_qlog(hex(original.bytes()) + (is_client ? "_client" : "_server")),
                 events.calendar());
    settings.qlog.odcid = to_cid(original);
    settings.qlog.write = [](void* self, std::uint32_t, const void* data, std::size_t size) {
      of(self).qlog({static_cast<const char*>(data), size});
    };
  }
  return settings;
}

ngtcp2_transport_params Engine::Native::parameters_for(const EngineStart& start, const QuicProfile& profile) {
  ngtcp2_transport_params parameters;
  ngtcp2_transport_params_default(&parameters);
  parameters.initial_max_streams_bidi = profile.max_incoming_streams;
  parameters.initial_max_stream_data_bidi_local = profile.stream_window_bytes;
  parameters.initial_max_stream_data_bidi_remote = profile.stream_window_bytes;
  parameters.initial_max_data = profile.connection_window_bytes;
  parameters.max_idle_timeout = to_duration(profile.idle_timeout);
  parameters.active_connection_id_limit = active_ids;
  if (start.role == Role::client) return parameters;
  parameters.original_dcid = to_cid(start.original_destination);
  if (start.retry_source) {
    parameters.retry_scid = to_cid(*start.retry_source);
    parameters.retry_scid_present = 1;
  }
  const auto token = events.reset_token_of(start.own);
  std::copy(token.begin(), token.end(), parameters.stateless_reset_token);
  parameters.stateless_reset_token_present = 1;
  return parameters;
}

void Engine::Native::start_tls(Role role) {
  session = security::new_session(*identity, role, security::Carrier::quic, protocols());
  gnutls_session_set_ptr(session.get(), &reference);
  gnutls_handshake_set_timeout(session.get(), GNUTLS_INDEFINITE_TIMEOUT);  // it would ask the machine's clock
  gnutls_session_set_verify_function(session.get(), verify);
  if (identity->key_log()) gnutls_session_set_keylog_function(session.get(), log_key);
  must(role == Role::client ? ngtcp2_crypto_gnutls_configure_client_session(session.get())
                            : ngtcp2_crypto_gnutls_configure_server_session(session.get()));
  ngtcp2_conn_set_tls_native_handle(connection, session.get());
}

void Engine::Native::free_tls_when_done() {
  if (!confirmed || !session) return;
  ngtcp2_conn_set_tls_native_handle(connection, nullptr);
  session.reset();
}

ngtcp2_callbacks Engine::Native::callbacks(Role role) {
  ngtcp2_callbacks to{};
  if (role == Role::client) {
    to.client_initial = ngtcp2_crypto_client_initial_cb;
    to.recv_retry = ngtcp2_crypto_recv_retry_cb;
    to.handshake_confirmed = [](ngtcp2_conn*, void* self) {
      of(self).confirmed = true;
      return 0;
    };
  } else {
    to.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  }
  to.encrypt = ngtcp2_crypto_encrypt_cb;
  to.decrypt = ngtcp2_crypto_decrypt_cb;
  to.hp_mask = ngtcp2_crypto_hp_mask_cb;
  to.update_key = ngtcp2_crypto_update_key_cb;
  to.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  to.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  to.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  to.recv_crypto_data = on_crypto;
  to.rand = [](std::uint8_t* into, std::size_t size, const ngtcp2_rand_ctx* self) {
    of(self->native_handle).events.fill_random({into, size});
  };
  to.get_path_challenge_data = [](ngtcp2_conn*, std::uint8_t* into, void* self) {
    of(self).events.fill_random({into, NGTCP2_PATH_CHALLENGE_DATALEN});
    return 0;
  };
  to.get_new_connection_id = on_new_id;
  to.remove_connection_id = [](ngtcp2_conn*, const ngtcp2_cid* id, void* self) {
    of(self).events.on_id_retired(from_cid(*id));
    return 0;
  };
  to.dcid_status = on_peer_id;
  to.recv_stateless_reset = [](ngtcp2_conn*, const ngtcp2_pkt_stateless_reset*, void* self) {
    of(self).was_reset = true;
    return 0;
  };
  to.handshake_completed = [](ngtcp2_conn* connection, void* self) {
    if (ngtcp2_conn_is_server(connection) != 0) of(self).confirmed = true;  // RFC 9001 §4.1.2
    of(self).events.on_established();
    return 0;
  };
  to.stream_open = [](ngtcp2_conn*, StreamId id, void* self) {
    of(self).events.on_stream_opened(id);
    return 0;
  };
  to.recv_stream_data = on_data;
  to.acked_stream_data_offset = [](ngtcp2_conn*, StreamId id, std::uint64_t, std::uint64_t size, void* self,
                                   void*) {
    of(self).events.on_stream_acknowledged(id, size);
    return 0;
  };
  to.stream_reset = [](ngtcp2_conn*, StreamId id, std::uint64_t, std::uint64_t, void* self, void*) {
    of(self).events.on_stream_reset(id);
    return 0;
  };
  to.stream_close = on_closed;
  return to;
}

int Engine::Native::on_crypto(ngtcp2_conn* connection, ngtcp2_crypto_level level, std::uint64_t offset,
                              const std::uint8_t* data, std::size_t size, void* self) {
  // What comes after the handshake is session tickets, for which there is no use.
  if (!of(self).session) return 0;
  return ngtcp2_crypto_recv_crypto_data_cb(connection, level, offset, data, size, self);
}

int Engine::Native::on_new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size,
                              void* self) {
  auto& events = of(self).events;
  const auto own = events.issue_id();
  assert(own.bytes().size() == size);
  (void)size;
  *id = to_cid(own);
  const auto reset = events.reset_token_of(own);
  std::copy(reset.begin(), reset.end(), token);
  return 0;
}

int Engine::Native::on_peer_id(ngtcp2_conn*, int type, std::uint64_t, const ngtcp2_cid*,
                               const std::uint8_t* token, void* self) {
  if (token == nullptr) return 0;
  ResetToken copy;
  std::copy_n(token, copy.size(), copy.begin());
  of(self).events.on_reset_token(copy, type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE);
  return 0;
}

int Engine::Native::on_data(ngtcp2_conn*, std::uint32_t flags, StreamId id, std::uint64_t,
                            const std::uint8_t* data, std::size_t size, void* self, void*) {
  of(self).events.on_stream_data(id, {data, size}, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
  return 0;
}

int Engine::Native::on_closed(ngtcp2_conn* connection, std::uint32_t flags, StreamId id, std::uint64_t,
                              void* self, void*) {
  if (ngtcp2_conn_is_local_stream(connection, id) == 0) ngtcp2_conn_extend_max_streams_bidi(connection, 1);
  of(self).events.on_stream_closed(id, (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0);
  return 0;
}

int Engine::Native::verify(gnutls_session_t session) {
  auto& self = of(session);
  auto peer = security::judge_peer(session, *self.identity, self.expected, self.events.calendar());
  if (!peer) {
    self.refused = peer.error();
    return -1;
  }
  self.remote_key = std::move(*peer);
  return 0;
}

int Engine::Native::log_key(gnutls_session_t session, const char* label, const gnutls_datum_t* secret) {
  of(session).identity->key_log()(security::key_log_line(session, label, *secret));
  return 0;
}

Ending Engine::Native::close_received() {
  if (was_reset) return {Ending::How::draining, QuicError::stateless_reset};
  ngtcp2_connection_close_error received{};
  ngtcp2_conn_get_connection_close_error(connection, &received);
  QuicError why = QuicError::failed_by_peer;
  if (received.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION ||
      received.error_code == NGTCP2_NO_ERROR) {
    why = QuicError::closed_by_peer;
  } else if (received.error_code == NGTCP2_CONNECTION_REFUSED) {
    why = QuicError::refused_by_peer;
  } else if ((received.error_code & ~std::uint64_t{0xff}) == crypto_error) {
    why = QuicError::rejected_by_peer;
  }
  return {Ending::How::draining, why};
}

Ending Engine::Native::ending_of(int error) {
  using How = Ending::How;
  switch (error) {
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING:
      return close_received();
    case NGTCP2_ERR_IDLE_CLOSE:
      return {How::silent, QuicError::idle_timeout};
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
      return {How::silent, QuicError::handshake_timeout};
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
      return {How::silent, QuicError::undecryptable_initial};
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
      return {How::silent, QuicError::version_negotiation};
    case NGTCP2_ERR_CRYPTO: {
      // A peer that offers no protocol at all gets as far as its certificate; RFC 9001 §8.1 has an alert for it.
      const bool no_protocol = refused == TlsError::no_common_protocol;
      const auto alert = no_protocol ? static_cast<std::uint8_t>(GNUTLS_A_NO_APPLICATION_PROTOCOL)
                                     : ngtcp2_conn_get_tls_alert(connection);
      ngtcp2_connection_close_error_set_transport_error_tls_alert(&close_error, alert, nullptr, 0);
      return {How::closing, refused ? refused : make_error_code(security::from_alert(alert))};
    }
    default:
      ngtcp2_connection_close_error_set_transport_error_liberr(&close_error, error, nullptr, 0);
      return {How::closing, QuicError::protocol_violation};
  }
}

Engine::Engine(const EngineStart& start, const QuicProfile& profile, security::TlsIdentityPtr identity,
               EngineEvents& events, io::TimePoint now)
    : native_(std::make_unique<Native>(start, profile, std::move(identity), events, now)) {}

Engine::~Engine() = default;

std::optional<Ending> Engine::read(const io::Endpoint& from, io::BytesView datagram, io::TimePoint now) {
  Address remote(from);
  const ngtcp2_path path{native_->local.view(), remote.view(), nullptr};
  const ngtcp2_pkt_info info{};
  const int outcome = ngtcp2_conn_read_pkt(native_->connection, &path, &info, datagram.data(),
                                           datagram.size(), to_stamp(now));
  if (outcome != 0) return native_->ending_of(outcome);
  native_->free_tls_when_done();
  return std::nullopt;
}

std::optional<Ending> Engine::expire(io::TimePoint now) {
  const int outcome = ngtcp2_conn_handle_expiry(native_->connection, to_stamp(now));
  if (outcome != 0) return native_->ending_of(outcome);
  return std::nullopt;
}

io::TimePoint Engine::expiry() const {
  const auto stamp = ngtcp2_conn_get_expiry(native_->connection);
  constexpr auto latest = static_cast<ngtcp2_tstamp>(io::Duration::max().count());
  return io::TimePoint(io::Duration(static_cast<io::Duration::rep>(std::min(stamp, latest))));
}

Written Engine::write(std::span<std::uint8_t> into, const StreamPiece* piece, io::TimePoint now) {
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  ngtcp2_ssize taken = -1;
  ngtcp2_vec bytes{};
  std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
  if (piece != nullptr) {
    bytes = {const_cast<std::uint8_t*>(piece->bytes.data()), piece->bytes.size()};
    if (piece->end) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
  }
  const auto room = std::min(into.size(), ngtcp2_conn_get_path_max_tx_udp_payload_size(native_->connection));
  const auto size = ngtcp2_conn_writev_stream(native_->connection, &path.path, &info, into.data(), room,
                                              &taken, flags, piece != nullptr ? piece->id : -1, &bytes,
                                              bytes.len > 0 ? 1 : 0, to_stamp(now));
  Written written;
  if (taken >= 0 && piece != nullptr) written.taken = static_cast<std::size_t>(taken);
  if (size > 0) {
    written.state = Written::State::packet;
    written.packet_bytes = static_cast<std::size_t>(size);
    written.to = from_address(path.path.remote);
  } else if (size == NGTCP2_ERR_WRITE_MORE) {
    written.state = Written::State::more;
  } else if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
    written.state = Written::State::stream_blocked;
  } else if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND) {
    written.state = Written::State::stream_ended;
  } else if (size < 0) {
    written.state = Written::State::failed;
    written.ending = native_->ending_of(static_cast<int>(size));
  }
  return written;
}

void Engine::end_writing(io::TimePoint now) {
  ngtcp2_conn_update_pkt_tx_time(native_->connection, to_stamp(now));
}

std::size_t Engine::burst_bytes() const { return ngtcp2_conn_get_send_quantum(native_->connection); }

std::optional<StreamId> Engine::open_stream() {
  StreamId id = 0;
  const int outcome = ngtcp2_conn_open_bidi_stream(native_->connection, &id, nullptr);
  if (outcome == NGTCP2_ERR_STREAM_ID_BLOCKED) return std::nullopt;
  must(outcome);
  return id;
}

void Engine::consume(StreamId id, std::size_t bytes) {
  ngtcp2_conn_extend_max_stream_offset(native_->connection, id, bytes);
  ngtcp2_conn_extend_max_offset(native_->connection, bytes);
}

void Engine::abort_stream(StreamId id) {
  must(ngtcp2_conn_shutdown_stream(native_->connection, id, no_application_error));
}

Ending Engine::close(std::error_code why) {
  ngtcp2_connection_close_error_set_application_error(&native_->close_error, no_application_error, nullptr,
                                                      0);
  return {Ending::How::closing, why};
}

Ending Engine::refuse(std::error_code why) {
  ngtcp2_connection_close_error_set_transport_error(&native_->close_error, NGTCP2_CONNECTION_REFUSED, nullptr,
                                                    0);
  return {Ending::How::closing, why};
}

io::Bytes Engine::close_packet(io::TimePoint now) {
  io::Bytes packet(min_initial_bytes);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  const auto size = ngtcp2_conn_write_connection_close(native_->connection, &path.path, &info, packet.data(),
                                                       packet.size(), &native_->close_error, to_stamp(now));
  packet.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  packet.shrink_to_fit();
  return packet;
}

io::Duration Engine::lingering() const {
  return 3 * io::Duration(static_cast<io::Duration::rep>(ngtcp2_conn_get_pto(native_->connection)));
}

io::Endpoint Engine::remote() const {
  return from_address(ngtcp2_conn_get_path(native_->connection)->remote);
}

const crypto::PublicKey& Engine::remote_key() const { return native_->remote_key.value(); }

}  // namespace flaresim::quic
