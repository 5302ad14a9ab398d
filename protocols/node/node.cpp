#include "protocols/node/node.h"

#include <utility>

namespace flaresim::node {

Node::Node(io::Network& network, crypto::PrivateKey identity, NodeProfile profile)
    : profile_(std::move(profile)),
      swarm_(std::make_shared<swarm::Swarm>(network, std::move(identity), profile_.swarm)),
      identify_(swarm_, profile_.identify),
      ping_(swarm_, profile_.ping),
      relay_client_(swarm_, profile_.relay.client),
      hole_puncher_(swarm_, identify_, profile_.dcutr) {
  if (profile_.port_mapping) start_port_mapping(network);
}

Node::~Node() { shut_down(); }

relay::RelayService& Node::start_relay_service(relay::RelayAcl acl) {
  relay_service_ = std::make_unique<relay::RelayService>(swarm_, profile_.relay.service, std::move(acl));
  identify_.announce();
  return *relay_service_;
}

void Node::start_port_mapping(io::Network& network) {
  port_mapper_ = std::make_unique<portmap::PortMapper>(network, *profile_.port_mapping);
  port_mapper_->on_change([this] { tell_mapped_ports(); });
  swarm_->addresses().on_change([this] { map_listening_ports(); });
}

void Node::map_listening_ports() {
  for (const auto& address : swarm_->addresses().listening()) {
    const auto endpoint = address.endpoint();
    if (!endpoint || !endpoint->address.is_v4() || endpoint->address.is_loopback() || address.is_public())
      continue;
    const bool is_tcp = address.transport() == multiformats::Transport::tcp;
    port_mapper_->want(is_tcp ? portmap::Transport::tcp : portmap::Transport::udp, endpoint->port);
  }
}

void Node::tell_mapped_ports() {
  std::vector<multiformats::Multiaddr> addresses;
  for (const auto& port : port_mapper_->mapped()) {
    const auto transport = port.transport == portmap::Transport::tcp ? multiformats::Transport::tcp
                                                                     : multiformats::Transport::quic_v1;
    addresses.push_back(multiformats::Multiaddr::from_endpoint(port.outside, transport));
  }
  std::string told;
  for (const auto& address : addresses) told += (told.empty() ? "" : " ") + address.to_string();
  swarm_->trace("ports.mapped", told);
  swarm_->addresses().set_mapped(std::move(addresses));
}

void Node::shut_down() {
  if (port_mapper_) port_mapper_->stop();
  hole_puncher_.stop();
  if (relay_service_) relay_service_->stop();
  relay_client_.stop();
  swarm_->shut_down();
}

}  // namespace flaresim::node
