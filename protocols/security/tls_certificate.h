#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>

#include "protocols/crypto/keys.h"
#include "protocols/io/bytes.h"
#include "protocols/io/random.h"
#include "protocols/io/result.h"
#include "protocols/io/time.h"
#include "protocols/security/tls_error.h"

namespace flaresim::security {

/// Key of the certificate, which has nothing to do with the host's key. Ed25519 is faster and its signatures
/// have one length; go, rust and js make P-256 and accept both.
enum class CertificateKey { ed25519, p256 };

/// A certificate and the key that signed it.
struct Certificate {
  io::Bytes der;
  io::Bytes private_key;  ///< PKCS #8 in DER
};

/// Makes a self-signed certificate whose first and only extension says who the host is (js-libp2p looks at
/// the first one only). Valid from an hour before `now` for 100 years, as go-libp2p's
/// (p2p/security/tls/crypto.go). The same random stream gives the same bytes. Source: libp2p/specs
/// tls/tls.md.
Certificate make_certificate(const crypto::PrivateKey& host, io::Random& random, io::CalendarTime now,
                             CertificateKey key = CertificateKey::ed25519);

/// Reads certificates and remembers those whose signatures are right.
class CertificateVerifier {
 public:
  static constexpr std::size_t max_certificate_bytes = 8 * 1024;

  /// Remembers so many certificates by their exact bytes, the longest unused forgotten first; with 0, none.
  /// Validity in time is checked on every occasion.
  explicit CertificateVerifier(std::size_t remembered = 0) : capacity_(remembered) {}

  /// The host key that made this certificate. Fails with a TlsError, or
  /// `crypto::KeyError::unsupported_key_type`. Critical extensions other than libp2p's are all refused, as
  /// rust-libp2p does.
  io::Result<crypto::PublicKey> verify(io::BytesView der, io::CalendarTime now);

  std::size_t remembered() const { return found_.size(); }

 private:
  struct Verified {
    std::chrono::sys_seconds not_before;
    std::chrono::sys_seconds not_after;
    crypto::PublicKey host;
  };
  struct Memory {
    Verified verified;
    std::list<const io::Bytes*>::iterator place;
  };

  static io::Result<Verified> read(io::BytesView der, io::CalendarTime now);
  void remember(io::BytesView der, const Verified& verified);

  std::size_t capacity_;
  std::map<io::Bytes, Memory> found_;
  std::list<const io::Bytes*> by_use_;  // latest first
};

}  // namespace flaresim::security
