#include "sim/net/capture.h"

#include <ns3/packet.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

namespace flaresim::net {
namespace {

constexpr std::uint32_t magic_nanoseconds = 0xa1b23c4d;
constexpr std::uint32_t max_packet_bytes = 65535;
constexpr std::uint32_t linktype_raw = 101;

void append32(std::vector<char>& to, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<char>(number >> shift));
}

}  // namespace

Capture::Capture(const engine::Simulation& simulation, std::ostream& out)
    : simulation_(simulation), out_(out) {
  if (!simulation.checksums()) throw std::logic_error("capturing needs a simulation with checksums");
  std::vector<char> header;
  append32(header, magic_nanoseconds);
  append32(header, 2 | 4 << 16);  // version 2.4
  append32(header, 0);            // timestamps are UTC
  append32(header, 0);
  append32(header, max_packet_bytes);
  append32(header, linktype_raw);
  out_.write(header.data(), static_cast<std::streamsize>(header.size()));
}

void Capture::record(const ns3::Packet& packet) {
  const auto since_epoch = simulation_.calendar().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto kept = std::min(packet.GetSize(), max_packet_bytes);
  std::vector<char> record;
  record.reserve(16 + kept);
  append32(record, static_cast<std::uint32_t>(seconds.count()));
  append32(record, static_cast<std::uint32_t>((since_epoch - seconds).count()));
  append32(record, kept);
  append32(record, packet.GetSize());
  record.resize(16 + kept);
  packet.CopyData(reinterpret_cast<std::uint8_t*>(record.data() + 16), kept);
  out_.write(record.data(), static_cast<std::streamsize>(record.size()));
  ++packets_;
}

}  // namespace flaresim::net
