#include "tests/bench/bare_handshake.h"

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace flaresim::bench {
namespace {

// What the product offers, so that both do the same arithmetic.
constexpr const char* ciphers =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";
constexpr std::size_t own_id_bytes = 8;
constexpr std::size_t first_destination_bytes = 18;
constexpr ngtcp2_duration flight = 25 * NGTCP2_MILLISECONDS;

void must(int outcome) {
  if (outcome < 0) throw std::runtime_error("bare handshake");
}

gnutls_priority_t priorities() {
  static const auto parsed = [] {
    gnutls_priority_t made = nullptr;
    must(gnutls_priority_init(&made, ciphers, nullptr));
    return made;
  }();
  return parsed;
}

struct EndSession {
  void operator()(gnutls_session_int* session) const { gnutls_deinit(session); }
};
using Session = std::unique_ptr<gnutls_session_int, EndSession>;

Session new_session(const BareHost& host, unsigned flags, std::initializer_list<std::string_view> protocols) {
  gnutls_session_t made = nullptr;
  must(gnutls_init(&made, flags | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS | GNUTLS_FORCE_CLIENT_CERT));
  Session session(made);
  must(gnutls_priority_set(made, priorities()));
  must(gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, host.credentials()));
  if ((flags & GNUTLS_SERVER) != 0) gnutls_certificate_server_set_request(made, GNUTLS_CERT_REQUIRE);
  std::vector<gnutls_datum_t> names;
  for (const auto name : protocols)
    names.push_back({reinterpret_cast<unsigned char*>(const_cast<char*>(name.data())),
                     static_cast<unsigned>(name.size())});
  must(gnutls_alpn_set_protocols(made, names.data(), static_cast<unsigned>(names.size()),
                                 GNUTLS_ALPN_MANDATORY));
  gnutls_handshake_set_timeout(made, GNUTLS_INDEFINITE_TIMEOUT);
  return session;
}

// --- Over a stream.

struct TlsEnd {
  TlsEnd(BareHost& who, unsigned flags)
      : host(who), session(new_session(who, flags | GNUTLS_NONBLOCK, {"/yamux/1.0.0", "libp2p"})) {
    gnutls_session_set_ptr(session.get(), this);
    gnutls_transport_set_ptr(session.get(), this);
    gnutls_transport_set_push_function(session.get(), push);
    gnutls_transport_set_pull_function(session.get(), pull);
    gnutls_transport_set_pull_timeout_function(
        session.get(), [](gnutls_transport_ptr_t self, unsigned) { return of(self).ready(); });
    gnutls_session_set_verify_function(session.get(), [](gnutls_session_t with) {
      return of(gnutls_session_get_ptr(with)).host.judge(with);
    });
  }

  static TlsEnd& of(void* self) { return *static_cast<TlsEnd*>(self); }
  int ready() const { return read < in.size() ? 1 : 0; }
  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::uint8_t*>(data);
    auto& to = of(self).other->in;
    to.insert(to.end(), bytes, bytes + size);
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* into, std::size_t size) {
    auto& end = of(self);
    const auto n = std::min(size, end.in.size() - end.read);
    if (n == 0) {
      gnutls_transport_set_errno(end.session.get(), EAGAIN);
      return -1;
    }
    std::memcpy(into, end.in.data() + end.read, n);
    end.read += n;
    return static_cast<ssize_t>(n);
  }
  /// True when it is through.
  bool advance() {
    const int outcome = gnutls_handshake(session.get());
    if (outcome != GNUTLS_E_AGAIN) must(outcome);
    return outcome == GNUTLS_E_SUCCESS;
  }

  BareHost& host;
  TlsEnd* other = nullptr;
  std::vector<std::uint8_t> in;
  std::size_t read = 0;
  Session session;
};

// --- In QUIC.

ngtcp2_cid random_id(std::size_t bytes) {
  ngtcp2_cid id{};
  id.datalen = bytes;
  randombytes_buf(id.data, bytes);
  return id;
}

struct QuicEnd {
  using Datagram = std::vector<std::uint8_t>;

  QuicEnd(BareHost& who, unsigned flags)
      : host(who), session(new_session(who, flags | GNUTLS_NO_END_OF_EARLY_DATA, {"libp2p"})) {
    reference = {[](ngtcp2_crypto_conn_ref* self) { return of(self->user_data).connection; }, this};
    gnutls_session_set_ptr(session.get(), &reference);
    gnutls_session_set_verify_function(session.get(), [](gnutls_session_t with) {
      return of(static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(with))->user_data)
          .host.judge(with);
    });
    for (auto* address : {&local, &remote}) address->sin_family = AF_INET;
    must((flags & GNUTLS_SERVER) == 0 ? ngtcp2_crypto_gnutls_configure_client_session(session.get())
                                      : ngtcp2_crypto_gnutls_configure_server_session(session.get()));
  }
  ~QuicEnd() { ngtcp2_conn_del(connection); }
  QuicEnd(const QuicEnd&) = delete;
  QuicEnd& operator=(const QuicEnd&) = delete;

  static QuicEnd& of(void* self) { return *static_cast<QuicEnd*>(self); }
  ngtcp2_path path() {
    return {{reinterpret_cast<sockaddr*>(&local), sizeof local},
            {reinterpret_cast<sockaddr*>(&remote), sizeof remote},
            nullptr};
  }
  void begin_client(const ngtcp2_cid& destination, const ngtcp2_cid& source);
  void begin_server(const ngtcp2_cid& destination, const ngtcp2_cid& source);
  /// All datagrams that are ready to leave.
  std::deque<Datagram> write(ngtcp2_tstamp now);
  void read(const std::deque<Datagram>& datagrams, ngtcp2_tstamp now);

  BareHost& host;
  Session session;
  ngtcp2_crypto_conn_ref reference{};
  ngtcp2_conn* connection = nullptr;
  sockaddr_in local{};
  sockaddr_in remote{};
  bool confirmed = false;
};

ngtcp2_callbacks common_callbacks() {
  ngtcp2_callbacks to{};
  to.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  to.encrypt = ngtcp2_crypto_encrypt_cb;
  to.decrypt = ngtcp2_crypto_decrypt_cb;
  to.hp_mask = ngtcp2_crypto_hp_mask_cb;
  to.update_key = ngtcp2_crypto_update_key_cb;
  to.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  to.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  to.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  to.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  to.rand = [](std::uint8_t* into, std::size_t size, const ngtcp2_rand_ctx*) { randombytes_buf(into, size); };
  to.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size, void*) {
    *id = random_id(size);
    randombytes_buf(token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
  };
  return to;
}

ngtcp2_settings settings() {
  ngtcp2_settings made;
  ngtcp2_settings_default(&made);
  made.initial_ts = 0;
  made.max_tx_udp_payload_size = NGTCP2_MAX_UDP_PAYLOAD_SIZE;
  made.no_pmtud = 1;
  return made;
}

ngtcp2_transport_params parameters() {
  ngtcp2_transport_params made;
  ngtcp2_transport_params_default(&made);
  made.initial_max_streams_bidi = 256;
  made.initial_max_stream_data_bidi_local = 512 * 1024;
  made.initial_max_stream_data_bidi_remote = 512 * 1024;
  made.initial_max_data = 768 * 1024;
  made.max_idle_timeout = 30 * NGTCP2_SECONDS;
  made.active_connection_id_limit = 4;
  return made;
}

void QuicEnd::begin_client(const ngtcp2_cid& destination, const ngtcp2_cid& source) {
  auto used = common_callbacks();
  used.client_initial = ngtcp2_crypto_client_initial_cb;
  used.recv_retry = ngtcp2_crypto_recv_retry_cb;
  used.handshake_confirmed = [](ngtcp2_conn*, void* self) {
    of(self).confirmed = true;
    return 0;
  };
  const auto how = settings();
  const auto what = parameters();
  const auto route = path();
  must(ngtcp2_conn_client_new(&connection, &destination, &source, &route, NGTCP2_PROTO_VER_V1, &used, &how,
                              &what, nullptr, this));
  ngtcp2_conn_set_tls_native_handle(connection, session.get());
}

void QuicEnd::begin_server(const ngtcp2_cid& destination, const ngtcp2_cid& source) {
  auto used = common_callbacks();
  used.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  used.handshake_completed = [](ngtcp2_conn*, void* self) {
    of(self).confirmed = true;
    return 0;
  };
  const auto how = settings();
  auto what = parameters();
  what.original_dcid = destination;
  what.stateless_reset_token_present = 1;
  randombytes_buf(what.stateless_reset_token, sizeof what.stateless_reset_token);
  const auto own = random_id(own_id_bytes);
  const auto route = path();
  must(ngtcp2_conn_server_new(&connection, &source, &own, &route, NGTCP2_PROTO_VER_V1, &used, &how, &what,
                              nullptr, this));
  ngtcp2_conn_set_tls_native_handle(connection, session.get());
}

std::deque<QuicEnd::Datagram> QuicEnd::write(ngtcp2_tstamp now) {
  std::deque<Datagram> out;
  std::array<std::uint8_t, NGTCP2_MAX_UDP_PAYLOAD_SIZE> datagram;
  for (;;) {
    ngtcp2_pkt_info info{};
    const auto size =
        ngtcp2_conn_write_pkt(connection, nullptr, &info, datagram.data(), datagram.size(), now);
    must(static_cast<int>(size));
    if (size == 0) return out;
    out.emplace_back(datagram.begin(), datagram.begin() + size);
  }
}

void QuicEnd::read(const std::deque<Datagram>& datagrams, ngtcp2_tstamp now) {
  const auto route = path();
  const ngtcp2_pkt_info info{};
  for (const auto& datagram : datagrams)
    must(ngtcp2_conn_read_pkt(connection, &route, &info, datagram.data(), datagram.size(), now));
}

}  // namespace

BareHost::BareHost(const security::Certificate& certificate, io::CalendarTime now) : now_(now) {
  gnutls_certificate_credentials_t made = nullptr;
  must(gnutls_certificate_allocate_credentials(&made));
  credentials_.reset(made);
  auto der = certificate.der, key = certificate.private_key;
  const gnutls_datum_t shown{der.data(), static_cast<unsigned>(der.size())};
  const gnutls_datum_t secret{key.data(), static_cast<unsigned>(key.size())};
  must(gnutls_certificate_set_x509_key_mem(made, &shown, &secret, GNUTLS_X509_FMT_DER));
}

void BareHost::Release::operator()(gnutls_certificate_credentials_st* credentials) const {
  gnutls_certificate_free_credentials(credentials);
}

int BareHost::judge(gnutls_session_t session) {
  unsigned count = 0;
  const auto* const shown = gnutls_certificate_get_peers(session, &count);
  if (shown == nullptr || count != 1) return -1;
  return verifier_.verify({shown[0].data, shown[0].size}, now_) ? 0 : -1;
}

void bare_tls_handshake(BareHost& client, BareHost& server) {
  TlsEnd here(client, GNUTLS_CLIENT), there(server, GNUTLS_SERVER);
  here.other = &there;
  there.other = &here;
  bool done_here = false, done_there = false;
  while (!done_here || !done_there) {
    if (!done_here) done_here = here.advance();
    if (!done_there) done_there = there.advance();
  }
}

void bare_quic_handshake(BareHost& client, BareHost& server) {
  QuicEnd here(client, GNUTLS_CLIENT), there(server, GNUTLS_SERVER);
  const auto destination = random_id(first_destination_bytes), source = random_id(own_id_bytes);
  here.begin_client(destination, source);
  there.begin_server(destination, source);
  ngtcp2_tstamp now = 0;
  for (int flights = 0; !here.confirmed || !there.confirmed; ++flights) {
    if (flights > 10) throw std::runtime_error("bare QUIC handshake does not end");
    const auto out = here.write(now);
    now += flight;
    there.read(out, now);
    const auto back = there.write(now);
    now += flight;
    here.read(back, now);
  }
}

}  // namespace flaresim::bench
