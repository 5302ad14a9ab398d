#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/autonat/v1.h"
#include "protocols/autonat/v2.h"
#include "protocols/autorelay/auto_relay.h"
#include "protocols/crypto/keys.h"
#include "protocols/dcutr/hole_puncher.h"
#include "protocols/identify/identify.h"
#include "protocols/io/network.h"
#include "protocols/kademlia/dht.h"
#include "protocols/mdns/mdns.h"
#include "protocols/ping/ping.h"
#include "protocols/portmap/port_mapper.h"
#include "protocols/relay/relay_client.h"
#include "protocols/relay/relay_profile.h"
#include "protocols/relay/relay_service.h"
#include "protocols/swarm/address_info.h"
#include "protocols/swarm/connection_manager.h"
#include "protocols/swarm/reachability.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::node {

/// Whose verdict says whether we are public.
enum class ReachabilityFrom {
  v1,    ///< AutoNAT v1 alone
  v2,    ///< AutoNAT v2 alone: as its client's `verdict` says
  both,  ///< v1, while v2 says which addresses are advertised: as go-libp2p
};

struct AutonatProfile {
  ReachabilityFrom from = ReachabilityFrom::both;
  autonat::V1ClientProfile v1_client;
  autonat::V2ClientProfile v2_client;
  autonat::V1ServerProfile v1_server;
  autonat::V2ServerProfile v2_server;
};

/// Every time limit, bound and retry count of a node.
struct NodeProfile {
  swarm::SwarmProfile swarm;
  identify::IdentifyProfile identify;
  ping::PingProfile ping;
  relay::RelayProfile relay;
  dcutr::DcutrProfile dcutr;
  /// Asks the gateway to forward the ports that the node listens on; none: it does not ask.
  std::optional<portmap::PortMapProfile> port_mapping;
  /// None: connections are never trimmed.
  std::optional<swarm::ConnectionManagerProfile> connection_manager;
  /// None: reachability is never learnt from others, nor do others learn theirs from us.
  std::optional<AutonatProfile> autonat;
  /// What we are, whatever others may find. go-libp2p config.go, ForceReachabilityPublic and its opposite
  std::optional<swarm::Reachability> forced_reachability;
  std::optional<kademlia::DhtProfile> dht;
  /// Finds candidates through the DHT, or has static ones.
  std::optional<autorelay::AutoRelayProfile> auto_relay;
  /// Is a relay for others as long as it is public.
  bool relay_when_public = false;
  /// Finds, and connects to, the nodes of its local network.
  std::optional<mdns::MdnsProfile> mdns;
};

/// A whole peer: the same in a simulated network and on real sockets.
///
/// 1. While its reachability is public, it is a server of the DHT, and a relay if `relay_when_public`; else a client, and
///    none.
/// 2. Once its reachability is private, or unknown again, it looks for relays (AutoRelay), until it is public. With v2
///    alone it also does when nothing is known `AutoRelayProfile::boot_delay` after it was made: behind a NAT that maps
///    each remote to another port, it has no address that anybody could probe.
/// 3. It serves AutoNAT v1 unless it is private, and always v2. A network whose nodes served only once they know that
///    they are public would never begin to know.
///
/// The network must live until everything that `shut_down` cancels has been run by its scheduler. Source of 1 to 3:
/// go-libp2p p2p/host/autonat/autonat.go, p2p/host/autorelay/autorelay.go, p2p/host/relaysvc/relay.go;
/// go-libp2p-kad-dht subscriber_notifee.go.
class Node {
 public:
  Node(io::Network& network, crypto::PrivateKey identity, NodeProfile profile = {});
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const multiformats::PeerId& id() const { return swarm_->id(); }
  swarm::Swarm& swarm() { return *swarm_; }
  identify::Identify& identify() { return identify_; }
  ping::Ping& ping() { return ping_; }
  relay::RelayClient& relay_client() { return relay_client_; }
  dcutr::HolePuncher& hole_puncher() { return hole_puncher_; }
  /// Each is null when the profile has none.
  portmap::PortMapper* port_mapper() { return port_mapper_.get(); }
  swarm::ConnectionManager* connection_manager() { return connection_manager_.get(); }
  autonat::V1Client* autonat_v1() { return v1_client_.get(); }
  autonat::V2Client* autonat_v2() { return v2_client_.get(); }
  /// Null also while we are private.
  autonat::V1Server* autonat_v1_server() { return v1_server_.get(); }
  autonat::V2Server* autonat_v2_server() { return v2_server_.get(); }
  kademlia::Dht* dht() { return dht_.get(); }
  autorelay::AutoRelay* auto_relay() { return auto_relay_.get(); }
  mdns::Mdns* mdns() { return mdns_.get(); }

  /// Becomes a relay for others, and tells connected peers. One that runs already ends first.
  relay::RelayService& start_relay_service(relay::RelayAcl acl = {});
  /// Is a relay no more, and tells connected peers. No effect when it is none.
  void stop_relay_service();
  /// Null when this node is no relay.
  relay::RelayService* relay_service() { return relay_service_.get(); }
  /// Of every relay service that this node has ever run.
  relay::RelayCounters relay_counters() const;

  /// Unknown without any source.
  swarm::Reachability reachability() const { return reachability_; }
  /// Called after it has changed, and its consequences were drawn.
  void on_reachability(std::function<void(swarm::Reachability)> callback);

  /// Hands the peers to the DHT, if there is one.
  void bootstrap(std::vector<swarm::AddressInfo> peers);
  /// Dials the addresses that are known of a peer, directly and through relays; when none of them works, those that the
  /// DHT knows. Fails as the last dial, with `swarm::Error::no_address` without any address, or with the DHT's error.
  io::Task<swarm::DialReport> find_and_connect(multiformats::PeerId peer);

  /// Everything that the node holds for others or waits for, of all its protocols: connections, dials, reservations,
  /// circuits, lookups, probes, upgrades. None some time after `shut_down`.
  std::size_t active() const;

  /// Ends all connections, listeners and reservations. What was pending completes with an error as soon as
  /// the scheduler runs. A gateway keeps the mappings of our ports until their leases end.
  void shut_down();
  /// Likewise, and then removes the mappings at the gateway, as far as it answers within
  /// `PortMapProfile::release_limit`.
  io::Task<> close();

 private:
  void stop_all_but_port_mapping();
  void end_relay_service();
  void start_port_mapping(io::Network& network);
  void map_listening_ports();
  void tell_mapped_ports();
  void start_autonat();
  void start_auto_relay();
  void start_mdns();
  void take_addresses_verdicts();
  void set_reachability(swarm::Reachability now);
  void follow_reachability();
  void serve_autonat_v1(bool serve);
  /// Does nothing once this node has gone.
  template <class Method>
  auto later(Method method);

  NodeProfile profile_;
  std::shared_ptr<swarm::Swarm> swarm_;
  identify::Identify identify_;
  ping::Ping ping_;
  relay::RelayClient relay_client_;
  dcutr::HolePuncher hole_puncher_;
  std::unique_ptr<relay::RelayService> relay_service_;
  relay::RelayCounters past_relay_counters_;  // of services that have ended
  std::unique_ptr<portmap::PortMapper> port_mapper_;
  std::unique_ptr<swarm::ConnectionManager> connection_manager_;
  std::unique_ptr<autonat::V1Client> v1_client_;
  std::unique_ptr<autonat::V2Client> v2_client_;
  std::unique_ptr<autonat::V1Server> v1_server_;
  std::unique_ptr<autonat::V2Server> v2_server_;
  std::unique_ptr<kademlia::Dht> dht_;
  std::unique_ptr<autorelay::AutoRelay> auto_relay_;
  std::unique_ptr<mdns::Mdns> mdns_;
  swarm::Reachability reachability_ = swarm::Reachability::unknown;
  std::vector<std::function<void(swarm::Reachability)>> when_reachability_;
  io::Timer without_signal_;  // see 2.
  std::shared_ptr<Node*> self_;
};

}  // namespace flaresim::node
