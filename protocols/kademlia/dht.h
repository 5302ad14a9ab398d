#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/identify/identify.h"
#include "protocols/io/result.h"
#include "protocols/io/task.h"
#include "protocols/io/time.h"
#include "protocols/kademlia/key.h"
#include "protocols/kademlia/validator.h"
#include "protocols/swarm/address_info.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::kademlia {

inline constexpr std::string_view default_prefix = "/ipfs";
// The protocol id is `<prefix>/kad/1.0.0`.

/// Whether we answer others, and so belong in their routing tables.
enum class Mode { client, server };

/// Constants of the DHT; the defaults' sources stand beside them.
struct DhtProfile {
  std::string prefix{default_prefix};
  std::size_t k = 20;      // libp2p/specs kad-dht/README.md
  std::size_t alpha = 10;  // ... concurrency
  std::size_t beta = 3;    // go-libp2p-kad-dht amino/defaults.go DefaultResiliency
  io::Duration request_limit = std::chrono::seconds(10);  // libp2p/specs kad-dht/README.md
  io::Duration lookup_limit = std::chrono::seconds(60);   // go-libp2p-kad-dht, see source
  io::Duration refresh_interval = std::chrono::minutes(10);
  bool refresh = true;
  /// Only public addresses are taken in and handed out (go-libp2p-kad-dht's WAN filter).
  bool public_only = true;
  // … every other bound with its source
};

/// What an iterative lookup came to.
struct LookupReport {
  std::vector<swarm::AddressInfo> closest;  ///< to the key, at most k, that answered; the closest first
  std::size_t requests = 0;                 ///< sent
  std::size_t failures = 0;                 ///< of them without an answer
  std::size_t hops = 0;                     ///< longest chain of answers that led to one of `closest`
  io::Duration took{0};
};

struct DhtCounters {
  std::uint64_t lookups = 0;
  std::uint64_t requests_sent = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_answered = 0;
  std::uint64_t malformed = 0;
};

/// One peer's part in the distributed hash table, both sides.
///
/// 1. A client asks and is in nobody's table; a server answers, too. `set_mode` switches; a switch to client takes the
///    protocol away and resets streams that others have open to us.
/// 2. Only peers that speak the server's protocol, as identify tells, and answered us once, are in the table.
/// ...
/// Source: libp2p/specs kad-dht/README.md; go-libp2p-kad-dht.
class Dht {
 public:
  Dht(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, DhtProfile profile);
  ~Dht();
  Dht(const Dht&) = delete;
  Dht& operator=(const Dht&) = delete;

  void set_mode(Mode mode);
  Mode mode() const;
  /// For keys `/NAMESPACE/…`; without one for its namespace a value is refused.
  void set_validator(std::string name_space, std::shared_ptr<const Validator> validator);

  /// Connects to these first, whenever the table is empty; begins to fill the table.
  void bootstrap(std::vector<swarm::AddressInfo> peers);
  /// Completes when the first self-lookup has ended.
  io::Task<> bootstrapped();

  io::Task<LookupReport> closest_peers(io::Bytes key);
  struct Found {
    swarm::AddressInfo info;
    LookupReport lookup;
  };
  /// Where a peer is. `Error::not_found`.
  io::Task<io::Result<Found>> find_peer(multiformats::PeerId peer);
  io::Task<io::Result<>> put_value(io::Bytes key, io::Bytes value);
  io::Task<io::Result<io::Bytes>> get_value(io::Bytes key);
  /// Tells the closest peers that we provide it, and again every `republish_interval` until `stop_providing`.
  io::Task<io::Result<>> provide(io::Bytes multihash);
  void stop_providing(const io::Bytes& multihash);
  io::Task<std::vector<swarm::AddressInfo>> find_providers(io::Bytes multihash, std::size_t enough);

  /// A look at the table, the closest first.
  std::vector<multiformats::PeerId> table() const;
  const DhtCounters& counters() const;
  /// Called when a lookup that anybody began has ended.
  void on_lookup(std::function<void(const LookupReport&)> callback);
  /// Requests, ours and others', and lookups that run now.
  std::size_t active() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::kademlia
