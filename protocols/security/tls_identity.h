#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "protocols/security/tls_certificate.h"

struct gnutls_certificate_credentials_st;

namespace flaresim::security {

/// Takes one line of an NSS key log, with its line feed: what a packet analyser needs to decrypt a
/// connection.
using KeyLog = std::function<void(std::string_view line)>;

struct TlsOptions {
  CertificateKey certificate_key = CertificateKey::ed25519;
  /// May be shared between hosts: what it says depends on nothing but the certificate and the time.
  std::shared_ptr<CertificateVerifier> verifier = std::make_shared<CertificateVerifier>();
  KeyLog key_log;
};

/// What a host shows in TLS handshakes, over TCP and in QUIC: one certificate for all connections, as
/// go-libp2p does (p2p/security/tls/crypto.go, NewIdentity), and how it judges others.
class TlsIdentity {
 public:
  /// With a certificate made for it.
  TlsIdentity(const crypto::PrivateKey& host, io::Random& random, io::CalendarTime now,
              TlsOptions options = {});
  /// With one that is there already, whatever it says.
  explicit TlsIdentity(Certificate certificate, TlsOptions options = {});

  io::BytesView certificate() const { return certificate_; }
  CertificateVerifier& verifier() const { return *options_.verifier; }
  const KeyLog& key_log() const { return options_.key_log; }
  /// For GnuTLS sessions, which must not outlive this.
  gnutls_certificate_credentials_st* credentials() const { return credentials_.get(); }

 private:
  struct Release {
    void operator()(gnutls_certificate_credentials_st* credentials) const;
  };

  TlsOptions options_;
  io::Bytes certificate_;
  std::unique_ptr<gnutls_certificate_credentials_st, Release> credentials_;
};

using TlsIdentityPtr = std::shared_ptr<const TlsIdentity>;

}  // namespace flaresim::security
