#pragma once

#include <memory>

#include "protocols/crypto/keys.h"
#include "protocols/dcutr/hole_puncher.h"
#include "protocols/identify/identify.h"
#include "protocols/io/network.h"
#include "protocols/ping/ping.h"
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

  /// Becomes a relay for others, and tells connected peers. Once.
  relay::RelayService& start_relay_service(relay::RelayAcl acl = {});
  /// Null when this node is no relay.
  relay::RelayService* relay_service() { return relay_service_.get(); }

  /// Ends all connections, listeners and reservations. What was pending completes with an error as soon as
  /// the scheduler runs.
  void shut_down();

 private:
  NodeProfile profile_;
  std::shared_ptr<swarm::Swarm> swarm_;
  identify::Identify identify_;
  ping::Ping ping_;
  relay::RelayClient relay_client_;
  dcutr::HolePuncher hole_puncher_;
  std::unique_ptr<relay::RelayService> relay_service_;
};

}  // namespace flaresim::node
