#include "sim/os/node_session.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <optional>
#include <utility>

#include "protocols/io/signal.h"
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
  return profile;
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
    interrupts_.async_wait([this](const auto& error, int) {
      // A node without a task ends well when it is stopped; a task that is interrupted was not done.
      if (!error) end(!options_.dial);
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
  io::Task<bool> reserve(Multiaddr relay);
  io::Task<bool> visit(Multiaddr address);
  io::Task<bool> ping(ConnectionPtr connection);
  io::Task<> wait_for_direct_connection(PeerId peer);
  io::Task<> identify(ConnectionPtr connection);
  std::vector<Multiaddr> named(const std::vector<Multiaddr>& addresses) const;
  void end(bool success);
  void shut_down();

  RealScheduler& scheduler_;
  const NodeOptions& options_;
  NodeReport report_;
  node::Node node_;
  io::Signal connected_;
  boost::asio::signal_set interrupts_;
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
  node_.relay_client().on_lost(
      [this](const PeerId& relay, std::error_code why) { report_.reservation_lost(relay, why); });
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
  if (success && options_.dial) success = co_await visit(*options_.dial);
  if (!success || options_.dial) end(success);
}

io::Task<bool> NodeSession::reserve(Multiaddr relay) {
  const auto reservation =
      co_await node_.relay_client().reserve(relay.peer_id().value(), std::vector<Multiaddr>(1, relay));
  if (!reservation) {
    report_.failed("reservation on " + relay.to_string(), reservation.error());
    co_return false;
  }
  report_.reserved(*reservation, named(node_.swarm().addresses().circuits()));
  co_return true;
}

io::Task<bool> NodeSession::visit(Multiaddr address) {
  const auto peer = address.peer_id().value();
  swarm::DialRequest request{.peer = peer, .addresses = {}, .punch_role = {}};
  request.addresses.push_back(address);
  const auto dialled = co_await node_.swarm().dial(std::move(request));
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
