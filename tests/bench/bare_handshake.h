#pragma once

#include <gnutls/gnutls.h>

#include <memory>

#include "protocols/security/tls_certificate.h"

namespace flaresim::bench {

/// What one side of a bare handshake shows, and how it judges the other: by the verification that the product uses,
/// which is not what is compared.
class BareHost {
 public:
  BareHost(const security::Certificate& certificate, io::CalendarTime now);

  gnutls_certificate_credentials_t credentials() const { return credentials_.get(); }
  /// 0 when the other side is who it says.
  int judge(gnutls_session_t session);

 private:
  struct Release {
    void operator()(gnutls_certificate_credentials_st* credentials) const;
  };

  std::unique_ptr<gnutls_certificate_credentials_st, Release> credentials_;
  security::CertificateVerifier verifier_{0};  // remembers nothing
  io::CalendarTime now_;
};

/// One TLS 1.3 handshake by GnuTLS alone, between two buffers. Throws when it fails.
void bare_tls_handshake(BareHost& client, BareHost& server);

/// One QUIC handshake by ngtcp2 and GnuTLS alone, up to its confirmation: datagrams pass from one end to the other
/// through two queues, 25 ms a flight. Throws when it fails.
void bare_quic_handshake(BareHost& client, BareHost& server);

}  // namespace flaresim::bench
