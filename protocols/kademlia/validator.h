#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

namespace flaresim::kademlia {

/// Says which values may stand under the keys of a namespace, and which of several is the best.
class Validator {
 public:
  virtual ~Validator() = default;
  /// Fails with any error when this value may not stand under this key.
  virtual io::Result<> validate(io::BytesView key, io::BytesView value) const = 0;
  /// Number of the best of these values, all valid; at least one. Among equals the first.
  virtual std::size_t select(io::BytesView key, const std::vector<io::Bytes>& values) const = 0;
};

/// Of `/pk/PEER-ID`, with the id in bytes: the value is that peer's public key message (libp2p/specs
/// kad-dht/README.md "Entry validation"; go-libp2p-record pubkey.go). `Error::bad_public_key`.
class PublicKeyValidator final : public Validator {
 public:
  io::Result<> validate(io::BytesView key, io::BytesView value) const override;
  /// There is but one.
  std::size_t select(io::BytesView, const std::vector<io::Bytes>&) const override { return 0; }
};

/// `NAMESPACE` of `/NAMESPACE/…`; nothing when the key is of another form. Points into the key.
std::optional<std::string_view> namespace_of(io::BytesView key);

}  // namespace flaresim::kademlia
