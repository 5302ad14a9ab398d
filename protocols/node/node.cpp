#include "protocols/node/node.h"

#include <utility>

namespace flaresim::node {

namespace {

using swarm::Reachability;

/// Peers that the DHT holds to be closest to us, as kubo's source of relays.
io::Task<std::vector<swarm::AddressInfo>> closest_public_peers(io::Task<kademlia::LookupReport> lookup,
                                                               std::size_t at_most) {
  auto report = co_await std::move(lookup);
  for (auto& info : report.closest) {
    std::erase_if(info.addresses,
                  [](const auto& address) { return !address.is_public() || address.is_circuit(); });
  }
  std::erase_if(report.closest, [](const auto& info) { return info.addresses.empty(); });
  if (report.closest.size() > at_most)
    report.closest.erase(report.closest.begin() + static_cast<std::ptrdiff_t>(at_most), report.closest.end());
  co_return std::move(report.closest);
}

using Lookup = io::Task<io::Result<kademlia::Dht::Found>>;

io::Task<swarm::DialReport> dial_or_find(std::shared_ptr<swarm::Swarm> swarm, multiformats::PeerId peer,
                                         std::optional<Lookup> lookup) {
  const auto known = swarm->peers().find(peer).addresses;
  swarm::DialRequest to_known{.peer = peer, .addresses = known};
  auto report = co_await swarm->dial(std::move(to_known));
  if (report.connection || !lookup || swarm->shutting_down()) co_return report;

  const auto found = co_await std::move(*lookup);
  if (!found) {
    if (known.empty()) report.error = found.error();
    co_return report;
  }
  swarm::DialRequest to_found{.peer = peer, .addresses = found->info.addresses};
  co_return co_await swarm->dial(std::move(to_found));
}

io::Task<std::vector<swarm::AddressInfo>> nobody() { co_return std::vector<swarm::AddressInfo>(); }

io::Task<> connect_directly(std::shared_ptr<swarm::Swarm> swarm, swarm::AddressInfo to) {
  swarm::DialRequest request{.peer = to.peer, .addresses = std::move(to.addresses), .direct_only = true};
  co_await swarm->dial(std::move(request));
}

}  // namespace

template <class Method>
auto Node::later(Method method) {
  return [weak = std::weak_ptr<Node*>(self_), method](auto&&... arguments) {
    if (const auto self = weak.lock()) ((*self)->*method)(arguments...);
  };
}

Node::Node(io::Network& network, crypto::PrivateKey identity, NodeProfile profile)
    : profile_(std::move(profile)),
      swarm_(std::make_shared<swarm::Swarm>(network, std::move(identity), profile_.swarm)),
      identify_(swarm_, profile_.identify),
      ping_(swarm_, profile_.ping),
      relay_client_(swarm_, profile_.relay.client),
      hole_puncher_(swarm_, identify_, profile_.dcutr),
      without_signal_(network.scheduler()),
      self_(std::make_shared<Node*>(this)) {
  if (profile_.port_mapping) start_port_mapping(network);
  if (profile_.connection_manager) {
    connection_manager_ = std::make_unique<swarm::ConnectionManager>(swarm_, *profile_.connection_manager);
  }
  if (profile_.dht) dht_ = std::make_unique<kademlia::Dht>(swarm_, identify_, *profile_.dht);
  if (profile_.auto_relay) start_auto_relay();
  if (profile_.autonat) start_autonat();
  if (profile_.mdns) start_mdns();
  if (profile_.forced_reachability) {
    // Later, so that whoever made us can listen, and be told.
    network.scheduler().post(
        [then = later(&Node::set_reachability), what = *profile_.forced_reachability] { then(what); });
  }
}

Node::~Node() { shut_down(); }

relay::RelayService& Node::start_relay_service(relay::RelayAcl acl) {
  end_relay_service();  // its end takes the protocol away
  relay_service_ = std::make_unique<relay::RelayService>(swarm_, profile_.relay.service, std::move(acl));
  identify_.announce();
  return *relay_service_;
}

void Node::stop_relay_service() {
  if (!relay_service_) return;
  end_relay_service();
  identify_.announce();
}

void Node::end_relay_service() {
  past_relay_counters_ = relay_counters();
  relay_service_.reset();
}

relay::RelayCounters Node::relay_counters() const {
  auto all = past_relay_counters_;
  if (relay_service_) all += relay_service_->counters();
  return all;
}

void Node::start_autonat() {
  const auto& autonat = *profile_.autonat;
  const bool learns = !profile_.forced_reachability;
  v2_server_ = std::make_unique<autonat::V2Server>(swarm_, autonat.v2_server);
  serve_autonat_v1(true);
  if (learns && autonat.from != ReachabilityFrom::v2) {
    v1_client_ = std::make_unique<autonat::V1Client>(swarm_, identify_, autonat.v1_client);
    v1_client_->on_change(later(&Node::set_reachability));
  }
  if (learns && autonat.from != ReachabilityFrom::v1) {
    v2_client_ = std::make_unique<autonat::V2Client>(swarm_, identify_, autonat.v2_client);
    v2_client_->on_change(later(&Node::take_addresses_verdicts));
  }
  if (learns && autonat.from == ReachabilityFrom::v2 && auto_relay_) {
    without_signal_.arm_after(profile_.auto_relay->boot_delay, [this] {
      if (reachability_ == Reachability::unknown) auto_relay_->start();
    });
  }
}

void Node::take_addresses_verdicts() {
  swarm_->addresses().set_reachability(v2_client_->verdicts());
  if (profile_.autonat->from != ReachabilityFrom::v2) return;
  const auto verdict = v2_client_->verdict();
  if (verdict != reachability_) swarm_->trace("autonat.verdict", std::string(to_string(verdict)));
  set_reachability(verdict);
}

void Node::start_auto_relay() {
  auto source =
      [weak = std::weak_ptr<Node*>(self_)](std::size_t at_most) -> io::Task<std::vector<swarm::AddressInfo>> {
    const auto self = weak.lock();
    if (!self || !(*self)->dht_) return nobody();
    return closest_public_peers((*self)->dht_->closest_peers(io::to_bytes((*self)->id().bytes())), at_most);
  };
  auto_relay_ = std::make_unique<autorelay::AutoRelay>(swarm_, identify_, ping_, relay_client_,
                                                       *profile_.auto_relay, std::move(source));
}

void Node::start_mdns() {
  mdns_ = std::make_unique<mdns::Mdns>(swarm_, *profile_.mdns);
  mdns_->on_found([weak = std::weak_ptr<swarm::Swarm>(swarm_)](const swarm::AddressInfo& found) {
    const auto swarm = weak.lock();
    if (!swarm || swarm->direct_connection_to(found.peer)) return;
    io::spawn(swarm->scheduler().executor(), connect_directly(swarm, found));
  });
}

void Node::set_reachability(Reachability now) {
  if (now == reachability_ || swarm_->shutting_down()) return;
  reachability_ = now;
  follow_reachability();
  for (const auto& callback : when_reachability_) callback(now);
}

void Node::follow_reachability() {
  const bool is_public = reachability_ == Reachability::reachable;
  if (!v2_client_) swarm_->addresses().set_private(reachability_ == Reachability::unreachable);
  if (dht_) dht_->set_mode(is_public ? kademlia::Mode::server : kademlia::Mode::client);
  if (profile_.autonat) serve_autonat_v1(reachability_ != Reachability::unreachable);
  if (profile_.relay_when_public && is_public) {
    start_relay_service();
  } else if (profile_.relay_when_public) {
    stop_relay_service();
  }
  if (auto_relay_ && is_public) {
    auto_relay_->stop();
  } else if (auto_relay_) {
    auto_relay_->start();
  }
  identify_.announce();
}

void Node::serve_autonat_v1(bool serve) {
  if (!serve) {
    v1_server_.reset();
  } else if (!v1_server_) {
    v1_server_ = std::make_unique<autonat::V1Server>(swarm_, profile_.autonat->v1_server);
  }
}

void Node::on_reachability(std::function<void(Reachability)> callback) {
  when_reachability_.push_back(std::move(callback));
}

void Node::bootstrap(std::vector<swarm::AddressInfo> peers) {
  if (dht_) dht_->bootstrap(std::move(peers));
}

io::Task<swarm::DialReport> Node::find_and_connect(multiformats::PeerId peer) {
  std::optional<Lookup> lookup;
  if (dht_) lookup.emplace(dht_->find_peer(peer));
  return dial_or_find(swarm_, peer, std::move(lookup));
}

void Node::start_port_mapping(io::Network& network) {
  port_mapper_ = std::make_unique<portmap::PortMapper>(network, *profile_.port_mapping);
  port_mapper_->on_change(later(&Node::tell_mapped_ports));
  swarm_->addresses().on_change(later(&Node::map_listening_ports));
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

std::size_t Node::active() const {
  const auto of = [](const auto& protocol) { return protocol ? protocol->active() : 0; };
  const auto relaying = relay_service_ ? relay_service_->reservations() + relay_service_->circuits() : 0;
  return swarm_->connections().size() + swarm_->active() + relay_client_.reservations().size() +
         hole_puncher_.active() + of(dht_) + of(v1_client_) + of(v2_client_) + of(v1_server_) +
         of(v2_server_) + relaying;
}

void Node::shut_down() {
  if (port_mapper_) port_mapper_->stop();
  stop_all_but_port_mapping();
}

io::Task<> Node::close() {
  stop_all_but_port_mapping();
  if (!port_mapper_) co_return;
  const auto swarm = swarm_;
  const auto removed = co_await port_mapper_->release();
  swarm->trace("ports.released", std::to_string(removed));
}

void Node::stop_all_but_port_mapping() {
  without_signal_.cancel();
  if (mdns_) mdns_->stop();
  if (auto_relay_) auto_relay_->stop();
  if (v1_client_) v1_client_->stop();
  if (v2_client_) v2_client_->stop();
  if (v1_server_) v1_server_->stop();
  if (v2_server_) v2_server_->stop();
  if (dht_) dht_->stop();
  if (connection_manager_) connection_manager_->stop();
  hole_puncher_.stop();
  if (relay_service_) relay_service_->stop();
  relay_client_.stop();
  swarm_->shut_down();
}

}  // namespace flaresim::node
