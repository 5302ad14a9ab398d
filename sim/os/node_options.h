#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/crypto/keys.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/node/node.h"
#include "protocols/swarm/swarm.h"
#include "sim/os/node_traces.h"

namespace flaresim::os {

/// A node's part in a DHT.
struct DhtOptions {
  /// Nothing: a server while others can dial us, as AutoNAT finds out.
  std::optional<kademlia::Mode> mode{};
  std::string prefix{kademlia::default_prefix};
  bool private_addresses = false;  ///< peers with private addresses only belong to it, too
  /// Values under these namespaces are taken as they are; of several, the first one.
  std::vector<std::string> accept{};
};

/// Something to be asked of the DHT, once.
struct DhtTask {
  enum class Kind { put, get, provide, find_providers, find_peer };
  Kind kind;
  /// The key of a value; content of which the SHA-256 is provided; or a peer id.
  std::string what;
  std::string value{};
};

/// What a node is told to do.
struct NodeOptions {
  crypto::PrivateKey identity;
  std::vector<multiformats::Multiaddr> listen{};
  /// Protocol ids, the preferred one first.
  std::vector<std::string> security = swarm::SwarmProfile{}.security;
  bool relay_service = false;
  std::vector<multiformats::Multiaddr> reserve{};  ///< relays, each with its `/p2p/…`
  std::optional<multiformats::Multiaddr> dial{};   ///< with its `/p2p/…`; nothing else: the DHT finds it
  int pings = 3;
  std::chrono::milliseconds punch_wait{
      10'000};  ///< how long to wait for a direct connection after a relayed one
  std::optional<node::ReachabilityFrom> autonat{};  ///< nothing: it neither asks nor answers
  std::optional<DhtOptions> dht{};
  std::vector<multiformats::Multiaddr> bootstrap{};  ///< of the DHT, each with its `/p2p/…`
  std::vector<DhtTask> dht_tasks{};                  ///< one after the other, once the DHT is joined
  bool auto_relay = false;
  bool mdns = false;
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
