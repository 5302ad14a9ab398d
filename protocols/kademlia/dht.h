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
#include "protocols/kademlia/error.h"
#include "protocols/kademlia/key.h"
#include "protocols/kademlia/provider_store.h"
#include "protocols/kademlia/record_store.h"
#include "protocols/kademlia/routing_table.h"
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
  io::Duration dial_limit = std::chrono::seconds(15);     // go-libp2p p2p/net/swarm defaultDialTimeout
  io::Duration lookup_limit = std::chrono::seconds(60);  // rust-libp2p protocols/kad QueryConfig; go has none
  /// When enough others gave this many values, a lookup for a value ends; zero: it goes on to the closest peers.
  std::size_t quorum = 0;  // go-libp2p-kad-dht internal/config/quorum.go

  /// Looks for random ids in each bucket, so that all of them fill, at first and then every `refresh_interval`. Without
  /// it, only for ourselves, at first and when our addresses change.
  bool refresh = true;
  io::Duration refresh_interval = std::chrono::minutes(10);      // libp2p/specs kad-dht/README.md
  io::Duration refresh_lookup_limit = std::chrono::seconds(10);  // go-libp2p-kad-dht RefreshQueryTimeout
  io::Duration low_peers_interval =
      std::chrono::minutes(2);                            // ... dht_bootstrap.go periodicBootstrapInterval
  std::size_t low_peers = 10;                             // ... minRTRefreshThreshold
  io::Duration low_peers_gap = std::chrono::seconds(10);  // between two such checks; bound of our own
  std::size_t max_bootstrap_peers = 2;                  // go-libp2p-kad-dht dht_bootstrap.go maxNBoostrappers
  io::Duration settle_delay = std::chrono::minutes(1);  // ... dht.go rtFreezeTimeout
  std::size_t max_checks = 256;                         // ... internal/config LookupCheckConcurrency
  /// Periods are longer or shorter by up to this part, so that peers that began together do not stay together.
  double jitter = 0.1;  // our own choice

  /// Only public addresses are taken in and handed out (go-libp2p-kad-dht's WAN filter), circuits through public relays
  /// among them. Peers in the table need one without a relay.
  bool public_only = true;
  /// At most `max_per_group` peers of one group of IP addresses in the table, and in one answer; with `public_only`.
  bool diverse = true;
  std::size_t max_per_group = 3;         // go-libp2p-kad-dht amino/defaults.go DefaultMaxPeersPerIPGroup
  std::size_t max_per_group_prefix = 2;  // ... DefaultMaxPeersPerIPGroupPerCpl

  RecordLimits records;
  ProviderLimits providers;
  io::Duration republish_interval = std::chrono::hours(22);  // libp2p/specs kad-dht/README.md
  io::Duration cleanup_interval = std::chrono::hours(1);     // go-libp2p-kad-dht records/providers_manager.go
  std::size_t max_provided_keys = 1024;  // rust-libp2p protocols/kad record/store/memory.rs

  std::size_t max_key_bytes = 80;              // go-libp2p-kad-dht handlers.go, of providers
  std::size_t max_request_bytes = 128 * 1024;  // bound of our own: a value and what goes around it
  std::size_t max_answer_bytes = 4 << 20;      // go-libp2p core/network MessageSizeMax
  std::size_t max_candidates = 1024;           // of one lookup; bound of our own
  io::Duration server_idle_limit =
      std::chrono::minutes(1);                    // go-libp2p-kad-dht dht_net.go dhtStreamIdleTimeout
  std::size_t max_inbound_streams = 1024;         // bound of our own
  std::size_t max_inbound_streams_per_peer = 32;  // rust-libp2p protocols/kad handler.rs
  /// How long, and how many, streams of ours wait for another request to the same peer. Bounds of our own.
  io::Duration client_idle_limit = std::chrono::seconds(5);
  std::size_t max_idle_streams = 64;

  /// Peers in the table that have not answered for so long are asked before a refresh, and leave if they do not answer:
  /// by then all but one in k would have been asked by chance. Twice as long without being of use makes them
  /// replaceable (go-libp2p-kad-dht dht.go maxLastSuccessfulOutboundThreshold).
  io::Duration silence_limit() const;
};

/// What an iterative lookup came to.
struct LookupReport {
  std::vector<swarm::AddressInfo> closest{};  ///< to the key, at most k, that answered; the closest first
  std::size_t requests = 0;                   ///< peers asked
  std::size_t failures = 0;                   ///< of them without an answer, or out of reach
  std::size_t hops = 0;  ///< longest chain of answers that led to one of `closest`; 0 if our table knew all
  io::Duration took{0};
  bool answered = false;  ///< ended before its time, because what was sought had been told
};

struct DhtCounters {
  std::uint64_t lookups = 0;
  std::uint64_t requests_sent = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_answered = 0;
  std::uint64_t malformed = 0;  ///< messages that we could make nothing of, or refused
};

/// One peer's part in the distributed hash table, both sides.
///
/// 1. A client asks and is in nobody's table; a server answers, too. `set_mode` switches; a switch to client takes the
///    protocol away and resets streams that others have open to us.
/// 2. Only peers that speak the server's protocol, as identify tells, and answered us once, are in the table. They
///    leave it when they stop to speak it, or do not answer.
/// 3. A lookup asks the `alpha` closest peers it knows at a time, until the `beta` closest have answered, then once
///    those of the `k` closest that it knows by then. It dials directly: neither through relays, nor does it use connections that go through them.
/// 4. Whoever asks for a peer is told that peer's addresses, if we know any, though it is no server and reached only
///    through a relay.
/// 5. The table is filled by lookups: at first, when our addresses change, and again and again (see `refresh`).
/// 6. Peers in the table are tagged `kbucket`; those that share no more than one bit with us are protected.
/// 7. After `stop`, everything that was pending ends as soon as the scheduler runs, except dials, which the swarm ends, and
///    streams that are being opened, which end by themselves within `request_limit`.
///
/// Source: libp2p/specs kad-dht/README.md; go-libp2p-kad-dht.
class Dht {
 public:
  Dht(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, DhtProfile profile);
  ~Dht();
  Dht(const Dht&) = delete;
  Dht& operator=(const Dht&) = delete;

  /// A client at first.
  void set_mode(Mode mode);
  Mode mode() const;
  /// For keys `/NAMESPACE/…`; without one for its namespace a value is refused. `pk` is there from the start.
  void set_validator(std::string name_space, std::shared_ptr<const Validator> validator);

  /// Connects to these first, whenever the table is empty; begins to fill the table.
  void bootstrap(std::vector<swarm::AddressInfo> peers);
  /// Completes when the first self-lookup has ended, or with `stop`.
  io::Task<> bootstrapped();

  io::Task<LookupReport> closest_peers(io::Bytes key);
  struct Found {
    swarm::AddressInfo info;
    LookupReport lookup;
  };
  /// Where a peer is, as those say that are connected to it, else as all say that were asked. At once when we are
  /// connected to it. `Error::not_found`, `Error::no_peers`.
  io::Task<io::Result<Found>> find_peer(multiformats::PeerId peer);
  /// Fails as `RecordStore::put`, with `Error::no_validator`, `Error::no_peers`, or `Error::not_stored`.
  io::Task<io::Result<>> put_value(io::Bytes key, io::Bytes value);
  /// The best value that anybody gave; peers that gave a worse one, or none, are told. `Error::not_found`,
  /// `Error::no_validator`.
  io::Task<io::Result<io::Bytes>> get_value(io::Bytes key);
  /// Tells the closest peers that we provide it, and again every `republish_interval` until `stop_providing`.
  /// `Error::bad_key`, `Error::no_address`, `Error::no_peers`, `Error::not_stored`, `Error::store_full`.
  io::Task<io::Result<>> provide(io::Bytes multihash);
  void stop_providing(const io::Bytes& multihash);
  /// Ends with `enough` of them, or when the closest peers have been asked. Zero: all that they know.
  io::Task<std::vector<swarm::AddressInfo>> find_providers(io::Bytes multihash, std::size_t enough);

  /// A look at the table, the closest first.
  std::vector<multiformats::PeerId> table() const;
  const DhtCounters& counters() const;
  /// Called when a lookup that anybody began has ended.
  void on_lookup(std::function<void(const LookupReport&)> callback);
  /// Called when a peer has got into the routing table.
  void on_admitted(std::function<void(const multiformats::PeerId&)> callback);
  /// Requests, ours and others', and lookups that run now.
  std::size_t active() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::kademlia
