#include <algorithm>
#include <deque>

#include "protocols/swarm/state.h"

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using multiformats::Transport;

bool dialable(const Multiaddr& address, bool direct_only) {
  return address.transport() == Transport::tcp || (address.is_circuit() && !direct_only);
}

}  // namespace

/// One dial to one peer, over any number of addresses.
struct Swarm::State::Dial {
  explicit Dial(DialRequest what) : request(std::move(what)) {}

  DialRequest request;
  std::deque<DialFailure> tries;     // one an address, in the order in which they began
  std::list<io::StreamPtr> sockets;  // to give up when another address was faster
  std::size_t running = 0;
  bool over = false;
};

ConnectionPtr Swarm::State::satisfying(const DialRequest& request) const {
  return best(request.peer, request.direct_only);
}

io::Task<DialReport> Swarm::State::dial(DialRequest request) {
  const auto self = shared_from_this();
  if (down) co_return DialReport{nullptr, {}, Error::shut_down};
  if (request.peer == id) co_return DialReport{nullptr, {}, Error::self_dial};
  if (auto connection = satisfying(request)) co_return DialReport{std::move(connection), {}, {}};

  std::vector<Multiaddr> targets;
  for (const auto& address : request.addresses) {
    if (dialable(address, request.direct_only) &&
        std::find(targets.begin(), targets.end(), address) == targets.end()) {
      targets.push_back(address);
    }
  }
  if (targets.empty()) {
    const auto why = request.addresses.empty() ? Error::no_address : Error::no_transport;
    co_return DialReport{nullptr, {}, why};
  }
  // Direct targets first; a relayed one has to wait where a direct one may yet succeed.
  std::stable_partition(targets.begin(), targets.end(), [](const Multiaddr& a) { return !a.is_circuit(); });
  const bool any_direct = !targets.front().is_circuit();

  const auto dial = std::make_shared<Dial>(std::move(request));
  const auto until = dial->request.limit > io::Duration::zero() ? scheduler.now() + dial->request.limit
                                                                : io::TimePoint::max();
  ++counters.dials;
  std::size_t next = 0;
  ConnectionPtr connection;
  bool in_time = true;
  while (!down && in_time) {
    while (next < targets.size() && dial->running < static_cast<std::size_t>(profile.max_dials_per_peer)) {
      const auto& address = targets[next++];
      const bool wait = address.is_circuit() && any_direct && !dial->request.punch_role;
      ++dial->running;
      auto& outcome = dial->tries.emplace_back(DialFailure{address, {}, false});
      io::spawn(scheduler.executor(),
                dial_one(dial, &outcome, wait ? profile.relay_delay : io::Duration::zero()));
    }
    connection = satisfying(dial->request);
    if (connection || dial->running == 0) break;
    if (until == io::TimePoint::max()) {
      co_await changed.wait();
    } else {
      in_time = co_await changed.wait_until(until);
    }
  }

  dial->over = true;
  for (const auto& socket : dial->sockets) socket->reset();
  DialReport report{std::move(connection), {}, {}};
  if (report.connection) co_return report;

  report.error = in_time ? make_error_code(Error::dial_failed) : make_error_code(std::errc::timed_out);
  if (down) report.error = Error::shut_down;
  for (auto tried : dial->tries) {
    if (!tried.why) tried.why = report.error;  // still under way when the time was up
    report.failures.push_back(std::move(tried));
  }
  co_return report;
}

io::Task<> Swarm::State::dial_one(std::shared_ptr<Dial> dial, DialFailure* outcome, io::Duration delay) {
  const auto self = shared_from_this();
  if (delay > io::Duration::zero()) co_await scheduler.sleep_for(delay);

  if (!dial->over && !down) {
    io::Result<ConnectionPtr> connection = io::fail(Error::no_transport);
    if (outcome->address.is_circuit()) {
      connection = co_await dial_circuit(dial, outcome);
    } else {
      connection = co_await dial_tcp(dial, outcome);
    }
    if (!connection) outcome->why = connection.error();
  }
  --dial->running;
  changed.notify_all();
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_tcp(std::shared_ptr<Dial> dial, DialFailure* outcome) {
  const auto& address = outcome->address;
  const auto endpoint = address.endpoint();
  if (!endpoint) co_return io::fail(Error::no_transport);
  const auto& role = dial->request.punch_role;
  const auto port = listening_port(endpoint->address);

  auto opened = network.dial(*endpoint, port);
  // That 4-tuple may still be in use by an older connection. A punch has no use for another port.
  if (!opened && opened.error() == std::errc::address_in_use && port && !role) {
    opened = network.dial(*endpoint, std::nullopt);
  }
  if (!opened) co_return tl::unexpected(opened.error());
  const auto socket = *opened;
  const PendingStream known(dial->sockets, socket);
  const PendingStream known_to_all(pending, socket);
  const auto began = scheduler.now();
  if (role) punching[*endpoint] = *role;
  say("dial", address.to_string());

  io::Result<> established;
  {
    const io::Deadline deadline(scheduler, socket, profile.tcp_connect_limit);
    established = co_await socket->connected();
  }
  if (role) punching.erase(*endpoint);
  if (!established) co_return tl::unexpected(established.error());
  say("dial.connected", address.to_string());

  outcome->connected = true;
  Upgrade how{Direction::outbound,
              role.value_or(security::Role::client),
              Multiaddr::from_endpoint(socket->local(), Transport::tcp),
              Multiaddr::from_endpoint(socket->remote(), Transport::tcp),
              dial->request.peer,
              false,
              {}};
  co_return co_await upgrade(socket, std::move(how), began + profile.dial_limit - scheduler.now());
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_circuit(std::shared_ptr<Dial> dial,
                                                               DialFailure* outcome) {
  const auto& address = outcome->address;
  const auto relay = address.relay();
  if (!relay || !circuit_dialler) co_return io::fail(Error::no_transport);
  auto circuit = co_await circuit_dialler(*relay, dial->request.peer);
  if (!circuit) co_return tl::unexpected(circuit.error());

  const PendingStream known(dial->sockets, circuit->stream);
  if (dial->over) {
    circuit->stream->reset();
    co_return io::fail(std::errc::operation_canceled);
  }
  outcome->connected = true;
  Upgrade how{Direction::outbound,
              security::Role::client,
              relay->encapsulate(Multiaddr::circuit()),
              address.with_peer(dial->request.peer),
              dial->request.peer,
              true,
              circuit->limit};
  co_return co_await upgrade(circuit->stream, std::move(how), profile.dial_limit);
}

}  // namespace flaresim::swarm
