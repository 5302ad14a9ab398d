#pragma once

#include <gnutls/gnutls.h>

#include <optional>
#include <string>
#include <vector>

#include "protocols/crypto/keys.h"
#include "protocols/io/stream.h"
#include "protocols/io/time.h"

namespace flaresim::support {

struct ForgedExtension {
  std::string oid;
  io::Bytes value;
  bool critical = false;
};

/// How a certificate differs from a right one.
struct Forgery {
  io::CalendarTime not_before;
  io::CalendarTime not_after;
  /// What the host signs before the certificate's key; the right one by default.
  std::string prefix = "libp2p-tls-handshake:";
  bool libp2p_extension = true;
  bool libp2p_critical = false;
  bool empty_extension = false;
  std::vector<ForgedExtension> more = {};
};

struct ForgedCertificate {
  io::Bytes der;
  io::Bytes private_key;
};

/// Makes a P-256 certificate by GnuTLS's own means.
ForgedCertificate forge(const crypto::PrivateKey& host, const Forgery& forgery);

/// GnuTLS credentials with this chain; empty: none. To be freed by the caller.
gnutls_certificate_credentials_t credentials_of(const std::vector<ForgedCertificate>& chain);

/// A client that does as it is told, over a stream: with these certificates (a chain, or none) and protocols.
/// Returns GnuTLS's outcome of the handshake, then that of one read.
struct RawOutcome {
  int handshake;
  int read;
};
io::Task<RawOutcome> raw_client(io::Stream& stream, std::vector<ForgedCertificate> chain,
                                std::vector<std::string> protocols, std::string priorities);

}  // namespace flaresim::support
