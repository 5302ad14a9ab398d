#pragma once

#include <gnutls/gnutls.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "protocols/multiformats/peer_id.h"
#include "protocols/security/security.h"
#include "protocols/security/tls_identity.h"

namespace flaresim::security {

/// What TLS over TCP and the handshake of QUIC have in common, in GnuTLS's terms: only their implementation
/// files include this.

struct EndSession {
  void operator()(gnutls_session_int* session) const { gnutls_deinit(session); }
};
using SessionPtr = std::unique_ptr<gnutls_session_int, EndSession>;

/// What brings the handshake messages over: records in a byte stream, or QUIC (RFC 9001).
enum class Carrier { stream, quic };

/// A session of TLS 1.3 only, with mutual authentication, no tickets and no server name. The protocols are
/// offered in this order; of several that both have, the client's first is taken.
SessionPtr new_session(const TlsIdentity& identity, Role role, Carrier carrier,
                       std::span<const std::string> protocols);

/// Who is on the other end, to be asked by the session's verify function: checks its certificate, that it is
/// the expected peer, and that an application protocol has been agreed on (a peer that offers none at all
/// gets past GnuTLS).
io::Result<crypto::PublicKey> judge_peer(gnutls_session_t session, const TlsIdentity& identity,
                                         const std::optional<multiformats::PeerId>& expected,
                                         io::CalendarTime now);

/// The application protocol agreed on; empty when there is none.
std::string agreed_protocol(gnutls_session_t session);

std::string key_log_line(gnutls_session_t session, const char* label, const gnutls_datum_t& secret);

/// What a GnuTLS error says in our terms.
TlsError from_gnutls(int error);
/// What the alert that we sent for a failure says in our terms.
TlsError from_alert(int alert);

}  // namespace flaresim::security
