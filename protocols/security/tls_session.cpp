#include "protocols/security/tls_session.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

namespace flaresim::security {
namespace {

// Cipher suites and groups that every TLS 1.3 library has (RFC 8446 §9.1), the cheapest first.
constexpr const char* over_a_stream =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1";
// RFC 9001 §8.4: no middlebox compatibility mode.
constexpr const char* in_quic =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";

void must(int outcome) {
  if (outcome < 0) throw std::runtime_error(std::string("GnuTLS: ") + gnutls_strerror(outcome));
}

/// Parsed once for all sessions.
gnutls_priority_t priorities(Carrier carrier) {
  static const auto parse = [](const char* text) {
    gnutls_priority_t parsed = nullptr;
    must(gnutls_priority_init(&parsed, text, nullptr));
    return parsed;
  };
  static const gnutls_priority_t stream = parse(over_a_stream), quic = parse(in_quic);
  return carrier == Carrier::stream ? stream : quic;
}

void append_hex(std::string& to, const gnutls_datum_t& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  for (unsigned i = 0; i < bytes.size; ++i) {
    to += digits[bytes.data[i] >> 4];
    to += digits[bytes.data[i] & 15];
  }
}

}  // namespace

TlsIdentity::TlsIdentity(const crypto::PrivateKey& host, io::Random& random, io::CalendarTime now,
                         TlsOptions options)
    : TlsIdentity(make_certificate(host, random, now, options.certificate_key), std::move(options)) {}

TlsIdentity::TlsIdentity(Certificate certificate, TlsOptions options)
    : options_(std::move(options)), certificate_(std::move(certificate.der)) {
  gnutls_certificate_credentials_t credentials = nullptr;
  must(gnutls_certificate_allocate_credentials(&credentials));
  credentials_.reset(credentials);
  const gnutls_datum_t der{certificate_.data(), static_cast<unsigned>(certificate_.size())};
  const gnutls_datum_t key{certificate.private_key.data(),
                           static_cast<unsigned>(certificate.private_key.size())};
  must(gnutls_certificate_set_x509_key_mem(credentials, &der, &key, GNUTLS_X509_FMT_DER));
}

void TlsIdentity::Release::operator()(gnutls_certificate_credentials_st* credentials) const {
  gnutls_certificate_free_credentials(credentials);
}

SessionPtr new_session(const TlsIdentity& identity, Role role, Carrier carrier,
                       std::span<const std::string> protocols) {
  gnutls_session_t handle = nullptr;
  const unsigned end = role == Role::client ? GNUTLS_CLIENT : GNUTLS_SERVER;
  const unsigned style = carrier == Carrier::stream ? GNUTLS_NONBLOCK : GNUTLS_NO_END_OF_EARLY_DATA;
  must(gnutls_init(&handle, end | style | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS | GNUTLS_FORCE_CLIENT_CERT));
  SessionPtr session(handle);
  must(gnutls_priority_set(handle, priorities(carrier)));
  must(gnutls_credentials_set(handle, GNUTLS_CRD_CERTIFICATE, identity.credentials()));
  if (role == Role::server) gnutls_certificate_server_set_request(handle, GNUTLS_CERT_REQUIRE);

  std::vector<gnutls_datum_t> names;
  for (const auto& name : protocols) {
    names.push_back({reinterpret_cast<unsigned char*>(const_cast<char*>(name.data())),
                     static_cast<unsigned>(name.size())});
  }
  must(gnutls_alpn_set_protocols(handle, names.data(), static_cast<unsigned>(names.size()),
                                 GNUTLS_ALPN_MANDATORY));
  return session;
}

io::Result<crypto::PublicKey> judge_peer(gnutls_session_t session, const TlsIdentity& identity,
                                         const std::optional<multiformats::PeerId>& expected,
                                         io::CalendarTime now) {
  if (agreed_protocol(session).empty()) return io::fail(TlsError::no_common_protocol);
  unsigned count = 0;
  const auto* certificates = gnutls_certificate_get_peers(session, &count);
  if (certificates == nullptr || count == 0) return io::fail(TlsError::certificate_missing);
  if (count > 1) return io::fail(TlsError::several_certificates);
  auto host = identity.verifier().verify({certificates[0].data, certificates[0].size}, now);
  if (host && expected && *expected != host->peer_id()) return io::fail(TlsError::peer_mismatch);
  return host;
}

std::string agreed_protocol(gnutls_session_t session) {
  gnutls_datum_t name{};
  if (gnutls_alpn_get_selected_protocol(session, &name) != 0) return {};
  return {reinterpret_cast<const char*>(name.data), name.size};
}

std::string key_log_line(gnutls_session_t session, const char* label, const gnutls_datum_t& secret) {
  gnutls_datum_t client_random{}, server_random{};
  gnutls_session_get_random(session, &client_random, &server_random);
  std::string line = label;
  line += ' ';
  append_hex(line, client_random);
  line += ' ';
  append_hex(line, secret);
  line += '\n';
  return line;
}

TlsError from_gnutls(int error) {
  switch (error) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
      return TlsError::alert_received;
    case GNUTLS_E_NO_APPLICATION_PROTOCOL:
      return TlsError::no_common_protocol;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
      return TlsError::certificate_missing;
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_NO_CIPHER_SUITES:  // a client of older versions offers none of ours
      return TlsError::unsupported_version;
    case GNUTLS_E_DECRYPTION_FAILED:
      return TlsError::decryption_failed;
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET:
    case GNUTLS_E_RECORD_OVERFLOW:
    case GNUTLS_E_ILLEGAL_PARAMETER:
    case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
    case GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION:
    case GNUTLS_E_HANDSHAKE_TOO_LARGE:
      return TlsError::malformed_message;
    default:
      return TlsError::handshake_failed;
  }
}

TlsError from_alert(int alert) {
  switch (alert) {
    case GNUTLS_A_NO_APPLICATION_PROTOCOL:
      return TlsError::no_common_protocol;
    case GNUTLS_A_CERTIFICATE_REQUIRED:
      return TlsError::certificate_missing;
    case GNUTLS_A_PROTOCOL_VERSION:
      return TlsError::unsupported_version;
    case GNUTLS_A_DECRYPT_ERROR:
      return TlsError::decryption_failed;
    case GNUTLS_A_UNEXPECTED_MESSAGE:
    case GNUTLS_A_DECODE_ERROR:
    case GNUTLS_A_RECORD_OVERFLOW:
    case GNUTLS_A_ILLEGAL_PARAMETER:
    case GNUTLS_A_UNSUPPORTED_EXTENSION:
      return TlsError::malformed_message;
    default:
      return TlsError::handshake_failed;
  }
}

}  // namespace flaresim::security
