#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <ns3/inet-socket-address.h>
#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/simulator.h>
#include <ns3/udp-socket-factory.h>

#include <algorithm>
#include <stdexcept>

#include "sim/net/nat_box.h"
#include "sim/net/ns3_address.h"
#include "tests/bench/measure.h"
#include "tests/bench/stock_routers.h"

namespace flaresim::bench {
namespace {

constexpr std::size_t payload_bytes = 200;
constexpr std::uint16_t udp_port = 4001;
constexpr auto interval = std::chrono::milliseconds(10);
constexpr auto one_way = std::chrono::milliseconds(10);

/// What it took to carry one load.
struct Load {
  double packets_per_second = 0;  ///< of CPU
  double events_per_packet = 0;
};

std::size_t peer_of(std::size_t host, std::size_t hosts) { return (host + hosts / 2) % hosts; }

/// Every host sends to its peer, one datagram an interval, starts spread over an interval. The first two of
/// each host open the way through the NATs and are not measured; of the others all must arrive.
template <class World>
Load carry(World& world, engine::Simulation& simulation, std::size_t hosts, std::uint32_t datagrams) {
  const auto drive = [&](std::uint32_t count) {
    for (std::size_t host = 0; host < hosts; ++host) {
      const auto start = ns3::MicroSeconds(static_cast<std::int64_t>(host * 9973 % 10'000));
      ns3::Simulator::Schedule(start, [&world, host, count] { world.send(host, count); });
    }
    simulation.run_for(interval * (count + 2) + 2 * one_way);
  };
  drive(2);
  const auto received = world.received();
  const auto events = simulation.events_executed();
  const auto took = cpu_of([&] { drive(datagrams); });
  const auto carried = world.received() - received;
  if (carried != hosts * datagrams)
    throw std::logic_error(fmt::format("{} of {} datagrams arrived", carried, hosts * datagrams));
  return {static_cast<double>(carried) / took.count(),
          static_cast<double>(simulation.events_executed() - events) / static_cast<double>(carried)};
}

/// Our hosts and our core; what a host is plugged into is the router under test.
class OurWorld {
 public:
  OurWorld(engine::Simulation& simulation, std::size_t hosts)
      : simulation_(simulation), internet_(simulation, {{one_way}}, io::Random(1).derive("internet")) {
    for (std::size_t i = 0; i < hosts; ++i) {
      hosts_.push_back(std::make_unique<net::Host>(simulation, std::vector<io::IpAddress>{inside(i)},
                                                   io::Random(1).derive(fmt::format("host/{}", i))));
    }
  }
  ~OurWorld() {
    for (auto& socket : sockets_) socket->close();
    simulation_.drain();
    sockets_.clear();
  }
  OurWorld(const OurWorld&) = delete;
  OurWorld& operator=(const OurWorld&) = delete;

  void put_behind_nats() {
    const auto behaviour = nat::parse_behaviour("EIM/APDF").value();
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      const auto gateway = nat_address(i);
      auto& box = nats_.emplace_back(std::make_unique<net::NatBox>(
          simulation_, behaviour, gateway, io::Random(1).derive(fmt::format("nat/{}", i))));
      if (!box->attach(hosts_[i]->port(), {inside(i)}, {})) throw std::logic_error("attach");
      plug(box->outside(), i, gateway);
    }
  }

  void put_behind_stock_routers() {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      auto& router = routers_.emplace_back(
          std::make_unique<StockRouter>(hosts_[i]->port(), inside(i).to_v4(), static_cast<std::uint32_t>(i)));
      plug(router->outside(), i, inside(i));
    }
  }

  void send(std::size_t host, std::uint32_t count) {
    static const io::Bytes payload(payload_bytes, 0);
    if (!sockets_[host]->send_to(payload, {reached_at_[peer_of(host, hosts_.size())], udp_port}))
      throw std::logic_error("send");
    if (count <= 1) return;
    ns3::Simulator::Schedule(ns3::NanoSeconds(std::chrono::nanoseconds(interval).count()),
                             [this, host, count] { send(host, count - 1); });
  }

  std::uint64_t received() const { return received_; }

 private:
  static boost::asio::ip::address inside(std::size_t host) {
    return boost::asio::ip::address_v4((10u << 24) + 4 * static_cast<std::uint32_t>(host) + 1);
  }
  static boost::asio::ip::address nat_address(std::size_t host) {
    return boost::asio::ip::address_v4((84u << 24) + static_cast<std::uint32_t>(host) + 1);
  }

  void plug(net::Port& outside, std::size_t host, const io::IpAddress& address) {
    if (!internet_.attach(outside, {fmt::format("site/{}", host), 0, {}, {address}}))
      throw std::logic_error("attach");
    reached_at_.push_back(address);
    auto socket = hosts_[host]->bind({boost::asio::ip::address_v4::any(), udp_port});
    if (!socket) throw std::logic_error("bind");
    sockets_.push_back(*std::move(socket));
    io::spawn(simulation_.executor(), count_arrivals(*sockets_.back(), received_));
  }

  static io::Task<> count_arrivals(io::DatagramSocket& socket, std::uint64_t& received) {
    while (true) {
      const auto datagram = co_await socket.receive();
      if (!datagram) co_return;
      received += datagram->payload.size() == payload_bytes;
    }
  }

  engine::Simulation& simulation_;
  net::Internet internet_;
  std::vector<std::unique_ptr<net::NatBox>> nats_;
  std::vector<std::unique_ptr<net::Host>> hosts_;
  std::vector<std::unique_ptr<StockRouter>> routers_;
  std::vector<std::unique_ptr<io::DatagramSocket>> sockets_;
  std::vector<io::IpAddress> reached_at_;
  std::uint64_t received_ = 0;
};

/// ns-3 from end to end, and the cheapest use of its sockets.
class StockWorld {
 public:
  explicit StockWorld(std::size_t hosts) : network_(hosts) {
    for (const auto& host : network_.hosts()) {
      auto& socket =
          sockets_.emplace_back(ns3::Socket::CreateSocket(host, ns3::UdpSocketFactory::GetTypeId()));
      socket->Bind(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), udp_port));
      socket->SetRecvCallback(
          ns3::Callback<void, ns3::Ptr<ns3::Socket>>([this](const ns3::Ptr<ns3::Socket>& arrived) {
            ns3::Address from;
            while (const auto packet = arrived->RecvFrom(from))
              received_ += packet->GetSize() == payload_bytes;
          }));
    }
  }

  void send(std::size_t host, std::uint32_t count) {
    static const io::Bytes payload(payload_bytes, 0);
    const auto to = StockNetwork::address(peer_of(host, sockets_.size()));
    sockets_[host]->SendTo(ns3::Create<ns3::Packet>(payload.data(), payload_bytes), 0,
                           ns3::InetSocketAddress(to, udp_port));
    if (count <= 1) return;
    ns3::Simulator::Schedule(ns3::NanoSeconds(std::chrono::nanoseconds(interval).count()),
                             [this, host, count] { send(host, count - 1); });
  }

  std::uint64_t received() const { return received_; }

 private:
  StockNetwork network_;
  std::vector<ns3::Ptr<ns3::Socket>> sockets_;
  std::uint64_t received_ = 0;
};

Load through_nats(const Sizes& sizes) {
  engine::Simulation simulation;
  OurWorld world(simulation, sizes.hosts);
  world.put_behind_nats();
  return carry(world, simulation, sizes.hosts, sizes.datagrams_per_host);
}

Load through_stock_routers(const Sizes& sizes) {
  engine::Simulation simulation;
  OurWorld world(simulation, sizes.hosts);
  world.put_behind_stock_routers();
  return carry(world, simulation, sizes.hosts, sizes.datagrams_per_host);
}

Load through_stock_network(const Sizes& sizes) {
  engine::Simulation simulation;
  StockWorld world(sizes.hosts);
  return carry(world, simulation, sizes.hosts, sizes.datagrams_per_host);
}

/// The three worlds take turns, so that what else the machine does hits them alike.
void packets(benchmark::State& state, const Sizes& sizes) {
  std::vector<double> nat, routers, network, over_routers, over_network;
  Load nats, swapped, stock;
  for (auto _ : state) {
    nats = through_nats(sizes);
    swapped = through_stock_routers(sizes);
    stock = through_stock_network(sizes);
    nat.push_back(nats.packets_per_second);
    routers.push_back(swapped.packets_per_second);
    network.push_back(stock.packets_per_second);
    over_routers.push_back(nat.back() / routers.back());
    over_network.push_back(nat.back() / network.back());
  }
  state.counters["nat_packets/s"] = median(nat);
  state.counters["stock_routers_packets/s"] = median(routers);
  state.counters["stock_network_packets/s"] = median(network);
  state.counters["over_stock_routers"] = median(over_routers);
  state.counters["over_stock_network"] = median(over_network);
  state.counters["nat_events/packet"] = nats.events_per_packet;
  state.counters["stock_routers_events/packet"] = swapped.events_per_packet;
  state.counters["stock_network_events/packet"] = stock.events_per_packet;
}

}  // namespace

double stock_network_packets_per_second(const Sizes& sizes) {
  return through_stock_network(sizes).packets_per_second;
}

void register_packets(const Sizes& sizes) {
  benchmark::RegisterBenchmark("nated_packets", packets, sizes)
      ->Iterations(sizes.rounds)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace flaresim::bench
