#include "tests/bench/recording.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "sim/net/packet.h"
#include "sim/world/trial.h"

namespace flaresim::bench {
namespace {

/// One TCP segment of a capture.
struct Captured {
  io::TimePoint at;
  io::Endpoint source;
  io::Endpoint destination;
  std::size_t payload_bytes = 0;
};

std::uint32_t little_endian32(const std::uint8_t* at) {
  return at[0] | at[1] << 8 | at[2] << 16 | static_cast<std::uint32_t>(at[3]) << 24;
}
std::uint16_t big_endian16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }

io::Endpoint endpoint(const std::uint8_t* address, const std::uint8_t* port) {
  boost::asio::ip::address_v4::bytes_type bytes;
  std::copy_n(address, bytes.size(), bytes.begin());
  return {boost::asio::ip::address_v4(bytes), big_endian16(port)};
}

/// Reads the TCP over IPv4 of a capture that `net::Capture` wrote; times as the simulation counts them.
std::vector<Captured> read_capture(const std::filesystem::path& path) {
  constexpr std::int64_t epoch_seconds = 1767225600;  // 2026-01-01T00:00:00Z, when simulations begin
  std::ifstream in(path, std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<Captured> packets;
  for (std::size_t at = 24; at + 16 <= bytes.size();) {
    const auto* const record = &bytes[at];
    const auto* const ip = record + 16;
    at += 16 + little_endian32(record + 8);
    if (at > bytes.size() || ip[0] >> 4 != 4 || ip[9] != net::protocol_tcp) continue;
    const auto* const tcp = ip + (ip[0] & 0x0f) * 4;
    const auto header_bytes = static_cast<std::size_t>(tcp - ip) + (tcp[12] >> 4) * 4u;
    packets.push_back({.at = io::TimePoint(std::chrono::seconds(little_endian32(record) - epoch_seconds) +
                                           std::chrono::nanoseconds(little_endian32(record + 4))),
                       .source = endpoint(ip + 12, tcp),
                       .destination = endpoint(ip + 16, tcp + 2),
                       .payload_bytes = big_endian16(ip + 2) - header_bytes});
  }
  return packets;
}

Connection& connection_of(std::vector<Connection>& connections, const Captured& packet) {
  const auto found = std::find_if(connections.begin(), connections.end(), [&](const Connection& candidate) {
    return (candidate.dialler == packet.source && candidate.listener == packet.destination) ||
           (candidate.dialler == packet.destination && candidate.listener == packet.source);
  });
  if (found != connections.end()) return *found;
  return connections.emplace_back(Connection{packet.source, packet.destination, packet.at, {}});
}

std::vector<Connection> connections_of(std::vector<Captured> packets) {
  std::stable_sort(packets.begin(), packets.end(),
                   [](const Captured& a, const Captured& b) { return a.at < b.at; });
  std::vector<Connection> connections;
  for (const auto& packet : packets) {
    auto& connection = connection_of(connections, packet);
    if (packet.payload_bytes == 0) continue;
    connection.segments.push_back({packet.at, packet.source == connection.dialler, packet.payload_bytes});
  }
  std::erase_if(connections, [](const Connection& connection) { return connection.segments.empty(); });
  return connections;
}

/// A folder that goes when it is no longer needed.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "flaresim-bench-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path path;
};

}  // namespace

Recording record_trial(const world::Scenario& scenario, const world::WorldData& data, std::uint64_t index) {
  const TemporaryFolder folder;
  const SodiumRecorder recorder;
  const auto trial = run_trial(scenario, data, scenario.seed, index,
                               {.timeline = false, .captures = {.directory = folder.path, .packets = true}});
  SodiumRecorder::stop();
  if (trial.outcome != world::Outcome::success) throw std::logic_error("the recorded trial did not succeed");

  Recording recording;
  for (const auto& call : recorder.calls()) {
    const bool sealed = call.what == SodiumCall::What::seal || call.what == SodiumCall::What::open;
    (sealed && call.associated == 0 ? recording.transport : recording.handshakes).push_back(call);
  }
  std::vector<Captured> sent;
  const auto collect = [&](const std::string& machine, const std::string& point, const std::string& region) {
    const auto packets = read_capture(folder.path / fmt::format("{}-{}.pcap", index, point));
    // A peer speaks first; a relay is spoken to.
    const auto& first = packets.at(0);
    const auto self = machine == "R" ? first.destination.address : first.source.address;
    recording.addresses[machine] = self;
    recording.regions[machine] = data.regions().find(region).value();
    std::copy_if(packets.begin(), packets.end(), std::back_inserter(sent),
                 [&](const Captured& packet) { return packet.source.address == self; });
  };
  collect("A", "nat-a-outside", trial.a.region);
  collect("B", "nat-b-outside", trial.b.region);
  collect("R", "relay", trial.relay_region);
  for (const auto& packet : sent) recording.end = std::max(recording.end, packet.at);
  recording.connections = connections_of(std::move(sent));
  return recording;
}

}  // namespace flaresim::bench
