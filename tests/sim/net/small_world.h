#pragma once

#include <ns3/packet.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/engine/simulation.h"
#include "sim/net/host.h"
#include "sim/net/internet.h"
#include "sim/net/packet.h"

namespace flaresim::net {

using namespace std::chrono_literals;

inline const io::TimePoint t0{};

inline io::IpAddress ip(const char* text) { return boost::asio::ip::make_address(text); }
inline io::Endpoint at(const char* address, std::uint16_t port) { return {ip(address), port}; }

/// A few public hosts in one region, 50 ms apart unless told otherwise.
struct SmallWorld {
  explicit SmallWorld(engine::SimulationOptions options = {}, CoreProfile core = {}, std::uint64_t seed = 1,
                      io::Duration one_way = 50ms)
      : simulation(options),
        random(seed),
        internet(simulation, {{one_way}}, random.derive("internet"), core) {}
  ~SmallWorld() { simulation.drain(); }

  Host& add_host(const std::string& name, std::vector<io::IpAddress> addresses, LinkProfile link = {}) {
    auto& host = *hosts.emplace_back(std::make_unique<Host>(simulation, addresses, random.derive(name)));
    plug(host.port(), name, std::move(addresses), link);
    return host;
  }
  Internet::SiteId plug(Port& port, const std::string& name, std::vector<io::IpAddress> addresses,
                        LinkProfile link = {}) {
    const Site site{.name = name, .region = 0, .link = link, .addresses = std::move(addresses)};
    return internet.attach(port, site).value();
  }

  /// Runs a coroutine to its end, or until the time is over.
  template <class T>
  std::optional<T> try_run(io::Task<T> task, io::Duration limit) {
    auto result = std::make_shared<std::optional<T>>();
    io::spawn(simulation.executor(), store(std::move(task), result));
    simulation.run_until([&] { return result->has_value(); }, simulation.now() + limit);
    return *result;
  }
  template <class T>
  T run(io::Task<T> task, io::Duration limit = 1h) {
    return try_run(std::move(task), limit).value();
  }

  engine::Simulation simulation;
  io::Random random;
  Internet internet;
  std::vector<std::unique_ptr<Host>> hosts;

 private:
  template <class T>
  static io::Task<> store(io::Task<T> task, std::shared_ptr<std::optional<T>> into) {
    into->emplace(co_await std::move(task));
  }
};

/// A port in the hands of the test: sees every packet and sends whatever bytes it likes.
class Probe final : public Port {
 public:
  explicit Probe(const engine::Simulation& simulation) : simulation_(simulation) {}

  struct Received {
    io::TimePoint at;
    PacketSummary packet;
    std::uint32_t acknowledged = 0;
  };

  void deliver(PacketPtr packet) override {
    std::array<std::uint8_t, 32> head{};
    copy_head(*packet, head);
    const auto acknowledged =
        static_cast<std::uint32_t>(head[28]) << 24 | head[29] << 16 | head[30] << 8 | head[31];
    received.push_back({simulation_.now(), summarise(*packet), acknowledged});
  }

  /// An IPv4 TCP segment without options or checksums.
  void send_segment(const io::Endpoint& from, const io::Endpoint& to, std::uint8_t flags,
                    std::uint32_t sequence, std::uint32_t acknowledged = 0) {
    std::vector<std::uint8_t> bytes(40);
    bytes[0] = 0x45;
    bytes[3] = 40;
    bytes[8] = 64;
    bytes[9] = protocol_tcp;
    put32(&bytes[12], from.address.to_v4().to_uint());
    put32(&bytes[16], to.address.to_v4().to_uint());
    bytes[20] = static_cast<std::uint8_t>(from.port >> 8);
    bytes[21] = static_cast<std::uint8_t>(from.port);
    bytes[22] = static_cast<std::uint8_t>(to.port >> 8);
    bytes[23] = static_cast<std::uint8_t>(to.port);
    put32(&bytes[24], sequence);
    put32(&bytes[28], acknowledged);
    bytes[32] = 0x50;
    bytes[33] = flags;
    bytes[34] = 0xff;
    bytes[35] = 0xff;
    send(make_packet(bytes));
  }

  std::vector<Received> received;

 private:
  static void put32(std::uint8_t* to, std::uint32_t number) {
    for (int i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  }

  const engine::Simulation& simulation_;
};

/// The first stream that a listener accepts.
inline io::Task<std::shared_ptr<io::StreamSocket>> accept_one(io::Listener& listener) {
  auto accepted = co_await listener.accept();
  co_return accepted.value();
}

inline io::Task<io::Result<>> connect(std::shared_ptr<io::StreamSocket> socket) {
  co_return co_await socket->connected();
}

inline io::Task<io::Result<std::string>> read_text(std::shared_ptr<io::Stream> stream, std::size_t bytes) {
  std::string text(bytes, ' ');
  const std::span<std::uint8_t> into(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  const auto got = co_await io::read_exactly(*stream, into);
  if (!got) co_return tl::unexpected(got.error());
  co_return text;
}

inline io::Task<io::Result<>> write_text(std::shared_ptr<io::Stream> stream, std::string text) {
  co_return co_await stream->write(io::as_bytes(text));
}

inline io::Task<io::Result<std::size_t>> read_some(std::shared_ptr<io::Stream> stream) {
  std::array<std::uint8_t, 4096> into;
  co_return co_await stream->read(into);
}

inline io::Task<io::Result<>> finish(std::shared_ptr<io::Stream> stream) {
  co_return co_await stream->close_write();
}

}  // namespace flaresim::net
