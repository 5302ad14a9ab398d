#include "sim/os/node_session.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <optional>
#include <utility>

#include "protocols/io/signal.h"
#include "protocols/multiformats/multihash.h"
#include "protocols/node/node.h"
#include "sim/os/node_report.h"
#include "sim/os/real_network.h"

namespace flaresim::os {
namespace {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;

node::NodeProfile profile_of(const NodeOptions& options) {
  node::NodeProfile profile;
  profile.swarm.security = options.security;
  profile.swarm.tls.key_log = options.key_log;
  profile.swarm.quic.open_qlog = options.open_qlog;
  if (options.autonat) profile.autonat.emplace().from = *options.autonat;
  if (options.dht) {
    auto& dht = profile.dht.emplace();
    dht.prefix = options.dht->prefix;
    dht.public_only = !options.dht->private_addresses;
    if (options.dht->mode == kademlia::Mode::server)
      profile.forced_reachability = swarm::Reachability::reachable;
  }
  if (options.auto_relay) profile.auto_relay.emplace();
  if (options.mdns) profile.mdns.emplace();
  return profile;
}

/// Takes every value, and of several the first one.
class AnyValue final : public kademlia::Validator {
 public:
  io::Result<> validate(io::BytesView, io::BytesView) const override { return {}; }
  std::size_t select(io::BytesView, const std::vector<io::Bytes>&) const override { return 0; }
};

io::Bytes bytes_of(std::string_view text) {
  const auto view = io::as_bytes(text);
  return {view.begin(), view.end()};
}

/// How the DHT names content: the multihash of its SHA-256.
io::Bytes multihash_of(std::string_view content) {
  const auto digest = multiformats::sha256(io::as_bytes(content));
  io::Bytes out(2 + digest.size());
  out[0] = static_cast<std::uint8_t>(multiformats::HashCode::sha2_256);
  out[1] = static_cast<std::uint8_t>(digest.size());
  std::ranges::copy(digest, out.begin() + 2);
  return out;
}

/// One run of the program. Outlives every coroutine that it starts.
class NodeSession {
 public:
  NodeSession(RealScheduler& scheduler, io::Network& network, const NodeOptions& options)
      : scheduler_(scheduler),
        options_(options),
        report_(options.json),
        node_(network, options.identity, profile_of(options)),
        connected_(scheduler),
        interrupts_(scheduler.context(), SIGINT, SIGTERM) {}

  bool run() {
    watch();
    if (!listen()) return false;
    if (options_.relay_service) node_.start_relay_service();
    if (options_.dht) join_dht();
    interrupts_.async_wait([this](const auto& error, int) {
      // A node without a task ends well when it is stopped; a task that is interrupted was not done.
      if (!error) end(carried_out_ || !has_task());
    });
    io::spawn(scheduler_.executor(), carry_out());
    scheduler_.run();
    shut_down();
    return succeeded_.value_or(false);
  }

 private:
  void watch();
  bool listen();
  io::Task<> carry_out();
  void join_dht();
  io::Task<bool> ask_dht(DhtTask task);
  io::Task<bool> ask_dht_for_providers(std::string content);
  io::Task<bool> ask_dht_for_peer(PeerId peer);
  bool reported(const io::Result<>& result, const std::string& what);
  io::Task<bool> reserve(Multiaddr relay);
  io::Task<swarm::DialReport> dial(Multiaddr address);
  io::Task<bool> visit(Multiaddr address);
  io::Task<bool> ping(ConnectionPtr connection);
  io::Task<> wait_for_direct_connection(PeerId peer);
  io::Task<> identify(ConnectionPtr connection);
  std::vector<Multiaddr> named(const std::vector<Multiaddr>& addresses) const;
  bool has_task() const { return options_.dial || !options_.dht_tasks.empty(); }
  /// Who provides something stays.
  bool provides() const {
    return std::ranges::any_of(options_.dht_tasks,
                               [](const DhtTask& task) { return task.kind == DhtTask::Kind::provide; });
  }
  void end(bool success);
  void shut_down();

  RealScheduler& scheduler_;
  const NodeOptions& options_;
  NodeReport report_;
  node::Node node_;
  io::Signal connected_;
  boost::asio::signal_set interrupts_;
  bool carried_out_ = false;
  std::optional<bool> succeeded_;
};

void NodeSession::watch() {
  node_.swarm().on_connected([this](const ConnectionPtr& connection) {
    report_.connected(*connection);
    connected_.notify_all();
    io::spawn(scheduler_.executor(), identify(connection));
  });
  node_.swarm().on_disconnected(
      [this](const ConnectionPtr& connection) { report_.disconnected(*connection); });
  node_.identify().on_pushed([this](const ConnectionPtr& connection) {
    report_.updated(connection->remote(), node_.swarm().peers().find(connection->remote()));
  });
  node_.relay_client().on_reserved([this](const relay::Reservation& reservation) {
    report_.reserved(reservation, named(node_.swarm().addresses().circuits()));
  });
  node_.relay_client().on_lost(
      [this](const PeerId& relay, std::error_code why) { report_.reservation_lost(relay, why); });
  if (options_.autonat) {
    node_.on_reachability([this](swarm::Reachability verdict) { report_.reachability(verdict); });
  }
  if (node_.mdns() != nullptr) {
    node_.mdns()->on_found([this](const swarm::AddressInfo& peer) { report_.found_locally(peer); });
  }
  node_.hole_puncher().on_report([this](const dcutr::PunchReport& punch) { report_.punched(punch); });
}

bool NodeSession::listen() {
  for (const auto& address : options_.listen) {
    if (const auto bound = node_.swarm().listen(address); !bound) {
      report_.failed("listening on " + address.to_string(), bound.error());
      return false;
    }
  }
  report_.listening(node_.id(), named(node_.swarm().addresses().listening()));
  return true;
}

io::Task<> NodeSession::carry_out() {
  bool success = true;
  for (const auto& relay : options_.reserve) {
    if (!co_await reserve(relay)) success = false;
  }
  if (options_.dht && !options_.bootstrap.empty()) {
    co_await node_.dht()->bootstrapped();
    report_.dht_joined();
  }
  for (const auto& task : options_.dht_tasks) {
    if (!co_await ask_dht(task)) success = false;
  }
  if (success && options_.dial) success = co_await visit(*options_.dial);
  carried_out_ = success;
  if (!success || (has_task() && !provides())) end(success);
}

void NodeSession::join_dht() {
  const auto any = std::make_shared<AnyValue>();
  for (const auto& name_space : options_.dht->accept) node_.dht()->set_validator(name_space, any);
  std::vector<swarm::AddressInfo> peers;
  for (const auto& address : options_.bootstrap) {
    peers.push_back({address.peer_id().value(), std::vector<Multiaddr>(1, address)});
  }
  node_.bootstrap(std::move(peers));
}

bool NodeSession::reported(const io::Result<>& result, const std::string& what) {
  if (!result) report_.failed(what, result.error());
  return result.has_value();
}

io::Task<bool> NodeSession::ask_dht(DhtTask task) {
  using Kind = DhtTask::Kind;
  auto& dht = *node_.dht();
  switch (task.kind) {
    case Kind::put: {
      auto key = bytes_of(task.what);
      auto value = bytes_of(task.value);
      const auto put = co_await dht.put_value(std::move(key), std::move(value));
      if (!reported(put, "putting " + task.what)) co_return false;
      report_.stored(task.what);
      co_return true;
    }
    case Kind::get: {
      auto key = bytes_of(task.what);
      const auto value = co_await dht.get_value(std::move(key));
      if (!value) report_.failed("getting " + task.what, value.error());
      if (!value) co_return false;
      report_.value(task.what, std::string_view(reinterpret_cast<const char*>(value->data()), value->size()));
      co_return true;
    }
    case Kind::provide: {
      auto key = multihash_of(task.what);
      const auto provided = co_await dht.provide(std::move(key));
      if (!reported(provided, "providing " + task.what)) co_return false;
      report_.provided(task.what);
      co_return true;
    }
    case Kind::find_providers:
      co_return co_await ask_dht_for_providers(task.what);
    case Kind::find_peer:
      co_return co_await ask_dht_for_peer(PeerId::from_string(task.what).value());
  }
  co_return false;
}

io::Task<bool> NodeSession::ask_dht_for_providers(std::string content) {
  constexpr std::size_t enough = 20;
  auto key = multihash_of(content);
  const auto providers = co_await node_.dht()->find_providers(std::move(key), enough);
  report_.providers(content, providers);
  co_return !providers.empty();
}

io::Task<bool> NodeSession::ask_dht_for_peer(PeerId peer) {
  const auto found = co_await node_.dht()->find_peer(peer);
  if (!found) report_.failed("finding " + peer.to_string(), found.error());
  if (!found) co_return false;
  report_.found(found->info);
  co_return true;
}

io::Task<bool> NodeSession::reserve(Multiaddr relay) {
  const auto reservation =
      co_await node_.relay_client().reserve(relay.peer_id().value(), std::vector<Multiaddr>(1, relay));
  if (!reservation) {
    report_.failed("reservation on " + relay.to_string(), reservation.error());
    co_return false;
  }
  co_return true;
}

io::Task<swarm::DialReport> NodeSession::dial(Multiaddr address) {
  swarm::DialRequest request{.peer = address.peer_id().value(), .addresses = {address}};
  return node_.swarm().dial(std::move(request));
}

io::Task<bool> NodeSession::visit(Multiaddr address) {
  const auto peer = address.peer_id().value();
  auto dialling = address.without_peer() ? dial(address) : node_.find_and_connect(peer);
  const auto dialled = co_await std::move(dialling);
  if (!dialled.connection) {
    report_.dial_failed(peer, dialled);
    co_return false;
  }
  if (const auto identified = co_await node_.identify().wait_for(dialled.connection); !identified)
    co_return false;
  if (!co_await ping(dialled.connection)) co_return false;
  if (dialled.connection->relayed()) {
    co_await wait_for_direct_connection(peer);
    const auto direct = node_.swarm().direct_connection_to(peer);
    if (direct && !co_await ping(direct)) co_return false;
  }
  report_.done(peer, node_.swarm().direct_connection_to(peer) != nullptr);
  co_return true;
}

io::Task<bool> NodeSession::ping(ConnectionPtr connection) {
  for (int i = 0; i < options_.pings; ++i) {
    const auto round_trip = co_await node_.ping().ping(connection);
    if (!round_trip) {
      report_.failed("ping", round_trip.error());
      co_return false;
    }
    report_.pinged(*connection, *round_trip);
  }
  co_return true;
}

io::Task<> NodeSession::wait_for_direct_connection(PeerId peer) {
  const auto until = scheduler_.now() + options_.punch_wait;
  while (!node_.swarm().direct_connection_to(peer)) {
    if (!co_await connected_.wait_until(until)) co_return;
  }
}

io::Task<> NodeSession::identify(ConnectionPtr connection) {
  const auto identified = co_await node_.identify().wait_for(connection);
  if (!identified) {
    report_.failed("identify", identified.error());
  } else {
    report_.identified(connection->remote(), node_.swarm().peers().find(connection->remote()));
  }
}

/// With our name at the end, so that they can be passed on.
std::vector<Multiaddr> NodeSession::named(const std::vector<Multiaddr>& addresses) const {
  std::vector<Multiaddr> out;
  for (const auto& address : addresses) out.push_back(address.with_peer(node_.id()));
  return out;
}

void NodeSession::end(bool success) {
  if (!succeeded_) succeeded_ = success;
  scheduler_.stop();
}

void NodeSession::shut_down() {
  // What is cancelled now ends on the scheduler; whatever does not is cut off.
  constexpr auto grace = std::chrono::seconds(2);
  interrupts_.cancel();
  node_.shut_down();
  scheduler_.run_for(grace);
}

}  // namespace

bool run_node(const NodeOptions& options) {
  RealScheduler scheduler;
  RealNetwork network(scheduler);
  return NodeSession(scheduler, network, options).run();
}

}  // namespace flaresim::os
