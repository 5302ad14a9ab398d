#pragma once

#include <optional>

#include "protocols/io/network.h"
#include "protocols/io/random.h"
#include "protocols/transport/quic/connection_id.h"

namespace flaresim::quic {

/// What an endpoint can prove to have said without remembering it: stateless reset tokens, and the tokens by which
/// a client proves after a Retry that it receives what is sent to its address.
class Tokens {
 public:
  explicit Tokens(io::Random& random) : secret_(random.seed_bytes()) {}

  ResetToken reset_token(const ConnectionId& id) const;

  /// For a client at `address` that must come back with `retry_source` as destination (RFC 9000 §8.1.2).
  io::Bytes retry_token(const io::Endpoint& address, const ConnectionId& retry_source,
                        const ConnectionId& original_destination, io::TimePoint now) const;
  static bool is_retry_token(io::BytesView token);
  /// The client's original destination; nothing when the token is forged, another's, or older than `lifetime`.
  std::optional<ConnectionId> open_retry_token(io::BytesView token, const io::Endpoint& address,
                                               const ConnectionId& retry_source, io::TimePoint now,
                                               io::Duration lifetime) const;

 private:
  using Seal = std::array<std::uint8_t, 16>;

  Seal seal(io::BytesView body, const io::Endpoint& address, const ConnectionId& retry_source) const;

  io::Random::Seed secret_;
};

}  // namespace flaresim::quic
