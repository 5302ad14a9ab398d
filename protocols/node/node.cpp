#include "protocols/node/node.h"

#include <utility>

namespace flaresim::node {

Node::Node(io::Network& network, crypto::PrivateKey identity, NodeProfile profile)
    : profile_(std::move(profile)),
      swarm_(std::make_shared<swarm::Swarm>(network, std::move(identity), profile_.swarm)),
      identify_(swarm_, profile_.identify),
      ping_(swarm_, profile_.ping),
      relay_client_(swarm_, profile_.relay.client),
      hole_puncher_(swarm_, identify_, profile_.dcutr) {}

Node::~Node() { shut_down(); }

relay::RelayService& Node::start_relay_service(relay::RelayAcl acl) {
  relay_service_ = std::make_unique<relay::RelayService>(swarm_, profile_.relay.service, std::move(acl));
  identify_.announce();
  return *relay_service_;
}

void Node::shut_down() {
  hole_puncher_.stop();
  if (relay_service_) relay_service_->stop();
  relay_client_.stop();
  swarm_->shut_down();
}

}  // namespace flaresim::node
