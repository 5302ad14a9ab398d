#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/crypto/keys.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/swarm/swarm.h"
#include "sim/os/node_traces.h"

namespace flaresim::os {

/// What a node is told to do.
struct NodeOptions {
  crypto::PrivateKey identity;
  std::vector<multiformats::Multiaddr> listen{};
  /// Protocol ids, the preferred one first.
  std::vector<std::string> security = swarm::SwarmProfile{}.security;
  bool relay_service = false;
  std::vector<multiformats::Multiaddr> reserve{};  ///< relays, each with its `/p2p/…`
  std::optional<multiformats::Multiaddr> dial{};   ///< with its `/p2p/…`
  int pings = 3;
  std::chrono::milliseconds punch_wait{
      10'000};  ///< how long to wait for a direct connection after a relayed one
  bool json = false;
  security::KeyLog key_log{};  ///< of TLS and QUIC
  OpenQlog open_qlog{};
};

/// Reads a private key (the libp2p `PrivateKey` message, as go-libp2p and js-libp2p store it) from a file,
/// which is made with a key of type `when_made`, readable by its owner only, when there is none. Fails with a
/// `crypto::KeyError` or a system error.
io::Result<crypto::PrivateKey> load_identity(const std::string& path,
                                             crypto::KeyType when_made = crypto::KeyType::ed25519);

}  // namespace flaresim::os
