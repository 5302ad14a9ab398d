#pragma once

#include <optional>

#include "protocols/io/bytes.h"

namespace flaresim::crypto {

/// A SubjectPublicKeyInfo, the envelope of RSA and ECDSA public keys. Source: RFC 5280 §4.1.
struct Pkix {
  io::BytesView algorithm;  ///< content of the AlgorithmIdentifier: an object identifier and its parameters
  io::BytesView key;        ///< content of the bit string, all of whose bits are used
};

io::Bytes write_pkix(const Pkix& pkix);
/// Views of `der`.
std::optional<Pkix> read_pkix(io::BytesView der);

}  // namespace flaresim::crypto
