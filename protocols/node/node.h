#pragma once

#include <memory>
#include <optional>

#include "protocols/crypto/keys.h"
#include "protocols/dcutr/hole_puncher.h"
#include "protocols/identify/identify.h"
#include "protocols/io/network.h"
#include "protocols/ping/ping.h"
#include "protocols/portmap/port_mapper.h"
#include "protocols/relay/relay_client.h"
#include "protocols/relay/relay_profile.h"
#include "protocols/relay/relay_service.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::node {

/// Every time limit, bound and retry count of a node.
struct NodeProfile {
  swarm::SwarmProfile swarm;
  identify::IdentifyProfile identify;
  ping::PingProfile ping;
  relay::RelayProfile relay;
  dcutr::DcutrProfile dcutr;
  /// Asks the gateway to forward the ports that the node listens on; none: it does not ask.
  std::optional<portmap::PortMapProfile> port_mapping;
};

/// A whole peer: the same in a simulated network and on real sockets.
///
/// The network must live until everything that `shut_down` cancels has been run by its scheduler.
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
  /// Null when the profile has none.
  portmap::PortMapper* port_mapper() { return port_mapper_.get(); }

  /// Becomes a relay for others, and tells connected peers. Once.
  relay::RelayService& start_relay_service(relay::RelayAcl acl = {});
  /// Null when this node is no relay.
  relay::RelayService* relay_service() { return relay_service_.get(); }

  /// Ends all connections, listeners and reservations. What was pending completes with an error as soon as
  /// the scheduler runs.
  void shut_down();

 private:
  void start_port_mapping(io::Network& network);
  void map_listening_ports();
  void tell_mapped_ports();

  NodeProfile profile_;
  std::shared_ptr<swarm::Swarm> swarm_;
  identify::Identify identify_;
  ping::Ping ping_;
  relay::RelayClient relay_client_;
  dcutr::HolePuncher hole_puncher_;
  std::unique_ptr<relay::RelayService> relay_service_;
  std::unique_ptr<portmap::PortMapper> port_mapper_;
};

}  // namespace flaresim::node
