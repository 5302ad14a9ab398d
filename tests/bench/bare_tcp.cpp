#include "tests/bench/bare_tcp.h"

#include <map>
#include <memory>
#include <stdexcept>

#include "sim/net/host.h"
#include "sim/net/internet.h"

namespace flaresim::bench {
namespace {

class BareWorld {
 public:
  BareWorld(const Recording& recording, const world::WorldData& data)
      : recording_(recording),
        internet_(simulation_, data.regions().one_way(), io::Random(recording_seed).derive("internet")) {
    for (const auto& [name, address] : recording.addresses) add_host(name, address);
    for (const auto& connection : recording.connections) io::spawn(simulation_.executor(), dial(connection));
  }

  ~BareWorld() {
    for (auto& listener : listeners_) listener->close();
    for (auto& socket : sockets_) socket->reset();
    simulation_.drain();
  }
  BareWorld(const BareWorld&) = delete;
  BareWorld& operator=(const BareWorld&) = delete;

  BareRun run() {
    simulation_.run_until(recording_.end);
    return {simulation_.events_executed(), internet_.counters().forwarded, bytes_written_};
  }

 private:
  using SocketPtr = std::shared_ptr<io::StreamSocket>;
  static constexpr std::uint64_t recording_seed = 1;

  void add_host(const std::string& name, const io::IpAddress& address) {
    auto host = std::make_unique<net::Host>(simulation_, std::vector<io::IpAddress>{address},
                                            io::Random(recording_seed).derive(name));
    if (!internet_.attach(host->port(), {name, recording_.regions.at(name), {}, {address}}))
      throw std::logic_error("attach");
    auto listener = host->listen({boost::asio::ip::address_v4::any(), 4001});
    if (!listener) throw std::logic_error("listen");
    listeners_.push_back(*std::move(listener));
    io::spawn(simulation_.executor(), accept(*listeners_.back()));
    hosts_[address] = std::move(host);
  }

  io::Task<> dial(const Connection& connection) {
    co_await simulation_.sleep_until(connection.dialled_at);
    auto socket = hosts_.at(connection.dialler.address)->dial(connection.listener, connection.dialler.port);
    if (!socket) throw std::logic_error("dial");
    if (!co_await (*socket)->connected()) throw std::logic_error("connect");
    play(*std::move(socket), connection, true);
  }

  io::Task<> accept(io::Listener& listener) {
    while (true) {
      auto socket = co_await listener.accept();
      if (!socket) co_return;
      for (const auto& connection : recording_.connections) {
        if (connection.dialler == (*socket)->remote() && connection.listener == (*socket)->local())
          play(*socket, connection, false);
      }
    }
  }

  void play(SocketPtr socket, const Connection& connection, bool as_dialler) {
    sockets_.push_back(socket);
    io::spawn(simulation_.executor(), write(socket, connection, as_dialler));
    io::spawn(simulation_.executor(), read(std::move(socket)));
  }

  io::Task<> write(SocketPtr socket, const Connection& connection, bool as_dialler) {
    for (const auto& segment : connection.segments) {
      if (segment.by_dialler != as_dialler) continue;
      if (segment.at > simulation_.now()) co_await simulation_.sleep_until(segment.at);
      const io::Bytes payload(segment.bytes);
      if (!co_await socket->write(payload)) co_return;
      bytes_written_ += payload.size();
    }
  }

  io::Task<> read(SocketPtr socket) {
    io::Bytes buffer(2048);
    while (true) {
      const auto got = co_await socket->read(buffer);
      if (!got || *got == 0) co_return;
    }
  }

  const Recording& recording_;
  engine::Simulation simulation_;
  net::Internet internet_;
  std::map<io::IpAddress, std::unique_ptr<net::Host>> hosts_;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
  std::vector<SocketPtr> sockets_;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace

BareRun run_bare(const Recording& recording, const world::WorldData& data) {
  BareWorld world(recording, data);
  return world.run();
}

}  // namespace flaresim::bench
