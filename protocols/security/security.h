#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocols/crypto/keys.h"
#include "protocols/io/random.h"
#include "protocols/io/stream.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::security {

/// Who speaks first in the handshake. On an ordinary connection the dialler is the client; on a punched one,
/// where both sides dialled, DCUtR says who is.
enum class Role { client, server };

/// What a handshake needs to know.
struct Handshake {
  Role role = Role::client;
  /// Fails the handshake with `peer_mismatch` when somebody else answers.
  std::optional<multiformats::PeerId> expected;
  /// Our stream muxers in order of preference, offered inside the handshake (early muxer negotiation).
  std::vector<std::string> muxers;
};

/// A stream on which everything is encrypted and the remote is known.
struct Secured {
  io::StreamPtr stream;
  crypto::PublicKey remote_key;
  multiformats::PeerId remote;
  /// Agreed inside the handshake; empty: negotiate with multistream-select.
  std::string muxer;
};

}  // namespace flaresim::security
